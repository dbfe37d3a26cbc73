package deflate

import "math/bits"

// farMatch is the distance from which on four bytes are not worth a match: it takes
// about as many bits as they do.
const farMatch = 8192

// matchFast looks for matches in src[from:to] and notes them in d.seqs. It returns
// where it ended: at to, or before if d.seqs is full.
func (d *Deflater) matchFast(m *matcher, src []byte, from, to int) int {
	src = src[:to:to]
	table, at := m.table, int(m.at)
	mul, mask := m.mul, len(table)-1
	for s, lit := from, from; ; {
		var length, dist int
		if s, dist = m.next(src, s, lit); dist == 0 {
			return to
		}
		if dist > s {
			length = m.inRing(src, s, min(to, s+maxMatch), dist)
		} else if length = minMatch + 8; s+length > to || get64(src, s+minMatch) == get64(src, s+minMatch-dist) {
			length = minMatch + matchLen(src[s+minMatch:min(to, s+maxMatch)], src[s+minMatch-dist:])
		} else { // most matches end within these bytes
			length = minMatch + bits.TrailingZeros64(get64(src, s+minMatch)^get64(src, s+minMatch-dist))>>3
		}
		if length == minMatch && dist > farMatch {
			s++
			continue
		}
		end := s + length
		back := m.backward(src, s, lit, length, dist)
		s -= back
		d.add(s-lit, length+back, dist)

		// A few of the positions that the match spans, for what comes later: which of
		// a repetition's bytes are found does not matter much, as it is extended both
		// ways.
		if end+8 <= to {
			table[hash(get64(src, s+1), mul, mask)] = uint16(at + s + 1)
			table[hash(get64(src, s+3), mul, mask)] = uint16(at + s + 3)
			table[hash(get64(src, end-3), mul, mask)] = uint16(at + end - 3)
			table[hash(get64(src, end-1), mul, mask)] = uint16(at + end - 1)
		} else {
			for s++; s < end && s+minMatch <= to; s += 2 {
				table[hash(load(src, s), mul, mask)] = uint16(at + s)
			}
		}
		s, lit = end, end
		if d.full() {
			return s
		}
	}
}

// next returns the next position from s on whose four bytes were there before, and how far
// before; or a distance of 0 if there is none. It puts the positions that it looks at
// into the table. The longer the run of literals since lit is, the more it skips. It is
// apart from its caller because it takes all the registers that there are.
func (m *matcher) next(src []byte, s, lit int) (pos, dist int) {
	table := m.table
	mul, mask := m.mul, len(table)-1
	at, window := uint(m.at), uint(m.window)
	for s+minMatch <= len(src) {
		v := load(src, s)
		h := hash(v, mul, mask)
		now := uint16(at + uint(s))
		dist := int(now - table[h])
		table[h] = now
		if uint(dist-1) < window {
			if t := s - dist; t >= 0 {
				if get32(src, t) == uint32(v) {
					return s, dist
				}
			} else if t >= -m.have && m.ringHas(t, uint32(v)) {
				return s, dist
			}
		}
		s += 1 + (s-lit)*m.hurry>>6
	}
	return s, 0
}
