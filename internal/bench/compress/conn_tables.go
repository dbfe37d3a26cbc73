package main

import (
	"slices"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/codecs"
	"github.com/seed62ce5aa7/websocket/internal/bench/compress/worker"
	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

const (
	writes = "write"
	reads  = "read"
)

// connTables compare connections without system calls: frame and codec.
func connTables(ps *processes, quick bool) (parts []part) {
	for _, does := range []string{writes, reads} {
		parts = append(parts,
			connTable(ps, does, traffic.NoTakeover, "gorilla", quick),
			connTable(ps, does, traffic.Takeover12, "gws", quick),
			connTable(ps, does, traffic.Takeover15, "coder", quick))
	}
	return parts
}

func connTable(ps *processes, does string, mode traffic.Mode, baseline string, quick bool) *table {
	t := &table{title: "Server in memory, " + does + ", " + string(mode)}
	kinds := traffic.JSON
	if does == writes && mode == traffic.NoTakeover {
		kinds = append(slices.Clone(kinds), "random256", "random4K", "random64K")
	}
	for _, kind := range kinds {
		if quick && strings.HasSuffix(kind, "64K") {
			continue
		}
		g := &group{data: kind, baseline: baseline}
		for _, l := range servers.Compressing {
			if slices.Contains(l.Modes, mode) {
				g.entries = append(g.entries, connEntry(ps, does, l.Name, mode, kind))
			}
		}
		if kind == "chat" {
			addConnBudget(ps, g, does, mode)
		}
		t.groups = append(t.groups, g)
	}
	return t
}

func connEntry(ps *processes, does, library string, mode traffic.Mode, kind string) *entry {
	return &entry{name: library, sample: func(least time.Duration) (measure.Sample, error) {
		r, err := ps.ask(library, worker.Request{Do: does, Library: library, Mode: mode, Kind: kind, Least: least})
		return r.Sample, err
	}}
}

// addConnBudget gives our entry its budget for 256 bytes. It is absolute, for one
// processor, so it is held as a part of what the best peer took there: the codec
// of klauspost alone, as no library made of it compresses messages of that size,
// and of those that take context over coder to write and gws to read.
func addConnBudget(ps *processes, g *group, does string, mode traffic.Mode) {
	our := g.find("ours")
	switch {
	case mode == traffic.NoTakeover && does == writes:
		our.budgets = []budget{{addCodec(ps, g, "klauspost 3", true), 4.5 / 9.9}}
	case mode == traffic.NoTakeover:
		our.budgets = []budget{{addCodec(ps, g, "klauspost", false), 3.4 / 6.3}}
	case mode == traffic.Takeover12 && does == writes:
		e := connEntry(ps, does, "coder", traffic.Takeover15, g.data)
		e.name += ", 15 bits"
		g.entries = append(g.entries, e)
		our.budgets = []budget{{e.name, 6.5 / 16.7}}
	case mode == traffic.Takeover12:
		our.budgets = []budget{{"gws", 2.2 / 3.7}}
	}
}

// addCodec adds a codec without a connection around it.
func addCodec(ps *processes, g *group, codec string, encodes bool) (name string) {
	e := codecEntry(ps, codecs.Spec{Library: "klauspost", Name: codec}, encodes, g.data)
	e.name = codec + ", the codec alone"
	g.entries = append(g.entries, e)
	return e.name
}
