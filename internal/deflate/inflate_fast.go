package deflate

import "encoding/binary"

// Where there is enough of everything not to ask for each bit and byte: input for a
// 64-bit load, room for the literals between two loads, and for a match to be copied in
// words, which writes more than its length.
const (
	loadSize  = 8
	copySlack = 16 // a copy in words needs room for its length and that
	perLoad   = 3  // literals between two loads, at most
)

// readFast decodes symbols while there is much input and room. It stops before a symbol
// that needs care, or has decoded and left to be copied a match that has no room.
//
// The bit buffer has 56 to 63 bits after a load, which also puts bits above these into
// it: the next load has the same there. That is enough for three literals from the
// primary table and a look at the next entry, 36 bits, or for a length and its distance,
// 48 bits (RFC 1951 §3.2.5).
func (z *Inflater) readFast(out []byte, o, start int, src []byte, i int) (int, int, verdict) {
	bits, nbits := z.bits, uint32(z.nbits)
	lit := z.lit
	dist := z.dist
	v := goOn
	for i <= len(src)-loadSize && o <= len(out)-perLoad {
		bits |= binary.LittleEndian.Uint64(src[i:]) << (nbits & 63)
		i += int(7 - nbits>>3&7)
		nbits |= 56
		e := lit[uint(bits)&(1<<decLitBits-1)]
		if e&decLiteral != 0 {
			out[o] = byte(e >> 16)
			o++
			bits >>= e & 63
			nbits -= e
			e = lit[uint(bits)&(1<<decLitBits-1)]
			if e&decLiteral != 0 {
				out[o] = byte(e >> 16)
				o++
				bits >>= e & 63
				nbits -= e
				e = lit[uint(bits)&(1<<decLitBits-1)]
				if e&decLiteral != 0 {
					out[o] = byte(e >> 16)
					o++
					bits >>= e & 63
					nbits -= e
					continue
				}
			}
			if i > len(src)-loadSize {
				break
			}
			bits |= binary.LittleEndian.Uint64(src[i:]) << (nbits & 63)
			i += int(7 - nbits>>3&7)
			nbits |= 56
		}
		if e&decSpecial != 0 {
			if e&decSub != 0 {
				bits >>= e & 63
				nbits -= e
				e = lit[(uint(e>>16)+uint(bits)&(1<<(e>>8&15)-1))&(decLitSize-1)]
			}
			if e&decLiteral != 0 {
				out[o] = byte(e >> 16)
				o++
				bits >>= e & 63
				nbits -= e
				continue
			}
			if e&decSpecial != 0 {
				bits >>= e & 63
				nbits -= e
				v = corrupt
				if e&decEnd != 0 {
					v = endBlock
				}
				break
			}
		}
		length := value(e, bits)
		bits >>= e & 63
		nbits -= e

		e = dist[uint(bits)&(1<<decDistBits-1)]
		if e&decSpecial != 0 {
			if e&decSub == 0 {
				v = corrupt
				break
			}
			bits >>= e & 63
			nbits -= e
			e = dist[(uint(e>>16)+uint(bits)&(1<<(e>>8&15)-1))&(decDistSize-1)]
			if e&decSpecial != 0 {
				v = corrupt
				break
			}
		}
		distance := value(e, bits)
		bits >>= e & 63
		nbits -= e

		var from []byte
		overlaps := true
		wide := o <= len(out)-length-copySlack
		if at := o - distance; at >= start {
			from = out[at:]
		} else {
			back := start - at
			if back > z.behind() {
				v = corrupt
				break
			}
			// In the ring it is in one piece, unless the ring ends or the message begins.
			from = z.window.at(back)
			wide = wide && length <= back && len(from) >= length+copySlack
			overlaps = false
		}
		if !wide {
			z.length, z.distance = length, distance
			if o = z.copyMatch(out, o, start); z.length > 0 {
				v = full
				break
			}
			continue
		}
		if distance >= 8 || !overlaps {
			to := out[o:]
			binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
			binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
			for n := 16; n < length; n += 8 {
				binary.LittleEndian.PutUint64(to[n:], binary.LittleEndian.Uint64(from[n:]))
			}
		} else {
			// The distance is the period of a pattern, of which a word has some.
			pattern := binary.LittleEndian.Uint64(from) & (1<<(uint(distance)*8) - 1) * periods[distance]
			period := 8 / distance * distance
			for n := 0; n < length; n += period {
				binary.LittleEndian.PutUint64(out[o+n:], pattern)
			}
		}
		o += length
	}
	nbits &= 63
	z.bits, z.nbits = bits&(1<<nbits-1), uint(nbits)
	return o, i, v
}

// periods[n] repeats the lowest n bytes over a word.
var periods = [8]uint64{
	1: 0x0101010101010101,
	2: 0x0001000100010001,
	3: 0x0001000001000001,
	4: 0x0000000100000001,
	5: 0x0000010000000001,
	6: 0x0001000000000001,
	7: 0x0100000000000001,
}
