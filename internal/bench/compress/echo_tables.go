package main

import (
	"fmt"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/compress/worker"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// echoConns is how many connections echo at the same time.
const echoConns = 64

// echoBudgets are what our server may take, as a part of what gws takes, of messages that
// both compress: gws sends nearly all of chat as it is.
var echoBudgets = map[string]float64{"json256": .6, "json4K": .95, "json64K": 1}

// echoTables compare servers that echo, over the loopback: what their processes
// take, system calls included. The client is this process.
func echoTables(ps *processes) []part {
	const mode = traffic.NoTakeover
	t := &table{
		title: fmt.Sprintf("Echo over the loopback, %d connections, %s", echoConns, mode),
		note:  "What an uncompressed echo takes is mostly system calls, which are the same for all.",
	}
	for _, kind := range []string{"chat", "json256", "json4K", "json64K"} {
		g := &group{data: kind, baseline: "gws"}
		for _, l := range servers.Compressing {
			e := &echo{ps: ps, library: l.Name, mode: mode, kind: kind}
			g.entries = append(g.entries, &entry{name: l.Name, sample: e.sample})
		}
		plain := &echo{ps: ps, library: "ours", mode: traffic.Plain, kind: kind}
		g.entries = append(g.entries, &entry{name: "ours, uncompressed", sample: plain.sample})
		if most, ok := echoBudgets[kind]; ok {
			g.find("ours").budgets = []budget{{"gws", most}}
		}
		t.groups = append(t.groups, g)
	}
	return []part{t}
}

// An echo is a library's server and connections to it.
type echo struct {
	ps      *processes
	library string
	mode    traffic.Mode
	kind    string
	fleet   *load.Fleet
}

// ask asks the server's process.
func (e *echo) ask(do string) (worker.Reply, error) {
	name := fmt.Sprintf("echo %s %s %s", e.library, e.mode, e.kind)
	return e.ps.ask(name, worker.Request{Do: do, Library: e.library, Mode: e.mode})
}

// connect starts the server and sees that its answers are right.
func (e *echo) connect() error {
	r, err := e.ask("listen")
	if err != nil {
		return err
	}
	if _, err := load.Check(load.Target{Address: r.Address, Mode: e.mode}, e.kind, 10); err != nil {
		return fmt.Errorf("%s: %w", e.library, err)
	}
	e.fleet, err = load.Dial(load.Target{Address: r.Address, Mode: e.mode}, e.kind, echoConns)
	return err
}

// sample counts the time between readings while nothing is under way, in batches
// that grow until they have taken long enough.
func (e *echo) sample(least time.Duration) (s measure.Sample, err error) {
	if e.fleet == nil {
		if err := e.connect(); err != nil {
			return s, err
		}
	}
	batch := 2 * echoConns
	if _, err := e.fleet.Together(batch); err != nil {
		return s, err
	}
	for s.CPU < 4*least { // the scheduler's moods need more to even out
		before, err := e.ask("now")
		if err != nil {
			return s, err
		}
		n, err := e.fleet.Together(batch)
		if err != nil {
			return s, err
		}
		after, err := e.ask("now")
		if err != nil {
			return s, err
		}
		s.Add(n)
		s.CPU += after.Reading.CPU - before.Reading.CPU
		s.Allocs += after.Reading.Allocs - before.Reading.Allocs
		batch *= 2
	}
	return s, nil
}
