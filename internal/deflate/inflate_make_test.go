package deflate

import (
	"math/bits"
	"slices"
)

// A maker writes DEFLATE as it is told, right or wrong.
type maker struct {
	out  []byte
	free uint // bits of the last byte
}

// bits appends the n low bits of v, the lowest first (RFC 1951 §3.1.1).
func (m *maker) bits(v, n uint) *maker {
	for i := range n {
		if m.free == 0 {
			m.out = append(m.out, 0)
			m.free = 8
		}
		m.out[len(m.out)-1] |= byte(v>>i&1) << (8 - m.free)
		m.free--
	}
	return m
}

func (m *maker) align() *maker {
	m.free = 0
	return m
}

// block begins one: BFINAL, then BTYPE.
func (m *maker) block(final, kind uint) *maker { return m.bits(final, 1).bits(kind, 2) }

func (m *maker) stored(final uint, p []byte) *maker {
	m.block(final, 0).align().bits(uint(len(p)), 16).bits(^uint(len(p)), 16)
	m.out = append(m.out, p...)
	return m
}

// A madeCode has, for each symbol, its bits as they are written, and how many.
type madeCode []struct{ bits, n uint }

// newMadeCode makes the code of RFC 1951 §3.2.2, even of lengths that are none.
func newMadeCode(lengths []uint8) madeCode {
	c := make(madeCode, len(lengths))
	next := uint(0)
	for n := uint(1); n <= 15; n++ {
		next <<= 1
		for s, l := range lengths {
			if uint(l) == n {
				c[s].bits, c[s].n = uint(bits.Reverse16(uint16(next))>>(16-n)), n
				next++
			}
		}
	}
	return c
}

func repeated(v uint8, n int) []uint8 { return slices.Repeat([]uint8{v}, n) }

var (
	madeLit  = newMadeCode(slices.Concat(repeated(8, 144), repeated(9, 112), repeated(7, 24), repeated(8, 8)))
	madeDist = newMadeCode(repeated(5, 32))
)

// A block's madeContent is written with the two codes of the block.
type madeContent struct {
	*maker
	lit, dist madeCode
}

func (m *maker) fixed(final uint) madeContent {
	m.block(final, 1)
	return madeContent{m, madeLit, madeDist}
}

// dynamic begins a block with codes of these lengths, without any repeats.
func (m *maker) dynamic(final uint, lit, dist []uint8) madeContent {
	plain := slices.Concat(repeated(4, 16), repeated(0, 3))
	m.header(final, len(lit), len(dist), plain)
	c := newMadeCode(plain)
	for _, l := range slices.Concat(lit, dist) {
		m.bits(c[l].bits, c[l].n)
	}
	return madeContent{m, newMadeCode(lit), newMadeCode(dist)}
}

// header writes all of a dynamic block's header but what is written with the code whose
// lengths it gives.
func (m *maker) header(final uint, lit, dist int, lengths []uint8) *maker {
	m.block(final, 2).bits(uint(lit-257), 5).bits(uint(dist-1), 5).bits(19-4, 4)
	for _, s := range codeLengthOrder {
		m.bits(uint(lengths[s]), 3)
	}
	return m
}

func (c madeContent) literals(s string) madeContent {
	for _, b := range []byte(s) {
		c.symbol(int(b))
	}
	return c
}

func (c madeContent) symbol(s int) madeContent {
	c.bits(c.lit[s].bits, c.lit[s].n)
	return c
}

func (c madeContent) distanceSymbol(s int) madeContent {
	c.bits(c.dist[s].bits, c.dist[s].n)
	return c
}

func (c madeContent) end() *maker {
	c.symbol(256)
	return c.maker
}

// match writes a length and a distance (RFC 1951 §3.2.5).
func (c madeContent) match(length, distance int) madeContent {
	if length == 258 {
		c.symbol(285)
	} else {
		s, extra := parts(length-3, 4)
		c.symbol(257+s).bits(extra.v, extra.n)
	}
	s, extra := parts(distance-1, 2)
	c.distanceSymbol(s).bits(extra.v, extra.n)
	return c
}

// parts splits v into a symbol, of which there are per for each number of extra bits but
// twice as many for none, and these bits.
func parts(v, per int) (symbol int, extra struct{ v, n uint }) {
	for n := uint(0); ; n++ {
		if v < 2*per<<n {
			extra.v, extra.n = uint(v)&(1<<n-1), n
			return int(n)*per + v>>n, extra
		}
	}
}

// sync ends a message: the header of an empty stored block, the rest of which is Tail.
func (m *maker) sync() []byte {
	m.block(0, 0).align()
	return m.out
}
