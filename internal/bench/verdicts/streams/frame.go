// Package streams makes the bytes of frames, valid and not, for a client or a server to
// read. The same seed makes the same streams.
package streams

import "encoding/binary"

// A Stream is what comes to a client or a server behind a good opening handshake.
type Stream struct {
	Server      bool // it comes to one
	Compression bool // permessage-deflate was agreed on, both without context takeover
	Bytes       []byte
	Cut         int // it is written in two pieces, of which this is the size of the first
}

// Opcodes (RFC 6455 §5.2).
const (
	continuation = 0x0
	text         = 0x1
	binaryData   = 0x2
	closing      = 0x8
	ping         = 0x9
	pong         = 0xA
)

// Bits of a frame's first byte (RFC 6455 §5.2).
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

// A frame is one as it is to be sent, whatever is wrong with it.
type frame struct {
	first   byte // FIN, the reserved bits, the opcode
	masked  bool
	key     [4]byte
	payload []byte
	beyond  uint64 // how much longer it says it is
	form    int    // the least number of bytes of its length, behind the second byte: 0, 2 or 8
}

func (f frame) append(b []byte) []byte {
	length := uint64(len(f.payload)) + f.beyond
	form := f.form
	switch {
	case length > 0xFFFF:
		form = 8
	case length > 125:
		form = max(form, 2)
	}
	second := byte(0)
	if f.masked {
		second = 0x80
	}
	switch form {
	case 0:
		b = append(b, f.first, second|byte(length))
	case 2:
		b = binary.BigEndian.AppendUint16(append(b, f.first, second|126), uint16(length))
	case 8:
		b = binary.BigEndian.AppendUint64(append(b, f.first, second|127), length)
	}
	if !f.masked {
		return append(b, f.payload...)
	}
	b = append(b, f.key[:]...)
	for i, c := range f.payload {
		b = append(b, c^f.key[i%4])
	}
	return b
}
