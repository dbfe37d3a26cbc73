package generator

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// A conn is a connection. Of what comes it keeps only where it is in a frame.
type conn struct {
	fd, index int

	answer []byte // to the handshake, while that is under way
	open   bool   // it is over

	// Of the frame that comes in (RFC 6455 §5.2).
	header  [10]byte
	have    int    // bytes of the header
	payload uint64 // bytes that are still to come
	fin     bool

	// Of what goes out.
	next  int    // frame of the script
	rest  []byte // of a write that did not fit
	owed  int    // messages after it
	sent  []time.Time
	first int // of sent, of the oldest message that has no answer
	wait  int // how many have none
}

// receive counts the messages that end in p, and says how many bytes were
// payload.
func (c *conn) receive(p []byte) (messages int, err error) {
	for len(p) > 0 {
		if c.payload == 0 {
			if p, err = c.begin(p); err != nil {
				return messages, err
			}
			if c.have > 0 {
				continue // the header is cut
			}
		}
		n := min(c.payload, uint64(len(p)))
		p, c.payload = p[n:], c.payload-n
		if c.payload == 0 && c.fin {
			c.fin = false
			messages++
		}
	}
	return messages, nil
}

// begin takes a header, or what there is of it, and returns what follows.
func (c *conn) begin(p []byte) ([]byte, error) {
	for c.have < c.headerSize() {
		n := copy(c.header[c.have:c.headerSize()], p)
		if n == 0 {
			return p, nil
		}
		c.have, p = c.have+n, p[n:]
	}
	first, length := c.header[0], uint64(c.header[1])
	if first&0x3f > 2 || length > 127 {
		return p, fmt.Errorf("generator: the server sent a frame that begins with %x", c.header[:2])
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(c.header[2:]))
	case 127:
		length = binary.BigEndian.Uint64(c.header[2:])
	}
	c.have, c.payload, c.fin = 0, length, first&0x80 != 0
	return p, nil
}

// headerSize is what the header takes, as far as that is known.
func (c *conn) headerSize() int {
	switch {
	case c.have < 2:
	case c.header[1] == 126:
		return 4
	case c.header[1] == 127:
		return 10
	}
	return 2
}

// read reads what there is, as far as it fits.
func (c *conn) read(buffer []byte) ([]byte, error) {
	n, err := unix.Read(c.fd, buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("generator: read: %w", err)
	case n == 0:
		return nil, io.ErrUnexpectedEOF
	}
	return buffer[:n], nil
}

// write writes p, of which what does not fit is left in rest.
func (c *conn) write(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(c.fd, p)
		if err == unix.EAGAIN {
			break
		} else if err != nil && err != unix.EINTR {
			return fmt.Errorf("generator: write: %w", err)
		}
		p = p[max(n, 0):]
	}
	c.rest = p
	return nil
}
