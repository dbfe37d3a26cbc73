package deflate

// readSymbols decodes the symbols of a block, and begins with the rest of a match.
func (z *Inflater) readSymbols(out []byte, o, start int, src []byte, i int) (int, int, verdict) {
	if z.length > 0 {
		if o = z.copyMatch(out, o, start); z.length > 0 {
			return o, i, full
		}
	}
	o, i, v := z.readFast(out, o, start, src, i)
	if v != goOn {
		return o, i, v
	}
	return z.readCarefully(out, o, start, src, i)
}

// readCarefully decodes symbols up to the last bit of input and the last byte of room. A
// length and its distance, 48 bits at most (RFC 1951 §3.2.5), are decoded as one or not
// at all, so that there is no state between the two.
func (z *Inflater) readCarefully(out []byte, o, start int, src []byte, i int) (int, int, verdict) {
	bits, nbits := z.bits, z.nbits
	var v verdict
	for {
		if nbits < 48 && i < len(src) {
			bits, nbits, i = refill(bits, nbits, src, i)
		}
		// Where the buffer has too few bits, the zeros above make a wrong entry, but
		// never one of as few bits: no code begins with another.
		e := z.lit[bits&(1<<decLitBits-1)]
		b, used := bits, uint(0)
		if e&(decSpecial|decSub) == decSpecial|decSub {
			used = uint(e & 63)
			b >>= e & 63
			e = z.lit[(uint(e>>16)+uint(b)&(1<<(e>>8&15)-1))&(decLitSize-1)]
		}
		used += uint(e & 63)
		if used > nbits {
			v = needMore
			break
		}
		if e&decLiteral != 0 {
			if o == len(out) {
				v = full
				break
			}
			out[o] = byte(e >> 16)
			o++
			bits >>= used & 63
			nbits -= used
			continue
		}
		if e&decSpecial != 0 {
			bits >>= used & 63
			nbits -= used
			v = corrupt
			if e&decEnd != 0 {
				v = endBlock
			}
			break
		}
		length := value(e, b)
		b >>= e & 63

		e = z.dist[b&(1<<decDistBits-1)]
		if e&(decSpecial|decSub) == decSpecial|decSub {
			used += uint(e & 63)
			b >>= e & 63
			e = z.dist[(uint(e>>16)+uint(b)&(1<<(e>>8&15)-1))&(decDistSize-1)]
		}
		used += uint(e & 63)
		if used > nbits {
			v = needMore
			break
		}
		if e&decSpecial != 0 {
			v = corrupt
			break
		}
		bits >>= used & 63
		nbits -= used
		z.length, z.distance = length, value(e, b)
		if z.distance > o-start+z.behind() {
			v = corrupt
			break
		}
		if o = z.copyMatch(out, o, start); z.length > 0 {
			v = full
			break
		}
	}
	z.bits, z.nbits = bits, nbits
	return o, i, v
}

// value returns the length or distance that e is for, with its extra bits from b, which
// begins with e's code.
func value(e uint32, b uint64) int {
	return int(e>>16) + int(uint32(b)&(1<<(e&31)-1)>>(e>>8&15))
}

// behind returns how many bytes there are to refer to before the message.
func (z *Inflater) behind() int {
	if z.window == nil {
		return 0
	}
	return int(z.window.size)
}

// copyMatch copies as much of the current match as there is room for, and returns where
// the output goes on.
func (z *Inflater) copyMatch(out []byte, o, start int) int {
	end := min(len(out), o+z.length)
	z.length -= end - o
	for o < end {
		back := z.distance - (o - start)
		if back <= 0 {
			break
		}
		from := z.window.at(back)
		o += copy(out[o:end], from[:min(len(from), back)])
	}
	// A match that is longer than its distance repeats what it made itself: there is twice
	// as much of it each time.
	for from := o - z.distance; o < end; {
		o += copy(out[o:end], out[from:o])
	}
	return o
}
