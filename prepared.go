package websocket

// A PreparedMessage is a message that is framed once and sent to any number of
// connections with [Conn.WritePreparedMessage]. Any number of goroutines may
// use it.
type PreparedMessage struct {
	opcode opcode
	header int    // bytes of frame before the payload
	frame  []byte // as a server sends it; not changed after it was made
}

// NewPreparedMessage makes a PreparedMessage of a copy of data. messageType is
// TextMessage, BinaryMessage or a control type. What [Conn.WriteMessage] would
// refuse is refused here.
func NewPreparedMessage(messageType int, data []byte) (*PreparedMessage, error) {
	op, err := checkOutgoing(messageType, data)
	if err != nil {
		return nil, err
	}
	h := header{fin: true, opcode: op, length: uint64(len(data))}
	n := headerSize(h)
	frame := append(appendHeader(make([]byte, 0, n+len(data)), h), data...)
	return &PreparedMessage{opcode: op, header: n, frame: frame}, nil
}

// WritePreparedMessage sends a prepared message. On a client's connection it is
// masked afresh each time (RFC 6455 §5.3). The errors are those of
// [Conn.WriteMessage].
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	switch {
	case pm == nil || pm.frame == nil:
		return errNotPrepared
	case !c.server:
		h := header{fin: true, opcode: pm.opcode}
		return c.writeFrame(h, pm.frame[pm.header:], writeDeadline{})
	}
	if err := c.lead(pm.opcode.isControl(), nil, writeDeadline{}); err != nil {
		return err
	}
	defer c.follow()
	err := c.sendSteps(pm.frame, writeDeadline{}, false)
	if err == nil && pm.opcode == opClose {
		c.setCloseState(closeSent)
	}
	return err
}
