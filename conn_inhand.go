package websocket

import (
	"encoding/binary"

	"github.com/seed62ce5aa7/websocket/internal/utf8stream"
)

// awaitMessage waits, where nothing is in hand of the next message, until there is. It
// does what fill would be called for later, and has less on the stack while it waits:
// with 2 KiB, which is what a goroutine begins with, an idle connection costs 4 KB, and
// with the next size 6.
func (c *Conn) awaitMessage() error {
	if c.in.opcode != 0 || c.in.buf != nil {
		return nil
	}
	return c.fill()
}

// wholeInHand looks whether what comes next is a message that is in hand, in one frame, and
// that nothing is wrong with or special about: as small ones mostly are. Its payload is
// taken from what is in hand, and is still masked.
func (c *Conn) wholeInHand(dst []byte) (op opcode, payload []byte, key uint32, ok bool) {
	in := &c.in
	if in.opcode != 0 || in.buf == nil || c.is(isClosed) {
		return 0, nil, 0, false
	}
	b := in.buf.Bytes()
	op, start, end := parseWhole(b, c.server)
	size := end - start
	limit := c.readLimit.Load()
	if start == 0 || limit > 0 && int64(size) > limit || len(dst) > 0 && cap(dst)-len(dst) < size {
		return 0, nil, 0, false
	}
	if c.server {
		key = binary.LittleEndian.Uint32(b[start-4:])
	}
	in.buf.R += end
	return op, b[start:end], key, true
}

// appendInHand is appendMessage for what wholeInHand took.
func (c *Conn) appendInHand(dst []byte, op opcode, payload []byte, key uint32) (messageType int, p []byte, err error) {
	size, begin := len(payload), dst
	if cap(dst)-len(dst) < size { // it is empty
		begin = make([]byte, 0, size)
	}
	p = begin[:len(begin)+size]
	got := p[len(begin):]
	ascii := false
	if c.server {
		_, ascii = maskCopyASCII(got, payload, key)
	} else {
		copy(got, payload)
	}
	if op == opText && !c.skipUTF8 && !ascii {
		if s, ok := (utf8stream.State{}).Append(got); !ok || !s.Complete() {
			return -1, dst, c.violated(errInvalidUTF8)
		}
	}
	c.in.giveBackIfDrained()
	c.lookAhead()
	if c.monitor != nil {
		c.countReceived(int64(size))
	}
	return int(op), p, nil
}

// lookAhead is called between messages, to know whether there is a further one.
func (c *Conn) lookAhead() {
	in := &c.in
	if more := c.hasMessage(); more != in.more.Load() {
		in.corks = in.corks || more
		in.more.Store(more)
	}
}

// hasMessage reports whether the bytes in hand begin with a complete message. Whether it
// is right does not matter: what is found to be wrong with it is told after everything else.
func (c *Conn) hasMessage() bool {
	if c.in.buf == nil {
		return false
	}
	b := c.in.buf.Bytes()
	if _, start, _ := parseWhole(b, c.server); start != 0 {
		return true
	}
	h, n := parseHeader(b)
	return n > 0 && h.fin && h.opcode.isData() && uint64(len(b)-n) >= h.length
}
