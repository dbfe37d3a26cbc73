package deflate

import (
	"math/bits"
	"slices"
)

const (
	numLit     = 286 // literals, end of block, lengths (RFC 1951 §3.2.5)
	numDist    = 30
	endOfBlock = 256

	maxCodeLen   = 15 // of literals, lengths and distances
	maxHeaderLen = 7  // of code lengths
)

// A code is a symbol's Huffman code, in the order in which it is sent, in the
// upper half, and its length in bits in the lower.
type code uint32

func (c code) bits() uint64 { return uint64(c >> 16) }
func (c code) len() uint    { return uint(c & 0xffff) }

// sortBuckets is up to which frequency symbols are sorted by counting.
const sortBuckets = 128

// A treeBuilder has the memory that it takes to make codes of frequencies.
type treeBuilder struct {
	used   [numLit]uint16     // the symbols that occur, ascending
	sorted [numLit + 1]uint32 // the same by frequency<<9 | symbol, ascending
	weight [numLit + 1]uint32 // of the tree's inner nodes, ascending
	parent [numLit]uint16     // of inner nodes
	bucket [sortBuckets + 1]uint16
}

// build makes the best codes of at most limit bits for symbols that occur freq
// times, and returns the symbols that got one, which are good until the next
// build. Codes of others are left as they are. At least two symbols get a code,
// whether they occur or not: not every decoder takes an incomplete one.
func (b *treeBuilder) build(codes []code, freq []uint32, limit int) (used []uint16) {
	used = b.occurring(freq)
	if len(used) < 2 {
		for sym := uint16(0); len(used) < 2; sym++ {
			if !slices.Contains(used, sym) {
				used = append(used, sym)
			}
		}
		slices.Sort(used)
		codes[used[0]], codes[used[1]] = 1, 1<<16|1
		return used
	}
	counts := b.lengths(freq, used, limit)

	// The rarest have the longest codes.
	i := 0
	for l := limit; l > 0; l-- {
		for range counts[l] {
			codes[b.sorted[i]&511] = code(l)
			i++
		}
	}
	// Codes of one length ascend with their symbols (RFC 1951 §3.2.2).
	var next [maxCodeLen + 2]uint32
	for l := 1; l <= limit; l++ {
		next[l+1] = (next[l] + uint32(counts[l])) << 1
	}
	for _, sym := range used {
		l := codes[sym]
		c := next[l&15]
		next[l&15] = c + 1
		codes[sym] = code(bits.Reverse16(uint16(c)))>>(16-l&31)<<16 | l
	}
	return used
}

// occurring returns the symbols whose frequency is not zero.
func (b *treeBuilder) occurring(freq []uint32) []uint16 {
	n := 0
	for sym, f := range freq {
		b.used[n] = uint16(sym)
		if f != 0 {
			n++
		}
	}
	return b.used[:n]
}

// sort fills b.sorted with the used symbols.
func (b *treeBuilder) sort(freq []uint32, used []uint16) {
	clear(b.bucket[:])
	for _, sym := range used {
		b.bucket[min(freq[sym], sortBuckets)]++
	}
	sum := uint16(0)
	for i, n := range b.bucket {
		b.bucket[i] = sum
		sum += n
	}
	frequent := b.bucket[sortBuckets]
	for _, sym := range used {
		f := freq[sym]
		at := &b.bucket[min(f, sortBuckets)]
		b.sorted[*at] = f<<9 | uint32(sym)
		*at++
	}
	slices.Sort(b.sorted[frequent:len(used)])
}

// lengths returns how many codes there are to be of each length. The tree is
// that of Huffman, built from the two sorted queues of leaves and inner nodes.
func (b *treeBuilder) lengths(freq []uint32, used []uint16, limit int) (counts [maxCodeLen + 1]uint16) {
	b.sort(freq, used)
	n := len(used)
	const none = 1<<32 - 1
	b.sorted[n] = none
	leaf, inner := 0, 0
	for i := range n - 1 {
		b.weight[i] = none
		sum := uint32(0)
		for range 2 {
			l, w := b.sorted[leaf]>>9, b.weight[inner]
			if l <= w {
				sum += l
				leaf++
			} else {
				sum += w
				b.parent[inner] = uint16(i)
				inner++
			}
		}
		b.weight[i] = sum
	}
	// From the root down, each inner node makes of one code two that are one bit
	// longer; or, where that would be too long, of one of the longest that can be.
	depth := &b.weight
	counts[0] = 1
	for i := n - 2; i >= 0; i-- {
		at := uint32(0)
		if i < n-2 {
			at = depth[b.parent[i]] + 1
		}
		depth[i] = at
		at = min(at, uint32(limit)-1)
		for counts[at] == 0 {
			at--
		}
		counts[at]--
		counts[at+1] += 2
	}
	return counts
}
