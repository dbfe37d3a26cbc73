package websocket

import (
	"io"
	"sync/atomic"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/utf8stream"
)

// directRead is the least number of missing payload bytes for which a read
// goes straight into its destination, past the pooled buffer.
const directRead = 4 << 10

// spareFragments is the number of frames that a message may have beyond one
// for each byte of its payload.
const spareFragments = 1 << 10

// A readHalf is what a connection knows of the bytes that come in. Its fields
// belong to the goroutine that holds busy.
type readHalf struct {
	busy atomic.Bool // a read method is under way

	err error           // the first error that no read survives
	buf *bufpool.Buffer // bytes in hand; nil while there are none

	// The data message under way. Its opcode is 0 between messages.
	opcode    opcode
	fin       bool // the current frame is the last one
	streamed  bool // it was begun by NextReader; else it is being gathered
	utf8      utf8stream.State
	key       uint32 // masking key for the next byte of the current frame
	remaining int64  // bytes that the current frame still owes
	size      int64  // payload bytes of all frames so far, as their headers say
	frames    int64
	reader    *messageReader // who may read it; nil if nobody any more
	gathered  []byte         // what a read that ran into its deadline had of it
}

// start puts the bytes that came behind the opening handshake first in line.
func (in *readHalf) start(buffered []byte) {
	if len(buffered) > 0 {
		in.buf = bufpool.Get(len(buffered))
		in.buf.W = copy(in.buf.Data, buffered)
	}
}

// lend and giveBack make a readHalf the lender that a seam reads through.
func (in *readHalf) lend() []byte {
	in.buf = bufpool.Get(bufpool.Size)
	return in.buf.Data
}

func (in *readHalf) giveBack() {
	bufpool.Put(in.buf)
	in.buf = nil
}

// giveBackIfDrained lets go of the buffer once nothing is left in it.
func (in *readHalf) giveBackIfDrained() {
	if in.buf != nil && in.buf.R == in.buf.W {
		in.giveBack()
	}
}

// bytes returns the bytes in hand.
func (in *readHalf) bytes() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf.Bytes()
}

// beginRead makes the caller the one reader until it calls endRead.
func (c *Conn) beginRead() error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	if !c.in.busy.CompareAndSwap(false, true) {
		return errConcurrentRead
	}
	if err := c.in.err; err != nil {
		c.in.busy.Store(false)
		return err
	}
	return nil
}

func (c *Conn) endRead() { c.in.busy.Store(false) }

// abandonRead is for Close: it lets go of what the read half holds, unless a
// read method is under way, which does so itself when it meets the closed
// transport.
func (c *Conn) abandonRead() {
	if c.in.busy.CompareAndSwap(false, true) {
		if c.in.err == nil {
			c.stopReading(errConnClosed)
		}
		c.endRead()
	}
}

// stopReading makes err what every read returns from now on.
func (c *Conn) stopReading(err error) {
	in := &c.in
	in.err = err
	in.reader, in.gathered = nil, nil
	if in.buf != nil {
		in.giveBack()
	}
}

// failRead fails the connection (RFC 6455 §7.1.7): it stops reading with err
// and tells the peer why, for as long as replyWait.
func (c *Conn) failRead(err error, code int, reason string) error {
	c.stopReading(err)
	c.sendClose(code, reason)
	return err
}

func (c *Conn) violated(rule *ProtocolError) error {
	return c.failRead(rule, rule.Code, rule.Rule)
}

// transportFailed decides what an error of the transport means: a deadline is
// passed on and may be followed by another read, the end of the bytes without
// a close frame has a close code of its own (RFC 6455 §7.1.5), and anything
// else is passed on for good.
func (c *Conn) transportFailed(err error) error {
	switch {
	case isDeadline(err):
		return err
	case err == io.EOF:
		err = &CloseError{Code: CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}
	}
	c.stopReading(err)
	return err
}

// fill waits for more bytes. It holds a buffer meanwhile only if there are
// bytes in hand already, the start of a frame whose rest is to come.
func (c *Conn) fill() error {
	in := &c.in
	in.giveBackIfDrained()
	var n int
	var err error
	if b := in.buf; b == nil {
		if n, err = c.transport.seam.readSome(in); err == nil {
			in.buf.W = n
		}
	} else {
		if b.W == len(b.Data) {
			b.W = copy(b.Data, b.Bytes())
			b.R = 0
		}
		if n, err = readAtLeastOnce(c.transport.Conn, b.Data[b.W:]); err == nil {
			b.W += n
		}
	}
	if err != nil {
		return c.transportFailed(err)
	}
	return nil
}

// nextFrame goes on to the next frame of data and acts on the control frames
// before it. What it has not finished when a deadline passes, it begins anew.
func (c *Conn) nextFrame() error {
	in := &c.in
	for {
		h, n := parseHeader(in.bytes())
		if n == 0 {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		st := headerState{server: c.server, fragmented: in.opcode != 0}
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
			if in.err == nil {
				c.stopReading(err)
			}
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
	}
	in.fin, in.key = h.fin, h.key
	in.remaining = int64(h.length)
	in.frames++
	// The sum cannot overflow: with a limit the size is below it, and without
	// one it would take 2^63 bytes that were received.
	limit := c.readLimit.Load()
	if limit > 0 && (in.remaining > limit || in.size > limit-in.remaining) {
		return c.failRead(ErrReadLimit, CloseMessageTooBig, "message is over the read limit")
	}
	in.size += in.remaining
	if in.frames-spareFragments > in.size {
		return c.failRead(ErrReadLimit, CloseMessageTooBig, "message has too many fragments")
	}
	if in.remaining == 0 {
		return c.endFrame()
	}
	return nil
}

// endFrame is called when the current frame has no more bytes.
func (c *Conn) endFrame() error {
	in := &c.in
	in.giveBackIfDrained()
	if in.fin && c.checksUTF8() && !in.utf8.Complete() {
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
	if len(in.bytes()) == 0 && len(p) >= directRead {
		in.giveBackIfDrained()
		if n, err = readAtLeastOnce(c.transport.Conn, p); err != nil {
			return 0, c.transportFailed(err)
		}
		if c.server {
			in.key = mask(p[:n], in.key)
		}
	} else {
		if len(in.bytes()) == 0 {
			if err := c.fill(); err != nil {
				return 0, err
			}
		}
		n = min(len(p), len(in.bytes()))
		if c.server {
			in.key = maskCopy(p, in.bytes()[:n], in.key)
		} else {
			copy(p, in.bytes()[:n])
		}
		in.buf.R += n
	}
	in.remaining -= int64(n)
	if c.checksUTF8() {
		var ok bool
		if in.utf8, ok = in.utf8.Append(p[:n]); !ok {
			return 0, c.violated(errInvalidUTF8)
		}
	}
	if in.remaining == 0 {
		err = c.endFrame()
	}
	return n, err
}

// beginMessage goes on to a message that may be returned: the one that an
// interrupted read had begun to gather, or a new one. The rest of a message
// whose reader was not read to the end is read and dropped.
func (c *Conn) beginMessage() error {
	in := &c.in
	in.reader = nil
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
	scratch := bufpool.Get(bufpool.Size)
	defer bufpool.Put(scratch)
	in.gathered = nil
	for {
		for in.remaining > 0 {
			if _, err := c.readPayload(scratch.Data); err != nil {
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

// endMessage is called when the current message was read to its end.
func (c *Conn) endMessage() {
	in := &c.in
	in.opcode = 0
	in.reader, in.gathered = nil, nil
}
