package websocket

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// pings are those of Ping that wait for their pongs, in the order in which they were sent.
type pings struct {
	mu      sync.Mutex
	waiting []*ping
	err     error // why there will be no pong any more
}

type ping struct {
	payload [8]byte
	done    chan struct{} // closed at the pong, or at the end of the connection
	at      time.Time     // of the pong
}

// Ping sends a ping, waits for its pong (RFC 6455 §5.5.2, §5.5.3) and returns the time in between.
// It is the read methods that see the pong, so another goroutine has to be reading. The time
// has the wait for other writes in it. It fails
// with ctx.Err() when ctx ends, as a write does (see [Conn.WriteMessageContext]), or with the
// error that ends reading. Any number of goroutines may call it. The pong handler is not
// called for its pongs.
func (c *Conn) Ping(ctx context.Context) (roundTrip time.Duration, err error) {
	switch {
	case c.transport.Conn == nil:
		return 0, errNoConn
	case ctx == nil:
		return 0, errNoContext
	}
	all := extra(c, func(x *extras) **pings { return &x.pings })
	p := &ping{done: make(chan struct{})}
	_, _ = rand.Read(p.payload[:]) // never fails; so that no pong of the program's is taken for it
	if err := all.add(p); err != nil {
		return 0, err
	}
	defer all.remove(p)
	switch {
	case c.is(isClosed):
		return 0, errConnClosed
	case c.is(isUnreadable): // perhaps since before there was anything to end
		return 0, errNoPong
	}
	since := time.Now()
	if err := c.writeFrame(whole(opPing), p.payload[:], 0, writeDeadline{ctx: ctx}); err != nil {
		return 0, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if p.at.IsZero() {
		return 0, all.ended()
	}
	return p.at.Sub(since), nil
}

func (all *pings) add(p *ping) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.err == nil {
		all.waiting = append(all.waiting, p)
	}
	return all.err
}

func (all *pings) remove(p *ping) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if i := slices.Index(all.waiting, p); i >= 0 {
		all.waiting = slices.Delete(all.waiting, i, i+1)
	}
}

func (all *pings) ended() error {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.err
}

// answer takes a pong, and reports whether it is the answer to one of these pings. It
// answers the earlier ones too (RFC 6455 §5.5.3).
func (all *pings) answer(payload []byte) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	i := slices.IndexFunc(all.waiting, func(p *ping) bool { return string(p.payload[:]) == string(payload) })
	now := time.Now()
	for _, p := range all.waiting[:i+1] {
		p.at = now
		close(p.done)
	}
	all.waiting = slices.Delete(all.waiting, 0, i+1)
	return i >= 0
}

// end is called when no pong can come any more.
func (all *pings) end(err error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.err = err
	for _, p := range all.waiting {
		close(p.done)
	}
	all.waiting = nil
}
