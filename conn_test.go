package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/deflate"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// onLoan is the number of pooled buffers, and of pooled parts of the codec, that are
// out.
var onLoan atomic.Int64

func TestMain(m *testing.M) {
	bufpool.OnLoan = func(delta int) { onLoan.Add(int64(delta)) }
	deflate.OnLoan = bufpool.OnLoan
	os.Exit(m.Run())
}

// checkBuffers fails the test if it ends with pooled buffers out.
func checkBuffers(t testing.TB) {
	before := onLoan.Load()
	t.Cleanup(func() {
		if now := onLoan.Load(); now != before {
			t.Errorf("%d pooled buffers were not given back", now-before)
		}
	})
}

// A memSeam waits on the in-memory network without memory to read into, as a
// rawSeam does on a socket.
type memSeam struct{ conn *testnet.Conn }

func (s memSeam) readSome(_ net.Conn, from lender) (int, error) {
	for {
		n, ok, err := s.conn.TryRead(from.lend())
		if n > 0 {
			return n, nil
		}
		from.giveBack()
		if ok || err != nil {
			return 0, err
		}
		// An error of the wait is TryRead's to report.
		_ = s.conn.WaitRead()
	}
}

func (s memSeam) tryWrite(p []byte) int { return s.conn.TryWrite(p) }

func (s memSeam) raw() bool { return true }

// A waitingSeam has every write go through the transport's Write.
type waitingSeam struct{ seam }

func (waitingSeam) tryWrite([]byte) int { return 0 }

func (waitingSeam) raw() bool { return false }

// replaceTransport has c write to another transport. Only those that are wrapped by
// nothing are written to without their Write.
func (c *Conn) replaceTransport(conn net.Conn) {
	c.transport = transport{conn, waitingSeam{c.transport.seam}}
}

// A mode is a role for the connection under test and a way for it to wait.
type mode struct{ server, raw bool }

func (m mode) String() string {
	role, seam := "client", "inline"
	if m.server {
		role = "server"
	}
	if m.raw {
		seam = "raw"
	}
	return role + "/" + seam
}

var modes = []mode{{true, true}, {true, false}, {false, true}, {false, false}}

// eachConn runs f in a bubble for each mode, with a connection and its peer.
// Whatever f leaves open is closed, and nothing may be left then.
func eachConn(t *testing.T, f func(t *testing.T, c *Conn, p *peer)) {
	t.Helper()
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				c, p := m.pair(t)
				f(t, c, p)
			})
		})
	}
}

// serverConn is eachConn for what does not depend on the role or the seam.
func serverConn(t *testing.T, f func(t *testing.T, c *Conn, p *peer)) {
	t.Helper()
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{server: true, raw: true}.pair(t)
		f(t, c, p)
	})
}

func (m mode) pair(t testing.TB) (*Conn, *peer) {
	c, p := m.open(t)
	t.Cleanup(func() {
		_ = c.Close()
		_ = p.Close()
	})
	return c, p
}

// open is pair for a test that closes both itself.
func (m mode) open(t testing.TB) (*Conn, *peer) { return m.openWith(t, connOptions{}) }

// openWith is open for a connection with options.
func (m mode) openWith(t testing.TB, o connOptions) (*Conn, *peer) {
	ours, theirs := testnet.Pipe()
	o.server = m.server
	c := newConn(ours, o)
	if m.raw {
		c.transport.seam = memSeam{ours}
	}
	return c, &peer{t: t, Conn: theirs, ours: ours, masks: m.server}
}

// eachConnWith is eachConn for connections with options, made anew for each.
func eachConnWith(t *testing.T, options func() connOptions, f func(t *testing.T, c *Conn, p *peer)) {
	t.Helper()
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				c, p := m.openWith(t, options())
				t.Cleanup(func() {
					_ = c.Close()
					_ = p.Close()
				})
				f(t, c, p)
			})
		})
	}
}

// A peer is the other end of a connection under test. It says what the test
// tells it to, right or wrong, and is told what to expect.
type peer struct {
	t testing.TB
	*testnet.Conn
	ours  *testnet.Conn
	masks bool // it is the client
}

// testKey masks what a peer sends.
var testKey = [4]byte{0xA1, 0xB2, 0xC3, 0xD4}

// wireFrame is a frame as its bytes: the first byte, then the length and the
// payload, masked with testKey or not.
func wireFrame(first byte, masked bool, payload string) []byte {
	var second byte
	if masked {
		second = 0x80
	}
	b := []byte{first, second}
	switch n := len(payload); {
	case n <= 125:
		b[1] |= byte(n)
	case n <= 65535:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if !masked {
		return append(b, payload...)
	}
	return append(append(b, testKey[:]...), maskNaive([]byte(payload), testKey, 0)...)
}

// First bytes of frames, RFC 6455 §5.2.
const (
	finText     = 0x81
	finBinary   = 0x82
	finContinue = 0x80
	finClose    = 0x88
	finPing     = 0x89
	finPong     = 0x8A
	beginText   = 0x01
	beginBinary = 0x02
	moreData    = 0x00
)

// frame is a frame as this peer has to send it.
func (p *peer) frame(first byte, payload string) []byte {
	return wireFrame(first, p.masks, payload)
}

// send sends bytes, which nobody needs to be reading yet.
func (p *peer) send(frames ...[]byte) {
	p.t.Helper()
	_, err := p.Write(bytes.Join(frames, nil))
	require.NoError(p.t, err)
}

// next reads a frame and returns its first byte and payload.
func (p *peer) next() (first byte, payload string, err error) {
	p.t.Helper()
	if err := p.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		return 0, "", err
	}
	b := make([]byte, 2, maxHeaderSize)
	if _, err := io.ReadFull(p, b); err != nil {
		return 0, "", err
	}
	require.Equal(p.t, !p.masks, b[1] >= 0x80, "RFC 6455 §5.1: a client masks, a server does not")
	more := map[byte]int{126: 2, 127: 8}[b[1]&0x7F]
	if !p.masks {
		more += 4
	}
	b = b[:2+more]
	if _, err := io.ReadFull(p, b[2:]); err != nil {
		return 0, "", err
	}
	h, n := parseHeader(b)
	require.Equal(p.t, len(b), n)
	require.False(p.t, h.overlength)
	body := make([]byte, h.length)
	if _, err := io.ReadFull(p, body); err != nil {
		return 0, "", err
	}
	if h.masked {
		var key [4]byte
		binary.LittleEndian.PutUint32(key[:], h.key)
		body = maskNaive(body, key, 0)
	}
	return b[0], string(body), nil
}

// want expects one frame.
func (p *peer) want(why string, first byte, payload string) {
	p.t.Helper()
	got, body, err := p.next()
	require.NoError(p.t, err, why)
	require.Equal(p.t, fmt.Sprintf("%#x", first), fmt.Sprintf("%#x", got), why)
	require.True(p.t, payload == body, "%s: payload of %d bytes %.40q, want %d bytes %.40q", why, len(body), body, len(payload), payload)
}

// wantClose expects a close frame with a code, whatever its reason.
func (p *peer) wantClose(why string, code int) {
	p.t.Helper()
	got, body, err := p.next()
	require.NoError(p.t, err, why)
	require.Equal(p.t, byte(finClose), got, why)
	require.GreaterOrEqual(p.t, len(body), 2, why)
	require.Equal(p.t, code, int(binary.BigEndian.Uint16([]byte(body))), why)
}

// wantSilence expects that nothing is on its way to the peer and that nothing
// will be, once everybody waits.
func (p *peer) wantSilence(why string) {
	p.t.Helper()
	synctest.Wait()
	require.Zero(p.t, p.Buffered(), why)
}

// blockWrites lets writes of the connection under test block after n more
// bytes.
func (p *peer) blockWrites(n int) { p.ours.Out().SetBuffer(p.Buffered() + n) }

func (p *peer) unblockWrites() { p.ours.Out().SetBuffer(64 << 10) }

// closePayload is the payload of a close frame.
func closePayload(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// A readWay is one of the ways to read a message.
type readWay struct {
	name string
	read func(c *Conn) (messageType int, message []byte, err error)
}

var readWays = []readWay{
	{"ReadMessage", (*Conn).ReadMessage},
	{"AppendMessage", func(c *Conn) (int, []byte, error) {
		dst := append(make([]byte, 0, 64), "before"...)
		messageType, p, err := c.AppendMessage(dst)
		if !bytes.HasPrefix(p, []byte("before")) {
			return 0, nil, fmt.Errorf("AppendMessage changed dst: %q", p)
		}
		return messageType, p[len("before"):], err
	}},
	{"NextReader", func(c *Conn) (int, []byte, error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		p, err := io.ReadAll(r)
		return messageType, p, err
	}},
	{"NextReader, 1 byte each", func(c *Conn) (int, []byte, error) {
		messageType, r, err := c.NextReader()
		if err != nil {
			return messageType, nil, err
		}
		var p []byte
		for {
			var b [1]byte
			n, err := r.Read(b[:])
			p = append(p, b[:n]...)
			if err == io.EOF {
				return messageType, p, nil
			} else if err != nil {
				return messageType, p, err
			}
		}
	}},
}

func wantTimeout(t testing.TB, err error) {
	t.Helper()
	e, ok := err.(net.Error)
	require.True(t, ok, "%v is not a net.Error", err)
	require.True(t, e.Timeout(), "%v", err)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// all is those who wait for the write half.
func (q *waitQueue) all() (waiters []*writeWaiter) {
	for w := q.first; w != nil; w = w.next {
		waiters = append(waiters, w)
	}
	return waiters
}
