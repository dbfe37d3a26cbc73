package deflate

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The types of blocks (RFC 1951 §3.2.3). BFINAL is never set: it would only add
// a byte (RFC 7692 §7.2.3.4).
const (
	storedBlock  = 0
	fixedBlock   = 1
	dynamicBlock = 2

	maxStored = 1<<16 - 1

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

func distSym(dist uint) uint8 {
	if dist < 256 {
		return distSyms[dist]
	}
	return distSyms[(256+dist>>7)&511]
}

func init() {
	for n := range nLogs {
		if n > 0 {
			nLogs[n] = uint16(math.Round(logUnit * float64(n) * math.Log2(float64(n))))
		}
	}
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

// writeBlock writes src, of which d.seqs has the matches, as a block of the
// type that makes it smallest, and reports whether there was room.
func (d *Deflater) writeBlock(w *bitWriter, src []byte) bool {
	blocks := (len(src) + maxStored - 1) / maxStored
	stored := 8*len(src) + blocks*(3+32) + (blocks-1)*5 + int(-(w.nbits+3)&7)
	if d.matched < len(src)/16 && looksRandom(src) {
		if !w.fits(stored) {
			return false
		}
		w.stored(src)
		return true
	}

	extra := d.count(src)
	lits := d.litUsed[:occurring(&d.litUsed, d.litFreq[:])]
	dists := d.distUsed[:occurring(&d.distUsed, d.distFreq[:])]

	fixed := 3 + extra + sizeIn(&fixedLit, d.litFreq[:], lits) + sizeIn(&fixedDist, d.distFreq[:], dists)
	best := min(fixed, stored)

	if extra+leastDynamic(d.litFreq[:], d.distFreq[:], lits, dists) < best {
		if dynamic := extra + d.dynamic(lits, dists); dynamic < best {
			if !w.fits(dynamic) {
				return false
			}
			d.header.write(w)
			d.writeSeqs(w, src, &d.litCode, &d.distCode)
			return true
		}
	}
	if !w.fits(best) {
		return false
	}
	if stored <= fixed {
		w.stored(src)
		return true
	}
	w.put(fixedBlock<<1, 3)
	d.writeSeqs(w, src, &fixedLit, &fixedDist)
	return true
}

// looksRandom reports whether src has nothing that a Huffman code could gain by,
// judged by up to 256 bytes of it: how many pairs of them are equal. Of bytes that are
// all equally likely it is 1/256 of the pairs; 1/190, which is the limit here, leaves
// no more than 6 % to gain. A few bytes tell nothing.
func looksRandom(src []byte) bool {
	if len(src) < 128 {
		return false
	}
	var seen [256]uint8
	n := min(len(src), 256)
	step := len(src) / n
	limit := n * (n - 1) / 2 / 190
	equal := 0
	for i := 0; i < n*step; i += step {
		c := src[i]
		equal += int(seen[c])
		if equal > limit {
			return false
		}
		seen[c]++
	}
	return true
}

// dynamic makes the codes of a dynamic block and its header, and returns its size
// in bits, without extra bits.
func (d *Deflater) dynamic(lits, dists []uint16) int {
	// A block without a match, or with one distance, has codes for two all the
	// same: not every decoder takes a code that is incomplete.
	for sym := uint16(0); len(dists) < 2; sym++ {
		if len(dists) == 0 || dists[0] != sym {
			dists = append(dists, sym)
		}
	}
	if dists[0] > dists[1] {
		dists[0], dists[1] = dists[1], dists[0]
	}
	d.build.build(d.litCode[:], d.litFreq[:], lits, maxCodeLen)
	d.build.build(d.distCode[:], d.distFreq[:], dists, maxCodeLen)
	return d.header.make(&d.build, d.litCode[:], d.distCode[:], lits, dists) +
		sizeIn(&d.litCode, d.litFreq[:], lits) + sizeIn(&d.distCode, d.distFreq[:], dists)
}

// sizeIn is the size in bits of symbols in their codes, without extra bits.
func sizeIn[T *[numLit]code | *[numDist]code](codes T, freq []uint32, used []uint16) int {
	n := 0
	for _, sym := range used {
		n += int(freq[sym]) * int(codes[sym].len())
	}
	return n
}

// leastDynamic is about the size in bits, without extra bits, that a dynamic block has
// at least: what its symbols are worth, and a header of three bits for each that occurs;
// where many do, their codes have the same lengths, which takes less.
func leastDynamic(litFreq, distFreq []uint32, lits, dists []uint16) int {
	n := len(lits) + len(dists)
	return (entropy(litFreq, lits)+entropy(distFreq, dists))/logUnit + 80 + n + 2*min(n, 64)
}

// logUnit is the unit of nLogs, in parts of a bit.
const logUnit = 16

// nLogs has n·log2(n).
var nLogs [256]uint16

func nLog(n uint32) int {
	k := max(bits.Len32(n), 8) - 8
	return int(nLogs[n>>k&255])<<k + int(n)*k*logUnit
}

// entropy is what symbols that occur so often are worth, in 1/logUnit bits.
func entropy(freq []uint32, used []uint16) int {
	total, sum := uint32(0), 0
	for _, sym := range used {
		f := freq[sym]
		total += f
		sum += nLog(f)
	}
	return nLog(total) - sum
}

// stored writes src as it is.
func (w *bitWriter) stored(src []byte) {
	for len(src) > 0 {
		n := min(len(src), maxStored)
		w.put(storedBlock<<1, 3)
		w.align()
		b := w.buf[w.n:]
		binary.LittleEndian.PutUint16(b, uint16(n))
		binary.LittleEndian.PutUint16(b[2:], ^uint16(n))
		copy(b[4:], src[:n])
		w.n += 4 + n
		src = src[n:]
	}
}

// count fills the frequencies, and returns how many extra bits lengths and
// distances have.
func (d *Deflater) count(src []byte) (extra int) {
	clear(d.litFreq[:])
	clear(d.distFreq[:])
	at := 0
	for _, q := range d.seqs[:d.nseqs] {
		run := int(q >> 23)
		for _, c := range src[at : at+run] {
			d.litFreq[c]++
		}
		at += run
		if run == onlyLiterals {
			continue
		}
		length := lengthSym[q>>15&0xff]
		d.litFreq[257+int(length)]++
		dist := distSym(uint(q & 0x7fff))
		d.distFreq[dist&31]++
		extra += int(lengthExtra[length&31] + distExtra[dist&31])
		at += int(q>>15&0xff) + 3
	}
	for _, c := range src[at:] {
		d.litFreq[c]++
	}
	d.litFreq[endOfBlock] = 1
	return extra
}

// writeSeqs writes the block's content in these codes.
func (d *Deflater) writeSeqs(w *bitWriter, src []byte, lit *[numLit]code, dist *[numDist]code) {
	for _, q := range d.seqs[:d.nseqs] {
		run := int(q >> 23)
		w.literals(src[:run], lit)
		src = src[run:]
		if run == onlyLiterals {
			continue
		}
		length := q >> 15 & 0xff
		src = src[length+3:]
		sym := lengthSym[length] & 31
		c := lit[257+int(sym)]
		v := c.bits() | uint64(length-seq(lengthBase[sym]))<<c.len()
		n := c.len() + uint(lengthExtra[sym])

		distance := uint(q & 0x7fff)
		sym = distSym(distance) & 31
		c = dist[sym]
		v |= (c.bits() | uint64(distance-uint(distBase[sym]))<<c.len()) << (n & 63)
		w.put(v, n+c.len()+uint(distExtra[sym]))
	}
	w.literals(src, lit)
	w.put(lit[endOfBlock].bits(), lit[endOfBlock].len())
}

// literals writes src in the codes lit.
func (w *bitWriter) literals(src []byte, lit *[numLit]code) {
	buf, n, acc, nbits := w.buf, w.n, w.acc, w.nbits
	// The state of w is kept out of memory.
	for len(src) >= 3 && n+8 <= len(buf) {
		a, b, c := lit[src[0]], lit[src[1]], lit[src[2]]
		src = src[3:]
		acc |= a.bits() << (nbits & 63)
		nbits += a.len()
		acc |= b.bits() << (nbits & 63)
		nbits += b.len()
		acc |= c.bits() << (nbits & 63)
		nbits += c.len()
		binary.LittleEndian.PutUint64(buf[n:n+8], acc)
		n += int(nbits >> 3)
		acc >>= nbits & 56
		nbits &= 7
	}
	w.n, w.acc, w.nbits = n, acc, nbits
	for _, c := range src {
		w.put(lit[c].bits(), lit[c].len())
	}
}
