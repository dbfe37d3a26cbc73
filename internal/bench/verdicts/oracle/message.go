package oracle

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"
	"unicode/utf8"
)

// data is a frame of a message.
func (w *walk) data(h header) {
	if h.opcode != 0x0 {
		w.open, w.text, w.compressed, w.payload = true, h.opcode == 0x1, w.Compression && h.rsv1, nil
	}
	left := uint64(max(w.Limit-int64(len(w.payload)), 0))
	p := w.body(h)
	w.payload = append(w.payload, p...)
	// The limit may be held against what the header says, and, where compression makes it
	// something else, against the size on the wire.
	if rule := w.tooBig(); h.length > left && !w.ignores(rule) {
		if uint64(len(p)) > left && !w.compressed {
			w.mayBeWrong(false)
			w.must(rule, rule.codes...)
			return
		}
		w.may(rule, rule.codes...)
	}
	whole := uint64(len(p)) == h.length
	if !whole || !h.fin {
		w.mayBeWrong(false)
		if !whole {
			w.must(EndInFrame, None)
		}
		return
	}
	w.message()
}

func (w *walk) tooBig() *Rule {
	if w.compressed {
		return TooBigInflated
	}
	return TooBig
}

// mayBeWrong notes what is wrong with the message under way, and reports whether there is
// something: ended says that there is no more of it. Who checks it only then does not
// see it before.
func (w *walk) mayBeWrong(ended bool) (wrong bool) {
	content, notText := w.payload, NotUTF8
	if w.compressed {
		notText = NotUTF8Inflated
		var state state
		content, state = inflate(w.payload, ended)
		switch {
		case state == corrupt || ended && state == cut:
			w.may(Corrupt, Corrupt.codes...)
			wrong = true
		case state == swallows:
			w.may(DeflatedOddly, DeflatedOddly.codes...)
		}
		if int64(len(content)) > w.Limit && !w.ignores(TooBigInflated) {
			w.may(TooBigInflated, TooBigInflated.codes...)
			wrong = true
		}
	}
	if w.text && !isText(content, ended) && !w.ignores(notText) {
		w.may(notText, notText.codes...)
		wrong = true
	}
	return wrong
}

// message is the end of one.
func (w *walk) message() {
	w.open = false
	if w.mayBeWrong(true) {
		w.ended = true
		return
	}
	if !w.compressed {
		w.deliver(Plain, w.payload)
		return
	}
	content, state := inflate(w.payload, true)
	switch state {
	case swallows:
		w.deliver(DeflatedOddly, content)
	case inStreams:
		w.deliver(DeflatedInStreams, content)
	default:
		w.deliver(Deflated, content)
	}
}

func (w *walk) deliver(rule *Rule, content []byte) {
	w.ruling.Messages = append(w.ruling.Messages, Delivery{NewMessage(w.text, content), rule})
}

// isText reports whether b is UTF-8 (RFC 3629), or may become so if there is more of it.
func isText(b []byte, ended bool) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			return !ended && !utf8.FullRune(b)
		}
		b = b[size:]
	}
	return true
}

// A state is what the payload of a compressed message is.
type state int

const (
	good      state = iota
	inStreams       // good, and a block with BFINAL is inside
	swallows        // good only if the tail is content
	cut             // something is missing
	corrupt
)

// mostInflated is how much is looked at of what comes out: more than any limit.
const mostInflated = 16 << 20

// inflate decompresses a payload (RFC 7692 §7.2.2), by compress/flate. If it has not
// ended, it is cut or corrupt.
func inflate(payload []byte, ended bool) ([]byte, state) {
	if !ended {
		content, _, state := decode(payload)
		return content, state
	}
	tail := []byte{0x00, 0x00, 0xFF, 0xFF}
	content, streams, state := decode(join(payload, tail))
	if state == corrupt {
		return content, corrupt
	}
	// The sender has taken the tail off an empty stored block, of which it is LEN and NLEN
	// (RFC 7692 §7.2.1). If that is where it is now, others make that block hold one byte.
	marked, _, state := decode(join(payload, []byte{0x01, 0x00, 0xFE, 0xFF, 'X'}))
	if state != corrupt && bytes.Equal(marked, join(content, []byte{'X'})) {
		if streams > 1 {
			return content, inStreams
		}
		return content, good
	}
	// Else all may still end where a block ends, behind which another one may follow.
	again, _, state := decode(join(payload, tail, []byte{0x01, 0x00, 0x00, 0xFF, 0xFF}))
	if state == good && bytes.Equal(again, content) {
		return content, swallows
	}
	return content, cut
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// readers are those of compress/flate, of which one is more than 40 KB.
var readers = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// decode decompresses what may be several streams of DEFLATE one after another, each of
// which may refer to what came out of those before it. It is good if it ends behind a
// block with BFINAL.
func decode(in []byte) (out []byte, streams int, _ state) {
	src := bytes.NewReader(in)
	r := readers.Get().(io.Reader)
	defer readers.Put(r)
	for {
		streams++
		_ = r.(flate.Resetter).Reset(src, out) // it never fails
		more, err := io.ReadAll(io.LimitReader(r, int64(mostInflated-len(out))))
		out = append(out, more...)
		switch {
		case len(out) == mostInflated:
			return out, streams, cut
		case err == io.ErrUnexpectedEOF:
			return out, streams, cut
		case err != nil:
			return out, streams, corrupt
		case src.Len() == 0:
			return out, streams, good
		}
	}
}
