package deflate

import "math/bits"

const (
	lastLength = 28 // the symbol of length 258, less 257
	lastDist   = 29
)

// The symbols, extra bits and lowest values of lengths and distances (RFC 1951
// §3.2.5). Lengths are less 3 and distances less 1, as in a seq.
var (
	lengthSym   [256]uint8 // the symbol less 257
	lengthExtra [32]uint8
	lengthBase  [32]uint8

	distSyms  [512]uint8 // of distances below 256, and of those above, at 256 + distance>>7
	distExtra [numDist]uint8
	distBase  [numDist]uint16

	fixedLit  [numLit]code
	fixedDist [numDist]code
)

// distSym returns the symbol of a distance less 1.
func distSym(dist uint) uint8 {
	if dist < 256 {
		return distSyms[dist]
	}
	return distSyms[(256+dist>>7)&511]
}

func init() {
	base := 0
	for sym := range lastLength + 1 {
		if sym >= 8 {
			lengthExtra[sym] = uint8(sym/4 - 1)
		}
		if sym == lastLength { // 258 has a symbol of its own
			base, lengthExtra[sym] = maxMatch-3, 0
		}
		lengthBase[sym] = uint8(base)
		for i := range 1 << lengthExtra[sym] {
			lengthSym[min(base+i, maxMatch-3)] = uint8(sym)
		}
		base += 1 << lengthExtra[sym]
	}
	base = 0
	for sym := range lastDist + 1 {
		if sym >= 4 {
			distExtra[sym] = uint8(sym/2 - 1)
		}
		distBase[sym] = uint16(base)
		for i := range 1 << distExtra[sym] {
			if base+i < 256 {
				distSyms[base+i] = uint8(sym)
			} else {
				distSyms[256+(base+i)>>7] = uint8(sym)
			}
		}
		base += 1 << distExtra[sym]
	}

	// RFC 1951 §3.2.6.
	for sym := range fixedLit {
		c, n := 0, 0
		switch {
		case sym < 144:
			c, n = 0b00110000+sym, 8
		case sym < 256:
			c, n = 0b110010000+sym-144, 9
		case sym < 280:
			c, n = sym-256, 7
		default:
			c, n = 0b11000000+sym-280, 8
		}
		fixedLit[sym] = code(bits.Reverse16(uint16(c)))>>(16-n)<<16 | code(n)
	}
	for sym := range fixedDist {
		fixedDist[sym] = code(bits.Reverse8(uint8(sym)))>>3<<16 | 5
	}
}
