package websocket

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
)

// A QueuePolicy says what a [SendQueue] does with a message that it has no room for.
type QueuePolicy int

const (
	// QueueBlock has the sender wait until there is room, in turn with others who wait, or
	// its context ends. [Broadcast], which waits for nobody, treats it as QueueDropNewest.
	QueueBlock QueuePolicy = iota

	// QueueDropNewest drops the message: the sender gets [ErrQueueFull].
	QueueDropNewest

	// QueueDropOldest drops those that wait longest, as many as need be.
	QueueDropOldest

	// QueueClose closes the connection: what waits is dropped, the peer is sent close code
	// 1013 (try again later) as far as it takes that within a second, and the transport is
	// closed. The sender gets [ErrQueueFull], and so does every later one.
	QueueClose
)

// QueueLimits bound what a [SendQueue] keeps. They hold for the messages that wait. What is
// being sent, which is up to 64 KiB or one message, comes on top, and a message that is
// larger than the limit is taken when no other waits.
type QueueLimits struct {
	// Messages is how many may wait. Zero or less means 1,024.
	Messages int

	// Bytes is how many bytes of payload they may have, before compression. Zero or less
	// means 1 MiB.
	Bytes int

	// WhenFull says what is done with more. The zero value is QueueBlock.
	WhenFull QueuePolicy
}

const (
	defaultQueueMessages = 1 << 10
	defaultQueueBytes    = 1 << 20
)

// A SendQueue sends messages of a connection without having the sender wait for the peer.
// A message goes out at once if the transport takes it at once. Otherwise it is queued, and
// a goroutine that lives for as long as something is queued sends what has come together,
// many small messages with one write. Nothing is kept, and no goroutine, while nothing is queued.
//
// Any number of goroutines may use it. Messages of a queue go out in the order in which they
// were taken. Between them and what the methods of [Conn] write beside the queue there is no
// order but that of the moment at which each goes out; a close frame that passes by ends the queue.
//
// The write deadline and timeout of the connection hold for what the queue sends; the timeout
// does not count while other writes, each of which has its own, are on their way. A send that
// fails ends the queue: what is queued is dropped, who waits is woken, and every later call
// returns that error. If it ran into a deadline, the connection is closed too, as its peer
// takes nothing and the reader would not learn of it. The close of the connection ends the
// queue likewise; messages that are to go out before it need a [SendQueue.Flush].
type SendQueue struct {
	c  *Conn
	mu sync.Mutex // guards the fields below but limits; never held over I/O or user code

	sending bool          // a sender tries, or the goroutine is there, or the queue has ended; if not, nothing waits
	queued  bool          // something waited since sending became true, or the queue has ended
	sent    chan struct{} // closed when what is being sent was; nil if nobody waits for it
	taken   uint64        // how many messages were taken, ever

	// Of what is being sent.
	outMessages int32
	outBytes    int
	first       uint64 // how many were taken before it

	// A message that goes out at once, as one of a Broadcast does for each of thousands of
	// connections, needs what is above alone: a line of the processor's cache.
	err     error      // what every call returns, once not nil
	waiting []outgoing // in their order
	bytes   int        // of those
	memory  []byte     // where copies of small ones are made
	dropped int64
	blocked []*blockedSend // who waits for room, in the order they came
	limits  QueueLimits    // not changed
}

// A blockedSend waits for room. It is decided once wake is closed.
type blockedSend struct {
	m    outgoing
	err  error
	wake chan struct{}
}

// NewSendQueue returns a queue for a connection. A connection needs one, for all who send:
// with several, their messages mix, and statistics show the newest.
func NewSendQueue(c *Conn, limits QueueLimits) *SendQueue {
	if c == nil {
		c = new(Conn)
	}
	if limits.Messages <= 0 {
		limits.Messages = defaultQueueMessages
	}
	if limits.Bytes <= 0 {
		limits.Bytes = defaultQueueBytes
	}
	q := &SendQueue{c: c, limits: limits}
	c.setExtras(func(x *extras) { x.queue = q })
	return q
}

// Send sends a message, or queues it, as the queue's policy says if it is full. messageType
// and data are those of [Conn.WriteMessage]; data is not used after Send has returned. The
// context counts while Send waits for room, and its error is returned if it has ended before.
//
// Errors: those of [Conn.WriteMessage] if the message could not even begin to go out,
// the error that ended the queue, [ErrQueueFull], and the context's.
// Only the second stays, or what stays with the connection.
func (q *SendQueue) Send(ctx context.Context, messageType int, data []byte) error {
	op, err := checkOutgoing(messageType, data)
	if err != nil {
		return err
	}
	return q.sendOrWait(ctx, outgoing{op: op, data: data})
}

// SendPrepared is [SendQueue.Send] of a prepared message, which is not copied.
func (q *SendQueue) SendPrepared(ctx context.Context, m *PreparedMessage) error {
	if m == nil || m.payload == nil {
		return errNotPrepared
	}
	return q.sendOrWait(ctx, outgoing{m.opcode, m.payload, m})
}

func (q *SendQueue) sendOrWait(ctx context.Context, m outgoing) error {
	if ctx == nil {
		return errNoContext
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := q.put(m, true)
	if b == nil {
		return err
	}
	select {
	case <-b.wake:
		return b.err
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.blocked, b)
	if i < 0 { // it was decided just now
		return b.err
	}
	q.blocked = slices.Delete(q.blocked, i, i+1)
	q.admit() // who came behind may fit
	return ctx.Err()
}

// Flush waits until all that was taken before was given to the transport or dropped. It
// returns the context's error if that ends first, and the error that has ended the queue.
// What [Conn.WriteMessage] keeps for 100 µs, so that answers go out together, Flush does
// not wait for.
func (q *SendQueue) Flush(ctx context.Context) error {
	if !q.usable() {
		return errNoConn
	}
	if ctx == nil {
		return errNoContext
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for until := q.taken; q.err == nil && !q.hasSent(until); {
		if q.sent == nil {
			q.sent = make(chan struct{})
		}
		sent := q.sent
		q.mu.Unlock()
		select {
		case <-sent:
		case <-ctx.Done():
		}
		q.mu.Lock()
		if err := ctx.Err(); err != nil && q.err == nil && !q.hasSent(until) {
			return err
		}
	}
	return q.err
}

// hasSent reports whether none of the first n messages is there any more. The caller holds mu.
func (q *SendQueue) hasSent(n uint64) bool {
	return q.taken-uint64(len(q.waiting)) >= n && (q.outMessages == 0 || q.first >= n)
}

// Depth returns how many messages, and bytes of their payload, have been taken and have not
// gone out, what is being sent included, and how many were dropped, ever: by the policy, or
// as they waited, or were being sent, when the queue ended.
func (q *SendQueue) Depth() (messages, bytes int, dropped int64) {
	if q == nil {
		return 0, 0, 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) + int(q.outMessages), q.bytes + q.outBytes, q.dropped
}

func (q *SendQueue) usable() bool { return q != nil && q.c != nil && q.c.transport.Conn != nil }

// put takes a message: it goes out now, or is queued, or is not taken. Who waits and finds
// no room, by the policy that blocks, gets a blockedSend.
func (q *SendQueue) put(m outgoing, waits bool) (*blockedSend, error) {
	if !q.usable() {
		return nil, errNoConn
	}
	q.mu.Lock()
	if q.sending {
		defer q.mu.Unlock()
		return q.enqueue(m, waits)
	}
	q.sending, q.first, q.outMessages, q.outBytes = true, q.taken, 1, len(m.data)
	q.taken++
	q.mu.Unlock()
	rest, took, err := q.c.try(m)
	switch {
	case err == nil && !took:
		if m.prepared == nil {
			m.data = bytes.Clone(m.data)
		}
		go q.run(tail{}, []outgoing{m})
	case !rest.empty():
		go q.run(rest, nil)
	default:
		if next := q.next(); next != nil { // others came meanwhile
			go q.run(tail{}, next)
		}
	}
	return nil, err
}

// enqueue is put for a message that is not the only one. The caller holds mu.
func (q *SendQueue) enqueue(m outgoing, waits bool) (*blockedSend, error) {
	if q.err != nil {
		return nil, q.err
	}
	full := len(q.blocked) > 0 || !q.fits(m)
	switch {
	case !full:
	case q.limits.WhenFull == QueueDropOldest:
		for !q.fits(m) {
			q.bytes -= len(q.waiting[0].data)
			q.waiting[0] = outgoing{}
			q.waiting = q.waiting[1:]
			q.dropped++
		}
	case q.limits.WhenFull == QueueClose:
		q.dropped++
		q.end(ErrQueueFull)
		go q.c.closeOverfull()
		return nil, ErrQueueFull
	case q.limits.WhenFull == QueueDropNewest || !waits:
		q.dropped++
		return nil, ErrQueueFull
	default:
		b := &blockedSend{m: m, wake: make(chan struct{})}
		q.blocked = append(q.blocked, b)
		return b, nil
	}
	q.add(m)
	return nil, nil
}

func (q *SendQueue) fits(m outgoing) bool {
	return len(q.waiting) == 0 || len(q.waiting) < q.limits.Messages && len(m.data) <= q.limits.Bytes-q.bytes
}

func (q *SendQueue) add(m outgoing) {
	if m.prepared == nil {
		m.data = q.copied(m.data)
	}
	q.waiting, q.queued = append(q.waiting, m), true
	q.bytes += len(m.data)
	q.taken++
}

// copied returns a copy of data. Small messages share memory, so that many of them cost few
// allocations, and one of them little.
func (q *SendQueue) copied(data []byte) []byte {
	const least, most = 512, 4 << 10
	if len(data) > most/4 {
		return bytes.Clone(data)
	}
	if len(data) > cap(q.memory)-len(q.memory) {
		q.memory = make([]byte, 0, min(max(least, len(data), 2*cap(q.memory)), most))
	}
	start := len(q.memory)
	q.memory = append(q.memory, data...)
	return q.memory[start:len(q.memory):len(q.memory)]
}

// admit takes the messages of those who wait for room, as far as there is room. The caller
// holds mu.
func (q *SendQueue) admit() {
	for len(q.blocked) > 0 && q.fits(q.blocked[0].m) {
		b := q.blocked[0]
		q.blocked[0] = nil
		q.blocked = q.blocked[1:]
		q.add(b.m)
		close(b.wake)
	}
}

// end makes err what every call returns, and lets go of all that waits. The caller holds mu.
func (q *SendQueue) end(err error) {
	if q.err != nil {
		return
	}
	q.err, q.sending, q.queued = err, true, true
	q.dropped += int64(len(q.waiting))
	q.waiting, q.bytes, q.memory = nil, 0, nil
	for _, b := range q.blocked {
		b.err = err
		close(b.wake)
	}
	q.blocked = nil
	q.wakeFlush()
}

func (q *SendQueue) wakeFlush() {
	if q.sent != nil {
		close(q.sent)
		q.sent = nil
	}
}

// next ends what was being sent, and returns what is to be sent next: one message, or several
// that go out together. If it is nothing, the caller is done.
func (q *SendQueue) next() []outgoing {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.outMessages, q.outBytes = 0, 0
	q.wakeFlush()
	if !q.queued {
		q.sending = false
		return nil
	}
	if q.err != nil {
		return nil
	}
	if len(q.waiting) == 0 {
		q.sending, q.queued = false, false
		q.waiting, q.memory, q.blocked = nil, nil, nil
		return nil
	}
	n := together(q.waiting)
	batch := q.waiting[:n:n]
	q.first = q.taken - uint64(len(q.waiting))
	q.waiting = q.waiting[n:]
	for _, m := range batch {
		q.outBytes += len(m.data)
	}
	q.outMessages = int32(n)
	q.bytes -= q.outBytes
	q.admit()
	return batch
}

// run is the goroutine that sends: the rest of what was begun, if there is any, then batch, and
// whatever else is there by then.
func (q *SendQueue) run(rest tail, batch []outgoing) {
	defer q.c.recoverWrite()
	for {
		switch err := q.c.sendQueued(rest, batch); {
		case err == nil:
		case q.c.waitedForOthers(err):
			continue
		default:
			q.failed(err, len(batch))
			return
		}
		clear(batch)
		rest = tail{}
		if batch = q.next(); batch == nil {
			return
		}
	}
}

// failed ends the queue by the failure of what was being sent, of which unsent messages do not count as
// sent, whatever the transport took of them.
func (q *SendQueue) failed(err error, unsent int) {
	q.mu.Lock()
	q.end(err)
	q.dropped += int64(unsent)
	q.outMessages, q.outBytes = 0, 0
	q.mu.Unlock()
	// A frame was cut by the context of another write, whose caller knows; reading goes on.
	if timeout := net.Error(nil); !errors.Is(err, ErrFrameCut) && errors.As(err, &timeout) && timeout.Timeout() {
		_ = q.c.Close()
	}
}

// sendQueue is the connection's queue, or nil.
func (c *Conn) sendQueue() *SendQueue { return c.loadExtras().queue }

// abandonQueue is for Close: it ends the queue.
func (c *Conn) abandonQueue() {
	if q := c.sendQueue(); q != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.end(errConnClosed)
	}
}

// closeOverfull closes a connection whose queue is full. It is a goroutine of its own.
func (c *Conn) closeOverfull() {
	defer c.recoverWrite()
	ctx, cancel := context.WithTimeout(context.Background(), replyWait)
	defer cancel()
	_ = c.CloseContext(ctx, CloseTryAgainLater, "send queue is full")
}
