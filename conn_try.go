package websocket

import "github.com/seed62ce5aa7/websocket/internal/bufpool"

// An outgoing is a message that is to be sent.
type outgoing struct {
	op       opcode
	data     []byte
	prepared *PreparedMessage // whose payload data is, which nobody changes; or nil
}

// A tail is what a transport did not take at once of frames that have begun. Who has one
// leads until it is sent.
type tail struct {
	buf  *bufpool.Buffer // comes first; nil: nothing
	rest []byte
}

func (t tail) empty() bool { return t.buf == nil && len(t.rest) == 0 }

// try sends a message as far as nothing has to be waited for. If no byte of it could go
// out, took is false, and all is as it was. Otherwise the caller has to see to the rest, if
// there is any.
func (c *Conn) try(m outgoing) (rest tail, took bool, err error) {
	if leads, err := c.tryLead(c.canTry(m)); !leads {
		return tail{}, false, err
	}
	start, payload, borrowed := c.encode(m)
	if borrowed != nil {
		defer bufpool.Put(borrowed)
	}
	corked, kept := c.corkBehind(start, payload)
	if kept {
		c.commit(start, m)
		c.countSent(m.op, len(m.data))
		c.follow()
		return tail{}, true, nil
	}
	buf, begin := corked, 0
	header, head := headerSize(len(payload), !c.server), payload[:min(len(payload), copiedFrame)]
	if corked != nil {
		begin = corked.W
	}
	if need := begin + header + len(head); corked == nil || need > len(corked.Data) {
		buf = bufpool.Get(need)
		if corked != nil {
			buf.W = copy(buf.Data, corked.Bytes())
			bufpool.Put(corked)
		}
	}
	if c.server {
		at := len(appendHeader(buf.Data[:buf.W], start, len(payload), false, 0))
		buf.W = at + copy(buf.Data[at:], head)
	} else {
		c.addFrame(buf, start, payload)
	}
	n := c.tryWrite(buf.Bytes())
	if n == 0 && begin == 0 {
		bufpool.Put(buf)
		c.follow()
		return tail{}, false, nil
	}
	c.commit(start, m)
	c.countSent(m.op, len(m.data))
	behind := n - begin - header // what went out of the payload; below 0: not even the header
	switch {
	case n == buf.W:
		bufpool.Put(buf)
		if rest.rest = payload[behind:]; len(rest.rest) > 0 {
			rest.rest = rest.rest[c.tryWrite(rest.rest):]
		}
	case c.server && m.prepared != nil && behind >= 0:
		bufpool.Put(buf)
		rest.rest = payload[behind:]
	default:
		buf.R = n
		rest.buf = buf
		if len(head) < len(payload) { // an empty rest would keep the caller's memory
			rest.rest = payload[len(head):]
		}
	}
	if rest.empty() {
		c.follow()
	}
	return rest, true, nil
}

// canTry reports whether a message can be sent without waiting, and its rest be waited
// with, for no more memory than it has already or copiedFrame bytes. Behind a close frame the
// connection is another, so those are sent by who waits for them.
func (c *Conn) canTry(m outgoing) bool {
	return c.transport.seam.raw() && m.op != opClose &&
		(len(m.data) <= copiedFrame || c.server && m.prepared != nil)
}

// tryLead makes the caller the leader if it wants to, and that is possible at once.
func (c *Conn) tryLead(wants bool) (leads bool, err error) {
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if err := c.reasonNot(writeDeadline{}); err != nil {
		return false, err
	}
	if !wants || out.state != writeIdle || out.stream != nil {
		return false, nil
	}
	out.state = writeLeading
	return true, nil
}

// corkBehind corks a frame, if that is right, or takes away what is corked. The caller leads, and
// nobody else corks meanwhile.
func (c *Conn) corkBehind(start frameStart, payload []byte) (corked *bufpool.Buffer, kept bool) {
	out := &c.out
	if !c.in.more.Load() && !out.hasCorked() {
		return nil, false
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if isSmall(start.opcode(), len(payload)) && c.cork(start, payload) {
		return nil, true
	}
	return out.takeCorked(), false
}

// encode returns a message as it is to be sent in one frame, and the pooled memory that its
// payload is in, if it is in any. The caller leads.
func (c *Conn) encode(m outgoing) (start frameStart, payload []byte, borrowed *bufpool.Buffer) {
	start = whole(m.op)
	level, ok := c.compresses(m.op, len(m.data))
	switch {
	case !ok:
	case m.prepared != nil:
		if p := m.prepared.form(preparedForm{c.sendBits, level}); p != nil {
			return start | rsv1Bit, p, nil
		}
	default:
		if borrowed = c.compressed(m.data, c.sendContext(), level); borrowed != nil {
			return start | rsv1Bit, borrowed.Bytes(), borrowed
		}
	}
	return start, m.data, nil
}

// commit makes a message that was encoded, and of which a byte went out, one that later ones
// may refer to. The caller leads.
func (c *Conn) commit(start frameStart, m outgoing) {
	if ctx := c.sendContext(); ctx != nil && start&rsv1Bit != 0 {
		ctx.Commit(m.data)
	}
}

// together is how many of the first messages are sent together: as many as fill a batch, but
// a close frame goes alone.
func together(ms []outgoing) int {
	n := 0
	for size := 0; n < len(ms); n++ {
		size += maxHeaderSize + len(ms[n].data)
		if n > 0 && (size > fullBatch || ms[n].op == opClose || ms[0].op == opClose) {
			break
		}
	}
	return n
}

// sendQueued sends what was begun, or messages that go together, waiting for what has to be
// waited for.
func (c *Conn) sendQueued(rest tail, ms []outgoing) (err error) {
	err = errTransportPanicked
	defer c.recoverWrite()
	switch {
	case !rest.empty():
		return c.sendTail(rest)
	case len(ms) > 1:
		return c.sendTogether(ms)
	case ms[0].prepared != nil:
		return c.WritePreparedMessage(ms[0].prepared)
	}
	return c.WriteMessage(int(ms[0].op), ms[0].data)
}

// waitedForOthers reports whether err is no more than a wait for other writes that took longer than
// the write timeout: nothing went out, and the peer may be well.
func (c *Conn) waitedForOthers(err error) bool {
	return (err == errWriteTimeout || err == errStreamOpen) && c.refuses(writeDeadline{}) == nil
}

func (c *Conn) sendTail(t tail) error {
	defer c.follow()
	if t.buf != nil {
		defer bufpool.Put(t.buf)
		if err := c.send(t.buf.Bytes(), writeDeadline{}, true); err != nil {
			return err
		}
	}
	return c.send(t.rest, writeDeadline{}, true)
}

func (c *Conn) sendTogether(ms []outgoing) error {
	if err := c.lead(false, nil, writeDeadline{}); err != nil {
		return err
	}
	defer c.follow()
	if err := c.sendCorkedFirst(); err != nil {
		return err
	}
	size := 0
	for _, m := range ms {
		size += maxHeaderSize + len(m.data)
	}
	buf := bufpool.Get(size)
	defer bufpool.Put(buf)
	for _, m := range ms {
		start, payload, borrowed := c.encode(m)
		c.addFrame(buf, start, payload)
		c.commit(start, m)
		if borrowed != nil {
			bufpool.Put(borrowed)
		}
	}
	if err := c.send(buf.Bytes(), writeDeadline{}, true); err != nil {
		return err
	}
	for _, m := range ms {
		c.countSent(m.op, len(m.data))
	}
	return nil
}
