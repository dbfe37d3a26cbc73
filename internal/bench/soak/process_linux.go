package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// A process is a server's.
type process struct {
	command *exec.Cmd
	address string
	report  *serverReport

	mu  sync.Mutex // one command at a time
	in  io.WriteCloser
	out *bufio.Reader
}

func start(program string, args ...string) (*process, error) {
	p := &process{command: exec.Command(program, args...), report: new(serverReport)}
	p.command.Stderr = os.Stderr
	var err error
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	if p.address, err = p.out.ReadString('\n'); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	p.address = strings.TrimSpace(p.address)
	if p.report.before, _, err = p.look(); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

// look asks for the server's state and its resident memory.
func (p *process) look() (s state, resident int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := fmt.Fprintln(p.in, look); err != nil {
		return s, 0, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return s, 0, err
	}
	if err := json.Unmarshal(line, &s); err != nil {
		return s, 0, err
	}
	resident, err = measure.MemoryOf(p.command.Process.Pid)
	return s, resident, err
}

// drain has the server end, and waits for it. Its last state comes before.
func (p *process) drain() (s state, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := fmt.Fprintln(p.in, drain); err != nil {
		return s, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(line, &s); err != nil {
		return s, err
	}
	return s, p.command.Wait()
}

func (p *process) kill() error {
	if err := p.command.Process.Kill(); err != nil {
		return err
	}
	_ = p.command.Wait() // it says that it was killed
	return nil
}
