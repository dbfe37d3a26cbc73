package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	minMatch = 4 // RFC 1951 has 3, which seldom pays
	maxMatch = 258

	maxTableBits = 13 // of the hash table for messages without a Context
	maxSeqs      = 4096
)

// A seq is a run of literals and the match that follows it:
//
//	literals (9 bits) | length-3 (8 bits) | distance-1 (15 bits)
//
// A run of onlyLiterals has no match behind it.
type seq uint32

const onlyLiterals = 1<<9 - 1

// A matcher is where matchFast and matchDense look for repetitions: in src
// before the byte in work, and in the ring of a Context before src.
type matcher struct {
	table  []uint16 // of positions by hash, a power of two of them
	ring   []byte   // empty, or what was before src
	at     uint32   // the position of src[0]
	have   int      // bytes of ring that may be referred to
	window int      // the largest distance
	mul    uint64   // for hash
	hurry  int      // how soon positions are skipped where nothing is found
}

// useContext makes m one for a message of n bytes behind what c has.
func (m *matcher) useContext(c *Context, n int) {
	c.begin()
	*m = matcher{table: c.table, ring: c.ring, at: c.at, have: int(c.have), window: len(c.ring), mul: hashFour, hurry: 1}
	if c.have > 0 {
		n = int(c.typical) // messages find only what was hashed as they are
	}
	if n >= longMessage && m.window >= 4096 {
		m.mul = hashFive
	}
}

// useTable makes m one for a message of n bytes by itself.
func (m *matcher) useTable(table []uint16, n, windowBits int) {
	size := min(max(bits.Len(uint(n)), 8), maxTableBits)
	*m = matcher{table: table[:1<<size], window: 1 << windowBits, mul: hashFour, hurry: 1}
	clear(m.table)
	switch {
	case n < shortMessage:
		m.hurry = 2
	case n >= longMessage && m.window >= 4096:
		m.mul = hashFive
	}
}

// In a short message by itself there is little to find. In a long one there is so much
// that four bytes which are the same by chance only keep from it.
const (
	shortMessage = 512
	longMessage  = 2048
)

func get32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i : i+4]) }
func get64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// load returns eight bytes at i, or four if there are not as many.
func load(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return get64(b, i)
	}
	return uint64(get32(b, i))
}

// What hash multiplies by, for the low four or five bytes; the others do not get
// into the upper bits.
const (
	hashFour = 0x9E3779B185EBCA87 << 32 & (1<<64 - 1)
	hashFive = 0x9E3779B185EBCA87 << 24 & (1<<64 - 1)
)

// hash returns the index of v in a table of mask+1 entries.
func hash(v, mul uint64, mask int) int {
	return int(v*mul>>(64-maxTableBits)) & mask
}

// matchLen returns how many bytes a and b have in common at their beginning.
func matchLen(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := get64(a, i) ^ get64(b, i); x != 0 {
			return i + bits.TrailingZeros64(x)>>3
		}
	}
	for ; i < n && a[i] == b[i]; i++ {
	}
	return i
}

// ringHas reports whether v is at t, which is negative, in the ring. It does not look
// for those few that are not in one piece.
func (m *matcher) ringHas(t int, v uint32) bool {
	r := int(m.at+uint32(t)) & (len(m.ring) - 1)
	return t <= -4 && r+4 <= len(m.ring) && get32(m.ring, r) == v
}

// inRing returns how many bytes src[s:to] has in common with what is dist before
// s, which begins in the ring and may go on in src, and of which ringHas has compared
// the first four.
func (m *matcher) inRing(src []byte, s, to, dist int) int {
	n := minMatch
	for back := dist - s; n < back; {
		r := int(m.at-uint32(back-n)) & (len(m.ring) - 1)
		piece := m.ring[r:min(r+back-n, len(m.ring))]
		l := matchLen(src[s+n:to], piece)
		n += l
		if l < len(piece) {
			return n
		}
	}
	return n + matchLen(src[s+n:to], src[s+n-dist:])
}

// backward returns by how many bytes the match of the given length at s, dist after
// what it repeats, can begin earlier, but not before lit. Where matches are looked
// for at some positions only, it finds what the others would have.
func (m *matcher) backward(src []byte, s, lit, length, dist int) int {
	n, most := 0, min(s-lit, maxMatch-length)
	for ; n < most; n++ {
		c := src[s-1-n]
		if t := s - 1 - n - dist; t >= 0 {
			if src[t] != c {
				break
			}
		} else if t < -m.have || m.ring[int(m.at+uint32(t))&(len(m.ring)-1)] != c {
			break
		}
	}
	return n
}

// add notes a match that comes after the given literals.
func (d *Deflater) add(literals, length, dist int) {
	for literals >= onlyLiterals {
		d.seqs[d.nseqs] = onlyLiterals << 23
		d.nseqs++
		literals -= onlyLiterals
	}
	d.seqs[d.nseqs] = seq(literals<<23 | (length-3)<<15 | (dist - 1))
	d.nseqs++
	d.matched += length
}

// full reports whether the block must end: whatever literals are left in it and a
// match behind them might be more than there is room for.
func (d *Deflater) full() bool {
	return d.nseqs >= maxSeqs-maxBlock/onlyLiterals-1
}
