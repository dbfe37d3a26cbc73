package generator

import (
	"math/bits"
	"time"
)

// Latencies counts durations, each with an error of at most 1/64.
type Latencies struct {
	counts [60 * 32]uint32
	total  int
}

func (l *Latencies) add(d time.Duration) {
	ns := uint64(max(d, 0))
	shift := max(0, bits.Len64(ns)-6)
	l.counts[min(shift*32+int(ns>>shift), len(l.counts)-1)]++
	l.total++
}

// Quantile is what the part q of all is not above.
func (l *Latencies) Quantile(q float64) time.Duration {
	below := 0
	for i, n := range l.counts {
		if below += int(n); n > 0 && float64(below) >= q*float64(l.total) {
			shift := max(0, i/32-1)
			return time.Duration((uint64(i-shift*32)<<shift + uint64(1)<<shift/2))
		}
	}
	return 0
}
