package websocket

import (
	"context"
	"sync"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

// A writeState says who has the write half.
type writeState uint8

const (
	writeIdle      writeState = iota // nobody
	writeLeading                     // one goroutine, the leader, is putting frames on the wire
	writeUncorking                   // so is one, of messages whose writers do not wait for it
)

// A writeHalf is what a connection knows of the bytes that go out. While a
// fragmented message is on the wire but not all of it, stream is its writer,
// and only control frames and its own fragments may follow (RFC 6455 §5.4).
type writeHalf struct {
	mu sync.Mutex // guards the fields below; never held over I/O or user code

	state       writeState
	close       closeState
	explicit    bool   // SetWriteDeadline was called
	ownDeadline bool   // the frame on its way has a deadline of its own
	stalled     bool   // the newest pong found the transport blocked
	uncorked    bool   // messages are not corked any more
	armed       uint16 // counts the changes of frameDeadline

	err      error           // what every write returns, once not nil
	stream   *messageWriter  // has fragments on the wire and is not closed
	writer   *messageWriter  // the newest of NextWriter, until it is closed
	waiters  waitQueue       // for the half
	batch    *batch          // whose owner waits for the half
	corking  *corking        // nil until a message was corked
	owedPong *bufpool.Buffer // a pong that waits for the half, in a goroutine of its own

	deadline      time.Time // of SetWriteDeadline
	frameDeadline time.Time // of the frame on its way
}

// A writeDeadline says when a frame's write has to end: when the connection's
// write deadline says so, or at a time of its own, of which zero is never; and
// with its context, if it has one.
type writeDeadline struct {
	at  time.Time
	own bool
	ctx context.Context
}

// ended is why a context has ended the write, if it has.
func (d writeDeadline) ended() error {
	if d.ctx == nil {
		return nil
	}
	return d.ctx.Err()
}

// done is closed when a context ends the write.
func (d writeDeadline) done() <-chan struct{} {
	if d.ctx == nil {
		return nil
	}
	return d.ctx.Done()
}

// aLongTimeAgo is a deadline for what is to end at once.
var aLongTimeAgo = time.Unix(1, 0)

func deadlineIn(d time.Duration) writeDeadline {
	return writeDeadline{at: time.Now().Add(d), own: true}
}

// free reports whether the half can be had now for what w is to send.
func (out *writeHalf) free(w *writeWaiter) bool {
	return out.state == writeIdle && out.allows(w)
}

func (out *writeHalf) allows(w *writeWaiter) bool {
	return w.control || out.stream == nil || out.stream == w.writer
}

// until is the time that d stands for, if no progress is made from now on. The caller
// holds mu.
func (c *Conn) until(d writeDeadline, now time.Time) time.Time {
	switch {
	case d.ended() != nil:
		return aLongTimeAgo
	case d.own:
		return d.at
	case c.out.explicit:
		return c.out.deadline
	}
	return c.timeoutFrom(now)
}

// timeoutFrom is when WriteTimeout ends that begins now.
func (c *Conn) timeoutFrom(now time.Time) time.Time {
	if c.writeTimeout == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(c.writeTimeout) * time.Millisecond)
}

// lead waits until the caller may put a frame on the wire, a control frame or
// one of writer's or neither, and makes it the leader, who must call follow. A
// deadline that has passed wins over every other reason to refuse, since the
// caller may mend it.
func (c *Conn) lead(control bool, writer *messageWriter, d writeDeadline) error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if err := c.reasonNot(d); err != nil {
		return err
	}
	// On the stack, as long as nobody has to wait.
	if w := (writeWaiter{control: control, writer: writer}); out.free(&w) && !c.uncorkBefore(d) {
		out.state = writeLeading
		return nil
	}
	for {
		err := c.waitToLead(&writeWaiter{control: control, writer: writer}, d)
		if err != nil || !c.uncorkBefore(d) { // who led before may have corked something
			return err
		}
	}
}

// uncorkBefore has a goroutine lead to send what is corked, if anything is and it may take
// longer than d allows. The caller holds mu, and could lead or does.
func (c *Conn) uncorkBefore(d writeDeadline) bool {
	if !d.own && d.ctx == nil {
		return false
	}
	corked := c.out.uncork()
	if corked != nil {
		go c.sendCorkedAndFollow(corked)
	}
	return corked != nil
}

// refuses is why a write with this deadline cannot be, if it is known already.
func (c *Conn) refuses(d writeDeadline) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.reasonNot(d)
}

// reasonNot is refuses for who holds mu.
func (c *Conn) reasonNot(d writeDeadline) error {
	if err := d.ended(); err != nil {
		return err
	}
	if d.own || c.out.explicit {
		now := time.Now()
		if t := c.until(d, now); !t.IsZero() && !now.Before(t) {
			return errWriteTimeout
		}
	}
	return c.out.err
}

// waitToLead queues w and blocks until it leads, the deadline passes or the half fails. It
// is called with mu held and holds it when it returns, but not while it waits.
func (c *Conn) waitToLead(w *writeWaiter, d writeDeadline) error {
	out := &c.out
	w.since = time.Now()
	w.wake = make(chan struct{}, 1)
	out.waiters.add(w)
	for {
		var expired <-chan time.Time
		var timer *time.Timer
		if until := c.until(d, w.since); !until.IsZero() {
			timer = time.NewTimer(time.Until(until))
			expired = timer.C
		}
		out.mu.Unlock()
		select {
		case <-w.wake:
		case <-expired:
		case <-d.done():
		}
		if timer != nil {
			timer.Stop()
		}
		out.mu.Lock()
		if w.granted {
			return nil
		}
		if err := c.refusal(w, d); err != nil {
			out.waiters.remove(w)
			return err
		}
	}
}

// refusal is why w need not wait any longer, if there is a reason.
func (c *Conn) refusal(w *writeWaiter, d writeDeadline) error {
	until := c.until(d, w.since)
	switch {
	case c.out.err != nil:
		return c.out.err
	case d.ended() != nil:
		return d.ended()
	case until.IsZero() || time.Now().Before(until):
		return nil
	case !c.out.allows(w):
		return errStreamOpen
	}
	return errWriteTimeout
}

// wakeAll has every waiter look again at why it waits.
func (out *writeHalf) wakeAll() {
	for w := out.waiters.first; w != nil; w = w.next {
		w.signal()
	}
}

// follow ends the caller's lead.
func (c *Conn) follow() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.handOn()
}

// handOn gives the half to the first waiter that may have it.
func (out *writeHalf) handOn() {
	if out.state == writeUncorking {
		out.corking.sent(out.err)
	}
	out.state = writeIdle
	if out.err != nil {
		return // the waiters were woken to see it
	}
	for w := out.waiters.first; w != nil; w = w.next {
		if out.free(w) {
			out.waiters.remove(w)
			out.state = writeLeading
			w.granted = true
			w.signal()
			return
		}
	}
}

func (out *writeHalf) failed() bool {
	out.mu.Lock()
	defer out.mu.Unlock()
	return out.err != nil
}

// fail makes err what every write returns from now on, unless there is such an
// error already, and returns the one that counts.
func (out *writeHalf) fail(err error) error {
	if out.err == nil {
		out.err = err
		out.wakeAll()
	}
	return out.err
}

// armWrite sets the transport's deadline for the next step of a frame.
func (c *Conn) armWrite(d writeDeadline) {
	out := &c.out
	out.mu.Lock()
	out.ownDeadline = d.own
	out.frameDeadline = c.until(d, time.Now())
	out.armed++
	t, armed := out.frameDeadline, out.armed
	out.mu.Unlock()
	_ = c.applyDeadline(t, armed) // a transport that has no deadlines goes without
}

// applyDeadline tells the transport the deadline of the frame on its way. It
// does so without mu, since a transport may make it wait for a blocked Write;
// if there is a newer deadline by then, that one is told behind it.
func (c *Conn) applyDeadline(t time.Time, armed uint16) error {
	out := &c.out
	for {
		err := c.transport.SetWriteDeadline(t)
		out.mu.Lock()
		newest := armed == out.armed
		t, armed = out.frameDeadline, out.armed
		out.mu.Unlock()
		if newest {
			return err
		}
	}
}
