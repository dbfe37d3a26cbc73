package websocket

// A closeState says how far a connection is on its way to its end. It only
// ever goes forward.
type closeState uint8

const (
	_ closeState = iota // open: frames may be written

	// closeSent: a close frame went out, no frame may follow it, and the
	// peer's own is still to be read (RFC 6455 §5.5.1, §7.1.2).
	closeSent

	// closeDone: Close was called, the transport is closed.
	closeDone
)

// setCloseState is the one place where the state changes. It reports whether
// it did.
func (c *Conn) setCloseState(s closeState) bool {
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if s <= out.close {
		return false
	}
	out.close = s
	switch s {
	case closeSent:
		_ = out.fail(ErrCloseSent)
	case closeDone:
		_ = out.fail(errConnClosed)
	}
	return true
}

// sendClose tells the peer why we end the connection, in as much of replyWait
// as the write half and the transport need.
func (c *Conn) sendClose(code int, reason string) {
	_ = c.writeFrame(whole(opClose), FormatCloseMessage(code, reason), deadlineIn(replyWait))
}

// Close closes the transport without sending a close frame: to say goodbye
// first, send a CloseMessage. Every read and write that is under way or comes
// later returns an error, for which errors.Is(err, net.ErrClosed) is true
// unless an earlier one is the reason. Close waits for no read or write, but
// TLS takes up to five seconds to say goodbye to a peer that does not read. What was
// written a moment ago and did not go out yet is sent if the transport takes it at
// once, or, if it is no plain socket, within 250 ms; if not, Close says so. It
// may be called from any goroutine, from a handler too, and more than once, of
// which only the first can return an error.
func (c *Conn) Close() error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	lost := c.uncorkToClose()
	if !c.setCloseState(closeDone) {
		return nil
	}
	c.closed.Store(true)
	err := c.transport.Close()
	c.abandonRead()
	c.abandonWriter()
	if lost != nil {
		return lost
	}
	return err
}
