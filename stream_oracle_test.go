package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// A scriptedConn is a net.Conn whose peer has said everything that it will ever say. Its
// Reads and Writes do as they are told, and never block.
type scriptedConn struct {
	in    []byte
	piece func() int // how many bytes the next Read may return; 0: it runs into its deadline

	mu                          sync.Mutex               // pongs are written by goroutines too
	take                        func(n int) (int, error) // how many of n bytes a Write takes; nil: all
	out                         bytes.Buffer
	readDeadline, writeDeadline time.Time
	closed                      bool
}

func (c *scriptedConn) refuses(deadline time.Time) error {
	switch {
	case c.closed:
		return net.ErrClosed
	case !deadline.IsZero() && !time.Now().Before(deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (c *scriptedConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refuses(c.readDeadline); err != nil {
		return 0, err
	}
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := c.piece()
	if n == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	n = copy(p[:min(len(p), n)], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scriptedConn) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refuses(c.writeDeadline); err != nil {
		return 0, err
	}
	n = len(p)
	if c.take != nil {
		n, err = c.take(n)
	}
	c.out.Write(p[:n])
	return n, err
}

func (c *scriptedConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (c *scriptedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readDeadline = t
	return nil
}

func (c *scriptedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	return nil
}

func (c *scriptedConn) SetDeadline(time.Time) error { return nil }
func (c *scriptedConn) LocalAddr() net.Addr         { return nil }
func (c *scriptedConn) RemoteAddr() net.Addr        { return nil }

// A scriptedSeam is to a scriptedConn what a rawSeam is to a socket.
type scriptedSeam struct {
	conn *scriptedConn
	try  func(n int) int // how many of n bytes a tryWrite takes
}

func (s scriptedSeam) readSome(_ net.Conn, from lender) (int, error) {
	n, err := s.conn.Read(from.lend())
	if n == 0 {
		from.giveBack()
	}
	return n, err
}

func (s scriptedSeam) tryWrite(p []byte) int {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.conn.closed {
		return 0
	}
	n := s.try(len(p))
	s.conn.out.Write(p[:n])
	return n
}

func (s scriptedSeam) raw() bool { return true }

const fuzzLimit = 1 << 12

// events is what a program sees of a stream of frames, and the peer in return:
// messages, pongs, the error, the frames that were sent.
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
			frames, cut := sentFrames(t, !server, conn.out.Bytes())
			require.False(t, cut)
			var sent []string
			for _, f := range frames {
				sent = append(sent, fmt.Sprintf("%x %q", f.first&0xF, f.payload))
			}
			sentMessages(t, frames, nil)
			return append(seen, fmt.Sprintf("%T %v", err, err), fmt.Sprintf("sent %q", sent))
		}
		seen = append(seen, fmt.Sprintf("message %d %q", messageType, p))
	}
}

// A sentFrame is a frame that we sent, without what is random in it.
type sentFrame struct {
	first   byte
	payload []byte
}

// sentFrames takes what we sent apart, as RFC 6455 §5.2 has it. It tells whether the last
// frame is cut, which is not among those that it returns.
func sentFrames(t testing.TB, masked bool, b []byte) (frames []sentFrame, cut bool) {
	t.Helper()
	for len(b) > 0 {
		header := 2
		if len(b) >= 2 {
			require.Equal(t, masked, b[1]&0x80 != 0, "RFC 6455 §5.1: a client masks, a server does not")
			header += map[byte]int{126: 2, 127: 8}[b[1]&0x7F]
		}
		if masked {
			header += 4
		}
		if len(b) < header {
			return frames, true
		}
		var key [4]byte
		if masked {
			copy(key[:], b[header-4:])
		}
		size := uint64(b[1] & 0x7F)
		switch size {
		case 126:
			size = uint64(binary.BigEndian.Uint16(b[2:]))
			require.GreaterOrEqual(t, size, uint64(126), "RFC 6455 §5.2: the shortest form")
		case 127:
			size = binary.BigEndian.Uint64(b[2:])
			require.GreaterOrEqual(t, size, uint64(1<<16), "RFC 6455 §5.2: the shortest form")
		}
		if uint64(len(b)-header) < size {
			return frames, true
		}
		frames = append(frames, sentFrame{b[0], maskNaive(b[header:header+int(size)], key, 0)})
		b = b[header+int(size):]
	}
	return frames, false
}

// sentMessages checks that frames may follow each other, by RFC 6455 §5.4 and §5.5 and RFC
// 7692 §6, and returns the messages in them. If z is nil, nothing may be compressed.
func sentMessages(t testing.TB, frames []sentFrame, z *flatePeer) (messages []randomMessage) {
	t.Helper()
	var m randomMessage // under way if its type is not 0
	closed, compressed := false, false
	for _, f := range frames {
		require.False(t, closed, "RFC 6455 §5.5.1: nothing follows a close frame")
		op, fin := f.first&0xF, f.first&0x80 != 0
		switch op {
		case CloseMessage, PingMessage, PongMessage:
			require.Equal(t, 0x80|op, f.first, "RFC 6455 §5.5: a control frame is whole")
			require.LessOrEqual(t, len(f.payload), 125, "RFC 6455 §5.5")
			closed = op == CloseMessage
			if closed && len(f.payload) > 0 {
				require.GreaterOrEqual(t, len(f.payload), 2, "RFC 6455 §5.5.1")
				code := binary.BigEndian.Uint16(f.payload)
				require.True(t, 1000 <= code && code < 5000, "RFC 6455 §7.4: %d", code)
				require.NotContains(t, []uint16{1005, 1006, 1015}, code, "RFC 6455 §7.4.1")
			}
			continue
		case TextMessage, BinaryMessage:
			require.Zero(t, m.messageType, "RFC 6455 §5.4: a message in a message")
			m.messageType = int(op)
			compressed = f.first&0x40 != 0
			require.False(t, compressed && z == nil, "RFC 6455 §5.2: a reserved bit")
		default:
			require.Zero(t, f.first&0x4F, "RFC 6455 §5.2, RFC 7692 §6")
			require.NotZero(t, m.messageType, "RFC 6455 §5.4: a continuation of nothing")
		}
		require.Zero(t, f.first&0x30, "RFC 6455 §5.2: a reserved bit")
		m.body = append(m.body, f.payload...)
		if fin {
			if compressed {
				m.body = []byte(z.inflate(string(m.body)))
			}
			messages = append(messages, m)
			m = randomMessage{}
		}
	}
	return messages
}

// A heard is what there is in a stream of frames.
type heard struct {
	events   []string        // as of the function events
	messages []randomMessage // whole ones
	partial  []byte          // what is there of another one
	err      error           // the end
}

// hear reads a whole stream in the simplest way there is: frame by frame from one slice,
// by the rules as the RFC lists them. If the limit is 0, there is none.
func hear(server bool, limit uint64, b []byte) (h heard) {
	var sent []string
	var message []byte
	messageType, fragments := 0, uint64(0)
	end := func(err error, code int, reason string) heard {
		if code != 0 {
			sent = append(sent, fmt.Sprintf("8 %q", closePayload(code, reason)))
		}
		h.events = append(h.events, fmt.Sprintf("%T %v", err, err), fmt.Sprintf("sent %q", sent))
		h.partial, h.err = message, err
		return h
	}
	eof := &CloseError{Code: 1006, Text: "unexpected EOF"}
	for {
		f, n := parseHeader(b)
		if n == 0 {
			return end(eof, 0, "")
		}
		if rule := checkHeader(f, headerState{server: server, fragmented: messageType != 0}); rule != nil {
			return end(rule, rule.Code, rule.Rule)
		}
		b = b[n:]
		whole := f.length <= uint64(len(b))
		payload := bytes.Clone(b[:min(f.length, uint64(len(b)))])
		b = b[len(payload):]
		if f.masked {
			mask(payload, f.key)
		}
		if f.opcode.isControl() {
			if !whole {
				return end(eof, 0, "")
			}
			switch f.opcode {
			case opPing:
				sent = append(sent, fmt.Sprintf("a %q", payload))
			case opPong:
				h.events = append(h.events, fmt.Sprintf("pong %q", payload))
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
		if f.opcode != opContinuation {
			messageType, message, fragments = int(f.opcode), []byte{}, 0
		}
		fragments++
		switch size := uint64(len(message)); {
		case limit > 0 && (f.length > limit || size+f.length > limit):
			return end(ErrReadLimit, CloseMessageTooBig, "message is over the read limit")
		case fragments > 1024+size+f.length:
			return end(ErrReadLimit, CloseMessageTooBig, "message has too many fragments")
		}
		message = append(message, payload...)
		if messageType == TextMessage && !validPrefix(message, whole && f.fin) {
			return end(errInvalidUTF8, errInvalidUTF8.Code, errInvalidUTF8.Rule)
		}
		if !whole {
			return end(eof, 0, "")
		}
		if f.fin {
			h.events = append(h.events, fmt.Sprintf("message %d %q", messageType, message))
			h.messages = append(h.messages, randomMessage{messageType, message})
			messageType, message = 0, nil
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

func TestFrameStreamOracleSeesWhatAProgramSees(t *testing.T) {
	p := &peer{masks: true}
	h := hear(true, fuzzLimit, bytes.Join([][]byte{
		p.frame(beginText, "h"), p.frame(finPing, "x"), p.frame(finContinue, "i"), p.frame(finPong, "y"),
		p.frame(finClose, closePayload(1000, "bye")),
	}, nil))
	require.Equal(t, []string{
		`message 1 "hi"`, `pong "y"`,
		`*websocket.CloseError websocket: close 1000 (normal): bye`,
		`sent ["a \"x\"" "8 \"\\x03\\xe8\""]`,
	}, h.events)
	require.Equal(t, []randomMessage{{TextMessage, []byte("hi")}}, h.messages)
	require.Empty(t, h.partial)
}
