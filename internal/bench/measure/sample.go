// Package measure takes samples of processor time and makes medians and
// intervals of them.
package measure

import (
	"errors"
	"runtime"
	"time"
)

// A Count is what some work amounted to.
type Count struct {
	Messages int
	Plain    int64 // bytes of the messages as the program knows them
	Wire     int64 // bytes of them as they are sent
}

// Add adds o to c.
func (c *Count) Add(o Count) {
	c.Messages += o.Messages
	c.Plain += o.Plain
	c.Wire += o.Wire
}

// A Sample is a Count and what it cost.
type Sample struct {
	Count
	CPU    time.Duration
	Allocs uint64
}

// PerMessage is the processor time of one message in nanoseconds.
func (s Sample) PerMessage() float64 { return float64(s.CPU) / float64(s.Messages) }

// AllocsPerMessage is how many allocations one message made.
func (s Sample) AllocsPerMessage() float64 { return float64(s.Allocs) / float64(s.Messages) }

// Ratio is the size on the wire as a part of that of the messages.
func (s Sample) Ratio() float64 { return float64(s.Wire) / float64(s.Plain) }

// Take repeats pass, which is whole passes over a set of messages, until it has
// taken the least time; once before, to fill pools, tables and windows.
func Take(least time.Duration, pass func() (Count, error)) (Sample, error) {
	if _, err := pass(); err != nil {
		return Sample{}, err
	}
	runtime.GC()
	var s Sample
	begin, err := Now()
	if err != nil {
		return s, err
	}
	for s.CPU < least {
		n, err := pass()
		if err != nil {
			return s, err
		}
		if n.Messages == 0 {
			return s, errors.New("measure: a pass without messages")
		}
		s.Add(n)
		cpu, err := CPU()
		if err != nil {
			return s, err
		}
		s.CPU = cpu - begin.CPU
	}
	s.Allocs = mallocs() - begin.Allocs
	return s, nil
}

// A Reading is the state of the process's clocks.
type Reading struct {
	CPU    time.Duration
	Allocs uint64
}

// Now reads them, so that the reading itself is not in what follows.
func Now() (Reading, error) {
	allocs := mallocs()
	cpu, err := CPU()
	return Reading{cpu, allocs}, err
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// Heap is how much of the heap is in use when nothing is left to collect. Pools
// are emptied, which takes two collections, and a third for what finalizers and
// weak pointers held.
func Heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
