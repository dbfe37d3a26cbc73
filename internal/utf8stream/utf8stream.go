// Package utf8stream checks that text which arrives in pieces is UTF-8.
//
// A text message is UTF-8 as a whole (RFC 6455 §8.1), but a frame, a read or an
// inflated block may end in the middle of a character. A [State] is what is left of
// the pieces seen so far: one byte, no buffer.
package utf8stream

import "encoding/binary"

// State is the position inside a character after the pieces checked so far. The zero
// State is at a character boundary, which is where a message starts. It is a plain
// value: copy it, keep it, drop it.
type State struct{ at uint8 }

// Append continues with the next piece p of the text and returns the State after it. It
// is false as soon as the text ends in a byte that no valid text could have there, even
// if that byte's character would have gone on: C0 and F5 at once, F4 90 at the 90, E0 80
// at the 80, ED A0 at the A0 (RFC 3629 §4). A message can so be refused without waiting
// for its end. After that the State is failed, and it stays failed whatever follows.
//
// True does not mean that the text may end here; that is [State.Complete]. An empty p
// changes nothing. Append neither keeps nor modifies p and does not allocate.
func (s State) Append(p []byte) (next State, ok bool) {
	if useBlocks && len(p) >= leastText {
		// The kernel, too, is fast where there is nothing but ASCII, once it is called.
		if len(p) <= shortText && s.at == boundary && isASCII(p) {
			return s, true
		}
		s, p = s.appendBlocks(p)
	}
	// Only the low six bits of at count; the shifts mask them for free on most machines.
	at := uint64(s.at)
	t := &steps
	for len(p) >= word {
		// A window is tested for ASCII as one. If it is not ASCII, all of it goes
		// through the table: asking again at each word costs more, in mispredicted
		// branches, than the table does.
		n, high := word, load(p, 0)
		if len(p) >= 4*word {
			n, high = 4*word, load4(p)
		}
		if high&highBits == 0 && at&63 == boundary {
			p = p[n:]
			for len(p) >= 8*word && (load4(p)|load4(p[4*word:]))&highBits == 0 {
				p = p[8*word:]
			}
			continue
		}
		for w := p[:n]; len(w) >= word; w = w[word:] {
			b := (*[word]byte)(w)
			at = t[b[0]] >> (at & 63)
			at = t[b[1]] >> (at & 63)
			at = t[b[2]] >> (at & 63)
			at = t[b[3]] >> (at & 63)
			at = t[b[4]] >> (at & 63)
			at = t[b[5]] >> (at & 63)
			at = t[b[6]] >> (at & 63)
			at = t[b[7]] >> (at & 63)
		}
		p = p[n:]
	}
	for _, b := range p {
		at = t[b] >> (at & 63)
	}
	at &= 63
	return State{uint8(at)}, at != failed
}

// Complete reports whether the text seen so far ends at a character boundary. At the end
// of a message it must, or the message is not UTF-8. A failed State is never complete.
func (s State) Complete() bool { return s.at == boundary }

const (
	word     = 8 // bytes in a uint64
	highBits = 0x8080808080808080
)

// load and load4 gather bytes only for their high bits, so byte order does not matter.
func load(p []byte, i int) uint64 { return binary.LittleEndian.Uint64(p[i:]) }

func load4(p []byte) uint64 {
	return load(p, 0) | load(p, word) | load(p, 2*word) | load(p, 3*word)
}

// isASCII looks at all of p, which is at least two words long.
func isASCII(p []byte) bool {
	high := load(p, len(p)-2*word) | load(p, len(p)-word)
	for ; len(p) > 2*word; p = p[2*word:] {
		high |= load(p, 0) | load(p, word)
	}
	return high&highBits == 0
}
