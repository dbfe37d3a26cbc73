package deflate

import (
	"encoding/binary"
	"math/bits"
)

// The types of blocks (RFC 1951 §3.2.3). BFINAL is never set: it would only add
// a byte (RFC 7692 §7.2.3.4).
const (
	storedBlock  = 0
	fixedBlock   = 1
	dynamicBlock = 2

	maxStored = 1<<16 - 1
)

// The symbols, extra bits and lowest values of lengths and distances (RFC 1951
// §3.2.5). Lengths are less 3 and distances less 1, as in a seq.
var (
	lengthSym   [256]uint8 // the symbol less 257
	lengthExtra [numLit - 257]uint8
	lengthBase  [numLit - 257]uint8

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
	base := 0
	for sym := range lengthBase {
		if sym >= 8 {
			lengthExtra[sym] = uint8(sym/4 - 1)
		}
		if sym == len(lengthBase)-1 { // 258 has a symbol of its own
			base, lengthExtra[sym] = maxMatch-3, 0
		}
		lengthBase[sym] = uint8(base)
		for i := range 1 << lengthExtra[sym] {
			lengthSym[min(base+i, maxMatch-3)] = uint8(sym)
		}
		base += 1 << lengthExtra[sym]
	}
	base = 0
	for sym := range distBase {
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
	d.count(src)
	fixed := 3 + d.size(fixedLit[:], fixedDist[:])

	blocks := (len(src) + maxStored - 1) / maxStored
	stored := 8*len(src) + blocks*(3+32) + (blocks-1)*5 + int(-(w.nbits+3)&7)

	litUsed := d.build.build(d.litCode[:], d.litFreq[:], maxCodeLen)
	var litCopy [numLit]uint16
	n := copy(litCopy[:], litUsed)
	distUsed := d.build.build(d.distCode[:], d.distFreq[:], maxCodeLen)
	var distCopy [numDist]uint16
	nd := copy(distCopy[:], distUsed)
	dynamic := d.header.make(&d.build, d.litCode[:], d.distCode[:], litCopy[:n], distCopy[:nd])
	dynamic += d.size(d.litCode[:], d.distCode[:])

	if !w.fits(min(stored, fixed, dynamic)) {
		return false
	}
	switch {
	case stored <= fixed && stored <= dynamic:
		w.stored(src)
	case fixed <= dynamic:
		w.put(fixedBlock<<1, 3)
		d.writeSeqs(w, src, &fixedLit, &fixedDist)
	default:
		d.header.write(w)
		d.writeSeqs(w, src, &d.litCode, &d.distCode)
	}
	return true
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
		d.distFreq[distSym(uint(q&0x7fff))]++
		at += int(q>>15&0xff) + 3
	}
	for _, c := range src[at:] {
		d.litFreq[c]++
	}
	d.litFreq[endOfBlock] = 1
}

// size is of the block's content in these codes.
func (d *Deflater) size(lit, dist []code) int {
	n := 0
	for sym, f := range d.litFreq {
		n += int(f) * int(lit[sym].len())
	}
	for sym, f := range d.distFreq {
		n += int(f) * int(dist[sym].len()+uint(distExtra[sym]))
	}
	for sym, f := range d.litFreq[257:] {
		n += int(f) * int(lengthExtra[sym])
	}
	return n
}

// writeSeqs writes the block's content in these codes.
func (d *Deflater) writeSeqs(w *bitWriter, src []byte, lit *[numLit]code, dist *[numDist]code) {
	at := 0
	for _, q := range d.seqs[:d.nseqs] {
		run := int(q >> 23)
		for _, c := range src[at : at+run] {
			w.put(lit[c].bits(), lit[c].len())
		}
		at += run
		if run == onlyLiterals {
			continue
		}
		length := uint(q >> 15 & 0xff)
		sym := lengthSym[length]
		c := lit[257+int(sym)]
		w.put(c.bits()|uint64(length-uint(lengthBase[sym]))<<c.len(), c.len()+uint(lengthExtra[sym]))
		distance := uint(q & 0x7fff)
		sym = distSym(distance)
		c = dist[sym]
		w.put(c.bits()|uint64(distance-uint(distBase[sym]))<<c.len(), c.len()+uint(distExtra[sym]))
		at += int(length) + 3
	}
	for _, c := range src[at:] {
		w.put(lit[c].bits(), lit[c].len())
	}
	w.put(lit[endOfBlock].bits(), lit[endOfBlock].len())
}
