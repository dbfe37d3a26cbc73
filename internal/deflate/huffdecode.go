package deflate

import "math/bits"

// A decoding table maps the next bits of the input to an entry, which says all there is
// to know about the symbol that begins with them:
//
//	bits 0..7    how many bits it takes, with its extra bits
//	bits 8..11   how many of these are its code
//	bits 13..15  what it is if it is none of the below
//	bits 16..30  the literal; or the base of a length or distance; or the start of a second table
//	bit 31       it is a literal
//
// The next decLitBits or decDistBits bits index the primary table. Where they only begin
// a code, the entry is decSub: bits 8..11 say how many bits more index the second table
// that starts where bits 16..30 say, and the entry there counts without those before.
const (
	decLiteral = 1 << 31
	decSpecial = 1 << 15 // neither a literal nor a base
	decSub     = 1 << 14 // with decSpecial: refers to a second table
	decEnd     = 1 << 13 // with decSpecial: end of block
	decInvalid = decSpecial
)

// The larger a primary table, the fewer codes need the second look; but it has to be
// built for each block, and pushes other things out of the cache. Its size does not
// depend on the code, so that an index needs no check. With the second tables, codes of
// 286 and 30 symbols of at most 15 bits need 852 and 400 entries at worst, as is counted by zlib's
// examples/enough.c.
const (
	decLitBits  = 9
	decDistBits = 8
	decLitSize  = 1024
	decDistSize = 512
)

// RFC 1951 §3.2.5 and §3.2.7.
const (
	decLitSymbols  = 286 // that may occur; a fixed code has 288
	decDistSymbols = 30  // likewise, 32
	decEndOfBlock  = 256
	decMaxCode     = 15
)

// Entries of all symbols without the length of their code. Those of distances are for
// windows of 2^8 bytes, 2^9, and so on: a window ends where the distances of a symbol do,
// so that the symbols that lead out of it are invalid, and no distance needs comparing.
// 286, 287, 30 and 31 have a place in the fixed codes and must not occur.
var (
	decLitProtos  [decLitSymbols + 2]uint32
	decDistProtos [8][decDistSymbols + 2]uint32
)

// The tables of fixed codes (RFC 1951 §3.2.6).
var (
	decFixedLit  [decLitSize]uint32
	decFixedDist [8][decDistSize]uint32
)

// mirrored are the primary table's indices with their bits in the opposite order.
var mirrored [1 << decLitBits]uint16

func init() {
	for i := range mirrored {
		mirrored[i] = bits.Reverse16(uint16(i)) >> (16 - decLitBits)
	}
	var list, sorted [decLitSymbols + 2]uint16
	var count [16]uint16
	base := uint32(3)
	for i := range decLitProtos {
		length := 8
		switch {
		case i < decEndOfBlock:
			decLitProtos[i] = decLiteral | uint32(i)<<16
			if i >= 144 {
				length = 9
			}
		case i == decEndOfBlock:
			decLitProtos[i] = decSpecial | decEnd
			length = 7
		case i < 285:
			extra := uint32(max((i-257)/4-1, 0))
			decLitProtos[i] = base<<16 | extra
			base += 1 << extra
			if i < 280 {
				length = 7
			}
		case i == 285:
			decLitProtos[i] = 258 << 16
		default:
			decLitProtos[i] = decInvalid
		}
		list[i] = uint16(i<<4 | length)
		count[length]++
	}
	buildDecTable(decFixedLit[:], list[:], sorted[:], &count, 0, decLitProtos[:], decLitBits)

	for n := range decDistProtos {
		base := uint32(1)
		for i := range decDistProtos[n] {
			decDistProtos[n][i] = decInvalid
			if i < 2*(8+n) {
				extra := uint32(max(i/2-1, 0))
				decDistProtos[n][i] = base<<16 | extra
				base += 1 << extra
			}
			list[i] = uint16(i<<4 | 5)
		}
		count = [16]uint16{5: 32}
		buildDecTable(decFixedDist[n][:], list[:32], sorted[:], &count, 0, decDistProtos[n][:], decDistBits)
	}
}

// buildDecTable makes the table of a code, most being how many bits index the primary
// one. list has its symbols in order, each as (first+symbol)<<4 | length of code; count
// is how many there are of each length from 1 on; sorted is scratch memory of at least
// that many.
//
// It is false if the lengths are not those of a code (RFC 1951 §3.2.2): if they ask for
// more than there is, or leave some unused. As in zlib, exceptions are a code of a single
// symbol of one bit, and one of none at all; what they leave unused is invalid.
func buildDecTable(table []uint32, list, sorted []uint16, count *[16]uint16, first uint16, protos []uint32, most uint) (ok bool) {
	var place [16]uint16
	used, at := uint(0), uint16(0)
	for l := uint(1); l <= decMaxCode; l++ {
		place[l] = at
		at += count[l]
		used += uint(count[l]) << (decMaxCode - l)
	}
	longest := uint(decMaxCode)
	for longest > 0 && count[longest] == 0 {
		longest--
	}
	if used > 1<<decMaxCode {
		return false
	}
	if used < 1<<decMaxCode {
		if longest > 1 {
			return false
		}
		table[0], table[1] = decInvalid|0x101, decInvalid|0x101
		if longest == 1 {
			table[0] = protos[list[0]>>4-first] + 0x101
		}
		for l := uint(1); l < most; l++ {
			copy(table[1<<l:2<<l], table[:1<<l])
		}
		return true
	}

	// By length, and within one in order of symbols: the order of the codes.
	for _, s := range list {
		l := s & 15
		sorted[place[l]] = s>>4 - first
		place[l]++
	}

	// Codes come with their first bit lowest, so that a code's entries are spread evenly
	// over the table, and its first half is the table of all codes but the longest. So the
	// table grows with the length: twice as large by a copy, and the codes of that length
	// set. It is never cleared, because at the end everything has been set.
	l := uint(1)
	for count[l] == 0 {
		l++
	}
	code := uint(0) // the next one, followed by zeros up to 15 bits
	for {
		step := uint(1) << (decMaxCode - l)
		for _, symbol := range sorted[:count[l]] {
			table[mirrored[code>>(decMaxCode-decLitBits)&(1<<decLitBits-1)]] = protos[symbol] + uint32(l)*0x101
			code += step
		}
		sorted = sorted[count[l]:]
		if l == most {
			break
		}
		copy(table[1<<l:2<<l], table[:1<<l])
		l++
	}
	if longest > most {
		buildDecSub(table, sorted, count, protos, code, most, longest)
	}
	return true
}

// buildDecSub makes the second tables, behind the primary one of n bits, for the symbols
// that are left, whose codes begin with code, 15 bits wide, and have n+1 to longest bits.
func buildDecSub(table []uint32, sorted []uint16, count *[16]uint16, protos []uint32, code, n, longest uint) {
	end := uint(1) << n
	var sub []uint32
	prefix := uint(1) << n // none
	for l := n + 1; l <= longest; l++ {
		for i, symbol := range sorted[:count[l]] {
			m := uint(bits.Reverse16(uint16(code << 1)))
			if m&(1<<n-1) != prefix {
				prefix = m & (1<<n - 1)
				// As many bits as it takes until the codes to come have filled it.
				size := l - n
				for left := 1<<size - (int(count[l]) - i); left > 0; left = left<<1 - int(count[n+size]) {
					size++
				}
				table[prefix] = decSpecial | decSub | uint32(end)<<16 | uint32(size)<<8 | uint32(n)
				sub = table[end : end+1<<size]
				end += 1 << size
			}
			e := protos[symbol] + uint32(l-n)*0x101
			for j := m >> n; j < uint(len(sub)); j += 1 << (l - n) {
				sub[j] = e
			}
			code += 1 << (decMaxCode - l)
		}
		sorted = sorted[count[l]:]
	}
}
