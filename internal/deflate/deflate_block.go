package deflate

import "encoding/binary"

// The types of blocks (RFC 1951 §3.2.3). BFINAL is never set: it would only add
// a byte (RFC 7692 §7.2.3.4).
const (
	storedBlock  = 0
	fixedBlock   = 1
	dynamicBlock = 2
)

// Fast makes the codes of a dynamic block, which takes some 2 µs, only where they promise
// to save more than fastGain bits, or one in fastShare. The promise is more than is kept:
// where it is just this, a message of 256 bytes would become 2 % smaller in half as much
// time again.
const (
	fastGain  = 128
	fastShare = 8
)

// writeBlock writes src, of which d.seqs has the matches, as a block of the
// type that makes it smallest, or, if Fast, as good as, and reports whether there was
// room.
func (d *Deflater) writeBlock(w *bitWriter, src []byte, level Level) bool {
	stored := 3 + int(-(w.nbits+3)&7) + 32 + 8*len(src)
	if d.matched < len(src)/16 && looksRandom(src) {
		if !w.fits(stored) {
			return false
		}
		w.stored(src)
		return true
	}

	d.count(src)
	lits := occurring(d.litUsed[:], d.litFreq[:])
	dists := occurring(d.distUsed[:], d.distFreq[:])

	extra := extraBits(d.litFreq[:], d.distFreq[:], lits, dists)
	fixed := 3 + extra + sizeIn(fixedLit[:], d.litFreq[:], lits) + sizeIn(fixedDist[:], d.distFreq[:], dists)
	best := min(fixed, stored)

	promise := best - extra - leastDynamic(d.litFreq[:], d.distFreq[:], lits, dists)
	if promise > min(best/fastShare, fastGain) || level != Fast && promise > 0 {
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
		sizeIn(d.litCode[:], d.litFreq[:], lits) + sizeIn(d.distCode[:], d.distFreq[:], dists)
}

// sizeIn is the size in bits of symbols in their codes, without extra bits.
func sizeIn(codes []code, freq []uint32, used []uint16) int {
	n := 0
	for _, sym := range used {
		n += int(freq[sym]) * int(codes[sym].len())
	}
	return n
}

// extraBits is how many bits follow the codes of lengths and distances.
func extraBits(litFreq, distFreq []uint32, lits, dists []uint16) int {
	n := 0
	for i := len(lits) - 1; lits[i] > endOfBlock; i-- {
		n += int(litFreq[lits[i]]) * int(lengthExtra[(lits[i]-257)&31])
	}
	for _, sym := range dists {
		n += int(distFreq[sym]) * int(distExtra[sym&31])
	}
	return n
}

// stored writes src, which is at most maxBlock bytes, as it is (RFC 1951 §3.2.4).
func (w *bitWriter) stored(src []byte) {
	w.put(storedBlock<<1, 3)
	w.align()
	b := w.buf[w.n:]
	binary.LittleEndian.PutUint16(b, uint16(len(src)))
	binary.LittleEndian.PutUint16(b[2:], ^uint16(len(src)))
	copy(b[4:], src)
	w.n += 4 + len(src)
}

// count fills the frequencies.
func (d *Deflater) count(src []byte) {
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
		d.litFreq[257+int(lengthSym[q>>15&0xff])]++
		d.distFreq[distSym(uint(q&0x7fff))&31]++
		at += int(q>>15&0xff) + 3
	}
	for _, c := range src[at:] {
		d.litFreq[c]++
	}
	d.litFreq[endOfBlock] = 1
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
	buf, n, acc, nbits := w.buf, w.n, w.acc, w.nbits // not in memory, within the loop
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
