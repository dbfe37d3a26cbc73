package main

import (
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/generator"
	"github.com/seed62ce5aa7/websocket/internal/bench/host"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A lab is where windows are measured.
type lab struct {
	serverCPU, clientCPU int
	window               time.Duration
	disturbed            float64 // from how much foreign on a window is measured again
}

// A window is what was measured in one.
type window struct {
	cpu      float64 // nanoseconds of the server's for each message
	rate     float64 // messages per second
	p50, p99 time.Duration
	foreign  float64 // of one processor, what others took of both

	disturbed bool // that was too much
}

func (w window) cpuTime() float64   { return w.cpu }
func (w window) perSecond() float64 { return w.rate }
func (w window) half() float64      { return float64(w.p50) }
func (w window) slow() float64      { return float64(w.p99) }

// steadily measures again what was disturbed.
func (l *lab) steadily(measure func() (window, error)) (window, error) {
	w, err := measure()
	if err == nil && w.foreign > l.disturbed {
		var again window
		if again, err = measure(); again.foreign < w.foreign {
			w = again
		}
	}
	w.disturbed = w.foreign > l.disturbed
	return w, err
}

// watch measures a window of what goes on for so long as it is told to.
func (l *lab) watch(c competitor, p *host.Process, goOn func(time.Duration) (generator.Tally, error)) (w window, err error) {
	if _, err := goOn(l.warmUp(c)); err != nil {
		return w, err
	}
	before, err := l.read(p)
	if err != nil {
		return w, err
	}
	t, err := goOn(l.window)
	if err != nil {
		return w, err
	}
	after, err := l.read(p)
	if err != nil {
		return w, err
	}
	server, client, busy := after.server-before.server, after.client-before.client, after.busy-before.busy
	return window{
		cpu:     float64(server) / float64(t.Messages),
		rate:    float64(t.Messages) / t.Elapsed.Seconds(),
		p50:     t.Latencies.Quantile(.5),
		p99:     t.Latencies.Quantile(.99),
		foreign: float64(busy-server-client) / float64(after.when.Sub(before.when)),
	}, nil
}

// warmUp is for how long a server runs before. A command may have to compile what
// it runs, as Node does.
func (l *lab) warmUp(c competitor) time.Duration {
	if c.command != nil {
		return 3 * l.window
	}
	return l.window / 5
}

type reading struct {
	when                 time.Time
	server, client, busy time.Duration
}

// rest is how long a server has to go to sleep. The clock of a process that runs
// on another processor is late by up to a tick of the kernel; of one that sleeps
// it is exact.
const rest = 2 * time.Millisecond

func (l *lab) read(p *host.Process) (r reading, err error) {
	time.Sleep(rest)
	r.when = time.Now()
	if r.busy, err = measure.Busy(l.serverCPU, l.clientCPU); err == nil {
		if r.client, err = measure.CPU(); err == nil {
			r.server, err = p.CPU()
		}
	}
	return r, err
}

// An echo has connections send messages, so many of them at a time.
type echo struct {
	order        host.Order
	kind         string
	conns, depth int
}

// run measures an echo, after comparing some.
func (e echo) run(l *lab, c competitor) (window, error) {
	return l.steadily(func() (w window, err error) {
		p, err := c.start(l, e.order)
		if err != nil {
			return w, err
		}
		defer p.Stop()
		to := c.target(p, e.order)
		kind := e.kind
		if to.Bare {
			kind = traffic.Sized("binary", size(kind))
			to.Mode = traffic.Plain
		}
		if _, err := load.Check(to, kind, 2); err != nil {
			return w, err
		}
		frames, _, err := traffic.Frames(kind, to.Mode)
		if err != nil {
			return w, err
		}
		f, err := generator.Open(p.Address, to.Request(size(kind)), e.conns)
		if err != nil {
			return w, err
		}
		defer f.Close()
		f.Play(frames, e.conns, e.depth)
		return l.watch(c, p, func(d time.Duration) (generator.Tally, error) { return f.Run(d, e.conns*e.depth) })
	})
}

// size is that of a kind's messages.
func size(kind string) int {
	messages, err := traffic.Messages(kind)
	if err != nil {
		panic(err) // the program names the kinds
	}
	return len(messages[0])
}
