package deflate

import "encoding/binary"

// fill takes bytes of src from i on into the bit buffer, until it has at least 56 bits or
// src is used up, and returns where src goes on.
func (z *Inflater) fill(src []byte, i int) int {
	if len(src)-i >= 8 {
		z.bits |= binary.LittleEndian.Uint64(src[i:]) << (z.nbits & 63)
		i += int(63-z.nbits) >> 3
		z.nbits |= 56
		z.bits &= 1<<(z.nbits&63) - 1
		return i
	}
	for ; z.nbits < 56 && i < len(src); i++ {
		z.bits |= uint64(src[i]) << (z.nbits & 63)
		z.nbits += 8
	}
	return i
}

// take uses up n bits.
func (z *Inflater) take(n uint) uint {
	v := uint(z.bits) & (1<<n - 1)
	z.bits >>= n
	z.nbits -= n
	return v
}

// readHeader reads the first bits of a block (RFC 1951 §3.2.3).
func (z *Inflater) readHeader(src []byte, i int) (int, verdict) {
	if i = z.fill(src, i); z.nbits < 3 {
		return i, needMore
	}
	z.marker = false
	z.final = z.take(1) == 1
	kind := z.take(2)
	z.dynamic = kind == 2
	switch kind {
	case 0:
		z.phase = atStored
		z.take(z.nbits & 7)
	case 1:
		z.lit, z.litMask = decFixedLit[:], uint(len(decFixedLit)-1)
		dist := &decFixedDist[z.windowBits&15]
		z.dist, z.distMask = dist[:], uint(len(dist)-1)
		z.phase = inSymbols
	case 2:
		z.phase = atDynamic
	default:
		return i, corrupt
	}
	return i, goOn
}

// readStoredHeader reads the length of a stored block and its complement (RFC 1951
// §3.2.4).
func (z *Inflater) readStoredHeader(src []byte, i int) (int, verdict) {
	if z.nbits < 32 {
		if i = z.fill(src, i); z.nbits < 32 {
			return i, needMore
		}
	}
	n := z.take(16)
	if z.take(16) != n^0xffff {
		return i, corrupt
	}
	if n == 0 {
		z.marker = true
		return i, endBlock
	}
	z.length = int(n)
	z.phase = inStored
	return i, goOn
}

// readStored copies stored bytes, first those that the bit buffer has.
func (z *Inflater) readStored(out []byte, o int, src []byte, i int) (int, int, verdict) {
	for ; z.nbits > 0 && z.length > 0; z.length-- {
		if o == len(out) {
			return o, i, full
		}
		out[o] = byte(z.take(8))
		o++
	}
	if z.length > 0 {
		n := copy(out[o:], src[i:min(len(src), i+z.length)])
		o += n
		i += n
		z.length -= n
	}
	switch {
	case z.length == 0:
		return o, i, endBlock
	case i < len(src):
		return o, i, full
	}
	return o, i, needMore
}

// readDynamicHeader reads how many symbols the codes of a block have (RFC 1951 §3.2.7).
func (z *Inflater) readDynamicHeader(src []byte, i int) (int, verdict) {
	if z.nbits < 14 {
		if i = z.fill(src, i); z.nbits < 14 {
			return i, needMore
		}
	}
	z.litSymbols = int(z.take(5)) + 257
	z.distSymbols = int(z.take(5)) + 1
	z.codeLengths = int(z.take(4)) + 4
	if z.litSymbols > decLitSymbols || z.distSymbols > decDistSymbols {
		return i, corrupt // there are no such symbols
	}
	z.next = 0
	z.phase = inCodeLengths
	return i, goOn
}

// codeLengthOrder is the order of the lengths of the code of lengths (RFC 1951 §3.2.7).
var codeLengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCodeLengths reads the code of lengths.
func (z *Inflater) readCodeLengths(src []byte, i int) (int, verdict) {
	for ; z.next < z.codeLengths; z.next++ {
		if z.nbits < 3 {
			if i = z.fill(src, i); z.nbits < 3 {
				return i, needMore
			}
		}
		z.preLens[codeLengthOrder[z.next]] = uint8(z.take(3))
	}
	for _, symbol := range codeLengthOrder[z.codeLengths:] {
		z.preLens[symbol] = 0
	}
	if !z.buildPre() {
		return i, corrupt
	}
	z.next, z.previous, z.listed, z.litListed = 0, noLength, 0, 0
	z.counts = [2][16]uint16{}
	z.phase = inLengths
	return i, goOn
}

// noLength is the previous length before there is one.
const noLength = 16

// buildPre makes the table of the code of lengths. Unlike the other two, it must be a
// complete code: none with gaps could say anything but a wrong code.
func (z *Inflater) buildPre() bool {
	var count [8]uint8
	for _, l := range z.preLens {
		count[l&7]++
	}
	var place [8]uint8
	left, at, longest := 1, uint8(0), uint(0)
	for l := uint(1); l < 8; l++ {
		place[l] = at
		at += count[l]
		left = left<<1 - int(count[l])
		if left < 0 {
			return false
		}
		if count[l] != 0 {
			longest = l
		}
	}
	if left != 0 {
		return false
	}
	var sorted [32]uint8
	for symbol, l := range z.preLens {
		if l != 0 {
			sorted[place[l&7]&31] = uint8(symbol)
			place[l&7]++
		}
	}
	// As in buildDecTable.
	code, next := uint(0), uint8(0)
	for l := uint(1); l <= longest; l++ {
		copy(z.pre[1<<(l-1):1<<l], z.pre[:1<<(l-1)])
		for range count[l] {
			z.pre[code&127] = sorted[next&31]<<3 | uint8(l)
			code = nextCode(code, l)
			next++
		}
	}
	z.preMask = 1<<longest - 1
	return true
}

// readLengths reads the lengths of the two codes and makes their tables. Most symbols
// have no code, so only those that have one are listed.
func (z *Inflater) readLengths(src []byte, i int) (int, verdict) {
	total := z.litSymbols + z.distSymbols
	for z.next < total {
		if z.nbits < 14 {
			i = z.fill(src, i)
		}
		e := z.pre[uint(z.bits)&z.preMask&127]
		n := uint(e & 7)
		symbol := e >> 3
		if symbol < 16 {
			if n > z.nbits {
				return i, needMore
			}
			z.take(n)
			z.previous = symbol
			z.addLength(symbol)
			continue
		}
		var extra uint
		var least int
		switch symbol {
		case 16:
			extra, least = 2, 3
		case 17:
			extra, least = 3, 3
		default:
			extra, least = 7, 11
		}
		if n+extra > z.nbits {
			return i, needMore
		}
		z.take(n)
		repeat := least + int(z.take(extra))
		if z.next+repeat > total {
			return i, corrupt
		}
		if symbol != 16 {
			z.previous = 0
		}
		switch z.previous {
		case noLength:
			return i, corrupt
		case 0:
			z.next += repeat
		default:
			for range repeat {
				z.addLength(z.previous)
			}
		}
	}
	return i, z.buildTables()
}

// addLength gives the next symbol a code of length bits, or none if that is 0.
func (z *Inflater) addLength(length uint8) {
	z.list[z.listed] = uint16(z.next)<<4 | uint16(length)
	which := 0
	if z.next >= z.litSymbols {
		which = 1
	}
	z.counts[which][length&15]++
	if length != 0 {
		z.listed++
		z.litListed += 1 - which
	}
	z.next++
}

// buildTables makes the tables of the two codes, the lengths of which are known.
func (z *Inflater) buildTables() verdict {
	lits := z.list[:z.litListed]
	end := false
	for _, s := range lits {
		end = end || s>>4 == decEndOfBlock
	}
	if !end {
		return corrupt // the block could not end
	}
	n, ok := buildDecTable(z.ownLit[:], lits, z.sorted[:], &z.counts[0], 0, decLitProtos[:], decLitBits)
	if !ok {
		return corrupt
	}
	z.lit, z.litMask = z.ownLit[:], 1<<n-1
	n, ok = buildDecTable(z.ownDist[:], z.list[z.litListed:z.listed], z.sorted[:], &z.counts[1],
		uint16(z.litSymbols), decDistProtos[z.windowBits&15][:], decDistBits)
	if !ok {
		return corrupt
	}
	z.dist, z.distMask = z.ownDist[:], 1<<n-1
	z.phase = inSymbols
	return goOn
}
