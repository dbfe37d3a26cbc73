package websocket

import (
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

const (
	// smallFrame is the largest payload that is copied behind its header, and may so go
	// out together with other frames. To copy more costs more than it saves.
	smallFrame = bufpool.Size - headerRoom

	// fullBatch is how many bytes of frames are gathered before they go out.
	fullBatch = 64<<10 + headerRoom
)

// isSmall reports whether a frame of a type and with n bytes of payload may go out together
// with others.
func isSmall(op opcode, n int) bool { return op.isData() && n <= smallFrame }

// A batch is the frames of small messages whose writers all wait for the write half.
// They go out in one piece: the first of the writers waits in the queue, and sends what
// has come together by the time that it leads.
type batch struct {
	buf   *bufpool.Buffer // guarded by the half's mu until the owner leads
	owner writeWaiter
	err   error
	done  chan struct{} // closed once err says how it went
}

// writeSmall sends a data frame with up to smallFrame bytes of payload: by itself, behind
// those that are corked, or in a batch. size is as in writeFrame.
func (c *Conn) writeSmall(start frameStart, payload []byte, size int) error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	out := &c.out
	out.mu.Lock()
	if err := c.reasonNot(writeDeadline{}); err != nil {
		out.mu.Unlock()
		return err
	}
	switch {
	case out.stream != nil: // that may take long, and each waits for as long as it may itself
		out.mu.Unlock()
		return c.leadAndSend(start, payload, size)
	case out.state != writeIdle:
		return c.countIfSent(c.join(start, payload), size)
	case c.cork(start, payload):
		c.monitor.sent(size, 0)
		out.mu.Unlock()
		return nil
	}
	out.state = writeLeading
	corked := out.takeCorked()
	out.mu.Unlock()
	buf, ok := withRoom(corked, c.frameSize(len(payload)))
	if !ok {
		defer c.follow()
		return c.countIfSent(c.sendBehind(corked, start, payload, writeDeadline{}), size)
	}
	c.addFrame(buf, start, payload)
	// What is nearly always done without waiting is done here, with little on the stack.
	wire := len(buf.Bytes())
	n := c.transport.seam.tryWrite(buf.Bytes())
	if n < wire {
		return c.countIfSent(c.finishSmall(buf, n, corked != nil || n > 0), size)
	}
	bufpool.Put(buf)
	out.mu.Lock()
	c.monitor.sent(size, wire)
	out.handOn()
	out.mu.Unlock()
	return nil
}

// finishSmall sends what is left of buf behind the first n bytes, and follows.
func (c *Conn) finishSmall(buf *bufpool.Buffer, n int, begun bool) error {
	defer c.follow()
	defer bufpool.Put(buf)
	c.countWire(n)
	return c.sendBoth(nil, buf.Bytes()[n:], writeDeadline{}, begun)
}

func (c *Conn) leadAndSend(start frameStart, payload []byte, size int) error {
	if err := c.lead(false, nil, writeDeadline{}); err != nil {
		return err
	}
	defer c.follow()
	return c.countIfSent(c.sendSmall(start, payload, writeDeadline{}), size)
}

// join has a frame go out in the batch that waits last, or in a new one. The caller holds mu,
// which join unlocks.
func (c *Conn) join(start frameStart, payload []byte) error {
	out := &c.out
	b := out.batch
	if b == nil {
		return c.beginBatch(start, payload)
	}
	buf, ok := withRoom(b.buf, c.frameSize(len(payload)))
	b.buf = buf
	if !ok {
		return c.beginBatch(start, payload)
	}
	c.addFrame(buf, start, payload)
	b.owner.since = time.Now()
	out.mu.Unlock()
	<-b.done
	return b.err
}

// beginBatch waits, as the owner of a new batch, until it can be sent. The caller holds
// mu, which beginBatch unlocks.
func (c *Conn) beginBatch(start frameStart, payload []byte) (err error) {
	out := &c.out
	b := &batch{buf: bufpool.Get(bufpool.Size), done: make(chan struct{})}
	c.addFrame(b.buf, start, payload)
	out.batch = b
	err = c.waitToLead(&b.owner, writeDeadline{})
	if out.batch == b {
		out.batch = nil
	}
	out.mu.Unlock()
	defer func() {
		bufpool.Put(b.buf)
		b.err = err
		close(b.done)
	}()
	if err != nil {
		return err
	}
	defer c.follow()
	err = errTransportPanicked
	err = c.sendBatch(b)
	return err
}

func (c *Conn) sendBatch(b *batch) error {
	if err := c.sendCorkedFirst(); err != nil { // whoever led before may have sent nothing
		return err
	}
	return c.send(b.buf.Bytes(), writeDeadline{}, false)
}

// sendSmall is writeSmall for who leads.
func (c *Conn) sendSmall(start frameStart, payload []byte, d writeDeadline) error {
	out := &c.out
	out.mu.Lock()
	if c.cork(start, payload) {
		out.mu.Unlock()
		return nil
	}
	corked := out.takeCorked()
	out.mu.Unlock()
	return c.sendBehind(corked, start, payload, d)
}

// sendBehind sends a frame, and in one piece with it what was corked before, which may be
// nothing. The caller leads.
func (c *Conn) sendBehind(corked *bufpool.Buffer, start frameStart, payload []byte, d writeDeadline) error {
	begun := corked != nil
	buf, ok := withRoom(corked, c.frameSize(len(payload)))
	if !ok {
		if err := c.sendCorked(corked); err != nil {
			return err
		}
		buf, begun = bufpool.Get(bufpool.Size), false
	}
	defer bufpool.Put(buf)
	c.addFrame(buf, start, payload)
	return c.send(buf.Bytes(), d, begun)
}

// withRoom returns a buffer with what buf holds and room for need bytes behind it; or buf as
// it is, if it would become too large. A nil buf holds nothing.
func withRoom(buf *bufpool.Buffer, need int) (_ *bufpool.Buffer, ok bool) {
	switch {
	case buf == nil:
		return bufpool.Get(bufpool.Size), true
	case need <= len(buf.Data)-buf.W:
		return buf, true
	case need > fullBatch-buf.W:
		return buf, false
	}
	larger := bufpool.Get(fullBatch)
	larger.W = copy(larger.Data, buf.Bytes())
	bufpool.Put(buf)
	return larger, true
}

// frameSize is the size of a frame that addFrame adds.
func (c *Conn) frameSize(payload int) int { return headerSize(payload, !c.server) + payload }

// addFrame puts a frame behind what buf holds, where there is room for it. A client masks
// each with a new key (RFC 6455 §5.3).
func (c *Conn) addFrame(buf *bufpool.Buffer, start frameStart, payload []byte) {
	if c.server {
		begin := len(appendHeader(buf.Data[:buf.W], start, len(payload), false, 0))
		buf.W = begin + copy(buf.Data[begin:], payload)
		return
	}
	key := newMaskKey()
	begin := len(appendHeader(buf.Data[:buf.W], start, len(payload), true, key))
	buf.W = begin + len(payload)
	maskCopy(buf.Data[begin:buf.W], payload, key)
}
