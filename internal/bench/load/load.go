// Package load is the client: connections that send frames which were made
// before, each the next one once the answer to the last has come, and do no more
// with the answers than to see where they end.
package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
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

// Dial connects n times, for messages of the kind.
func Dial(to Target, kind string, n int) (*Fleet, error) {
	messages, err := traffic.Messages(kind)
	if err != nil {
		return nil, err
	}
	f := &Fleet{}
	for _, m := range messages {
		f.plain = append(f.plain, int64(len(m)))
	}
	if f.first, f.again, err = traffic.Frames(kind, to.Mode); err != nil {
		return nil, err
	}
	for range n {
		c, err := to.dial(len(messages[0]))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.conns = append(f.conns, c)
	}
	return f, nil
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

// Receive takes one message from each connection.
func (f *Fleet) Receive() (total measure.Count, err error) {
	for _, c := range f.conns {
		wire, err := SkipMessage(c.r)
		if err != nil {
			return total, err
		}
		total.Add(measure.Count{Messages: 1, Wire: wire})
	}
	return total, nil
}

// SkipMessage reads a message of one or more frames and says how large they are.
func SkipMessage(r *bufio.Reader) (wire int64, err error) {
	for {
		h, err := readHeader(r)
		if err != nil {
			return wire, err
		}
		if _, err := r.Discard(h.length); err != nil {
			return wire, err
		}
		wire += int64(h.size + h.length)
		if h.fin() {
			return wire, nil
		}
	}
}

// A header is that of a server's data frame (RFC 6455 §5.2).
type header struct {
	first        byte
	length, size int // of the payload and the header itself
}

func (h header) fin() bool { return h.first&0x80 != 0 }

func readHeader(r *bufio.Reader) (h header, err error) {
	p, err := r.Peek(2)
	if err != nil {
		return h, err
	}
	h = header{first: p[0], length: int(p[1]), size: 2}
	if h.first&0x3f > 2 || h.length > 127 {
		return h, fmt.Errorf("load: the server sent a frame that begins with %x", p)
	}
	switch h.length {
	case 126:
		h.size = 4
		if p, err = r.Peek(h.size); err == nil {
			h.length = int(binary.BigEndian.Uint16(p[2:]))
		}
	case 127:
		h.size = 10
		if p, err = r.Peek(h.size); err == nil {
			h.length = int(binary.BigEndian.Uint32(p[6:]))
		}
	}
	if err == nil {
		_, err = r.Discard(h.size)
	}
	return h, err
}
