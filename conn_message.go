package websocket

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
// each of which every later read returns again. After an error for which
// Timeout() is true (see [Conn.SetReadDeadline]) the read may be repeated.
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
// error; the bytes between its length and its capacity may have been used.
func (c *Conn) AppendMessage(dst []byte) (messageType int, p []byte, err error) {
	if err := c.beginRead(); err != nil {
		return -1, dst, err
	}
	defer c.endRead()
	if err := c.beginMessage(); err != nil {
		return -1, dst, err
	}
	in := &c.in
	in.streamed = false
	m := append(dst, in.gathered...)
	complete := false
	defer func() {
		if !complete { // a deadline passed or a handler panicked: the next read goes on
			c.keepGathered(m[len(dst):], dst)
		}
	}()
	for {
		if m, err = c.gatherFrame(m, len(dst)); err != nil {
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
			room := in.room(int64(len(p)-start), have)
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
// bytes are there and have more are in hand. A message in one frame gets what
// it needs, but no more than four times what has come of it, whatever length
// its header declares; a fragmented one, whose length nobody knows, doubles.
func (in *readHalf) room(gathered, have int64) int {
	room := min(in.remaining, max(firstRoom, 3*gathered+4*have))
	if !in.fin || in.frames > 1 {
		room = max(room, gathered, leastRoom)
	}
	return int(room)
}

// keepGathered keeps what an interrupted read has of its message for the next
// one, out of the caller's memory dst.
func (c *Conn) keepGathered(message, dst []byte) {
	if c.in.err != nil || c.in.opcode == 0 {
		return
	}
	if cap(dst) > 0 {
		message = append([]byte(nil), message...)
	}
	c.in.gathered = message
}
