package websocket

import (
	"context"
	"sync"
	"time"
)

// A readDeadline is what the transport's read deadline has to be: the program's, or long ago
// where a read is to end at once.
type readDeadline struct {
	mu          sync.Mutex // guards the fields below; never held over a call of the transport
	at          time.Time  // of SetReadDeadline
	interrupted bool       // the context of the read under way has ended
	changes     uint32     // counts the changes of the two
}

func (r *readDeadline) change(f func(*readDeadline)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
	r.changes++
}

// SetReadDeadline sets the time after which reads fail, the blocked one
// included; the zero time means never, which is the default. A read that ran
// into its deadline returns the transport's error, for which Timeout() is true,
// and errors.Is(err, os.ErrDeadlineExceeded) too on every transport of the
// standard library. The connection survives it: after the deadline was moved
// the read may be repeated and goes on where it stopped, inside a message too.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	if t.IsZero() && c.loadExtras().reads == nil { // as it is at first
		err := c.transport.SetReadDeadline(t)
		if c.loadExtras().reads == nil && !c.is(isSilent) {
			return err
		}
	}
	r := extra(c, func(x *extras) **readDeadline { return &x.reads })
	r.change(func(r *readDeadline) { r.at = t })
	return c.applyReadDeadline(r)
}

// applyReadDeadline tells the transport what its read deadline is. As with applyDeadline,
// whoever was late tells the newer one behind its own.
func (c *Conn) applyReadDeadline(r *readDeadline) error {
	for {
		r.mu.Lock()
		t, changes := r.at, r.changes
		if r.interrupted {
			t = aLongTimeAgo
		}
		r.mu.Unlock()
		silent := c.is(isSilent)
		if silent {
			t = aLongTimeAgo
		}
		err := c.transport.SetReadDeadline(t)
		r.mu.Lock()
		newest := changes == r.changes
		r.mu.Unlock()
		if newest && silent == c.is(isSilent) {
			return err
		}
	}
}

// ignorePanic is deferred by goroutines that the program knows nothing of, over calls of its
// transport that may as well fail.
func ignorePanic() { _ = recover() }

// interruptRead has the end of ctx end the read under way, which is the caller's, until
// restore is called.
func (c *Conn) interruptRead(ctx context.Context) (restore func()) {
	r := extra(c, func(x *extras) **readDeadline { return &x.reads })
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		defer ignorePanic()
		r.change(func(r *readDeadline) { r.interrupted = true })
		_ = c.applyReadDeadline(r) // a transport that has no deadlines cannot be interrupted
	})
	return func() {
		if stop() {
			return
		}
		<-ran
		r.change(func(r *readDeadline) { r.interrupted = false })
		_ = c.applyReadDeadline(r)
	}
}

// interruptWrite is interruptRead for the frame on its way, which is the caller's.
func (c *Conn) interruptWrite(ctx context.Context) (restore func()) {
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		defer ignorePanic()
		out := &c.out
		out.mu.Lock()
		out.ownDeadline, out.frameDeadline = true, aLongTimeAgo
		out.armed++
		armed := out.armed
		out.mu.Unlock()
		_ = c.applyDeadline(aLongTimeAgo, armed)
	})
	return func() {
		if !stop() {
			<-ran
		}
	}
}
