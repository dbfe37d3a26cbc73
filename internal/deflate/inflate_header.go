package deflate

import (
	"encoding/binary"
	"math/bits"
)

// fill takes bytes of src from i on into the bit buffer, until it has at least 56 bits or
// src is used up, and returns where src goes on.
func (z *Inflater) fill(src []byte, i int) int {
	z.bits, z.nbits, i = refill(z.bits, z.nbits, src, i)
	return i
}

// refill is fill for a bit buffer in hand, which has at most 63 bits and zeros above.
func refill(bits uint64, nbits uint, src []byte, i int) (uint64, uint, int) {
	rest := len(src) - i
	var next uint64
	switch {
	case rest >= 8:
		next = binary.LittleEndian.Uint64(src[i:])
	case len(src) >= 8:
		next = binary.LittleEndian.Uint64(src[len(src)-8:]) >> (64 - uint(rest)*8)
	default:
		for k := len(src) - 1; k >= i; k-- {
			next = next<<8 | uint64(src[k])
		}
	}
	n := uint(min(rest, int(63-nbits)>>3))
	bits |= next << (nbits & 63)
	nbits += n * 8
	return bits & (1<<(nbits&63) - 1), nbits, i + int(n)
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
	if z.nbits < 3 {
		if i = z.fill(src, i); z.nbits < 3 {
			return i, needMore
		}
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
		z.lit, z.dist = &decFixedLit, &decFixedDist[z.windowBits&7]
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
	for z.next < z.codeLengths {
		if z.nbits < 3 {
			if i = z.fill(src, i); z.nbits < 3 {
				return i, needMore
			}
		}
		bits, n := z.bits, min(int(z.nbits/3), z.codeLengths-z.next)
		for _, symbol := range codeLengthOrder[z.next : z.next+n] {
			z.preLens[symbol] = uint8(bits & 7)
			bits >>= 3
		}
		z.bits = bits
		z.nbits -= uint(3 * n)
		z.next += n
	}
	for _, symbol := range codeLengthOrder[z.codeLengths:] {
		z.preLens[symbol] = 0
	}
	if !z.buildPre() {
		return i, corrupt
	}
	z.next, z.previous, z.listed = 0, noLength, 0
	z.counts = [2][16]uint16{}
	z.phase = inLengths
	return i, goOn
}

// noLength is the previous length before there is one.
const noLength = 16

// buildPre makes the table of the code of lengths. Unlike the other two, it must be a
// complete code: none with gaps could say anything but a wrong code.
func (z *Inflater) buildPre() bool {
	// A byte for each length: of how many codes, and before how many of these it begins.
	var count uint64
	used := 0
	for _, l := range z.preLens {
		count += 1 << (l & 7 * 8)
		used += 128 >> (l & 7) & 127
	}
	count &^= 0xff
	if used != 128 {
		return false
	}
	place := count << 8 * 0x0101010101010101
	var sorted [32]uint8
	for symbol, l := range z.preLens {
		if l != 0 {
			sorted[place>>(l&7*8)&31] = uint8(symbol)
			place += 1 << (l & 7 * 8)
		}
	}
	// As in buildDecTable.
	code, next := uint(0), uint8(0)
	for l := uint(bits.TrailingZeros64(count)) / 8; ; l++ {
		for range count >> (l * 8) & 0xff {
			z.pre[mirrored[code&127<<(decLitBits-7)&(1<<decLitBits-1)]&127] = sorted[next&31]<<3 | uint8(l)
			code += 1 << (7 - l)
			next++
		}
		if l == 7 {
			return true
		}
		copy(z.pre[1<<l:2<<l], z.pre[:1<<l])
	}
}

// lengthRepeats are the symbols 16 to 18 of the code of lengths, which repeat a length: how
// many bits say how often, and how often if these are 0.
var lengthRepeats = [4]struct{ extra, least uint8 }{{2, 3}, {3, 3}, {7, 11}, {}}

// readLengths reads the lengths of the two codes and makes their tables. Most symbols
// have no code, so only those that have one are listed.
func (z *Inflater) readLengths(src []byte, i int) (int, verdict) {
	total := z.litSymbols + z.distSymbols
	next, listed, previous := z.next, z.listed, z.previous
	bits, nbits := z.bits, z.nbits
	v := goOn
	for next < total {
		if nbits < 14 {
			if len(src)-i >= 8 { // without a call
				bits |= binary.LittleEndian.Uint64(src[i:]) << (nbits & 63)
				i += int(63-nbits) >> 3
				nbits |= 56
			} else {
				bits, nbits, i = refill(bits, nbits, src, i)
			}
		}
		e := z.pre[uint(bits)&127]
		n := uint(e & 7)
		symbol := e >> 3
		if symbol < 16 {
			if n > nbits {
				v = needMore
				break
			}
			bits >>= n & 63
			nbits -= n
			previous = symbol
			// It has a place in the list if it is not 0, and is written over if it is.
			z.list[listed] = uint16(next<<4) | uint16(symbol)
			listed += int(symbol+15) >> 4
			z.countLength(next, symbol)
			next++
			continue
		}
		r := lengthRepeats[symbol&3]
		extra := uint(r.extra)
		if symbol == 16 && previous == noLength && n <= nbits { // there is none to repeat
			v = corrupt
			break
		}
		if n+extra > nbits {
			v = needMore
			break
		}
		repeat := int(r.least) + int(uint(bits>>(n&63))&(1<<(extra&7)-1))
		bits >>= (n + extra) & 63
		nbits -= n + extra
		if next+repeat > total {
			v = corrupt
			break
		}
		if symbol != 16 {
			previous = 0
			next += repeat
			continue
		}
		if previous == 0 {
			next += repeat
			continue
		}
		for range repeat {
			z.list[listed] = uint16(next<<4) | uint16(previous)
			listed++
			z.countLength(next, previous)
			next++
		}
	}
	z.next, z.listed, z.previous = next, listed, previous
	z.bits, z.nbits = bits&(1<<(nbits&63)-1), nbits
	if v != goOn {
		return i, v
	}
	return i, z.buildTables()
}

// countLength counts the length of a symbol, which is of the first code or the second.
func (z *Inflater) countLength(symbol int, length uint8) {
	which := 0
	if symbol >= z.litSymbols {
		which = 1
	}
	z.counts[which][length&15]++
}

// buildTables makes the tables of the two codes, the lengths of which are known.
func (z *Inflater) buildTables() verdict {
	n := 0
	for l := 1; l <= decMaxCode; l++ {
		n += int(z.counts[0][l])
	}
	lits := z.list[:n]
	// Few symbols come after the end of block.
	for n > 0 && z.list[n-1]>>4 > decEndOfBlock {
		n--
	}
	if n == 0 || z.list[n-1]>>4 != decEndOfBlock {
		return corrupt // the block could not end
	}
	ok := buildDecTable(z.ownLit[:], lits, z.sorted[:], &z.counts[0], 0, decLitProtos[:], decLitBits)
	if !ok {
		return corrupt
	}
	ok = buildDecTable(z.ownDist[:], z.list[len(lits):z.listed], z.sorted[:], &z.counts[1],
		uint16(z.litSymbols), decDistProtos[z.windowBits&7][:], decDistBits)
	if !ok {
		return corrupt
	}
	z.lit, z.dist = &z.ownLit, &z.ownDist
	z.phase = inSymbols
	return goOn
}
