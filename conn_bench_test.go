package websocket

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// A loopConn is a transport without system calls: it gives the same bytes for ever and
// takes what is written for nothing.
type loopConn struct {
	net.Conn
	batch []byte
	rest  []byte
}

func (c *loopConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		c.rest = c.batch
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *loopConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *loopConn) SetDeadline(time.Time) error      { return nil }
func (c *loopConn) SetWriteDeadline(time.Time) error { return nil }
func (c *loopConn) Close() error                     { return nil }

// A loopSeam is to a loopConn what a rawSeam is to a socket.
type loopSeam struct{ *loopConn }

func (s loopSeam) readSome(_ net.Conn, from lender) (int, error) {
	n, err := s.Read(from.lend())
	if n == 0 {
		from.giveBack()
	}
	return n, err
}

func (s loopSeam) tryWrite(p []byte) int { return len(p) }
func (s loopSeam) raw() bool             { return true }

// BenchmarkMonitored is what keepalive, write timeout and statistics add to the cheapest echo: the
// two kinds of connection take turns.
func BenchmarkMonitored(b *testing.B) {
	echo := func(o connOptions) func(n int) time.Duration {
		conn := &loopConn{batch: wireFrame(finBinary, true, ascii(16))}
		o.server = true
		c := newConn(conn, o)
		c.transport.seam = loopSeam{conn}
		buf := make([]byte, 0, 64)
		b.Cleanup(func() { _ = c.Close() })
		return func(n int) time.Duration {
			begin := time.Now()
			for range n {
				messageType, p, err := c.AppendMessage(buf)
				if err == nil {
					err = c.WriteMessage(messageType, p)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			return time.Since(begin)
		}
	}
	plain := echo(connOptions{})
	monitored := echo(connOptions{keepalive: new(Keepalive), collectStats: true, writeTimeout: time.Minute})
	const turn = 10_000
	var added []float64
	for b.Loop() {
		without, with := plain(turn), monitored(turn)
		added = append(added, float64(with-without)/turn)
	}
	slices.Sort(added)
	b.ReportMetric(added[len(added)/2], "ns-added/echo")
}

// BenchmarkEcho is what the library adds to the system calls of a server that echoes: for
// messages that come one at a time, and many at once, and for both ways to read without
// memory for each.
func BenchmarkEcho(b *testing.B) {
	pooled := sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 128<<10)) }}
	ways := map[string]func(c *Conn) error{
		"AppendMessage": func(c *Conn) error {
			buf := pooled.Get().(*bytes.Buffer)
			defer pooled.Put(buf)
			messageType, p, err := c.AppendMessage(buf.AvailableBuffer())
			if err != nil {
				return err
			}
			return c.WriteMessage(messageType, p)
		},
		"NextReader": func(c *Conn) error {
			messageType, r, err := c.NextReader()
			if err != nil {
				return err
			}
			buf := pooled.Get().(*bytes.Buffer)
			defer pooled.Put(buf)
			buf.Reset()
			if _, err := buf.ReadFrom(r); err != nil {
				return err
			}
			return c.WriteMessage(messageType, buf.Bytes())
		},
	}
	for _, tc := range []struct{ size, depth int }{{16, 1}, {125, 1}, {512, 1}, {4 << 10, 1}, {64 << 10, 1}, {32, 8}, {32, 32}, {32, 128}} {
		for name, echo := range ways {
			b.Run(fmt.Sprintf("%s/%dB/%d", name, tc.size, tc.depth), func(b *testing.B) {
				frame := wireFrame(finBinary, true, ascii(tc.size))
				conn := &loopConn{batch: bytes.Repeat(frame, tc.depth)}
				c := newConn(conn, connOptions{server: true})
				c.transport.seam = loopSeam{conn}
				b.ReportAllocs()
				for b.Loop() {
					if err := echo(c); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
