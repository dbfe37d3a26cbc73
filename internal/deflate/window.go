package deflate

// A Window is the last 2^bits bytes that came out of a direction's messages, kept where
// the context is taken over (RFC 7692 §7.1.1). It is a ring, so that a message adds its
// own bytes and moves nothing. One with Bits set is empty and has no memory yet: it
// takes it with the first message.
type Window struct {
	Bits uint8 // 8 to 15; not to be changed

	next uint16 // where the next byte goes
	size uint16 // how many bytes there are, those before next
	ring []byte // 2^Bits: what an allocation of that size has room for, and no more
}

// Write adds p, the output of a message.
func (w *Window) Write(p []byte) {
	if w.ring == nil {
		w.ring = make([]byte, 1<<w.Bits)
	}
	if len(p) >= len(w.ring) {
		copy(w.ring, p[len(p)-len(w.ring):])
		w.next, w.size = 0, uint16(len(w.ring))
		return
	}
	n := copy(w.ring[w.next:], p)
	copy(w.ring, p[n:])
	w.next = uint16((int(w.next) + len(p)) & (len(w.ring) - 1))
	w.size = uint16(min(int(w.size)+len(p), len(w.ring)))
}

// at returns the bytes that begin back bytes before the end of w, up to where the ring
// wraps. back is 1 to size.
func (w *Window) at(back int) []byte {
	return w.ring[(int(w.next)-back)&(len(w.ring)-1):]
}
