package websocket

import (
	"bytes"
	"io"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// What ARCHITECTURE.md promises of speed and memory, as far as a test can tell.

func TestConnSize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Conn{}), uintptr(320), "bytes of a Conn")
	require.LessOrEqual(t, unsafe.Sizeof(monitor{}), uintptr(96), "bytes that keepalive, write timeout and statistics add")
}

// eachMode is eachConn outside of a bubble, with a pair that blocks for real.
func eachMode(t *testing.T, f func(t *testing.T, c *Conn, p *peer)) {
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			checkBuffers(t)
			testnet.CheckGoroutines(t)
			c, p := m.pair(t)
			f(t, c, p)
		})
	}
}

func TestEchoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pool at random")
	}
	buf := make([]byte, 0, 64<<10)
	echoes := []struct {
		name string
		want func(size int) float64
		echo func(c *Conn) error
	}{
		{"AppendMessage", func(int) float64 { return 0 }, func(c *Conn) error {
			messageType, p, err := c.AppendMessage(buf)
			if err != nil {
				return err
			}
			return c.WriteMessage(messageType, p)
		}},
		{"NextReader", func(int) float64 { return 0 }, func(c *Conn) error {
			messageType, r, err := c.NextReader()
			if err != nil {
				return err
			}
			n := 0
			for err == nil {
				var m int
				m, err = r.Read(buf[n:cap(buf)])
				n += m
			}
			if err != io.EOF {
				return err
			}
			return c.WriteMessage(messageType, buf[:n])
		}},
		{"ReadMessage", func(size int) float64 {
			if size > 16<<10 {
				return 2 // one more up to 64 KiB
			}
			return 1
		}, func(c *Conn) error {
			messageType, p, err := c.ReadMessage()
			if err != nil {
				return err
			}
			return c.WriteMessage(messageType, p)
		}},
	}
	for _, e := range echoes {
		t.Run(e.name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, c *Conn, p *peer) {
				for _, size := range []int{1, 125, 512, 4 << 10, 16 << 10, 60_000} {
					ping := p.frame(finPing, "x")
					frame := append(ping, p.frame(finBinary, ascii(size))...)
					drain := make([]byte, 64<<10)
					got := testing.AllocsPerRun(50, func() {
						if _, err := p.Write(frame); err != nil {
							t.Fatal(err)
						}
						if err := e.echo(c); err != nil {
							t.Fatal(err)
						}
						for p.Buffered() > 0 {
							if _, err := p.Read(drain); err != nil {
								t.Fatal(err)
							}
						}
					})
					require.LessOrEqual(t, got, e.want(size), "allocations for a ping and an echo of %d bytes", size)
				}
			})
		})
	}
}

// No goroutine, buffer or timer is a connection's while it is idle, before and
// after traffic.
func TestIdleConnectionsHoldNothing(t *testing.T) {
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			goroutines, buffers := runtime.NumGoroutine(), onLoan.Load()
			for range 50 {
				c, p := m.pair(t)
				require.Nil(t, c.in.buf)
				p.send(p.frame(finPing, "x"), p.frame(beginText, "hel"), p.frame(finContinue, "lo"))
				_, _, err := c.ReadMessage()
				require.NoError(t, err)
				require.NoError(t, c.WriteMessage(TextMessage, []byte("hello")))
				w, err := c.NextWriter(TextMessage)
				require.NoError(t, err)
				require.NoError(t, w.Close())
			}
			require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
			require.Equal(t, buffers, onLoan.Load())
		})
	}
}

// While a read waits for a message, and while it waits for the payload of one,
// no buffer is out. A seam that reads a few bytes at a time keeps one once the
// payload has begun, or it would bring all of it in such pieces.
func TestWaitingReadHoldsNoBuffer(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		done := make(chan error)
		go func() {
			_, _, err := c.ReadMessage()
			done <- err
		}()
		f := p.frame(finBinary, ascii(1000))
		header := len(f) - 1000
		p.wantSilence("it waits for a message")
		require.Equal(t, before, onLoan.Load())
		p.send(f[:header])
		p.wantSilence("it waits for the payload")
		require.Equal(t, before, onLoan.Load())
		p.send(f[header : header+10])
		p.wantSilence("it waits for more of it")
		kept := int64(0)
		if !c.transport.seam.raw() {
			kept = 1
		}
		require.Equal(t, before+kept, onLoan.Load())
		p.send(f[header+10:])
		require.NoError(t, <-done)
	})
}

// Behind a large frame more is read at once; and if little comes, it is not kept in more
// memory than it would have been.
func TestLargeFramesAreReadAtOnce(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		for i := range 3 {
			p.send(p.frame(finBinary, ascii(60<<10)))
			before := p.ours.Stats()
			_, m, err := c.ReadMessage()
			require.NoError(t, err)
			require.Len(t, m, 60<<10)
			if i > 0 {
				now := p.ours.Stats()
				require.EqualValues(t, 1, now.Reads+now.TryReads-before.Reads-before.TryReads, "reads of a message behind another")
			}
		}
		f := p.frame(finBinary, ascii(60<<10))
		p.send(f[:5]) // not even the header
		type result struct {
			message []byte
			err     error
		}
		done := make(chan result)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		_, _, err := c.ReadMessage()
		require.True(t, isDeadline(err))
		require.Len(t, c.in.bytes(), 5)
		require.Equal(t, bufpool.Size, len(c.in.buf.Data))
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		go func() {
			_, m, err := c.ReadMessage()
			done <- result{m, err}
		}()
		p.send(f[5:])
		r := <-done
		require.NoError(t, r.err)
		require.Equal(t, ascii(60<<10), string(r.message))
	})
}

// What is left of much that came at once, and has to be waited behind, is not kept in the
// memory of all.
func TestWaitBehindLargeReadHoldsASmallBuffer(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finBinary, ascii(60<<10)))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		for _, begun := range [][]byte{p.frame(finBinary, "end")[:1], p.frame(finPing, ascii(125))[:100]} {
			n := bufpool.Size/1000 + 1
			p.send(bytes.Repeat(p.frame(finBinary, ascii(1000)), n), begun)
			for range n {
				_, _, err := c.ReadMessage()
				require.NoError(t, err)
			}
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
			_, _, err := c.ReadMessage()
			wantTimeout(t, err)
			require.Equal(t, begun, c.in.bytes())
			require.Equal(t, bufpool.Size, len(c.in.buf.Data))
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			rest := p.frame(finBinary, "end")[1:]
			if len(begun) > 1 {
				rest = append(p.frame(finPing, ascii(125))[100:], p.frame(finBinary, "end")...)
			}
			p.send(rest)
			_, m, err := c.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, "end", string(m))
			p.send(p.frame(finBinary, ascii(60<<10)))
			_, _, err = c.ReadMessage()
			require.NoError(t, err)
		}
	})
}

// A server's write of up to 64 KiB that waits for its peer to read holds no copy.
func TestStalledWriteHoldsNoCopy(t *testing.T) {
	for _, taken := range []int{0, 1, 3, 4, 5, 1000} {
		serverConn(t, func(t *testing.T, c *Conn, p *peer) {
			payload := ascii(40_000)
			p.blockWrites(taken)
			before := onLoan.Load()
			done := make(chan error)
			go func() { done <- c.WriteMessage(BinaryMessage, []byte(payload)) }()
			synctest.Wait()
			require.Equal(t, taken, p.Buffered())
			require.Equal(t, before, onLoan.Load())
			p.unblockWrites()
			p.want("all of it", finBinary, payload)
			require.NoError(t, <-done)
		})
	}
}

// A control frame after a message leaves no buffer with the connection either.
func TestIdleConnectionHoldsNoBufferAfterAPing(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		p.send(p.frame(finText, "hello"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		readOn(c)
		p.send(p.frame(finPing, "x"))
		p.want("the pong", finPong, "x")
		p.wantSilence("and nothing else")
		require.Equal(t, before, onLoan.Load())
	})
}

// An upgrade of a browser's request, beside what net/http does of it: the Conn, its seam
// and way to read, and three of checks.
func TestUpgradeAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pool at random")
	}
	r := hsParse(t, hsRequest("Origin: http://example.com\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"))
	w := hsHijacker{ResponseWriter: httptest.NewRecorder(), conn: &loopConn{}}
	var u Upgrader
	got := testing.AllocsPerRun(100, func() {
		if _, err := u.Upgrade(w, r, nil); err != nil {
			t.Fatal(err)
		}
	})
	require.LessOrEqual(t, got, 6.0)
}
