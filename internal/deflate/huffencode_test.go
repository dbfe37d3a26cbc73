package deflate

import (
	"container/heap"
	"testing"

	"github.com/stretchr/testify/require"
)

// huffmanSize is the size of the best code without a limit: the sum of all inner nodes.
func huffmanSize(freq []uint32) int {
	h := &freqHeap{}
	for _, f := range freq {
		if f > 0 {
			heap.Push(h, int(f))
		}
	}
	size := 0
	for h.Len() > 1 {
		sum := heap.Pop(h).(int) + heap.Pop(h).(int)
		size += sum
		heap.Push(h, sum)
	}
	return size
}

type freqHeap []int

func (h freqHeap) Len() int           { return len(h) }
func (h freqHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h freqHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *freqHeap) Push(v any)        { *h = append(*h, v.(int)) }
func (h *freqHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func TestCodesAreCompleteAndBest(t *testing.T) {
	r := newEncSource(1)
	var b treeBuilder
	var used [numLit]uint16
	for i := range 400 {
		freq := make([]uint32, numLit)
		limit := maxCodeLen
		kind := i % 4
		n := 2 + r.IntN(285)
		if kind == 3 {
			n, limit = 2+r.IntN(18), maxHeaderLen
		}
		for j := range freq[:n] {
			switch kind {
			case 0:
				freq[j] = uint32(r.IntN(4))
			case 1:
				freq[j] = uint32(r.ExpFloat64() * 50)
			default:
				freq[j] = uint32(r.IntN(2) * r.IntN(1<<(1+r.IntN(14))))
			}
		}
		freq[0]++
		freq[n-1]++
		syms := occurring(used[:], freq)
		codes := make([]code, numLit)
		b.build(codes, freq, syms, limit)

		size, space, longest := 0, 0, 0
		seen := map[int]int{}
		for sym, f := range freq {
			if f == 0 {
				require.Zero(t, codes[sym])
				continue
			}
			l := int(codes[sym].len())
			require.LessOrEqual(t, l, limit)
			require.Positive(t, l)
			longest = max(longest, l)
			size += l * int(f)
			space += 1 << (16 - l)
			require.Less(t, codes[sym].bits(), uint64(1)<<l)
			// Canonical: of one length, ascending.
			v := 0
			for k := range l {
				v |= int(codes[sym].bits()>>k&1) << (l - 1 - k)
			}
			if last, ok := seen[l]; ok {
				require.Equal(t, last+1, v)
			}
			seen[l] = v
		}
		require.Equal(t, 1<<16, space, "complete")
		best := huffmanSize(freq)
		if longest < limit {
			require.Equal(t, best, size)
		} else {
			require.LessOrEqual(t, size, best+best/8, "limited to %d bits", limit)
		}
	}
}

// Frequencies like these have the longest codes of all.
func TestCodesAreLimited(t *testing.T) {
	var b treeBuilder
	var used [numLit]uint16
	for limit, n := range map[int]int{maxCodeLen: 24, maxHeaderLen: 19} {
		freq := make([]uint32, numLit)
		freq[0], freq[1] = 1, 1
		for i := 2; i < n; i++ {
			freq[i] = freq[i-1] + freq[i-2]
		}
		codes := make([]code, numLit)
		b.build(codes, freq, occurring(used[:], freq), limit)
		space := 0
		for sym := range n {
			require.LessOrEqual(t, int(codes[sym].len()), limit)
			space += 1 << (limit - int(codes[sym].len()))
		}
		require.Equal(t, 1<<limit, space)
	}
}

// Where leastDynamic says that codes of its own cannot make a block smaller, they
// would not have done so by more than three bytes.
func TestLeastDynamic(t *testing.T) {
	r := newEncSource(1)
	d := GetDeflater()
	defer PutDeflater(d)
	skipped := 0
	for i := range 2000 {
		var src []byte
		switch i % 4 {
		case 0:
			src = []byte(r.english(30 + r.IntN(300)))
		case 1:
			src = r.page(100 + r.IntN(3000))
		case 2:
			src = r.mixed(100+r.IntN(3000), 15)
		default:
			src = r.random(30 + r.IntN(300))
			for j := range src {
				src[j] &= byte(1<<(1+i%7) - 1)
			}
		}
		var m matcher
		d.nseqs, d.matched = 0, 0
		m.useTable(d.table[:], len(src), 15)
		d.matchFast(&m, src, 0, len(src))
		d.count(src)
		lits := occurring(d.litUsed[:], d.litFreq[:])
		dists := occurring(d.distUsed[:], d.distFreq[:])
		extra := extraBits(d.litFreq[:], d.distFreq[:], lits, dists)
		least := extra + leastDynamic(d.litFreq[:], d.distFreq[:], lits, dists)
		others := min(3+8*len(src)+32, 3+extra+sizeIn(fixedLit[:], d.litFreq[:], lits)+sizeIn(fixedDist[:], d.distFreq[:], dists))
		if least < others {
			continue
		}
		skipped++
		require.GreaterOrEqual(t, extra+d.dynamic(lits, dists), others-24, "%d bytes", len(src))
	}
	require.Greater(t, skipped, 50)
}

func TestOccurring(t *testing.T) {
	r := newEncSource(1)
	var used [numLit]uint16
	for range 1000 {
		freq := make([]uint32, 8*(1+r.IntN(36)))
		want := []uint16{}
		density := 1 + r.IntN(30)
		for sym := range freq {
			if r.IntN(density) == 0 {
				freq[sym] = []uint32{1, 2, 1<<31 - 1, 1 << 31, 1<<32 - 1}[r.IntN(5)]
				want = append(want, uint16(sym))
			}
		}
		require.Equal(t, want, append([]uint16{}, occurring(used[:], freq)...))
	}
}
