package websocket

import "sync/atomic"

// A monitor is what a connection has that is kept alive or whose traffic is counted.
type monitor struct {
	keepalive *Keepalive // nil: it is not kept alive

	// Guarded by the keepalive's mu: where the connection is in its wheel.
	next, prev *Conn
	slot       uint16 // from 1; 0: it is not in the wheel
	pinged     uint16 // how many periods before the next look it was sent a ping; 0: it was not

	heard atomic.Uint32 // when bytes came last, in ticks of the keepalive

	// Guarded by the write half's mu, for which nobody waits long.
	received, delivered Traffic
	pingsReceived       uint32
	pingsSent           uint32
	closeCode           uint16 // of the first close frame; 0: there was none
	closedByPeer        bool   // that was the peer's
	ended               bool   // nothing can be read any more

	uncounted uint32 // bytes that came and are not in received; the reader's
}

// countFrom is how many bytes may be uncounted.
const countFrom = 64 << 10

// brought is called when the transport has brought n bytes. They are counted with
// the message that they are of, as long as they are few.
func (c *Conn) brought(n int) {
	m := c.monitor
	if m == nil {
		return
	}
	m.hears()
	m.uncounted += uint32(n)
	if m.uncounted >= countFrom {
		c.out.mu.Lock()
		m.countUncounted()
		c.out.mu.Unlock()
	}
}

// hears is called at a sign of life of the peer.
func (m *monitor) hears() {
	if k := m.keepalive; k != nil {
		if now := k.now.Load(); m.heard.Load() != now { // to load costs less than to store
			m.heard.Store(now)
		}
	}
}

func (m *monitor) countUncounted() {
	m.received.WireBytes += int64(m.uncounted)
	m.uncounted = 0
}

// countReceived counts a message of size bytes. There is a monitor.
func (c *Conn) countReceived(size int64) {
	c.out.mu.Lock()
	m := c.monitor
	m.received.Messages++
	m.received.PayloadBytes += size
	m.countUncounted()
	c.out.mu.Unlock()
}

// countPing counts a ping of the peer.
func (c *Conn) countPing() {
	if m := c.monitor; m != nil {
		c.out.mu.Lock()
		m.pingsReceived++
		m.countUncounted()
		c.out.mu.Unlock()
	}
}

// sent counts a message, and wire bytes. The caller holds the write half's mu.
func (m *monitor) sent(size, wire int) {
	if m != nil {
		m.delivered.Messages++
		m.delivered.PayloadBytes += int64(size)
		m.delivered.WireBytes += int64(wire)
	}
}

// countIfSent counts a message if err is nil, and returns err.
func (c *Conn) countIfSent(err error, size int) error {
	if m := c.monitor; m != nil && err == nil {
		c.out.mu.Lock()
		m.sent(size, 0)
		c.out.mu.Unlock()
	}
	return err
}

// countSent counts a frame that is a whole message, or a control frame.
func (c *Conn) countSent(op opcode, size int) {
	switch {
	case op.isData():
		_ = c.countIfSent(nil, size)
	case op == opPing && c.monitor != nil:
		c.out.mu.Lock()
		c.monitor.pingsSent++
		c.out.mu.Unlock()
	}
}

// countWire counts bytes that the transport has taken.
func (c *Conn) countWire(n int) {
	if m := c.monitor; m != nil && n > 0 {
		c.out.mu.Lock()
		m.delivered.WireBytes += int64(n)
		c.out.mu.Unlock()
		if n > maxHeaderSize+maxControlPayload && c.is(isPinging) {
			m.hears() // the ping waits behind what is still taken
		}
	}
}

// readEnded is called when nothing can be read any more, and why.
func (c *Conn) readEnded(err error) {
	c.setFlag(isUnreadable)
	if m := c.monitor; m != nil {
		c.out.mu.Lock()
		m.countUncounted()
		m.ended = true
		c.out.mu.Unlock()
		m.keepalive.remove(c)
	}
	if p := c.loadExtras().pings; p != nil {
		p.end(err)
	}
}

// noteClose remembers the first close frame of the two sides.
func (c *Conn) noteClose(code int, byPeer bool) {
	if m := c.monitor; m != nil {
		c.out.mu.Lock()
		if m.closeCode == 0 {
			m.closeCode, m.closedByPeer = uint16(code), byPeer
		}
		c.out.mu.Unlock()
	}
}

// forgetClose is called when the close frame that was noted last was not sent.
func (c *Conn) forgetClose() {
	if m := c.monitor; m != nil {
		c.out.mu.Lock()
		if !m.closedByPeer {
			m.closeCode = 0
		}
		c.out.mu.Unlock()
	}
}

// noteClosePayload is noteClose for a frame of ours with this payload, which is valid.
func (c *Conn) noteClosePayload(begin, rest []byte) {
	if c.monitor == nil {
		return
	}
	if len(begin) == 0 {
		begin = rest
	}
	if code, _, violation := parseClosePayload(begin); violation == nil {
		c.noteClose(code, false)
	}
}
