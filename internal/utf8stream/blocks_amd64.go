//go:build !purego && !race

package utf8stream

import (
	"unsafe"

	"github.com/seed62ce5aa7/websocket/internal/cpu"
)

// useBlocks is whether the kernel may be called.
var useBlocks = cpu.AVX2

const (
	block     = 32  // bytes that the kernel checks at once
	leastText = 16  // bytes that it needs
	shortText = 128 // bytes up to which it is worth a look whether it is needed
)

// checkBlocks is told the length n of a text that begins at a character boundary,
// and reports whether each of its bytes is one that valid text could have there.
// There are two things that it leaves to the automaton, since it looks at a byte
// and at those before it: the text may end inside a character, and its last byte
// may be one that no text has. n is leastText to block, or at least block+3.
//
//go:noescape
func checkBlocks(p *byte, n int, t *tables) bool

// appendBlocks is Append for as much of p as the kernel can tell. It returns the
// rest.
func (s State) appendBlocks(p []byte) (next State, rest []byte) {
	for s.at != boundary {
		if len(p) == 0 || s.at == failed {
			return s, nil
		}
		s.at = uint8(steps[p[0]] >> (s.at & 63) & 63)
		p = p[1:]
	}
	n := len(p)
	if n < leastText {
		return s, p
	}
	if n > block && n < block+3 {
		n = block
	}
	if !checkBlocks(unsafe.SliceData(p), n, &classes) {
		return State{failed}, nil
	}
	// Every lead so far has what must follow it, but for one among the last three
	// bytes. The automaton goes on from there.
	for i := n - 1; i >= n-3 && p[i] >= 0x80; i-- {
		if p[i] >= 0xC0 {
			n = i
			break
		}
	}
	return s, p[n:]
}

// The kernel finds what is wrong with two bytes, one after the other, by the
// lookup method (Keiser and Lemire, Validating UTF-8 In Less Than One Instruction
// Per Byte, 2021). Each class of errors is a bit. Three tables, by the halves of
// the first byte and the high half of the second, say which classes the pair may
// still be of; it is of those that are in all three.
const (
	short     = 1 << iota // a lead, and then no continuation
	long                  // ASCII, and then a continuation
	overlong3             // E0 80..9F
	above                 // F4 90..BF, and F5..FF 90..BF: beyond U+10FFFF
	surrogate             // ED A0..BF
	overlong2             // C0, C1
	edge4                 // F0 80..8F, which is overlong, and F5..FF 80..8F, beyond U+10FFFF
	second                // two continuations: wrong unless a lead of three or four stands before them

	anyLow = short | long | second // what the low half of the first byte does not matter for
)

type tables struct {
	firstHigh  [16]byte
	firstLow   [16]byte
	secondHigh [16]byte

	// The most that the last bytes may be where ASCII follows.
	ends [32]byte

	// Indexes for a shuffle: from 32-n on, they move the last n-16 bytes of 16 to
	// the front and put zeros behind them.
	slide [32]byte

	half       byte // one of four bits
	toE0, toF0 byte // what leaves a high bit of bytes from there on
	high       byte // which is this one
}

var classes = tables{
	firstHigh: [16]byte{
		long, long, long, long, long, long, long, long, // 0..7: ASCII
		second, second, second, second, // 8..B: continuations
		short | overlong2, // C
		short,             // D
		short | overlong3 | surrogate,
		short | above | edge4,
	},
	firstLow: [16]byte{
		anyLow | overlong2 | overlong3 | edge4, // C0, E0, F0
		anyLow | overlong2,                     // C1
		anyLow,
		anyLow,
		anyLow | above, // F4
		anyLow | above | edge4,
		anyLow | above | edge4,
		anyLow | above | edge4,
		anyLow | above | edge4,
		anyLow | above | edge4,
		anyLow | above | edge4,
		anyLow | above | edge4,
		anyLow | above | edge4,
		anyLow | above | edge4 | surrogate, // ED
		anyLow | above | edge4,
		anyLow | above | edge4,
	},
	secondHigh: [16]byte{
		short, short, short, short, short, short, short, short, // 0..7
		long | second | overlong2 | overlong3 | edge4, // 8
		long | second | overlong2 | overlong3 | above, // 9
		long | second | overlong2 | surrogate | above, // A
		long | second | overlong2 | surrogate | above, // B
		short, short, short, short, // C..F
	},
	ends: [32]byte{
		0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
		0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xEF, 0xDF, 0xBF,
	},
	slide: [32]byte{
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
	},
	half: 0x0F,
	toE0: 0xE0 - 0x80,
	toF0: 0xF0 - 0x80,
	high: 0x80,
}
