package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// leftPerConnection is how many bytes of the heap a server may keep, once it has none left, for each
// connection that it had at a time: the runtime does not give back the descriptors of goroutines,
// 450 bytes each, of which a connection has two or three when it is opened or sent away, nor
// a map the room for its keys.
const leftPerConnection = 2 << 10

// leftAtAll is what it may keep besides.
const leftAtAll = 1 << 20

// A report is what came of a soak.
type report struct {
	plan     plan
	endings  [endings]int
	messages uint64 // that came back and were compared
	clients  samples
	servers  []*serverReport
	failures []error
}

type serverReport struct {
	samples
	before, last state         // with no connection yet, and with none any more
	drained      time.Duration // how long it took to end
}

// left is how much of the heap is live that was not at the beginning.
func (s *serverReport) left() int64 { return s.last.Live - s.before.Live }

func (r *report) write(w io.Writer) {
	fmt.Fprintf(w, "%s, %s. %d connections at a time for %s, a message every %s on each, the server replaced %d times.\n\n",
		measure.Processor(), measure.Kernel(), r.plan.connections, r.plan.duration, r.plan.pause, r.plan.restarts)
	fmt.Fprintf(w, "%d messages came back, each once, in order and whole, but for what is said below.\n\n", r.messages)
	fmt.Fprintln(w, "| how connections ended | |")
	fmt.Fprintln(w, "|---|--:|")
	for e, n := range r.endings {
		fmt.Fprintf(w, "| %s | %d |\n", ending(e), n)
	}
	fmt.Fprintln(w, "\nMedians while nearly all connections were open, and silent. The heap is what is live after a collection; resident")
	fmt.Fprintln(w, "is what the system counts.")
	fmt.Fprintln(w, "\n| process | heap, first half | second half | left at the end | resident, first half | second half | goroutines, first half | second half | messages echoed | cut | ended in |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	fmt.Fprintf(w, "| clients %s | | | |\n", r.clients.columns(""))
	for i, s := range r.servers {
		fmt.Fprintf(w, "| server %d %s | %d | %d | %s |\n", i+1, s.columns(megabytes(s.left())),
			s.last.Messages, s.last.Killed, s.drained.Round(time.Millisecond))
	}
	for _, err := range r.failures {
		fmt.Fprintf(w, "\n- %v", err)
	}
}

func (s *samples) columns(left string) string {
	live1, live2 := halves(s.live)
	resident1, resident2 := halves(s.resident)
	goroutines1, goroutines2 := halves(s.goroutines)
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %d | %d", megabytes(live1), megabytes(live2), left,
		megabytes(resident1), megabytes(resident2), goroutines1, goroutines2)
}

// verdict is what must not be, if there is anything.
func (r *report) verdict() error {
	all := slices.Clone(r.failures)
	add := func(format string, args ...any) { all = append(all, fmt.Errorf("soak: "+format, args...)) }
	flat := func(who string, s *samples) {
		if len(s.live) < 2 {
			add("%s never had nearly all connections", who)
		}
		if first, second := halves(s.live); r.grew(first, second) {
			add("the live heap of %s grew from %s to %s", who, megabytes(first), megabytes(second))
		}
		if first, second := halves(s.goroutines); r.grew(first, second) {
			add("the goroutines of %s grew from %d to %d", who, first, second)
		}
	}
	flat("the clients", &r.clients)
	cut := int64(0)
	for i, s := range r.servers {
		who := fmt.Sprintf("server %d", i+1)
		flat(who, &s.samples)
		if s.last.Connections != 0 {
			add("%s ended with %d connections", who, s.last.Connections)
		}
		if s.left() > leftAtAll+leftPerConnection*int64(r.plan.connections) {
			add("%s ended with a live heap of %s that was not there when it began", who, megabytes(s.left()))
		}
		cut += s.last.Killed
	}
	if seen := int64(r.endings[killed]); seen > cut {
		add("%d connections were cut from the other side, and the servers cut %d", seen, cut)
	}
	return errors.Join(all...)
}

func (r *report) grew(first, second int64) bool {
	return float64(second) > r.plan.growth*float64(first)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
