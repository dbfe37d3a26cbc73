package websocket

import "math"

const (
	// firstRoom is how much memory a message may take with its first bytes,
	// as much as the pooled buffer that they came in.
	firstRoom = 16 << 10

	// leastRoom is the least memory to take for more of a fragmented message.
	leastRoom = 512
)

// ReadMessage reads the next data message and returns its type, TextMessage or
// BinaryMessage, and its payload in memory of its own. On an error it returns
// -1, nil and the error.
//
// Errors: a *[CloseError] when the peer closed the connection, [ErrReadLimit],
// a *[ProtocolError], what a handler returned, or the error of the transport,
// each of which every later read returns again. After an error of the transport
// for which Timeout() is true (see [Conn.SetReadDeadline]) the read may be
// repeated instead.
func (c *Conn) ReadMessage() (messageType int, p []byte, err error) {
	messageType, p, err = c.AppendMessage(nil)
	if err != nil {
		return -1, nil, err
	}
	if p == nil {
		p = []byte{}
	}
	return messageType, p, nil
}

// AppendMessage is [Conn.ReadMessage] into memory of the caller: it appends
// the payload to dst and returns the extended slice, and does not allocate
// where dst has the room. On an error it returns -1, dst as it was, and the
// error; the bytes between its length and its capacity may have been used. Memory that
// a program uses for all messages of a connection stays as large as the largest of them.
func (c *Conn) AppendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err := c.beginRead(); err != nil {
		return -1, dst, err
	}
	defer c.endRead()
	if err := c.awaitMessage(); err != nil {
		return -1, dst, err
	}
	if op, payload, key, ok := c.wholeInHand(dst); ok {
		return c.appendInHand(dst, op, payload, key)
	}
	return c.appendMessage(dst)
}

func (c *Conn) appendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err := c.beginMessage(); err != nil {
		return -1, dst, err
	}
	in := &c.in
	in.streamed = false
	if in.inflation != nil {
		if p, err = c.appendInflated(dst); err != nil {
			return -1, dst, err
		}
		messageType = int(in.opcode)
		c.endMessage()
		return messageType, p, nil
	}
	// What an earlier read had to leave is gone on with in the memory it is in.
	resumed := in.gathered != nil
	m, start := dst, len(dst)
	if resumed {
		m, start = *in.gathered, 0
	}
	complete := false
	defer func() {
		if !complete { // a deadline passed or a handler panicked: the next read goes on
			c.keepGathered(m[start:], resumed || cap(dst) == 0)
		}
	}()
	for {
		if m, err = c.gatherFrame(m, start); err != nil {
			return -1, dst, err
		}
		if in.fin {
			break
		}
		if err := c.nextFrame(); err != nil {
			return -1, dst, err
		}
	}
	complete = true
	messageType = int(in.opcode)
	c.endMessage()
	if resumed && cap(dst) > 0 {
		m = append(dst, m...)
	}
	return messageType, m, nil
}

// gatherFrame appends the rest of the current frame to p, of which the message
// begins at start.
func (c *Conn) gatherFrame(p []byte, start int) ([]byte, error) {
	in := &c.in
	for in.remaining > 0 {
		spare := int64(cap(p) - len(p))
		if len(in.bytes()) == 0 && spare < min(in.remaining, directRead) {
			// Wait for bytes before memory is taken for them.
			if err := c.fill(); err != nil {
				return p, err
			}
		}
		if have := min(in.remaining, int64(len(in.bytes()))); spare == 0 || spare < have {
			room := in.room(int64(start), int64(len(p)-start), have)
			if room == 0 {
				return p, c.failRead(ErrReadLimit, CloseMessageTooBig, "message is over the size of an address space")
			}
			p = append(make([]byte, 0, len(p)+room), p...)
		}
		n, err := c.readPayload(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// room is how much memory to take for more of a message of which gathered
// bytes are there, behind start bytes that are the caller's, and have more are
// in hand. A message in one frame gets what it needs, but no more than four
// times what has come of it, whatever length its header declares; a fragmented
// one, whose length nobody knows, doubles. Behind bytes of the caller's, who may
// be gathering messages, it grows by a part of them too, so that they are not
// moved for each. It is 0 if there can be no such slice.
func (in *readHalf) room(start, gathered, have int64) int {
	room := min(in.remaining, max(firstRoom, 3*gathered+4*have))
	if !in.fin || in.frames > 1 {
		room = max(room, gathered, leastRoom)
	}
	room = max(room, start/4)
	return int(min(room, math.MaxInt-start-gathered))
}

// keepGathered keeps what an interrupted read has of its message for the next
// one; ours says that the memory is not the caller's.
func (c *Conn) keepGathered(message []byte, ours bool) {
	if c.in.err != nil || c.in.opcode == 0 || len(message) == 0 {
		return
	}
	if !ours {
		message = append([]byte(nil), message...)
	}
	c.in.gathered = &message
}
