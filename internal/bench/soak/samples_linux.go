package main

import (
	"runtime"
	"slices"
)

// Samples are what was seen of a process at moments of the same load: nearly all
// connections were open, and silent.
type samples struct {
	live       []int64 // see liveHeap
	resident   []int64 // bytes of memory, by the system: what was free again too
	goroutines []int64
}

func (s *samples) add(live, resident, goroutines int64) {
	s.live = append(s.live, live)
	s.resident = append(s.resident, resident)
	s.goroutines = append(s.goroutines, goroutines)
}

// liveHeap collects the garbage of this process and returns how many bytes of its heap are left.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // the first one leaves what was in a sync.Pool
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// halves are the medians of the first values and of the later ones.
func halves(values []int64) (first, second int64) {
	middle := len(values) / 2
	return median(values[:middle]), median(values[middle:])
}

func median(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
