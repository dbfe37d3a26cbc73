package load

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// Check has a server echo the first n messages of a kind on one connection, and
// compares. compressed is how many of the answers were compressed.
func Check(to Target, kind string, n int) (compressed int, err error) {
	messages, err := traffic.Messages(kind)
	if err != nil {
		return 0, err
	}
	f, err := Dial(to, kind, 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c := f.conns[0]
	var before []byte // what an answer may refer to
	for i, m := range messages[:n] {
		if _, err := c.Write(f.first[i]); err != nil {
			return compressed, err
		}
		payload, first, err := c.readMessage()
		if err != nil {
			return compressed, err
		}
		if opcode := traffic.Opcode(kind); first&0xf != opcode {
			return compressed, fmt.Errorf("load: message %d has opcode %d, and came back with %d", i, opcode, first&0xf)
		}
		got := payload
		if to.Bare {
			m = masked(m)
		}
		if first&0x40 != 0 { // RSV1
			compressed++
			if got, err = inflate(payload, before); err != nil {
				return compressed, fmt.Errorf("load: message %d: %w", i, err)
			}
			if bits := to.Mode.Bits(); bits != 0 {
				before = append(before, got...)
				before = before[max(0, len(before)-1<<bits):]
			}
		}
		if !bytes.Equal(m, got) {
			return compressed, fmt.Errorf("load: message %d is %q, and came back as %q", i, m, got)
		}
	}
	return compressed, nil
}

// readMessage returns a message and the first byte of its first frame.
func (c *conn) readMessage() (payload []byte, first byte, err error) {
	for fragments := 0; ; fragments++ {
		h, err := readHeader(c.r)
		if err != nil {
			return nil, 0, err
		}
		begin := len(payload)
		payload = append(payload, make([]byte, h.length)...)
		if _, err := io.ReadFull(c.r, payload[begin:]); err != nil {
			return nil, 0, err
		}
		if fragments == 0 {
			first = h.first
		}
		if h.fin() {
			return payload, first, nil
		}
	}
}

// masked is what the client's key makes of a payload.
func masked(p []byte) []byte {
	p = bytes.Clone(p)
	for i := range p {
		p[i] ^= traffic.MaskKey[i%len(traffic.MaskKey)]
	}
	return p
}

// inflate decodes a message with a decoder that none of the libraries has made
// for itself (RFC 7692 §7.2.2).
func inflate(payload, before []byte) ([]byte, error) {
	in := append(bytes.Clone(payload), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
	return io.ReadAll(flate.NewReaderDict(bytes.NewReader(in), before))
}
