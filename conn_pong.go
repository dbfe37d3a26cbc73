package websocket

import "github.com/seed62ce5aa7/websocket/internal/bufpool"

// sendPong answers a ping (RFC 6455 §5.5.3). It is the reader who calls it, and
// a read must not wait for other writes: if the half is not free, the pong is
// left to a goroutine, and the newest replaces one that waits there already.
// An error is the write half's affair; reading goes on.
func (c *Conn) sendPong(payload []byte) {
	if !c.leadOrOwe(payload) {
		return
	}
	defer c.follow()
	if owed := c.takeOwedPong(); owed != nil { // its goroutine has not come to wait yet
		defer bufpool.Put(owed)
		c.sendPongFrame(owed, nil, deadlineIn(replyWait))
	}
	buf := emptied(bufpool.Get(bufpool.Size))
	defer bufpool.Put(buf)
	c.sendPongFrame(buf, payload, deadlineIn(replyWait))
}

// takeOwedPong returns the pong that is owed, for the caller to send; nil if
// there is none.
func (c *Conn) takeOwedPong() *bufpool.Buffer {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	owed := c.out.owedPong
	c.out.owedPong = nil
	return owed
}

// sendPongFrame sends a pong and remembers whether the transport took it. If
// not, the next pong is not sent by the reader, who would be held up again.
func (c *Conn) sendPongFrame(buf *bufpool.Buffer, payload []byte, d writeDeadline) {
	err := c.sendFrame(whole(opPong), buf, payload, d)
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.stalled = isDeadline(err)
}

// leadOrOwe makes the caller, who has a pong to send, the leader; or, if that
// would make it wait, has the pong sent by somebody else.
func (c *Conn) leadOrOwe(pong []byte) (leads bool) {
	out := &c.out
	if c.transport.Conn == nil {
		return false
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	switch {
	case out.err != nil:
		return false
	case out.state == writeIdle && out.owedPong == nil && out.corkPong(c, pong):
		return false
	case out.state == writeIdle && !out.stalled && !out.hasCorked():
		out.state = writeLeading
		return true
	}
	if out.owedPong == nil {
		out.owedPong = bufpool.Get(bufpool.Size)
		go c.sendOwedPong()
	}
	b := emptied(out.owedPong)
	b.W += copy(b.Data[b.W:], pong)
	return false
}

// recoverWrite is deferred by goroutines that the program knows nothing of: a panic of
// its transport must not end the process from there. It becomes the half's error.
func (c *Conn) recoverWrite() {
	if recover() != nil {
		_ = c.failWrite(errTransportPanicked)
	}
}

// sendOwedPong waits for the write half, in turn with all other writers, and
// sends the pong that is the newest by then.
func (c *Conn) sendOwedPong() {
	defer c.recoverWrite()
	err := c.lead(true, nil, writeDeadline{own: true})
	if err == nil {
		defer c.follow()
	}
	pong := c.takeOwedPong()
	if pong == nil { // the reader has sent it
		return
	}
	defer bufpool.Put(pong)
	if err == nil {
		c.sendPongFrame(pong, nil, deadlineIn(defaultWriteTimeout))
	}
}
