package deflate

// A Window is the last 2^bits bytes that came out of a direction's messages, kept where
// the context is taken over (RFC 7692 §7.1.1). It is a ring, so that a message adds its
// own bytes and moves nothing.
type Window struct {
	ring []byte // 2^bits: what an allocation of that size has room for, and no more
	next int    // where the next byte goes
	size int    // how many bytes there are, those before next
}

// NewWindow returns an empty Window of 2^bits bytes, bits being 8 to 15.
func NewWindow(bits int) *Window {
	return &Window{ring: make([]byte, 1<<bits)}
}

// Write adds p, the output of a message.
func (w *Window) Write(p []byte) {
	if len(p) >= len(w.ring) {
		copy(w.ring, p[len(p)-len(w.ring):])
		w.next, w.size = 0, len(w.ring)
		return
	}
	n := copy(w.ring[w.next:], p)
	copy(w.ring, p[n:])
	w.next = (w.next + len(p)) & (len(w.ring) - 1)
	w.size = min(w.size+len(p), len(w.ring))
}

// at returns the bytes that begin back bytes before the end of w, up to where the ring
// wraps. back is 1 to size.
func (w *Window) at(back int) []byte {
	return w.ring[(w.next-back)&(len(w.ring)-1):]
}
