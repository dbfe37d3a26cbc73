package websocket

import (
	"io"
	"math"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/utf8stream"
)

// directRead is the least number of missing payload bytes for which a read
// goes straight into its destination, past the pooled buffer.
const directRead = 4 << 10

// largeRead is how much is read at once where large frames come.
const largeRead = 64<<10 + headerRoom

// spareFragments is the number of frames that a message may have beyond one
// for each byte of its payload.
const spareFragments = 1 << 10

// fill waits for more bytes. It holds a buffer meanwhile only if there are
// bytes in hand already, the start of a frame whose rest is to come; or, at a
// seam that would bring the rest in small pieces, once the payload has begun.
func (c *Conn) fill() error {
	in := &c.in
	if in.corks {
		c.uncorkToWait()
	}
	if !in.begun || c.transport.seam.raw() {
		in.giveBackIfDrained()
	}
	if in.buf != nil {
		in.keepLess()
		return c.fillBehind(in.buf)
	}
	n, err := c.transport.seam.readSome(c.transport.Conn, in)
	if err != nil {
		return c.transportFailed(err)
	}
	c.brought(n)
	in.buf.W = n
	if in.large && n <= bufpool.Size { // little came, and may be all for long
		in.large = false
		in.keepLess()
	}
	return nil
}

// fillBehind is fill where b is in hand.
func (c *Conn) fillBehind(b *bufpool.Buffer) error {
	if b.R == b.W || b.W == len(b.Data) {
		b.W = copy(b.Data, b.Bytes())
		b.R = 0
	}
	n, err := readAtLeastOnce(c.transport.Conn, b.Data[b.W:])
	if err != nil {
		return c.transportFailed(err)
	}
	c.brought(n)
	b.W += n
	return nil
}

// nextFrame goes on to the next frame of data and acts on the control frames
// before it. What it has not finished when a deadline passes, it begins anew.
func (c *Conn) nextFrame() error {
	in := &c.in
	for {
		if c.is(isClosed) { // by a handler, with frames in hand
			c.stopReading(errConnClosed)
			return errConnClosed
		}
		h, n := parseHeader(in.bytes())
		if n == 0 {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		st := headerState{server: c.server, fragmented: in.opcode != 0, compressed: c.receiveBits != 0}
		if rule := checkHeader(h, st); rule != nil {
			return c.violated(rule)
		}
		if !h.opcode.isControl() {
			in.buf.R += n
			return c.beginFrame(h)
		}
		if len(in.bytes()) < n+int(h.length) {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		payload := in.bytes()[n : n+int(h.length)]
		in.buf.R += n + len(payload)
		if h.masked {
			mask(payload, h.key)
		}
		if err := c.handleControl(h.opcode, payload); err != nil {
			c.stopReading(err)
			return err
		}
	}
}

// beginFrame takes the header of a data frame into the state of its message
// and holds it against the limits.
func (c *Conn) beginFrame(h header) error {
	in := &c.in
	if h.opcode != opContinuation {
		in.opcode = h.opcode
		in.utf8 = utf8stream.State{}
		in.size, in.frames = 0, 0
		if h.rsv&rsv1Bit != 0 {
			c.beginInflation()
		}
	}
	in.fin, in.key, in.begun = h.fin, h.key, false
	in.remaining = int64(h.length)
	in.large = h.length > bufpool.Size && c.transport.seam.raw()
	in.frames++
	limit := c.readLimit.Load()
	if in.inflation != nil && limit > 0 {
		limit = maxCompressed(limit)
	}
	if limit > 0 && (in.remaining > limit || in.size > limit-in.remaining) {
		return c.failRead(ErrReadLimit, CloseMessageTooBig, "message is over the read limit")
	}
	in.size += min(in.remaining, math.MaxInt64-in.size) // without a limit the sum may be too large to hold
	if int64(in.frames)-spareFragments > in.size {
		return c.failRead(ErrReadLimit, CloseMessageTooBig, "message has too many fragments")
	}
	if in.remaining == 0 {
		return c.endFrame()
	}
	return nil
}

// leaveFrame is called when the current frame has no more bytes.
func (in *readHalf) leaveFrame() {
	in.begun = false
	in.giveBackIfDrained()
}

// endFrame is leaveFrame, and the check of the message that may end there.
func (c *Conn) endFrame() error {
	in := &c.in
	in.leaveFrame()
	if in.fin && in.inflation == nil && c.checksUTF8() && !in.utf8.Complete() {
		return c.violated(errInvalidUTF8)
	}
	return nil
}

func (c *Conn) checksUTF8() bool { return c.in.opcode == opText && !c.skipUTF8 }

// readPayload reads some of the current frame's remaining bytes into p,
// unmasked and checked. It waits only if none are in hand.
func (c *Conn) readPayload(p []byte) (n int, err error) {
	in := &c.in
	if in.remaining < int64(len(p)) {
		p = p[:in.remaining]
	}
	ascii := false
	switch {
	case len(in.bytes()) > 0:
		n, ascii = c.takeInHand(p)
	case len(p) >= directRead:
		in.giveBackIfDrained()
		if in.corks {
			c.uncorkToWait()
		}
		if n, err = readAtLeastOnce(c.transport.Conn, p); err != nil {
			return 0, c.transportFailed(err)
		}
		c.brought(n)
		if c.server {
			in.key, ascii = maskCopyASCII(p[:n], p[:n], in.key)
		}
	default:
		if err := c.fill(); err != nil {
			return 0, err
		}
		n, ascii = c.takeInHand(p)
	}
	if err := c.received(p[:n], ascii); err != nil {
		return 0, err
	}
	return n, nil
}

// takeInHand moves bytes in hand to p, which may be those very bytes, unmasked. It
// may know that they are ASCII.
func (c *Conn) takeInHand(p []byte) (n int, ascii bool) {
	in := &c.in
	src := in.bytes()
	src = src[:min(len(src), len(p))]
	if c.server {
		in.key, ascii = maskCopyASCII(p, src, in.key)
	} else {
		copy(p, src)
	}
	in.buf.R += len(src)
	return len(src), ascii
}

// received accounts for p, the next bytes of the current frame's payload. If they
// are known to be ASCII, all that can be wrong is what they follow.
func (c *Conn) received(p []byte, ascii bool) error {
	in := &c.in
	in.begun = true
	in.remaining -= int64(len(p))
	if c.checksUTF8() && !(ascii && in.utf8.Complete()) {
		var ok bool
		if in.utf8, ok = in.utf8.Append(p); !ok {
			return c.violated(errInvalidUTF8)
		}
	}
	if in.remaining == 0 {
		return c.endFrame()
	}
	return nil
}

// beginMessage goes on to a message that may be returned: the one that an
// interrupted read had begun to gather, or a new one. The rest of a message
// whose reader was not read to the end is read and dropped.
func (c *Conn) beginMessage() error {
	in := &c.in
	in.endReader(io.EOF)
	if in.opcode != 0 && in.streamed {
		if err := c.dropMessage(); err != nil {
			return err
		}
	}
	if in.opcode != 0 {
		return nil
	}
	return c.nextFrame()
}

// dropMessage reads to the end of the current message, by the same rules as if
// it were wanted.
func (c *Conn) dropMessage() error {
	in := &c.in
	in.gathered = nil
	if in.inflation != nil {
		err := c.dropInflated()
		if err == io.EOF {
			c.endMessage()
			return nil
		}
		return err
	}
	for {
		for in.remaining > 0 {
			if len(in.bytes()) == 0 {
				if err := c.fill(); err != nil {
					return err
				}
			}
			p := in.bytes()
			p = p[:min(int64(len(p)), in.remaining)]
			_, ascii := c.takeInHand(p)
			if err := c.received(p, ascii); err != nil {
				return err
			}
		}
		if in.fin {
			c.endMessage()
			return nil
		}
		if err := c.nextFrame(); err != nil {
			return err
		}
	}
}

// messageSize is how many bytes came of the current message, once inflated.
func (in *readHalf) messageSize() int64 {
	if in.inflation != nil {
		return in.inflation.size
	}
	return in.size
}

// endMessage is called when the current message was read to its end.
func (c *Conn) endMessage() {
	in := &c.in
	if c.monitor != nil {
		c.countReceived(in.messageSize())
	}
	in.opcode = 0
	in.endReader(io.EOF)
	in.gathered = nil
	in.endInflation()
	c.lookAhead()
}
