// Package codecs has the codecs that permessage-deflate could be made of, each
// used as a WebSocket library has to: one message at a time, with nothing kept
// but what context takeover needs. One file is one library.
package codecs

import (
	"bytes"
	"fmt"

	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

// An Encoder is one connection's.
type Encoder interface {
	// Encode compresses a message into dst's memory and returns it without the
	// tail (RFC 7692 §7.2.1). compressed is false if the message is to be sent
	// as it is.
	Encode(dst, message []byte) (payload []byte, compressed bool, err error)
}

// A Decoder is one connection's.
type Decoder interface {
	// Decode gives the message that the payload stands for, in dst's memory if
	// that is large enough.
	Decode(dst, payload []byte) (message []byte, err error)
}

// A Spec is a codec and how it is used. Bits is the window of what is taken
// over, and zero where nothing is.
type Spec struct {
	Library    string // whose process it runs in
	Name       string
	Bits       int
	Far        bool                    // encodes with distances of up to 32 KiB within a message, whatever Bits
	Slow       bool                    // that is left out where time is short
	NewEncoder func() (Encoder, error) // nil where it only decodes
	NewDecoder func() (Decoder, error) // nil where it only encodes
}

// All are all codecs, in the order in which they are measured.
var All = append(append(own, standard...), klauspost...)

// Find returns the encoder, or the decoder, of that name and window.
func Find(name string, bits int, encodes bool) (Spec, error) {
	for _, s := range All {
		if s.Name == name && s.Bits == bits && (s.NewEncoder != nil) == encodes {
			return s, nil
		}
	}
	return Spec{}, fmt.Errorf("codecs: no %q with %d bits", name, bits)
}

// endTail is what a reader is fed behind a message, so that it finds an end
// there: the tail that the sender took off, and an empty last block.
var endTail = append(bytes.Clone(deflate.Tail), "\x01\x00\x00\xff\xff"...)

// A history is the last bytes of what was said, as libraries take them that are
// given a dictionary with each message. It has twice the room, so that it seldom
// moves.
type history struct {
	size int
	kept []byte
}

func newHistory(bits int) *history {
	return &history{size: 1 << bits, kept: make([]byte, 0, 2<<bits)}
}

func (h *history) dict() []byte { return h.kept[max(0, len(h.kept)-h.size):] }

func (h *history) add(p []byte) {
	p = p[max(0, len(p)-h.size):]
	if len(h.kept)+len(p) > cap(h.kept) {
		keep := h.kept[len(h.kept)-min(len(h.kept), h.size-len(p)):]
		h.kept = h.kept[:copy(h.kept[:cap(h.kept)], keep)]
	}
	h.kept = append(h.kept, p...)
}

// A sink is memory that a writer writes to, and grows if it must.
type sink struct{ b []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}

// payload is what was written, without its tail.
func (s *sink) payload() (payload []byte, compressed bool, err error) {
	if !bytes.HasSuffix(s.b, deflate.Tail) {
		return nil, false, fmt.Errorf("codecs: the message does not end in the tail, but %x", s.b[max(0, len(s.b)-4):])
	}
	return s.b[:len(s.b)-len(deflate.Tail)], true, nil
}
