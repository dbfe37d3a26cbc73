package websocket

import "log/slog"

// Stats are what a connection has counted since its opening handshake, whose own bytes do not
// count. They are plain numbers, so that they can be encoded as JSON, published by expvar.Func
// and summed up; as a value for log/slog they are a group.
type Stats struct {
	Received Traffic // whole messages, when they were read
	Sent     Traffic // messages whose writes have returned

	PingsReceived uint32
	PingsSent     uint32 // those of the keepalive too

	// CloseCode is the one of the first close frame, of whichever side: 1005 where that has
	// none (RFC 6455 §7.1.5), 0 as long as there was no such frame. ClosedByPeer
	// says that it was the peer's. Once the connection has ended without a close frame,
	// the code is 1006.
	CloseCode    int
	ClosedByPeer bool

	// What the connection's SendQueue has taken and not sent, and what it has dropped, ever. These
	// are there without CollectStats.
	QueuedMessages  int
	QueuedBytes     int // of payload
	DroppedMessages int64
}

// Traffic is what went one way.
type Traffic struct {
	Messages     int64
	PayloadBytes int64 // of messages, before compression or after inflating
	WireBytes    int64 // of all frames, as the transport has taken or brought them
}

func (t Traffic) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("messages", t.Messages), slog.Int64("payload_bytes", t.PayloadBytes), slog.Int64("wire_bytes", t.WireBytes))
}

func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("received", s.Received), slog.Any("sent", s.Sent),
		slog.Uint64("pings_received", uint64(s.PingsReceived)), slog.Uint64("pings_sent", uint64(s.PingsSent)),
		slog.Int("close_code", s.CloseCode), slog.Bool("closed_by_peer", s.ClosedByPeer),
		slog.Int("queued_messages", s.QueuedMessages), slog.Int("queued_bytes", s.QueuedBytes),
		slog.Int64("dropped_messages", s.DroppedMessages))
}

// Stats returns what was counted so far. Unless CollectStats or Keepalive of the Upgrader
// or Dialer was set, that is no more than what a SendQueue counts. It may be called at any time, after Close too.
func (c *Conn) Stats() Stats {
	s := c.counted()
	s.QueuedMessages, s.QueuedBytes, s.DroppedMessages = c.sendQueue().Depth()
	return s
}

// counted is Stats without the queue.
func (c *Conn) counted() Stats {
	m := c.monitor
	if m == nil {
		return Stats{}
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	s := Stats{
		Received:      m.received,
		Sent:          m.delivered,
		PingsReceived: m.pingsReceived,
		PingsSent:     m.pingsSent,
		CloseCode:     int(m.closeCode),
		ClosedByPeer:  m.closedByPeer,
	}
	if s.CloseCode == 0 && (m.ended || c.out.close == closeDone) {
		s.CloseCode = CloseAbnormalClosure
	}
	return s
}
