package host

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// A Process is a server, seen from the process that started it.
type Process struct {
	Address string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// Start runs this very program as a server, on that processor only.
func Start(o Order, cpu int) (*Process, error) {
	order, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	name, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return StartCommand(cpu, name, Argument, string(order))
}

// StartCommand runs a program that writes its address as its first line and then
// echoes, on that processor only. It is not told anything.
func StartCommand(cpu int, command ...string) (*Process, error) {
	cmd := exec.Command(command[0], command[1:]...)
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
	if err := measure.On(cpu, cmd.Start); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if p.Address, err = p.out.ReadString('\n'); err != nil {
		p.Stop()
		return nil, fmt.Errorf("host: %s does not say where it listens: %w", command[0], err)
	}
	p.Address = strings.TrimSpace(p.Address)
	return p, nil
}

// Tell gives the process a command, Done waits for the answer.
func (p *Process) Tell(command string, args ...any) error {
	_, err := fmt.Fprintf(p.in, command+"\n", args...)
	return err
}

// Done waits until a command was done.
func (p *Process) Done() error {
	answer, err := p.out.ReadString('\n')
	if err == nil && strings.TrimSpace(answer) != done {
		err = errors.New(strings.TrimSpace(answer))
	}
	return err
}

// Do gives the process a command and waits until it was done.
func (p *Process) Do(command string, args ...any) error {
	return errors.Join(p.Tell(command, args...), p.Done())
}

// CPU is the processor time that it has taken.
func (p *Process) CPU() (time.Duration, error) { return measure.CPUOf(p.cmd.Process.Pid) }

// Memory is how much of it is in memory.
func (p *Process) Memory() (int64, error) { return measure.MemoryOf(p.cmd.Process.Pid) }

// Stop ends the process and waits for its end.
func (p *Process) Stop() {
	_ = p.cmd.Process.Kill() // unless it has ended
	_ = p.cmd.Wait()         // says that it was killed
}
