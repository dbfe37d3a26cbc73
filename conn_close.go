package websocket

import (
	"context"
	"errors"
	"net"
	"time"
)

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
	_ = c.writeFrame(whole(opClose), FormatCloseMessage(code, reason), 0, deadlineIn(replyWait))
}

// Close closes the transport without sending a close frame: to say goodbye
// first, use [Conn.CloseContext], or send a CloseMessage. Every read and write that is under way or comes
// later returns an error, for which errors.Is(err, net.ErrClosed) is true
// unless an earlier one is the reason. Close waits for no read or write, but
// TLS takes up to five seconds to say goodbye to a peer that does not read, and
// where a read failed and told the peer why, a socket is given up to a tenth of a second to get
// that across. What was
// written a moment ago and did not go out yet is sent if the transport takes it at
// once, or, if it is no plain socket, within 250 ms; if not, Close says so. It
// may be called from any goroutine, from a handler too, and more than once, of
// which only the first can return an error.
func (c *Conn) Close() error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	lost := c.uncorkToClose()
	saidWhy := c.is(isFailed) && c.refuses(writeDeadline{own: true}) == ErrCloseSent
	if !c.setCloseState(closeDone) {
		return nil
	}
	c.setFlag(isClosed)
	if m := c.monitor; m != nil {
		m.keepalive.remove(c)
	}
	c.abandonQueue()
	if saidWhy {
		c.transport.linger()
	}
	err := c.transport.Close()
	c.abandonRead()
	c.abandonWriter()
	if lost != nil {
		return lost
	}
	return err
}

const (
	// closeWait is how long CloseContext takes if its context has no deadline.
	closeWait = 5 * time.Second

	// readerReturns is how long a program that was reading, or has something to read, may be busy
	// elsewhere before CloseContext reads in its place.
	readerReturns = 100 * time.Millisecond

	// brokenRead is how long a read is given to say why a close frame could not be sent.
	brokenRead = 100 * time.Millisecond

	// lateDeadlines is how often CloseContext reads on behind a deadline, of which there is none.
	lateDeadlines = 1000
)

// CloseContext does the closing handshake (RFC 6455 §7.1.2): it sends a close frame with the
// code and the reason, at most 123 bytes, reads until the peer's own close frame comes,
// and closes the transport, as [Conn.Close] does, in any case. If ctx ends before that, the error is
// ctx.Err(); a ctx without a deadline is given five seconds. If the peer breaks the connection off
// instead, the error is what a read returns. A connection that is closed already is no error. A code
// that must not be sent, or a reason that is too long, is, and nothing happens then.
//
// It may be called from any goroutine: beside a writer that is blocked, for which it waits, in the
// middle of a message, and beside a reader, which gets the messages that still come
// and the peer's close frame. So does one that was reading, or has bytes in hand to read, and is back within a tenth
// of a second each time. Otherwise a message that was begun is cut, those that come are dropped, and a read that
// begins meanwhile returns an error for which errors.Is(err, net.ErrClosed) is true. In a handler
// it would wait for the read method that it is called from: send a CloseMessage there. WriteTimeout holds for the
// close frame.
func (c *Conn) CloseContext(ctx context.Context, code int, reason string) error {
	return c.closeContext(ctx, code, reason, true)
}

// closeContext is CloseContext; awaits says whether there may be somebody who comes back to read.
func (c *Conn) closeContext(ctx context.Context, code int, reason string, awaits bool) error {
	payload := FormatCloseMessage(code, reason)
	if _, err := checkOutgoing(CloseMessage, payload); err != nil {
		return err
	}
	switch {
	case c.transport.Conn == nil:
		return errNoConn
	case ctx == nil:
		return errNoContext
	case c.is(isClosed):
		return nil
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeWait)
		defer cancel()
	}
	closes := c.closeAtEnd(ctx)
	reading, stopReading := context.WithCancelCause(ctx)
	defer stopReading(nil)
	sent := make(chan struct{})
	if ctx.Err() == nil {
		c.startFrame(opClose, payload, func(err error) {
			close(sent)
			if err != nil && err != ErrCloseSent {
				time.AfterFunc(brokenRead, func() { stopReading(err) })
			}
		})
	}
	err := c.awaitClose(reading, awaits) // at the same time, as the peer may have to write before it reads
	sending, cancel := context.WithTimeout(reading, replyWait)
	select {
	case <-sent: // which takes longer if there was nothing to read any more
	case <-sending.Done():
	}
	cancel()
	lost := closes()
	switch e := (*CloseError)(nil); {
	case errors.As(err, &e) && e.Code != CloseAbnormalClosure:
		return lost
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.Canceled) && reading.Err() != nil:
		err = context.Cause(reading)
	}
	if errors.Is(err, net.ErrClosed) {
		return lost
	}
	return err
}

// closeAtEnd has the connection closed at the end of ctx, which is what ends a call of a transport
// that has no deadlines, or when closes is called, which returns what Close did.
func (c *Conn) closeAtEnd(ctx context.Context) (closes func() error) {
	var err error
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		defer ignorePanic()
		err = c.Close()
	})
	return func() error {
		if stop() {
			return c.Close()
		}
		<-ran
		return err
	}
}

// awaitClose waits until nothing can be read any more, and returns why. Unless somebody else
// does, it reads; if it awaits somebody who has left off, or has bytes in hand, it gives them time first.
func (c *Conn) awaitClose(ctx context.Context, awaits bool) error {
	c.setFlag(isClosing)
	for {
		left := c.readerLeaves()
		switch c.readInPlace(awaits) {
		case placeTaken:
			return c.drain(ctx)
		case placeKept:
			awaits = false
		case placeBusy:
			select {
			case <-left:
			case <-ctx.Done():
				return ctx.Err()
			}
			left = c.readerLeaves()
		}
		if c.is(isUnreadable) {
			continue
		}
		returns, cancel := context.WithTimeout(ctx, readerReturns)
		<-returns.Done()
		cancel()
		select {
		case <-left: // there is a reader
			awaits = true
		default:
		}
	}
}

// drain reads to the end and drops what it reads. The caller has made itself the reader, which
// it is no more after.
func (c *Conn) drain(ctx context.Context) error {
	defer c.endRead()
	if c.in.err != nil {
		return c.in.err
	}
	_ = c.SetReadDeadline(time.Time{}) // the context's holds
	defer c.interruptRead(ctx)()
	c.in.endReader(errConnClosed)
	for late := 0; ; {
		err := c.beginMessage()
		if err == nil {
			err = c.dropMessage()
		}
		switch {
		case err == nil:
		case c.in.err != nil || !isDeadline(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case late == lateDeadlines:
			return err
		default:
			late++
			_ = c.SetReadDeadline(time.Time{}) // the program has set one meanwhile
		}
	}
}
