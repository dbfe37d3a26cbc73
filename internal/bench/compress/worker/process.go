package worker

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
)

// Argument is what tells this program that it is a worker.
const Argument = "worker"

// A Process is a worker, seen from the process that started it.
type Process struct {
	cmd      *exec.Cmd
	in       io.Closer
	requests *json.Encoder
	replies  *json.Decoder
}

// Start starts this very program as a worker, on one processor: what the others
// of a library's threads would do at the same time, such as to spin, is not what
// is to be compared.
func Start() (*Process, error) {
	name, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(name, Argument)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Process{cmd, in, json.NewEncoder(in), json.NewDecoder(out)}, nil
}

// Ask sends a request and waits for its reply.
func (p *Process) Ask(q Request) (Reply, error) {
	var r Reply
	if err := p.requests.Encode(q); err != nil {
		return r, err
	}
	if err := p.replies.Decode(&r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

// Stop ends the worker and waits for its end.
func (p *Process) Stop() error {
	if err := p.in.Close(); err != nil {
		return err
	}
	return p.cmd.Wait()
}
