package deflate

// matchFast looks for matches in src[from:to] and notes them in d.seqs. It
// returns where it ended: at to, or before if d.seqs is full.
func (d *Deflater) matchFast(m *matcher, src []byte, from, to int) int {
	table := m.table
	shift := m.shift()
	s, lit := from, from
	for s+minMatch <= to {
		v := get32(src, s)
		h := hash4(v) >> (shift & 31)
		now := uint16(m.at + uint32(s))
		dist := int(now - table[h])
		table[h] = now
		length := 0
		if uint(dist-1) < uint(m.window) {
			if dist <= s {
				if get32(src, s-dist) == v {
					end := min(to, s+maxMatch)
					length = minMatch + matchLen(src[s+minMatch:end], src[s+minMatch-dist:])
				}
			} else if dist <= s+m.have {
				length = m.inRing(src, s, min(to, s+maxMatch), dist)
			}
		}
		if length < minMatch {
			s += 1 + (s-lit)>>5
			continue
		}
		d.add(s-lit, length, dist)
		end := s + length
		for s++; s < end && s+minMatch <= to; s++ {
			table[hash4(get32(src, s))>>(shift&31)] = uint16(m.at + uint32(s))
		}
		s, lit = end, end
		if d.full() {
			return s
		}
	}
	return to
}

func (d *Deflater) matchDense(m *matcher, src []byte, from, to int) int {
	return d.matchFast(m, src, from, to)
}
