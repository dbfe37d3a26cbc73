// Package load is the client: connections that send frames which were made
// before, each the next one once the answer to the last has come, and do no more
// with the answers than to see where they end.
package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// patience is how long a run may take: a server that does not answer is an
// error, and not a program that hangs.
const patience = 2 * time.Minute

// A Fleet are connections to one server.
type Fleet struct {
	conns        []*conn
	plain        []int64 // sizes of the messages
	first, again [][]byte
}

type conn struct {
	net.Conn
	r    *bufio.Reader
	sent int
}

// Dial connects n times, with the mode, for messages of the kind.
func Dial(address string, mode traffic.Mode, kind string, n int) (*Fleet, error) {
	messages, err := traffic.Messages(kind)
	if err != nil {
		return nil, err
	}
	f := &Fleet{}
	for _, m := range messages {
		f.plain = append(f.plain, int64(len(m)))
	}
	if f.first, f.again, err = traffic.Frames(kind, mode); err != nil {
		return nil, err
	}
	for range n {
		c, err := dial(address, mode)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.conns = append(f.conns, c)
	}
	return f, nil
}

// Request is the opening handshake of the mode.
func Request(mode traffic.Mode) string {
	s := "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	if mode.Compresses() {
		s += "Sec-WebSocket-Extensions: " + mode.Offer() + "\r\n"
	}
	return s + "\r\n"
}

// CheckResponse reads the server's response and says whether it is the mode's.
func CheckResponse(r *bufio.Reader, mode traffic.Mode) error {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("load: the server answered %s", response.Status)
	}
	return mode.Check(response.Header.Get("Sec-WebSocket-Extensions"))
}

func dial(address string, mode traffic.Mode) (*conn, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: bufio.NewReaderSize(nc, 16<<10)}
	if err = c.SetDeadline(time.Now().Add(patience)); err == nil {
		if _, err = io.WriteString(c, Request(mode)); err == nil {
			err = CheckResponse(c.r, mode)
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close closes all connections.
func (f *Fleet) Close() error {
	var all []error
	for _, c := range f.conns {
		all = append(all, c.Close())
	}
	return errors.Join(all...)
}

// Together has the connections echo so many messages, whichever is free the next
// one, so that all are busy to the end.
func (f *Fleet) Together(messages int) (measure.Count, error) {
	var taken atomic.Int64
	return f.run(func(int) bool { return taken.Add(1) <= int64(messages) })
}

// Each has each connection echo so many messages.
func (f *Fleet) Each(messages int) (measure.Count, error) {
	return f.run(func(done int) bool { return done < messages })
}

// run has every connection echo while goesOn, which is given how many it did,
// says so.
func (f *Fleet) run(goesOn func(done int) bool) (total measure.Count, err error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	deadline := time.Now().Add(patience)
	for _, c := range f.conns {
		wg.Go(func() {
			var n measure.Count
			err := c.SetDeadline(deadline)
			for err == nil && goesOn(n.Messages) {
				err = f.echo(c, &n)
			}
			mu.Lock()
			defer mu.Unlock()
			total.Add(n)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return total, errors.Join(errs...)
}

// echo sends the connection's next message and waits for the answer.
func (f *Fleet) echo(c *conn, n *measure.Count) error {
	i := c.sent % len(f.first)
	frame := f.first[i]
	if c.sent >= len(f.first) {
		frame = f.again[i]
	}
	c.sent++
	if _, err := c.Write(frame); err != nil {
		return err
	}
	wire, err := SkipMessage(c.r)
	n.Add(measure.Count{Messages: 1, Plain: f.plain[i], Wire: wire})
	return err
}

// SkipMessage reads a message of one or more frames and says how large they are.
func SkipMessage(r *bufio.Reader) (wire int64, err error) {
	for {
		fin, _, length, header, err := readHeader(r)
		if err != nil {
			return wire, err
		}
		if _, err := r.Discard(length); err != nil {
			return wire, err
		}
		wire += int64(header + length)
		if fin {
			return wire, nil
		}
	}
}

// readHeader reads the header of a server's data frame (RFC 6455 §5.2).
func readHeader(r *bufio.Reader) (fin, rsv1 bool, length, size int, err error) {
	h, err := r.Peek(2)
	if err != nil {
		return false, false, 0, 0, err
	}
	first := h[0]
	if first&0x3f > 2 || h[1] > 127 {
		return false, false, 0, 0, fmt.Errorf("load: the server sent a frame that begins with %x", h)
	}
	size, length = 2, int(h[1])
	switch length {
	case 126:
		size = 4
		if h, err = r.Peek(size); err == nil {
			length = int(binary.BigEndian.Uint16(h[2:]))
		}
	case 127:
		size = 10
		if h, err = r.Peek(size); err == nil {
			length = int(binary.BigEndian.Uint32(h[6:]))
		}
	}
	if err == nil {
		_, err = r.Discard(size)
	}
	return first&0x80 != 0, first&0x40 != 0, length, size, err
}
