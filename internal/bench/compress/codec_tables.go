package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/codecs"
	"github.com/seed62ce5aa7/websocket/internal/bench/compress/worker"
	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// codecTables compare codecs alone.
func codecTables(ps *processes, quick bool) (parts []part) {
	for _, bits := range []int{0, 12, 15} {
		baseline := "compress/flate 1"
		switch bits {
		case 12:
			baseline = "klauspost window, dictionary" // as gws does it
		case 15:
			baseline += ", kept"
		}
		parts = append(parts, codecTable(ps, bits, true, quick, baseline))
	}
	for _, bits := range []int{0, 12, 15} {
		parts = append(parts, codecTable(ps, bits, false, quick, "compress/flate"))
	}
	return parts
}

// codecKinds leaves random bytes out where context is taken over, as there is
// nothing to refer to in them, and where they are decoded, as they were not
// encoded. If time is short, it leaves out what is large.
func codecKinds(bits int, encodes, quick bool) (kinds []string) {
	all := traffic.JSON
	if bits == 0 && encodes {
		all = traffic.Kinds
	}
	for _, kind := range all {
		if !quick || !strings.HasSuffix(kind, "64K") {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func codecTable(ps *processes, bits int, encodes, quick bool, baseline string) *table {
	does := codecDoes(encodes)
	t := &table{title: fmt.Sprintf("Codec alone, %s, %s", does, contextName(bits))}
	for _, kind := range codecKinds(bits, encodes, quick) {
		g := &group{data: kind, baseline: baseline}
		for _, spec := range codecs.All {
			if spec.Bits != bits || (spec.NewEncoder != nil) != encodes || spec.Far && !within(kind, bits) || quick && spec.Slow {
				continue
			}
			e := codecEntry(ps, spec, encodes, kind)
			if bits != 0 && kind == "chat" {
				e.heap = func() (int64, error) {
					r, err := ps.ask(spec.Library, worker.Request{Do: does + "r heap", Library: spec.Name, Bits: bits})
					return r.Heap, err
				}
			}
			g.entries = append(g.entries, e)
		}
		t.groups = append(t.groups, g)
	}
	return t
}

func codecDoes(encodes bool) string {
	if encodes {
		return "encode"
	}
	return "decode"
}

func codecEntry(ps *processes, spec codecs.Spec, encodes bool, kind string) *entry {
	return &entry{name: spec.Name, sample: func(least time.Duration) (measure.Sample, error) {
		r, err := ps.ask(spec.Library, worker.Request{
			Do: codecDoes(encodes), Library: spec.Name, Bits: spec.Bits, Kind: kind, Least: least,
		})
		return r.Sample, err
	}}
}

// within reports whether messages of the kind are no larger than the window, so
// that no encoder can reach beyond it within one.
func within(kind string, bits int) bool { return bits == 0 || bits == 15 || kind != "json64K" }

func contextName(bits int) string {
	if bits == 0 {
		return "no context takeover"
	}
	return fmt.Sprintf("context takeover, %d bits", bits)
}
