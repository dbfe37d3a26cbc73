package deflate

import "math/bits"

// matchFast looks for matches in src[from:to] and notes them in d.seqs. It
// returns where it ended: at to, or before if d.seqs is full.
func (d *Deflater) matchFast(m *matcher, src []byte, from, to int) int {
	src = src[:to:to]
	table := m.table
	shift, lead := m.shift(), m.lead
	s, lit := from, from
	for {
		var dist, length int
		s, dist = m.next(src, s, lit)
		if dist == 0 {
			return to
		}
		if dist <= s && s+12 <= to && get64(src, s+4) != get64(src, s+4-dist) {
			length = minMatch + bits.TrailingZeros64(get64(src, s+4)^get64(src, s+4-dist))>>3
		} else if dist <= s {
			length = minMatch + matchLen(src[s+minMatch:min(to, s+maxMatch)], src[s+minMatch-dist:])
		} else {
			length = m.inRing(src, s, min(to, s+maxMatch), dist)
		}
		if length == minMatch && dist > 8192 {
			s++
			continue
		}
		d.add(s-lit, length, dist)
		end := s + length
		at := int(m.at)
		if end+8 <= to {
			table[hash(get64(src, s+1), lead, shift)] = uint16(at + s + 1)
			table[hash(get64(src, s+3), lead, shift)] = uint16(at + s + 3)
			table[hash(get64(src, end-3), lead, shift)] = uint16(at + end - 3)
			table[hash(get64(src, end-1), lead, shift)] = uint16(at + end - 1)
		} else {
			for s++; s < end && s+minMatch <= to; s += 2 {
				table[hash(load(src, s), lead, shift)] = uint16(at + s)
			}
		}
		s, lit = end, end
		if d.full() {
			return s
		}
	}
}

func (m *matcher) next(src []byte, s, lit int) (int, int) {
	table := m.table
	shift, lead := m.shift()&63, m.lead&63
	at, window := uint(m.at), uint(m.window)
	for s+minMatch <= len(src) {
		v := load(src, s)
		h := hash(v, lead, shift)
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
		s += 1 + (s-lit)>>5
	}
	return s, 0
}

func (d *Deflater) matchDense(m *matcher, src []byte, from, to int) int {
	return d.matchFast(m, src, from, to)
}
