package websocket

import "log/slog"

// ServerStats are the counts of a [Server]. They are plain numbers, for expvar and
// others that make JSON of values; slog logs them as a group.
type ServerStats struct {
	Open     int   // connections that are being served
	Accepted int64 // connections so far
	Refused  int64 // requests so far that did not become connections

	// The sums of all connections' Stats, of those that have ended too, if the Upgrader's
	// CollectStats or Keepalive is set.
	Received, Sent           Traffic
	PingsReceived, PingsSent int64

	// What the SendQueues of the open connections hold, and what those of all have dropped.
	QueuedMessages, QueuedBytes int64
	DroppedMessages             int64
}

// Stats returns the counts as they are. It looks at every open connection.
func (s *Server) Stats() ServerStats {
	if s == nil {
		return ServerStats{}
	}
	return s.conns.stats()
}

func (s *connSet) stats() ServerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.past
	sum.Open = len(s.open)
	for c := range s.open {
		s := c.Stats()
		sum.add(s)
		sum.QueuedMessages += int64(s.QueuedMessages)
		sum.QueuedBytes += int64(s.QueuedBytes)
	}
	return sum
}

// add adds the counts of a connection.
func (s *ServerStats) add(c Stats) {
	s.Received.add(c.Received)
	s.Sent.add(c.Sent)
	s.PingsReceived += int64(c.PingsReceived)
	s.PingsSent += int64(c.PingsSent)
	s.DroppedMessages += c.DroppedMessages
}

func (t *Traffic) add(more Traffic) {
	t.Messages += more.Messages
	t.PayloadBytes += more.PayloadBytes
	t.WireBytes += more.WireBytes
}

// LogValue implements slog.LogValuer.
func (s ServerStats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("open", s.Open), slog.Int64("accepted", s.Accepted), slog.Int64("refused", s.Refused),
		slog.Any("received", s.Received), slog.Any("sent", s.Sent),
		slog.Int64("pings_received", s.PingsReceived), slog.Int64("pings_sent", s.PingsSent),
		slog.Int64("queued_messages", s.QueuedMessages), slog.Int64("queued_bytes", s.QueuedBytes),
		slog.Int64("dropped_messages", s.DroppedMessages),
	)
}
