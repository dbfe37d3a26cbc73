package deflate

import (
	"math/bits"
	"slices"
)

// The sizes of the two alphabets, rounded up so that they can be gone through in
// eights.
const (
	numLit     = 288 // literals, end of block, lengths (RFC 1951 §3.2.5); two do not occur
	numDist    = 32  // likewise
	endOfBlock = 256

	maxCodeLen   = 15 // of literals, lengths and distances
	maxHeaderLen = 7  // of code lengths
)

// A code is a symbol's Huffman code, in the order in which it is sent, in the
// upper half, and its length in bits in the lower.
type code uint32

func (c code) bits() uint64 { return uint64(c >> 16) }
func (c code) len() uint    { return uint(c & 31) }

// occurring writes to used, which is as long as freq, the symbols whose frequency is
// not zero, in ascending order, and returns that part of it.
func occurring(used []uint16, freq []uint32) []uint16 {
	n := 0
	for i := 0; i+8 <= len(freq); i += 8 {
		f := freq[i : i+8 : i+8]
		if f[0]|f[1]|f[2]|f[3]|f[4]|f[5]|f[6]|f[7] == 0 {
			continue
		}
		for j, f := range f {
			// Which ones occur cannot be foreseen, so there is no branch for it.
			used[n] = uint16(i + j)
			n += int((f | -f) >> 31)
		}
	}
	return used[:n]
}

// sortBuckets is up to which frequency symbols are sorted by counting.
const sortBuckets = 128

// A treeBuilder has the memory that it takes to make codes of frequencies.
type treeBuilder struct {
	sorted [numLit + 2]uint32 // the symbols by frequency<<9 | symbol, ascending
	weight [numLit + 2]uint32 // of the tree's inner nodes, ascending
	parent [numLit + 1]uint16 // of inner nodes
	bucket [sortBuckets + 1]uint16
}

// build makes the best codes of at most limit bits for the used symbols, which
// occur freq times. Others' codes are left as they are.
func (b *treeBuilder) build(codes []code, freq []uint32, used []uint16, limit int) {
	counts := b.lengths(freq, used, limit)

	// The rarest have the longest codes.
	i := 0
	for l := limit; l > 0; l-- {
		for end := i + int(counts[l]); i < end; i++ {
			codes[b.sorted[i]&511] = code(l)
		}
	}
	// Codes of one length ascend with their symbols (RFC 1951 §3.2.2).
	var next [32]uint32
	for l := 1; l <= limit; l++ {
		next[l+1] = (next[l] + uint32(counts[l])) << 1
	}
	for _, sym := range used {
		l := codes[sym] & 31
		c := next[l]
		next[l] = c + 1
		codes[sym] = code(bits.Reverse16(uint16(c)))>>((16-l)&31)<<16 | l
	}
}

// sort fills b.sorted with the used symbols.
func (b *treeBuilder) sort(freq []uint32, used []uint16) {
	most := uint32(0)
	for _, sym := range used {
		most = max(most, freq[sym])
	}
	buckets := b.bucket[:min(most, sortBuckets)+1]
	clear(buckets)
	for _, sym := range used {
		buckets[min(freq[sym], sortBuckets)]++
	}
	sum := uint16(0)
	for i, n := range buckets {
		buckets[i] = sum
		sum += n
	}
	frequent := len(used)
	if most >= sortBuckets {
		frequent = int(buckets[sortBuckets])
	}
	for _, sym := range used {
		f := freq[sym]
		at := &buckets[min(f, sortBuckets)]
		b.sorted[*at] = f<<9 | uint32(sym)
		*at++
	}
	slices.Sort(b.sorted[frequent:len(used)])
}

// lengths returns how many codes there are to be of each length. The tree is
// that of Huffman, built from the two sorted queues of leaves and inner nodes.
func (b *treeBuilder) lengths(freq []uint32, used []uint16, limit int) (counts [32]uint16) {
	b.sort(freq, used)
	n := len(used)
	const ( // more than any sum of frequencies
		noLeaf  = 1<<23 - 1
		noInner = 1 << 24
	)
	b.sorted[n], b.sorted[n+1] = noLeaf<<9, noLeaf<<9
	leaf, inner := 0, 0
	for i := range n - 1 {
		b.weight[i], b.weight[i+1] = noInner, noInner
		leaf0, leaf1 := b.sorted[leaf]>>9, b.sorted[leaf+1]>>9
		inner0, inner1 := b.weight[inner], b.weight[inner+1]
		switch { // one branch for both children costs half as many mispredictions
		case leaf1 <= inner0:
			b.weight[i] = leaf0 + leaf1
			leaf += 2
		case inner1 < leaf0:
			b.weight[i] = inner0 + inner1
			b.parent[inner], b.parent[inner+1] = uint16(i), uint16(i)
			inner += 2
		default:
			b.weight[i] = leaf0 + inner0
			b.parent[inner] = uint16(i)
			leaf++
			inner++
		}
	}
	// From the root down, each inner node makes of one code two that are one bit
	// longer; or, where that would be too long, of one of the longest that can be.
	depth := &b.weight
	depth[n-2] = 0
	counts[1] = 2
	for i := n - 3; i >= 0; i-- {
		at := depth[b.parent[i]] + 1
		depth[i] = at
		at = min(at, uint32(limit)-1)
		for counts[at&31] == 0 {
			at--
		}
		counts[at&31]--
		counts[(at+1)&31] += 2
	}
	return counts
}
