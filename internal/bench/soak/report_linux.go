package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// A report is what came of a soak.
type report struct {
	plan     plan
	endings  [endings]int
	messages uint64  // that came back and were compared
	memory   []int64 // of the clients' process, while nearly all connections were open
	servers  []*serverReport
	failures []error
}

type serverReport struct {
	memory     []int64 // as of the clients
	goroutines int     // at most
	last       state
	drained    time.Duration // how long it took to end
}

func (r *report) write(w io.Writer) {
	fmt.Fprintf(w, "%s, %s. %d connections at a time for %s, a message every %s on each, the server replaced %d times.\n\n",
		measure.Processor(), measure.Kernel(), r.plan.connections, r.plan.duration, r.plan.pause, r.plan.restarts)
	fmt.Fprintf(w, "%d messages came back, each once, in order and whole, but for what is said below.\n\n", r.messages)
	fmt.Fprintln(w, "| how connections ended | |")
	fmt.Fprintln(w, "|---|--:|")
	for e, n := range r.endings {
		fmt.Fprintf(w, "| %s | %d |\n", ending(e), n)
	}
	fmt.Fprintln(w, "\n| process | memory, first half | second half | goroutines | messages echoed | cut | ended in |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|")
	first, second := halves(r.memory)
	fmt.Fprintf(w, "| clients | %s | %s | | | | |\n", megabytes(first), megabytes(second))
	for i, s := range r.servers {
		first, second := halves(s.memory)
		fmt.Fprintf(w, "| server %d | %s | %s | %d | %d | %d | %s |\n", i+1, megabytes(first), megabytes(second),
			s.goroutines, s.last.Messages, s.last.Killed, s.drained.Round(time.Millisecond))
	}
	for _, err := range r.failures {
		fmt.Fprintf(w, "\n- %v", err)
	}
}

// verdict is what must not be, if there is anything.
func (r *report) verdict() error {
	all := slices.Clone(r.failures)
	flat := func(who string, samples []int64) {
		if first, second := halves(samples); float64(second) > r.plan.growth*float64(first) {
			all = append(all, fmt.Errorf("soak: the memory of %s grew from %s to %s", who, megabytes(first), megabytes(second)))
		}
	}
	flat("the clients", r.memory)
	cut := int64(0)
	for i, s := range r.servers {
		flat(fmt.Sprintf("server %d", i+1), s.memory)
		if s.last.Connections != 0 {
			all = append(all, fmt.Errorf("soak: server %d ended with %d connections", i+1, s.last.Connections))
		}
		cut += s.last.Killed
	}
	if seen := int64(r.endings[killed]); seen > cut {
		all = append(all, fmt.Errorf("soak: %d connections were cut from the other side, and the servers cut %d", seen, cut))
	}
	return errors.Join(all...)
}

// halves are the medians of the first samples and of the later ones.
func halves(samples []int64) (first, second int64) {
	middle := len(samples) / 2
	return median(samples[:middle]), median(samples[middle:])
}

func median(samples []int64) int64 {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[len(sorted)/2]
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
