package websocket

import "iter"

// Broadcast sends a prepared message by each of the queues, and waits for none of them: each
// connection gets it at once, or queued, or not at all if its queue is full, by the policy of
// that queue; one that would block drops the message. So a peer that does not read delays nobody
// else. taken is how many queues took the message; the others count it as dropped, or had
// ended before, of which the reader of their connection knows.
//
// The message is compressed once for all that compress alike. The queues are ranged over, and
// the message given to their transports, by the goroutine that calls, which may hold locks of
// its own meanwhile. The one error is that of a message that [NewPreparedMessage] did
// not make. Any number of goroutines may call it; two messages that are broadcast at the same
// time may reach two peers in different order.
func Broadcast(to iter.Seq[*SendQueue], m *PreparedMessage) (taken int, err error) {
	if m == nil || m.payload == nil {
		return 0, errNotPrepared
	}
	if to == nil {
		return 0, nil
	}
	for q := range to {
		if _, err := q.put(outgoing{m.opcode, m.payload, m}, false); err == nil {
			taken++
		}
	}
	return taken, nil
}
