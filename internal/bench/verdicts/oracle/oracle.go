// Package oracle says what RFC 6455 and RFC 7692 make of the bytes of frames. It is
// written from them alone, as plainly as can be: a stream is one slice, and every rule
// is looked at where it applies.
package oracle

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unicode/utf8"
)

// What may be in the place of a close code.
const (
	None     = 0    // there was no close frame
	NoStatus = 1005 // there was one, without a code (RFC 6455 §7.1.5)
)

// The close codes of RFC 6455 §7.4.1 with which connections are failed.
const (
	protocolError = 1002
	invalidData   = 1007
	tooBig        = 1009
)

// A Message is one that a program was given.
type Message struct {
	Text bool
	Size int
	Hash [sha256.Size]byte
}

// NewMessage is a message with that payload.
func NewMessage(text bool, payload []byte) Message {
	return Message{text, len(payload), sha256.Sum256(payload)}
}

// Conditions are what was agreed on before the first frame.
type Conditions struct {
	Server      bool  // whoever reads the stream is a server
	Compression bool  // permessage-deflate, both without context takeover
	Limit       int64 // the size of the largest message that is taken

	// Ignored are rules that whoever reads does not know.
	Ignored []*Rule
}

// A Ruling is what may become of a stream.
type Ruling struct {
	Messages []Delivery

	// Outcomes are the ends that the connection may come to. The last is where it ends at
	// the latest, the others are where it may have been failed before: as soon as a wrong
	// thing shows.
	Outcomes []Outcome
}

// A Delivery is a message, and the rule that says that it is one.
type Delivery struct {
	Message
	Rule *Rule
}

// An Outcome is one end that a connection may come to.
type Outcome struct {
	Messages int   // how many were delivered before
	Codes    []int // any of these is sent
	Rule     *Rule // the reason
}

// Judge rules on a stream, behind which the connection ends.
func Judge(stream []byte, c Conditions) Ruling {
	w := walk{Conditions: c, rest: stream}
	for !w.ended {
		w.frame()
	}
	return w.ruling
}

// A walk is the way through a stream, up to where nothing more may be read.
type walk struct {
	Conditions
	rest   []byte
	ruling Ruling
	ended  bool

	// The message that has begun and not ended.
	open       bool
	text       bool
	compressed bool
	payload    []byte
}

// may notes that the connection may be failed here.
func (w *walk) may(rule *Rule, codes ...int) {
	o := Outcome{len(w.ruling.Messages), codes, rule}
	same := func(other Outcome) bool {
		return other.Messages == o.Messages && other.Rule == rule && slices.Equal(other.Codes, codes)
	}
	if !slices.ContainsFunc(w.ruling.Outcomes, same) {
		w.ruling.Outcomes = append(w.ruling.Outcomes, o)
	}
}

// must ends the walk.
func (w *walk) must(rule *Rule, codes ...int) {
	w.ruling.Outcomes = slices.DeleteFunc(w.ruling.Outcomes, func(o Outcome) bool {
		return o.Messages == len(w.ruling.Messages) && o.Rule == rule && slices.Equal(o.Codes, codes)
	})
	w.ruling.Outcomes = append(w.ruling.Outcomes, Outcome{len(w.ruling.Messages), codes, rule})
	w.ended = true
}

func (w *walk) ignores(rule *Rule) bool { return slices.Contains(w.Ignored, rule) }

// A header is what a frame says before its payload (RFC 6455 §5.2), as far as it came.
type header struct {
	fin              bool
	rsv1, rsv2, rsv3 bool
	opcode           byte
	second           bool // the second byte came
	masked           bool
	length           uint64 // once lengthBytes are there; 126 or 127 before
	lengthBytes      int    // in which it is, behind the second byte: 0, 2 or 8; less than 0 if they did not all come
	key              []byte
	whole            bool
}

func (w *walk) take(n int) ([]byte, bool) {
	if len(w.rest) < n {
		w.rest = nil
		return nil, false
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	return b, true
}

func (w *walk) header() (h header) {
	b, ok := w.take(1)
	if !ok {
		return h
	}
	h.fin = b[0]>>7&1 == 1
	h.rsv1, h.rsv2, h.rsv3 = b[0]>>6&1 == 1, b[0]>>5&1 == 1, b[0]>>4&1 == 1
	h.opcode = b[0] & 0x0F
	if b, h.second = w.take(1); !h.second {
		return h
	}
	h.masked = b[0]>>7 == 1
	h.length = uint64(b[0] & 0x7F)
	switch h.length {
	case 126:
		h.lengthBytes = 2
	case 127:
		h.lengthBytes = 8
	}
	if h.lengthBytes > 0 {
		if b, ok = w.take(h.lengthBytes); !ok {
			h.lengthBytes = -h.lengthBytes
			return h
		}
		h.length = 0
		for _, digit := range b {
			h.length = h.length<<8 | uint64(digit)
		}
	}
	h.whole = true
	if h.masked {
		h.key, h.whole = w.take(4)
	}
	return h
}

// broken is the rule that a header breaks as far as it came.
func (w *walk) broken(h header) *Rule {
	control := h.opcode >= 0x8
	begins := h.opcode == 0x1 || h.opcode == 0x2
	rules := []struct {
		rule   *Rule
		breaks bool
	}{
		{Unmasked, h.second && w.Server && !h.masked},
		{Masked, h.second && !w.Server && h.masked},
		{TopBit, h.lengthBytes == 8 && h.length>>63 == 1},
		{Reserved, !w.Compression && (h.rsv1 || h.rsv2 || h.rsv3)},
		{ReservedBesideCompression, w.Compression && (h.rsv2 || h.rsv3)},
		{UnknownOpcode, h.opcode >= 0x3 && h.opcode <= 0x7 || h.opcode >= 0xB},
		{CompressedControl, w.Compression && h.rsv1 && control},
		{CompressedContinuation, w.Compression && h.rsv1 && h.opcode == 0x0},
		{FragmentedControl, control && !h.fin},
		{LongControl, control && h.length > 125},
		{NothingToContinue, h.opcode == 0x0 && !w.open},
		{Interrupted, begins && w.open},
		{NotShortest, h.lengthBytes == 2 && h.length < 126 || h.lengthBytes == 8 && h.length <= 0xFFFF},
	}
	for _, r := range rules {
		if r.breaks && !w.ignores(r.rule) {
			return r.rule
		}
	}
	return nil
}

func (w *walk) frame() {
	if len(w.rest) == 0 {
		w.end()
		return
	}
	h := w.header()
	rule := w.broken(h)
	switch {
	case rule != nil && h.whole:
		w.must(rule, rule.codes...)
		return
	case rule != nil: // whoever waits for all of the header does not see it
		w.may(rule, rule.codes...)
	}
	if !h.whole {
		w.must(EndInFrame, None)
		return
	}
	if h.opcode >= 0x8 {
		w.control(h)
	} else {
		w.data(h)
	}
}

// end is the end of the stream between two frames.
func (w *walk) end() {
	if w.open {
		w.must(EndInMessage, None)
	} else {
		w.must(End, None)
	}
}

// body returns the frame's payload as far as it came. Who reads what a server masked, as
// no server may, unmasks it in control frames only.
func (w *walk) body(h header) []byte {
	n := uint64(len(w.rest))
	n = min(n, h.length)
	p := slices.Clone(w.rest[:n])
	w.rest = w.rest[n:]
	if h.masked && (w.Server || h.opcode >= 0x8) {
		for i := range p {
			p[i] ^= h.key[i%4]
		}
	}
	return p
}

func (w *walk) control(h header) {
	p := w.body(h)
	switch {
	case uint64(len(p)) < h.length:
		w.must(EndInFrame, None)
	case h.opcode == 0x8:
		w.close(p)
	}
}

// close is a close frame (RFC 6455 §5.5.1), which is answered with its own code unless
// something is wrong with it.
func (w *walk) close(p []byte) {
	if len(p) == 1 && !w.ignores(CloseOfOneByte) {
		w.must(CloseOfOneByte, protocolError)
		return
	}
	if len(p) < 2 {
		w.must(CloseEmpty, NoStatus)
		return
	}
	code := int(binary.BigEndian.Uint16(p))
	if !utf8.Valid(p[2:]) && !w.ignores(CloseReason) {
		w.may(CloseReason, CloseReason.codes...)
	}
	switch {
	case code < 1000, code == 1005, code == 1006, code == 1015:
		w.must(CloseCodeNotSent, protocolError)
	case code == 1004, code > 1015 && code < 3000, code > 4999:
		// Nobody has given it a meaning, and it is not said what that means.
		w.may(CloseCodeUnassigned, protocolError)
		w.goodClose(CloseCodeUnassigned, code, p[2:])
	case code >= 1012 && code <= 1014:
		w.goodClose(CloseCodeRegistered, code, p[2:])
	default:
		w.goodClose(Close, code, p[2:])
	}
}

func (w *walk) goodClose(rule *Rule, code int, reason []byte) {
	if utf8.Valid(reason) || w.ignores(CloseReason) {
		w.must(rule, code)
	} else {
		w.must(CloseReason, CloseReason.codes...)
	}
}
