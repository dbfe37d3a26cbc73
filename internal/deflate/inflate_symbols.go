package deflate

// readSymbols decodes the symbols of a block, and begins with the rest of a match.
func (z *Inflater) readSymbols(out []byte, o, start int, src []byte, i int) (int, int, verdict) {
	if z.length > 0 {
		if o = z.copyMatch(out, o, start); z.length > 0 {
			return o, i, full
		}
	}
	return z.readCarefully(out, o, start, src, i)
}

// readCarefully decodes symbols up to the last bit of input and the last byte of room. A
// length and its distance, 48 bits at most (RFC 1951 §3.2.5), are decoded as one or not
// at all, so that there is no state between the two.
func (z *Inflater) readCarefully(out []byte, o, start int, src []byte, i int) (int, int, verdict) {
	for {
		if z.nbits < 48 {
			i = z.fill(src, i)
		}
		// Where the buffer has too few bits, the zeros above make a wrong entry, but
		// never one of as few bits: no code begins with another.
		e := z.lit[uint(z.bits)&z.litMask]
		b, used := z.bits, uint(0)
		if e&(decSpecial|decSub) == decSpecial|decSub {
			used = uint(e & 63)
			b >>= e & 63
			e = z.lit[uint(e>>16)+uint(b)&(1<<(e>>8&15)-1)]
		}
		used += uint(e & 63)
		if used > z.nbits {
			return o, i, needMore
		}
		if e&decLiteral != 0 {
			if o == len(out) {
				return o, i, full
			}
			out[o] = byte(e >> 16)
			o++
			z.take(used)
			continue
		}
		if e&decSpecial != 0 {
			z.take(used)
			if e&decEnd != 0 {
				return o, i, endBlock
			}
			return o, i, corrupt
		}
		length := value(e, b)
		b >>= e & 63

		e = z.dist[uint(b)&z.distMask]
		if e&(decSpecial|decSub) == decSpecial|decSub {
			used += uint(e & 63)
			b >>= e & 63
			e = z.dist[uint(e>>16)+uint(b)&(1<<(e>>8&15)-1)]
		}
		used += uint(e & 63)
		if used > z.nbits {
			return o, i, needMore
		}
		if e&decSpecial != 0 {
			return o, i, corrupt
		}
		z.bits >>= used
		z.nbits -= used
		z.length, z.distance = length, value(e, b)
		if z.distance > o-start+z.behind() {
			return o, i, corrupt
		}
		if o = z.copyMatch(out, o, start); z.length > 0 {
			return o, i, full
		}
	}
}

// value returns the length or distance that e is for, with its extra bits from b, which
// begins with e's code.
func value(e uint32, b uint64) int {
	return int(e>>16) + int(b&(1<<(e&63)-1)>>(e>>8&15))
}

// behind returns how many bytes there are to refer to before the message.
func (z *Inflater) behind() int {
	if z.window == nil {
		return 0
	}
	return z.window.size
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
