package main

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/library"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// workArgument is what tells this program that it is to read streams with a library,
// whose name follows.
const workArgument = "read"

// An answer is a verdict, or why there is none.
type answer struct {
	Verdict library.Verdict
	Failure string
}

// work answers streams until there are no more.
func work(name string, in io.Reader, out io.Writer) error {
	l, err := library.Find(name)
	if err != nil {
		return err
	}
	stage, err := library.NewStage(l)
	if err != nil {
		return err
	}
	defer stage.Close()
	questions, answers := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var s streams.Stream
		if err := questions.Decode(&s); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var a answer
		if a.Verdict, err = stage.Run(s); err != nil {
			a.Failure = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

// A process reads streams with one library. If it dies of one, there is another for the
// next.
type process struct {
	library string
	cmd     *exec.Cmd
	in      io.WriteCloser
	ask     *gob.Encoder
	answers *gob.Decoder
}

func (p *process) start() error {
	name, err := os.Executable()
	if err != nil {
		return err
	}
	p.cmd = exec.Command(name, workArgument, p.library)
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.ask, p.answers = gob.NewEncoder(p.in), gob.NewDecoder(out)
	return p.cmd.Start()
}

// tell gives the process a stream, and hear waits for what it makes of it.
func (p *process) tell(s streams.Stream) error {
	if p.cmd == nil {
		if err := p.start(); err != nil {
			return err
		}
	}
	return p.ask.Encode(s)
}

func (p *process) hear() (library.Verdict, error) {
	var a answer
	err := p.answers.Decode(&a)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		p.stop()
		return library.Verdict{Close: library.Panicked}, nil
	case err != nil:
		return library.Verdict{}, err
	case a.Failure != "":
		return library.Verdict{}, fmt.Errorf("verdicts: %s", a.Failure)
	}
	return a.Verdict, nil
}

// stop ends the process, which ends itself once it is told nothing more.
func (p *process) stop() {
	if p.cmd != nil {
		_ = p.in.Close()
		_ = p.cmd.Wait() // how it ended is known
		p.cmd = nil
	}
}
