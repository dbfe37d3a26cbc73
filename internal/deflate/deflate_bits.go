package deflate

import "encoding/binary"

// A bitWriter writes bits into buf, the first into the low end of a byte (RFC
// 1951 §3.1.1).
type bitWriter struct {
	buf   []byte
	n     int    // bytes written
	acc   uint64 // bits that did not fill a byte yet, from the low end
	nbits uint   // how many: below 8 between calls
}

// fits reports whether n more bits have room.
func (w *bitWriter) fits(n int) bool {
	return w.n+(int(w.nbits)+n+7)>>3 <= len(w.buf)
}

// put adds the low n bits of v, the others of which are zero, n ≤ 48. The caller has
// made sure that they fit.
func (w *bitWriter) put(v uint64, n uint) {
	w.acc |= v << (w.nbits & 63)
	w.nbits += n
	w.flush()
}

// flush moves the bits that fill bytes to buf.
func (w *bitWriter) flush() {
	if w.n+8 <= len(w.buf) {
		binary.LittleEndian.PutUint64(w.buf[w.n:w.n+8], w.acc)
		w.n += int(w.nbits >> 3)
		w.acc >>= w.nbits & 56
		w.nbits &= 7
		return
	}
	for w.nbits >= 8 {
		w.buf[w.n] = byte(w.acc)
		w.n++
		w.acc >>= 8
		w.nbits -= 8
	}
}

// align fills the byte that was begun with zeros.
func (w *bitWriter) align() {
	w.put(0, -w.nbits&7)
}

// end writes the beginning of the empty stored block that every message ends
// with, three bits and those that fill their byte. The rest is the tail that is
// not sent (RFC 7692 §7.2.1). It reports whether there was room.
func (w *bitWriter) end() bool {
	if !w.fits(3) {
		return false
	}
	w.put(0, 3)
	w.align()
	return true
}
