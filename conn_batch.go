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
// those that are corked, or in a batch.
func (c *Conn) writeSmall(h header, payload []byte) error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	c.finishHeader(&h, len(payload))
	out := &c.out
	out.mu.Lock()
	if err := out.reasonNot(writeDeadline{}); err != nil {
		out.mu.Unlock()
		return err
	}
	switch {
	case out.stream != nil: // that may take long, and each waits for as long as it may itself
		out.mu.Unlock()
		return c.leadAndSend(h, payload)
	case out.state != writeIdle:
		return c.join(h, payload)
	case c.cork(h, payload):
		out.mu.Unlock()
		return nil
	}
	out.state = writeLeading
	corked := out.takeCorked()
	out.mu.Unlock()
	buf, ok := withRoom(corked, h)
	if !ok {
		defer c.follow()
		return c.sendBehind(corked, h, payload)
	}
	addFrame(buf, h, payload)
	// What is nearly always done without waiting is done here, with little on the stack.
	n := c.transport.seam.tryWrite(buf.Bytes())
	if n < len(buf.Bytes()) {
		return c.finishSmall(buf, n, corked != nil || n > 0)
	}
	bufpool.Put(buf)
	c.follow()
	return nil
}

// finishSmall sends what is left of buf behind the first n bytes, and follows.
func (c *Conn) finishSmall(buf *bufpool.Buffer, n int, begun bool) error {
	defer c.follow()
	defer bufpool.Put(buf)
	return c.sendBoth(nil, buf.Bytes()[n:], writeDeadline{}, begun)
}

func (c *Conn) leadAndSend(h header, payload []byte) error {
	if err := c.lead(false, nil, writeDeadline{}); err != nil {
		return err
	}
	defer c.follow()
	return c.sendSmall(h, payload)
}

// join has a frame go out in the batch that waits last, or in a new one. The caller holds mu,
// which join unlocks.
func (c *Conn) join(h header, payload []byte) error {
	out := &c.out
	b := out.batch
	if b == nil {
		return c.beginBatch(h, payload)
	}
	buf, ok := withRoom(b.buf, h)
	b.buf = buf
	if !ok {
		return c.beginBatch(h, payload)
	}
	addFrame(buf, h, payload)
	b.owner.since = time.Now()
	out.mu.Unlock()
	<-b.done
	return b.err
}

// beginBatch waits, as the owner of a new batch, until it can be sent. The caller holds
// mu, which beginBatch unlocks.
func (c *Conn) beginBatch(h header, payload []byte) (err error) {
	out := &c.out
	b := &batch{buf: bufpool.Get(bufpool.Size), done: make(chan struct{})}
	addFrame(b.buf, h, payload)
	out.batch = b
	err = out.wait(&b.owner, writeDeadline{})
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
func (c *Conn) sendSmall(h header, payload []byte) error {
	c.finishHeader(&h, len(payload))
	out := &c.out
	out.mu.Lock()
	if c.cork(h, payload) {
		out.mu.Unlock()
		return nil
	}
	corked := out.takeCorked()
	out.mu.Unlock()
	return c.sendBehind(corked, h, payload)
}

// sendBehind sends a frame, and in one piece with it what was corked before, which may be
// nothing. The caller leads.
func (c *Conn) sendBehind(corked *bufpool.Buffer, h header, payload []byte) error {
	begun := corked != nil
	buf, ok := withRoom(corked, h)
	if !ok {
		if err := c.sendCorked(corked); err != nil {
			return err
		}
		buf, begun = bufpool.Get(bufpool.Size), false
	}
	defer bufpool.Put(buf)
	addFrame(buf, h, payload)
	return c.send(buf.Bytes(), writeDeadline{}, begun)
}

// withRoom returns a buffer with what buf holds and room for a frame behind it; or buf as
// it is, if it would become too large. A nil buf holds nothing.
func withRoom(buf *bufpool.Buffer, h header) (_ *bufpool.Buffer, ok bool) {
	need := headerSize(h) + int(h.length)
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

// addFrame puts a frame behind what buf holds, where there is room for it.
func addFrame(buf *bufpool.Buffer, h header, payload []byte) {
	begin := len(appendHeader(buf.Data[:buf.W], h))
	buf.W = begin + len(payload)
	if h.masked {
		maskCopy(buf.Data[begin:buf.W], payload, h.key)
	} else {
		copy(buf.Data[begin:buf.W], payload)
	}
}

// finishHeader makes h the header of a frame with a payload of n bytes. A client masks
// each with a new key (RFC 6455 §5.3).
func (c *Conn) finishHeader(h *header, n int) {
	h.length = uint64(n)
	h.masked = !c.server
	if h.masked {
		h.key = newMaskKey()
	}
}
