package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// A scriptedConn is a net.Conn whose peer has said everything that it will ever
// say, and of which each Read returns a piece of a chosen size.
type scriptedConn struct {
	in    []byte
	piece func() int
	out   bytes.Buffer
}

func (c *scriptedConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(1, c.piece()))], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scriptedConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *scriptedConn) Close() error                     { return nil }
func (c *scriptedConn) LocalAddr() net.Addr              { return nil }
func (c *scriptedConn) RemoteAddr() net.Addr             { return nil }
func (c *scriptedConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptedConn) SetWriteDeadline(time.Time) error { return nil }

const fuzzLimit = 1 << 12

// events is what a program sees of a stream of frames, and the peer in return:
// messages, pings, pongs, the error, the frames that were sent.
func events(t *testing.T, server bool, o *Compression, stream []byte, piece func() int, read func(*Conn) (int, []byte, error)) []string {
	conn := &scriptedConn{in: stream, piece: piece}
	c := newConn(conn, connOptions{server: server, compression: o})
	c.SetReadLimit(fuzzLimit)
	var seen []string
	pong := c.PongHandler()
	c.SetPongHandler(func(appData string) error {
		seen = append(seen, fmt.Sprintf("pong %q", appData))
		return pong(appData)
	})
	for {
		messageType, p, err := read(c)
		if err != nil {
			_, _, again := read(c)
			require.Equal(t, err, again)
			require.NoError(t, c.Close())
			return append(seen, fmt.Sprintf("%T %v", err, err), fmt.Sprintf("sent %q", unmaskedFrames(t, !server, conn.out.Bytes())))
		}
		seen = append(seen, fmt.Sprintf("message %d %q", messageType, p))
	}
}

// unmaskedFrames is frames that we sent, without what is random in them.
func unmaskedFrames(t *testing.T, masked bool, b []byte) []string {
	var frames []string
	for len(b) > 0 {
		h, n := parseHeader(b)
		require.NotZero(t, n, "half a header was sent")
		require.Nil(t, checkHeader(h, headerState{server: masked}), "we sent a bad header")
		payload := bytes.Clone(b[n : n+int(h.length)])
		if h.masked {
			mask(payload, h.key)
		}
		frames = append(frames, fmt.Sprintf("%x %q", h.opcode, payload))
		b = b[n+int(h.length):]
	}
	return frames
}

// oracleEvents reads a whole stream in the simplest way there is: frame by
// frame from one slice, by the rules as the RFC lists them.
func oracleEvents(server bool, b []byte) []string {
	var seen, sent []string
	var message []byte
	messageType, fragments := 0, 0
	end := func(err error, code int, reason string) []string {
		if code != 0 {
			sent = append(sent, fmt.Sprintf("8 %q", closePayload(code, reason)))
		}
		return append(seen, fmt.Sprintf("%T %v", err, err), fmt.Sprintf("sent %q", sent))
	}
	eof := &CloseError{Code: 1006, Text: "unexpected EOF"}
	for {
		h, n := parseHeader(b)
		if n == 0 {
			return end(eof, 0, "")
		}
		if rule := checkHeader(h, headerState{server: server, fragmented: messageType != 0}); rule != nil {
			return end(rule, rule.Code, rule.Rule)
		}
		b = b[n:]
		whole := h.length <= uint64(len(b))
		payload := bytes.Clone(b[:min(h.length, uint64(len(b)))])
		b = b[len(payload):]
		if h.masked {
			mask(payload, h.key)
		}
		if h.opcode.isControl() {
			if !whole {
				return end(eof, 0, "")
			}
			switch h.opcode {
			case opPing:
				sent = append(sent, fmt.Sprintf("a %q", payload))
			case opPong:
				seen = append(seen, fmt.Sprintf("pong %q", payload))
			default:
				code, reason, rule := parseClosePayload(payload)
				if rule != nil {
					return end(rule, rule.Code, rule.Rule)
				}
				if code == CloseNoStatusReceived {
					sent = append(sent, `8 ""`)
					return end(&CloseError{Code: code}, 0, "")
				}
				return end(&CloseError{Code: code, Text: string(reason)}, code, "")
			}
			continue
		}
		if h.opcode != opContinuation {
			messageType, message, fragments = int(h.opcode), []byte{}, 0
		}
		fragments++
		switch {
		case h.length > fuzzLimit || uint64(len(message))+h.length > fuzzLimit:
			return end(ErrReadLimit, CloseMessageTooBig, "message is over the read limit")
		case fragments > 1024+len(message)+int(h.length):
			return end(ErrReadLimit, CloseMessageTooBig, "message has too many fragments")
		}
		message = append(message, payload...)
		if messageType == TextMessage && !validPrefix(message, whole && h.fin) {
			return end(errInvalidUTF8, errInvalidUTF8.Code, errInvalidUTF8.Rule)
		}
		if !whole {
			return end(eof, 0, "")
		}
		if h.fin {
			seen = append(seen, fmt.Sprintf("message %d %q", messageType, message))
			messageType = 0
		}
	}
}

// validPrefix reports whether b is, or if it is not whole can become, UTF-8.
func validPrefix(b []byte, whole bool) bool {
	if utf8.Valid(b) {
		return true
	}
	if whole {
		return false
	}
	for cut := 1; cut <= min(3, len(b)); cut++ {
		head, tail := b[:len(b)-cut], b[len(b)-cut:]
		if utf8.Valid(head) && !utf8.FullRune(tail) {
			return true
		}
	}
	return false
}

func FuzzFrameStream(f *testing.F) {
	for _, server := range []bool{true, false} {
		p := &peer{masks: server}
		join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
		f.Add(server, uint64(1), join(p.frame(finText, "hello"), p.frame(finBinary, ascii(300)), p.frame(finClose, closePayload(1000, "bye"))))
		f.Add(server, uint64(2), join(p.frame(beginText, "κό"), p.frame(finPing, "x"), p.frame(moreData, ""), p.frame(finContinue, "σμε"), p.frame(finPong, "y")))
		f.Add(server, uint64(3), join(p.frame(finText, "\xf4\x90\x80\x80"), p.frame(finText, "never read")))
		f.Add(server, uint64(4), join(p.frame(finClose, ""), p.frame(finText, "")))
		f.Add(server, uint64(5), join(p.frame(beginBinary, ascii(fuzzLimit)), p.frame(finContinue, "x")))
		f.Add(server, uint64(6), join(p.frame(0xC1, "compressed?"), p.frame(finText, "")))
		f.Add(server, uint64(7), p.header(finBinary, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF))
		f.Add(server, uint64(8), join(p.frame(beginText, "\xce"), p.frame(finContinue, "\xba"), p.frame(beginText, "\xce"), p.frame(finContinue, "")))
	}
	f.Fuzz(func(t *testing.T, server bool, seed uint64, stream []byte) {
		want := oracleEvents(server, stream)
		random := rand.New(rand.NewPCG(seed, 0))
		pieces := map[string]func() int{
			"whole":  func() int { return len(stream) },
			"bytes":  func() int { return 1 },
			"random": func() int { return 1 + random.IntN(40) },
		}
		for name, piece := range pieces {
			for _, way := range readWays[:3] {
				got := events(t, server, nil, stream, piece, way.read)
				require.Equal(t, want, got, "%s, %s", name, way.name)
			}
		}
	})
}

// FuzzCompressedStream has a peer send anything where compression was agreed:
// what a program sees does not depend on how the bytes come and how it reads, and
// a message that compress/flate can read is what that reads.
func FuzzCompressedStream(f *testing.F) {
	for _, server := range []bool{true, false} {
		for _, takeover := range []bool{true, false} {
			p, z := &peer{masks: server}, &flatePeer{t: f, takeover: takeover}
			join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
			for i, g := range goodDeflate {
				cut := len(g.payloads) / 2
				f.Add(server, takeover, uint8(15), uint64(i), join(p.frame(zBeginText, g.payloads[:cut]), p.frame(finPing, "x"), p.frame(finContinue, g.payloads[cut:]), p.frame(finText, "y")))
			}
			f.Add(server, takeover, uint8(15), uint64(1), join(p.frame(zText, z.compress(similar(1, 500))), p.frame(zText, z.compress(similar(2, 500)))))
			f.Add(server, takeover, uint8(8), uint64(2), join(p.frame(zBinary, z.compress(similar(1, 200))), p.frame(zBinary, z.compress(noise(200, 1))[:9])))
			f.Add(server, takeover, uint8(15), uint64(3), p.frame(zText, z.compress(similar(1, fuzzLimit+1))))
			f.Add(server, takeover, uint8(15), uint64(4), p.frame(zText, z.compress("caf\xe9")))
			f.Add(server, takeover, uint8(12), uint64(5), p.frame(zBinary, strings.Repeat("\x00\x00\x00\xff\xff", 1100)))
		}
	}
	f.Fuzz(func(t *testing.T, server, takeover bool, bits uint8, seed uint64, stream []byte) {
		bits = minWindowBits + bits%8
		o := &Compression{takeover, takeover, int(bits), int(bits), 0, -1}
		random := rand.New(rand.NewPCG(seed, 0))
		var want []string
		for _, piece := range []func() int{
			func() int { return len(stream) },
			func() int { return 1 },
			func() int { return 1 + random.IntN(40) },
		} {
			for _, way := range readWays[:3] {
				got := events(t, server, o, stream, piece, way.read)
				if want == nil {
					want = got
				}
				require.Equal(t, want, got, way.name)
			}
		}
		if h, n := parseHeader(stream); n > 0 && !takeover && bits == maxWindowBits && h.opcode == opBinary && h.fin && h.rsv == rsv1Bit &&
			h.masked == server && h.length <= uint64(len(stream)-n) {
			payload := bytes.Clone(stream[n : n+int(h.length)])
			mask(payload, h.key)
			r := flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
			message, err := io.ReadAll(io.LimitReader(r, fuzzLimit+1))
			c := newConn(&scriptedConn{in: stream, piece: func() int { return len(stream) }}, connOptions{server: server, compression: o})
			c.SetReadLimit(fuzzLimit)
			if _, got, ours := c.ReadMessage(); ours == nil {
				// It stops at the first block with BFINAL, where RFC 7692 §7.2.3.4 goes on.
				require.True(t, bytes.HasPrefix(got, message), "%q, %q %v", got, message, err)
			}
			require.NoError(t, c.Close())
		}
	})
}

func TestFrameStreamOracleSeesWhatAProgramSees(t *testing.T) {
	p := &peer{masks: true}
	require.Equal(t, []string{
		`message 1 "hi"`, `pong "y"`,
		`*websocket.CloseError websocket: close 1000 (normal): bye`,
		`sent ["a \"x\"" "8 \"\\x03\\xe8\""]`,
	}, oracleEvents(true, bytes.Join([][]byte{
		p.frame(beginText, "h"), p.frame(finPing, "x"), p.frame(finContinue, "i"), p.frame(finPong, "y"),
		p.frame(finClose, closePayload(1000, "bye")),
	}, nil)))
}
