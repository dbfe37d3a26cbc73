package worker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A memoryConn is a transport without system calls: its Read gives one frame at
// a time of those that it was fed, and its Write counts.
type memoryConn struct {
	mu      sync.Mutex
	changed sync.Cond
	frames  [][]byte // to be read
	rest    []byte   // of the frame that is being read
	idle    bool     // a Read waits for more
	closed  bool
	written int64
	answer  bytes.Buffer // to the opening handshake
	shaken  bool         // it is complete
}

func newMemoryConn() *memoryConn {
	c := &memoryConn{}
	c.changed.L = &c.mu
	return c
}

func (c *memoryConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.rest) == 0 {
		switch {
		case c.closed:
			return 0, io.EOF
		case len(c.frames) > 0:
			c.rest, c.frames = c.frames[0], c.frames[1:]
		default:
			c.idle = true
			c.changed.Broadcast()
			c.changed.Wait()
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *memoryConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shaken {
		return c.answer.Write(p)
	}
	c.written += int64(len(p))
	return len(p), nil
}

// sent is how many bytes were written.
func (c *memoryConn) sent() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// feed gives frames to be read and returns once they were.
func (c *memoryConn) feed(frames [][]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames, c.idle = frames, false
	c.changed.Broadcast()
	for !c.idle {
		if c.closed {
			return net.ErrClosed
		}
		c.changed.Wait()
	}
	return nil
}

func (c *memoryConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// A memoryResponse is the http.ResponseWriter of a request that came by a
// memoryConn.
type memoryResponse struct {
	conn   *memoryConn
	header http.Header
}

func (r *memoryResponse) Header() http.Header         { return r.header }
func (r *memoryResponse) Write(p []byte) (int, error) { return r.conn.Write(p) }

func (r *memoryResponse) WriteHeader(status int) {
	fmt.Fprintf(r.conn, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = r.header.Write(r.conn) // it is memory
	_, _ = io.WriteString(r.conn, "\r\n")
}

func (r *memoryResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return r.conn, bufio.NewReadWriter(bufio.NewReaderSize(r.conn, 4<<10), bufio.NewWriterSize(r.conn, 4<<10)), nil
}

// An inMemory is a library's connection over a memoryConn.
type inMemory struct {
	transport *memoryConn
	conn      servers.Conn
	got       measure.Count // of messages that came in
	failed    error
}

func openInMemory(library string, mode traffic.Mode) (*inMemory, error) {
	l, err := servers.Find(library, servers.Compressing)
	if err != nil {
		return nil, err
	}
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(load.Target{Mode: mode}.Request(0))))
	if err != nil {
		return nil, err
	}
	m := &inMemory{transport: newMemoryConn()}
	opened := make(chan servers.Conn, 1)
	l.Handler(servers.Style{Mode: mode}, servers.Events{
		Opened: func(c servers.Conn) { opened <- c },
		Message: func(_ servers.Conn, _ servers.Kind, p []byte) error {
			m.got.Add(measure.Count{Messages: 1, Plain: int64(len(p))})
			return nil
		},
		Closed: func(_ servers.Conn, err error) {
			m.failed = err
			_ = m.transport.Close() // it has no error
		},
	}).ServeHTTP(&memoryResponse{m.transport, make(http.Header)}, request)
	if err := m.transport.shake(mode); err != nil {
		return nil, err
	}
	m.conn = <-opened
	// Once the library reads, it has sent what it wanted to.
	return m, m.transport.feed(nil)
}

// shake looks at the answer to the opening handshake. What is written from now
// on is counted.
func (c *memoryConn) shake(mode traffic.Mode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shaken = true
	return load.CheckResponse(bufio.NewReader(&c.answer), mode)
}

// write measures the sending of messages.
func write(library string, mode traffic.Mode, kind string, least time.Duration) (s measure.Sample, err error) {
	messages, err := traffic.Messages(kind)
	if err != nil {
		return s, err
	}
	m, err := openInMemory(library, mode)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, m.transport.Close()) }()
	return measure.Take(least, func() (n measure.Count, err error) {
		before := m.transport.sent()
		for _, p := range messages {
			if err := m.conn.Send(servers.Text, p); err != nil {
				return n, err
			}
			n.Plain += int64(len(p))
		}
		n.Messages, n.Wire = len(messages), m.transport.sent()-before
		return n, nil
	})
}

// read measures the receiving of messages.
func read(library string, mode traffic.Mode, kind string, least time.Duration) (s measure.Sample, err error) {
	frames, again, err := traffic.Frames(kind, mode)
	if err != nil {
		return s, err
	}
	messages, err := traffic.Messages(kind)
	if err != nil {
		return s, err
	}
	var plain int64
	for _, p := range messages {
		plain += int64(len(p))
	}
	m, err := openInMemory(library, mode)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, m.transport.Close()) }()
	return measure.Take(least, func() (n measure.Count, err error) {
		m.got = measure.Count{}
		if err := m.transport.feed(frames); err != nil {
			return n, errors.Join(err, m.failed)
		}
		if m.got.Messages != len(messages) || m.got.Plain != plain {
			return n, fmt.Errorf("worker: %s got %d messages of %d bytes, not %d of %d", library, m.got.Messages, m.got.Plain, len(messages), plain)
		}
		n = m.got
		for _, f := range frames {
			n.Wire += int64(len(f))
		}
		frames = again
		return n, nil
	})
}
