package deflate

import "sync"

// The window bits that RFC 7692 §7.1.2 knows: windows of 256 bytes to 32 KiB.
const (
	minBits = 8
	maxBits = 15
)

// A Context is what a sender keeps of what it has sent for later messages to
// refer to, where the context is taken over (RFC 7692 §7.1.1), or, from a pool,
// for the later pieces of one message.
//
// It is a ring of the last 2^bits bytes and a hash table that says where four
// bytes were last seen, 1.5 × 2^bits bytes together. The table is kept and not
// made anew for each message, which is what makes a message of 64 bytes cost
// microseconds. Its entries are guesses: a match is made of compared bytes only,
// so entries that a message left which was compressed and then not sent, or
// which are older than the ring, cost a comparison and do no harm.
//
// A Context with Bits set is empty and has no memory yet: it takes it with the first
// message. It is not safe for concurrent use.
type Context struct {
	Bits uint8 // the window is 2^Bits bytes, 8 to 15; not to be changed

	refused uint8    // messages in a row that would not have become smaller
	typical uint16   // size of messages, roughly
	at      uint32   // the position that the next byte will have, modulo 2^32
	ring    []byte   // the byte at position p of all that was committed is ring[p%len(ring)]
	table   []uint16 // the low 16 bits of positions
	have    uint16   // bytes in the ring, up to len(ring)
}

// begin makes the memory of c, if it has none.
func (c *Context) begin() {
	if c.ring == nil {
		c.ring = make([]byte, 1<<c.Bits)
		c.table = make([]uint16, 1<<(c.Bits-2))
	}
}

// Commit adds src to the history: it went out compressed, or as part of a
// compressed message, and the peer has it in its window. A message that was
// compressed and then not sent, or was sent as it is, is not committed.
func (c *Context) Commit(src []byte) {
	c.begin()
	size := min(len(src), 8192)
	if c.have > 0 {
		size = int(c.typical) + (size-int(c.typical))/8
	}
	c.typical = uint16(size)
	c.have = uint16(min(int(c.have)+len(src), len(c.ring)))
	if over := len(src) - len(c.ring); over > 0 {
		c.at += uint32(over)
		src = src[over:]
	}
	at := int(c.at) & (len(c.ring) - 1)
	n := copy(c.ring[at:], src)
	copy(c.ring, src[n:])
	c.at += uint32(len(src))
}

// A message that repeats nothing does not become smaller, and so is sent as it is
// and is no history; which, of a connection whose messages are short and resemble
// only each other, would be true of every message for ever. A context therefore
// wants some messages although they cost up to primingCost bytes more: those that
// come before it is half full, and then one in primingInterval of those in a row
// that were refused. The cost is that of a fixed block of literals below 144, as
// text is; random bytes cost more and are not wanted.
const (
	primingCost     = 2
	primingInterval = 16
	primingLeast    = 16 // bytes of a message
)

// wants reports whether a message of n bytes may cost primingCost.
func (c *Context) wants(n int) bool {
	return n >= primingLeast && (int(c.have) < 1<<c.Bits/2 || c.refused >= primingInterval)
}

// compressed notes whether a message was compressed or refused.
func (c *Context) compressed(ok bool) {
	switch {
	case ok:
		c.refused = 0
	case c.refused < primingInterval:
		c.refused++
	}
}

// pieceContexts has a pool for each number of window bits.
var pieceContexts [maxBits + 1]sync.Pool

// GetContext returns an empty Context from a pool, for one message in pieces.
func GetContext(bits int) *Context {
	lend(+1)
	c, _ := pieceContexts[bits].Get().(*Context)
	if c == nil {
		return &Context{Bits: uint8(bits)}
	}
	// What the table holds is another connection's. It could not bring about a
	// wrong match, but what is found would depend on it.
	clear(c.table)
	*c = Context{Bits: c.Bits, ring: c.ring, table: c.table}
	return c
}

// PutContext takes back a Context from GetContext that nothing uses any more.
func PutContext(c *Context) {
	lend(-1)
	pieceContexts[c.Bits].Put(c)
}
