package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// stopGrace is how long a program has to end once it is told to.
	stopGrace = 10 * time.Second
	// startLimit is how long a program has to be ready once it is started.
	startLimit = time.Minute
	// dialInterval is the time between two attempts to reach a listener.
	dialInterval = 100 * time.Millisecond
	// tailLines is how much of a program's output an error quotes.
	tailLines = 15
)

// A process is a program that runs beside this one, with its output in a file.
type process struct {
	name    string
	logFile string
	line    chan string   // gets the first line of its standard output
	done    chan struct{} // closed when it has ended
	err     error         // how it ended; valid once done is closed
	cancel  context.CancelFunc
}

// start runs a program until it ends by itself, ctx is done or stop is called.
// Its output goes to a file in logDir.
func start(ctx context.Context, name, logDir, dir string, argv ...string) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &process{
		name:    name,
		logFile: filepath.Join(logDir, name+".log"),
		line:    make(chan string, 1),
		done:    make(chan struct{}),
		cancel:  cancel,
	}
	file, err := os.Create(p.logFile)
	if err != nil {
		cancel()
		return nil, err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	cmd.Stdout = &firstLine{file: file, line: p.line}
	cmd.Stderr = file
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err == nil || errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return cmd.Process.Kill() // Windows has no interrupt to send.
	}
	cmd.WaitDelay = stopGrace
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("starting %s: %w", name, err), file.Close())
	}
	go func() {
		defer close(p.done)
		defer cancel()
		p.err = errors.Join(cmd.Wait(), file.Close())
	}()
	return p, nil
}

// stop ends the program and returns when it has ended.
func (p *process) stop() {
	p.cancel()
	<-p.done
}

// wait waits for the program to end, which it must do by itself and with
// success.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return p.failure(context.Cause(ctx))
	}
	if p.err != nil {
		return p.failure(p.err)
	}
	return nil
}

// awaitLine waits for the first line that the program writes.
func (p *process) awaitLine(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("it said nothing in time"))
	defer cancel()
	select {
	case line := <-p.line:
		return line, nil
	case <-p.done:
		return "", p.failure(fmt.Errorf("it ended: %w", p.err))
	case <-ctx.Done():
		return "", p.failure(context.Cause(ctx))
	}
}

// awaitListener waits until something listens at addr.
func (p *process) awaitListener(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("nothing listens at %s", addr))
	defer cancel()
	tick := time.NewTicker(dialInterval)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return p.failure(fmt.Errorf("it ended: %w", p.err))
		case <-ctx.Done():
			return p.failure(context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// failure says what went wrong with the program and quotes its last words.
func (p *process) failure(err error) error {
	data, readErr := os.ReadFile(p.logFile)
	if readErr != nil {
		return fmt.Errorf("%s: %w (and no output: %w)", p.name, err, readErr)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return fmt.Errorf("%s: %w; the end of its output:\n\t%s", p.name, err, strings.Join(lines, "\n\t"))
}

// firstLine hands on what is written to it, and the first line to a channel
// with room for it.
type firstLine struct {
	file *os.File
	line chan<- string
	head []byte
	sent bool
}

func (f *firstLine) Write(b []byte) (int, error) {
	if !f.sent {
		f.head = append(f.head, b...)
		if line, _, found := bytes.Cut(f.head, []byte("\n")); found {
			f.line <- strings.TrimSpace(string(line))
			f.sent, f.head = true, nil
		}
	}
	return f.file.Write(b)
}
