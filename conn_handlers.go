package websocket

import "time"

// replyWait is how long an answer that the read half owes may hold it up: a
// pong on the transport, a close frame for the write half and the transport.
const replyWait = time.Second

// SetPingHandler sets the function that is called for each ping from the peer
// with the ping's payload; nil sets the default, which answers with a pong. It
// runs inside a read method, which returns the handler's error if that is not
// nil, and nothing can be read after. It may write to the connection and close
// it; it must not read. It may be set from any goroutine.
func (c *Conn) SetPingHandler(h func(appData string) error) {
	c.setExtras(func(set *extras) { set.ping = h })
}

// PingHandler returns the ping handler in force; it is never nil.
func (c *Conn) PingHandler() func(appData string) error {
	if h := c.loadExtras().ping; h != nil {
		return h
	}
	return func(appData string) error {
		if len(appData) > maxControlPayload {
			return errControlTooLong
		}
		c.sendPong([]byte(appData))
		return nil
	}
}

// SetPongHandler sets the function that is called for each pong from the peer
// with the pong's payload; nil sets the default, which does nothing. For the
// rest it is as in [Conn.SetPingHandler].
func (c *Conn) SetPongHandler(h func(appData string) error) {
	c.setExtras(func(set *extras) { set.pong = h })
}

// PongHandler returns the pong handler in force; it is never nil.
func (c *Conn) PongHandler() func(appData string) error {
	if h := c.loadExtras().pong; h != nil {
		return h
	}
	return func(string) error { return nil }
}

// SetCloseHandler sets the function that is called for the peer's close frame
// with its code, 1005 where it has none, and its reason; nil sets the default,
// which sends a close frame with the same code back (RFC 6455 §5.5.1). The
// read method in which it runs returns the handler's error, or a *[CloseError]
// if that is nil. For the rest it is as in [Conn.SetPingHandler].
func (c *Conn) SetCloseHandler(h func(code int, text string) error) {
	c.setExtras(func(set *extras) { set.close = h })
}

// CloseHandler returns the close handler in force; it is never nil.
func (c *Conn) CloseHandler() func(code int, text string) error {
	if h := c.loadExtras().close; h != nil {
		return h
	}
	return func(code int, _ string) error {
		// A close frame that does not get out changes nothing: the peer has
		// said that it is done.
		_ = c.WriteControl(CloseMessage, FormatCloseMessage(code, ""), time.Now().Add(replyWait))
		return nil
	}
}

// handleControl acts on a ping, a pong or a close frame of the peer. The
// payload is unmasked and the frame is consumed, so that nothing is lost if a
// handler panics.
func (c *Conn) handleControl(op opcode, payload []byte) error {
	switch op {
	case opPing:
		c.countPing()
		if h := c.loadExtras().ping; h != nil {
			return c.callHandler(h, payload)
		}
		c.sendPong(payload)
		return nil
	case opPong:
		x := c.loadExtras()
		if x.pings != nil && x.pings.answer(payload) {
			return nil
		}
		if x.pong != nil {
			return c.callHandler(x.pong, payload)
		}
		return nil
	}
	code, reason, violation := parseClosePayload(payload)
	if violation != nil {
		return c.failRead(violation, violation.Code, violation.Rule)
	}
	closed := &CloseError{Code: code, Text: string(reason)}
	c.noteClose(code, true)
	c.in.err = closed // nothing that follows is read, even if the handler panics
	if err := c.CloseHandler()(closed.Code, closed.Text); err != nil {
		return err
	}
	return closed
}

// callHandler calls the program's handler of a ping or a pong, in which nobody reads.
func (c *Conn) callHandler(h func(appData string) error, payload []byte) error {
	c.setFlag(isHandling)
	defer c.flags.And(^uint32(isHandling))
	return h(string(payload))
}
