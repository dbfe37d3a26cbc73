// Package testnet is an in-memory network for tests: a buffered duplex pair of
// [net.Conn] with faults that can be chosen per direction, a check for leaked
// goroutines, and slices at guard pages.
//
// A blocked call waits on a [sync.Cond] and every wait that can end by itself
// does so by a timer of package time, so the pair works both in a bubble of
// testing/synctest, where deadlines and delays cost no real time, and outside
// one. A pair belongs to the bubble it is used in and is to be created there.
package testnet

// This file holds the two ends of the pair: the methods of net.Conn, the
// second way to read, and what a test can observe.

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Conn is one end of a [Pipe]. It behaves as a TCP connection does, with two
// simplifications: what one end has written survives its Close however much
// it left unread, and the other end's writes fail from that moment on.
//
// Every error but [io.EOF] is a [*net.OpError]. After Close it wraps
// [net.ErrClosed], at a deadline [os.ErrDeadlineExceeded], and for a write
// that nobody can read [syscall.EPIPE] (where the system has it).
//
// All methods may be called at the same time. Concurrent Writes do not
// interleave.
type Conn struct {
	in, out       *Direction
	local, remote addr
	closed        atomic.Bool
}

var _ net.Conn = (*Conn)(nil)

// Pipe returns the two ends of a new connection without faults: what is
// written to one is read from the other. It starts no goroutine, and needs no
// Close to be collected.
func Pipe() (a, b *Conn) {
	ab, ba := newDirection(), newDirection()
	const addrA, addrB = addr("a.testnet:1"), addr("b.testnet:2")
	a = &Conn{in: ba, out: ab, local: addrA, remote: addrB}
	b = &Conn{in: ab, out: ba, local: addrB, remote: addrA}
	return a, b
}

// Out is the direction from this end to the other, to choose its faults.
func (c *Conn) Out() *Direction { return c.out }

// In is the direction from the other end to this one.
func (c *Conn) In() *Direction { return c.in }

// Read implements [net.Conn]. A Read into no bytes returns at once, as TCP's does.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// TryRead is a Read that never blocks. It reports ok == false when Read would
// have blocked; otherwise n and err are what Read would have returned, the end
// of the stream being 0, true, io.EOF.
func (c *Conn) TryRead(p []byte) (n int, ok bool, err error) {
	n, ok, err = c.in.tryRead(p)
	return n, ok, c.opError("read", err)
}

// WaitRead blocks until bytes or the end of the stream have arrived for
// TryRead. It returns an error only when the read deadline passes or this end
// is closed. It is the counterpart of waiting for a socket to become readable,
// which needs no buffer.
func (c *Conn) WaitRead() error {
	return c.opError("read", c.in.waitRead())
}

// Write implements [net.Conn]. It blocks while the buffer of the direction is
// full and returns how many bytes got into it, also when it fails.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// TryWrite is a Write that never blocks: it writes what there is room for, if
// anything, and returns how much that was.
func (c *Conn) TryWrite(p []byte) int { return c.out.tryWrite(p) }

// Close implements [net.Conn]. It ends all blocked calls on this end, drops
// what was not read, and lets the other end read what was written, then EOF.
func (c *Conn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return c.opError("close", net.ErrClosed)
	}
	c.out.closeWriter()
	c.in.closeReader()
	return nil
}

// CloseWrite ends this end's writes: the other end reads EOF after what was
// written. Reading goes on.
func (c *Conn) CloseWrite() error {
	return c.opError("close", c.out.closeWrite())
}

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements [net.Conn]. A deadline that is not in the future
// fails reads at once, even when bytes have arrived.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setDeadline(&c.in.reader, t))
}

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.out.setDeadline(&c.out.writer, t))
}

// Buffered returns the number of bytes written by the other end and not yet
// read by this one, whether or not they have arrived. It is 0 once this end
// is closed.
func (c *Conn) Buffered() int {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return c.in.buffered()
}

// Closed reports whether this end's Close was called.
func (c *Conn) Closed() bool { return c.closed.Load() }

// Stats counts what was done with one end. A call counts when it begins, a
// byte when it is moved.
type Stats struct {
	Reads, TryReads, WaitReads, Writes int
	BytesRead, BytesWritten            int64
}

// Stats returns the counts of this end so far.
func (c *Conn) Stats() Stats {
	var s Stats
	c.in.addReads(&s)
	c.out.addWrites(&s)
	return s
}

// opError gives an error the form it has on a TCP connection.
func (c *Conn) opError(op string, err error) error {
	if err == nil || op == "read" && err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// addr names one end. It has the form host:port because callers may split it.
type addr string

func (addr) Network() string  { return "testnet" }
func (a addr) String() string { return string(a) }
