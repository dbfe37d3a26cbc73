package deflate

import "math/bits"

const (
	// niceMatch is the length from which on matchDense does not look for a better
	// match at the next byte.
	niceMatch = 32

	// literalWorth is about how many bits a literal takes.
	literalWorth = 6
)

// worth compares matches by about how many bits they save.
func worth(length, dist int) int {
	return literalWorth*length - bits.Len(uint(dist))
}

// matchDense is matchFast for Dense. It compares two matches at each byte, the
// table having the last two positions for each hash, and gives a match up for a
// better one at the next byte.
func (d *Deflater) matchDense(m *matcher, src []byte, from, to int) int {
	src = src[:to:to]
	for s, lit := from, from; ; {
		if s = m.nextOfPair(src, s, lit); s+minMatch > to {
			return to
		}
		length, dist := m.best(src, s)
		next := s + 1 // the first position that is not in the table
		if length == 0 {
			s = next
			continue
		}
		for length < niceMatch && next+minMatch <= to {
			l, n := m.best(src, next)
			next++
			if l == 0 || worth(l, n) <= worth(length, dist)+literalWorth/2 {
				break
			}
			s, length, dist = next-1, l, n
		}
		end := s + length
		back := m.backward(src, s, lit, length, dist)
		s -= back
		d.add(s-lit, length+back, dist)
		s = end
		mul, mask := m.mul, len(m.table)-2
		for ; next < s && next+minMatch <= to; next += 2 {
			h := hash(load(src, next), mul, mask)
			pair := m.table[h : h+2]
			pair[0], pair[1] = uint16(m.at+uint32(next)), pair[0]
		}
		lit = s
		if d.full() {
			return s
		}
	}
}

// nextOfPair returns the next position from s on where one of the two positions in
// the table may be that of a match. The ones that it passes over are put into the
// table.
func (m *matcher) nextOfPair(src []byte, s, lit int) int {
	table := m.table
	mul, mask := m.mul, len(table)-2 // of the first of a pair
	at, window := uint(m.at), uint(m.window)
	for s+minMatch <= len(src) {
		v := load(src, s)
		h := hash(v, mul, mask)
		now := uint16(at + uint(s))
		pair := table[h : h+2]
		p0, p1 := pair[0], pair[1]
		if dist := int(now - p0); uint(dist-1) < window {
			if t := s - dist; t >= 0 && get32(src, t) == uint32(v) ||
				t < 0 && t >= -m.have && m.ringHas(t, uint32(v)) {
				break
			}
		}
		if dist := int(now - p1); uint(dist-1) < window {
			if t := s - dist; t >= 0 && get32(src, t) == uint32(v) ||
				t < 0 && t >= -m.have && m.ringHas(t, uint32(v)) {
				break
			}
		}
		pair[0], pair[1] = now, p0
		s += 1 + (s-lit)>>6
	}
	return s
}

// best returns the match at s that is worth the most, or a length of 0, and puts s
// into the table.
func (m *matcher) best(src []byte, s int) (length, dist int) {
	v := load(src, s)
	h := hash(v, m.mul, len(m.table)-2)
	pair := m.table[h : h+2]
	now := uint16(m.at + uint32(s))
	most := 0
	end := min(len(src), s+maxMatch)
	for _, p := range pair {
		n := int(now - p)
		if uint(n-1) >= uint(m.window) || n > s+m.have || n == dist {
			continue
		}
		l := 0
		if t := s - n; t >= 0 {
			if get32(src, t) != uint32(v) {
				continue
			}
			l = minMatch + matchLen(src[s+minMatch:end], src[t+minMatch:])
		} else if m.ringHas(t, uint32(v)) {
			l = m.inRing(src, s, end, n)
		} else {
			continue
		}
		if w := worth(l, n); w > most {
			most, length, dist = w, l, n
		}
	}
	pair[0], pair[1] = now, pair[0]
	return length, dist
}
