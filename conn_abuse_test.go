package websocket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Transports, peers and programs that are not what one would wish.

// A seam that brings a few bytes at a time does so for headers only.
func TestReadsOfTheTransportPerMessage(t *testing.T) {
	for _, size := range []int{0, 1, 32, 125, 126, 1000, 4000, 4090, 4100, 9000, 16_000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			for range 3 {
				p.send(p.frame(finBinary, ascii(size)))
				before := p.ours.Stats()
				_, got, err := c.ReadMessage()
				require.NoError(t, err)
				require.Len(t, got, size)
				after := p.ours.Stats()
				require.LessOrEqual(t, after.Reads-before.Reads+after.TryReads-before.TryReads, 3,
					"reads of the transport for a message of %d bytes", size)
			}
		})
	}
}

// tlsConn is a server's connection over TLS in memory, its NetConn shaken hands
// with, and the bytes below.
func tlsConn(t *testing.T) (c *Conn, client *tls.Conn, below *testnet.Conn) {
	certificate, pool := testCertificate(t)
	ours, theirs := testnet.Pipe()
	server := tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{certificate}})
	client = tls.Client(theirs, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	require.NoError(t, server.Handshake())
	require.NoError(t, <-shaken)
	c = newConn(server, connOptions{server: true})
	t.Cleanup(func() {
		_ = c.Close()
		_ = theirs.Close()
	})
	return c, client, ours
}

// TLS reports a write that timed out as no byte written, though part of a
// record may be out: nothing can be written after, and no error may say that
// it could.
func TestWriteTimeoutOverTLSSticks(t *testing.T) {
	for _, room := range []int{0, 100} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			c, client, below := tlsConn(t)
			below.Out().SetBuffer(room)
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
			err := c.WriteMessage(BinaryMessage, make([]byte, 1000))
			var e net.Error
			require.ErrorAs(t, err, &e)
			require.True(t, e.Timeout())
			below.Out().SetBuffer(64 << 10)
			go func() { _, _ = io.Copy(io.Discard, client) }()
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
			require.Same(t, err, c.WriteMessage(BinaryMessage, nil))
			require.Same(t, err, c.WriteControl(PingMessage, nil, time.Time{}))
			_, again := c.NextWriter(TextMessage)
			require.Same(t, err, again)
		})
	}
}

// A read over TLS goes on after a deadline that passed inside of a record.
func TestReadIsResumableOverTLS(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		c, client, below := tlsConn(t)
		const messages, size = 20, 3000
		below.In().LimitWrites(testnet.AtMost(100))
		below.In().SetGap(time.Millisecond)
		go func() {
			for range messages {
				if _, err := client.Write(wireFrame(finText, true, ascii(size))); err != nil {
					t.Error(err)
				}
			}
		}()
		timeouts := 0
		for n := 0; n < messages; {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(1500*time.Microsecond)))
			_, got, err := c.ReadMessage()
			if err != nil {
				wantTimeout(t, err)
				timeouts++
				continue
			}
			require.Equal(t, ascii(size), string(got))
			n++
		}
		require.Greater(t, timeouts, messages)
	})
}

// Messages that are gathered in one slice are not moved for each.
func TestAppendMessageIntoGrowingMemory(t *testing.T) {
	const messages, size = 2000, 100
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		go func() {
			f := p.frame(finBinary, ascii(size))
			for range messages {
				if _, err := p.Write(f); err != nil {
					t.Error(err)
				}
			}
		}()
		var all []byte
		moved := 0
		for range messages {
			before := cap(all)
			_, got, err := c.AppendMessage(all)
			require.NoError(t, err)
			all = got
			if cap(all) != before {
				moved++
			}
		}
		require.Len(t, all, messages*size)
		require.LessOrEqual(t, moved, 50, "a number of times that grows with the logarithm")
	})
}

// Some transports guard Write and SetWriteDeadline with one mutex. Close waits
// for neither.
func TestCloseBehindATransportThatLocks(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		locked := make(chan struct{}, 1) // a mutex, for which the bubble's clock does not stand still
		h := c.hook()
		h.write = func(b []byte) (int, error) {
			locked <- struct{}{}
			defer func() { <-locked }()
			return h.Conn.Write(b)
		}
		h.setWriteDeadline = func(d time.Time) error {
			locked <- struct{}{}
			defer func() { <-locked }()
			return h.Conn.SetWriteDeadline(d)
		}
		p.blockWrites(0)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		results := make(chan error, 3)
		go func() { results <- c.WriteMessage(TextMessage, []byte("blocked")) }()
		synctest.Wait()
		go func() { results <- c.SetWriteDeadline(time.Now().Add(time.Hour)) }()
		synctest.Wait()
		go func() { results <- c.WriteControl(PingMessage, nil, time.Time{}) }()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Close())
		for range 3 {
			require.ErrorIs(t, <-results, net.ErrClosed)
		}
		require.Zero(t, time.Since(start))
	})
}

// From the moment that Close was called nothing is delivered, buffered or not,
// and the buffers come back.
func TestNothingIsReadFromCloseOn(t *testing.T) {
	messages := func(p *peer) []byte {
		return append(append(p.frame(finText, "a"), p.frame(beginText, "b")...), p.frame(finContinue, "c")...)
	}
	for _, way := range readWays {
		t.Run("in a handler/"+way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				c.SetPingHandler(func(string) error {
					require.NoError(t, c.Close())
					_, _, err := c.ReadMessage()
					require.ErrorIs(t, err, net.ErrClosed, "closed is more than busy")
					return nil
				})
				p.send(p.frame(finPing, ""), messages(p))
				for range 3 {
					_, _, err := way.read(c)
					require.ErrorIs(t, err, net.ErrClosed)
				}
				require.Equal(t, before, onLoan.Load())
			})
		})
		t.Run("in a handler that panics/"+way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				c.SetPingHandler(func(string) error {
					require.NoError(t, c.Close())
					panic("handler")
				})
				p.send(p.frame(beginText, "x"), p.frame(finPing, ""), p.frame(finContinue, "x"), messages(p))
				require.PanicsWithValue(t, "handler", func() { _, _, _ = way.read(c) })
				require.Equal(t, before, onLoan.Load())
				require.Nil(t, c.in.gathered)
				_, _, err := way.read(c)
				require.ErrorIs(t, err, net.ErrClosed)
			})
		})
		t.Run("while the transport closes/"+way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				p.send(p.frame(finText, "first"), messages(p))
				_, _, err := c.ReadMessage()
				require.NoError(t, err)
				h := c.hook()
				h.close = func() error {
					_, _, err := way.read(c) // any other goroutine's
					require.ErrorIs(t, err, net.ErrClosed)
					return h.Conn.Close()
				}
				require.NoError(t, c.Close())
				require.Equal(t, before, onLoan.Load())
			})
		})
	}
}

// A message whose reader was begun is not delivered after Close either.
func TestReaderAfterCloseInAHandler(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		p.send(p.frame(beginText, "a"), p.frame(finPing, ""), p.frame(finContinue, "b"))
		c.SetPingHandler(func(string) error { return c.Close() })
		_, r, err := c.NextReader()
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, "a", string(got))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		require.Equal(t, before, onLoan.Load())
	})
}

// RFC 6455 §5.5.1: nothing behind the close frame is read, even if the
// program's handler for it panicked.
func TestNothingIsReadBehindACloseFrameWhoseHandlerPanics(t *testing.T) {
	for _, way := range readWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				c.SetCloseHandler(func(int, string) error { panic("handler") })
				p.send(p.frame(finClose, closePayload(1000, "bye")), p.frame(finText, "behind"))
				require.PanicsWithValue(t, "handler", func() { _, _, _ = way.read(c) })
				for range 2 {
					_, _, err := way.read(c)
					require.Equal(t, &CloseError{Code: 1000, Text: "bye"}, err)
				}
			})
		})
	}
}

// A reader that lost its message says io.EOF, and not what became of the
// connection since; the current one says that.
func TestStaleReaderAfterAFailure(t *testing.T) {
	ends := map[string]func(c *Conn, p *peer) error{
		"Close": func(c *Conn, p *peer) error { _ = c.Close(); return errConnClosed },
		"the peer's close frame": func(c *Conn, p *peer) error {
			p.send(p.frame(finClose, closePayload(1001, "")))
			return &CloseError{Code: 1001}
		},
		"a violation": func(c *Conn, p *peer) error {
			p.send(p.frame(finText, "RFC 6455 §5.4: a message in a message"))
			return errInterruptedMessage
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				p.send(p.frame(finText, "stale"), p.frame(beginText, "current"))
				_, stale, err := c.NextReader()
				require.NoError(t, err)
				_, current, err := c.NextReader()
				require.NoError(t, err)
				want := end(c, p)
				for range 2 {
					if _, err = io.ReadAll(current); name != "Close" || err != nil {
						require.Equal(t, want, err)
					}
					_, err = stale.Read(make([]byte, 10))
					require.Equal(t, io.EOF, err)
				}
			})
		})
	}
}

// Readers are made in blocks; one that a program keeps must not keep other
// connections in memory.
func TestReadersKeepNoClosedConn(t *testing.T) {
	open := func() (*Conn, io.Reader) {
		ours, theirs := testnet.Pipe()
		c := newConn(ours, connOptions{server: true})
		_, err := theirs.Write(wireFrame(finText, true, "{}  "))
		require.NoError(t, err)
		_, r, err := c.NextReader()
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 3)) // not to the end, as a json.Decoder does
		require.NoError(t, err)
		return c, r
	}
	ends := []func(c *Conn){
		func(c *Conn) {},
		func(c *Conn) { // failed by the peer
			_ = c.SetReadDeadline(time.Now().Add(-time.Second))
			_, _, _ = c.ReadMessage()
		},
	}
	var kept []io.Reader
	var closed []weak.Pointer[Conn]
	for i := range 200 {
		c, r := open()
		ends[i%len(ends)](c)
		require.NoError(t, c.Close())
		kept = append(kept, r)
		closed = append(closed, weak.Make(c))
	}
	for range 3 { // which empty the pools too
		runtime.GC()
	}
	n := 0
	for _, c := range closed {
		if c.Value() != nil {
			n++
		}
	}
	require.Zero(t, n, "closed connections that are kept in memory")
	for i, r := range kept {
		_, err := r.Read(make([]byte, 1))
		want := net.ErrClosed
		if i%len(ends) == 1 {
			want = io.EOF
		}
		require.ErrorIs(t, err, want)
	}
}

// A program that polls with short deadlines pays for each byte of a large
// message about once, not at every poll.
func TestPollingForALargeMessageDoesNotCopyIt(t *testing.T) {
	const size = 4 << 20
	polls := map[string]func(c *Conn, dst []byte) error{
		"ReadMessage":   func(c *Conn, _ []byte) error { _, _, err := c.ReadMessage(); return err },
		"AppendMessage": func(c *Conn, dst []byte) error { _, _, err := c.AppendMessage(dst); return err },
	}
	for name, poll := range polls {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				c.SetReadLimit(0)
				dst := make([]byte, 0, 10)
				f := p.frame(finBinary, ascii(size-10))
				half := len(f) / 2
				go func() {
					if _, err := p.Write(f[:half]); err != nil {
						t.Error(err)
					}
				}()
				more := func() {
					require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
					wantTimeout(t, poll(c, dst))
				}
				more()
				got := allocated(func() {
					for i := range 50 {
						p.send(f[half+i : half+i+1])
						more()
					}
				})
				require.Less(t, got, uint64(2*size), "bytes for 50 polls, each of which found one byte")
				go func() {
					if _, err := p.Write(f[half+50:]); err != nil {
						t.Error(err)
					}
				}()
				require.NoError(t, c.SetReadDeadline(time.Time{}))
				_, message, err := c.ReadMessage()
				require.NoError(t, err)
				require.True(t, ascii(size-10) == string(message))
			})
		})
	}
}

// What a read returned is the program's: the connection keeps no part of it.
func TestReturnedMemoryIsNotUsedAgain(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		dsts := []func() []byte{
			func() []byte { return nil },
			func() []byte { return []byte{} },
			func() []byte { return make([]byte, 0, 10) },
			func() []byte { return append(make([]byte, 0, 100_000), "dst"...) },
		}
		var kept [][]byte
		for i, first := range dsts {
			for _, second := range dsts {
				payload := ascii(20_000 + i)
				f := p.frame(finBinary, payload)
				p.send(f[:10_000])
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				interrupted := first()
				_, got, err := c.AppendMessage(interrupted)
				wantTimeout(t, err)
				require.Equal(t, len(interrupted), len(got))
				clear(interrupted[:cap(interrupted)])
				require.NoError(t, c.SetReadDeadline(time.Time{}))
				p.send(f[10_000:])
				dst := second()
				_, got, err = c.AppendMessage(dst)
				require.NoError(t, err)
				require.True(t, string(dst)+payload == string(got))
				require.Nil(t, c.in.gathered)
				clear(got)
				kept = append(kept, got[:cap(got)])
				clear(kept[len(kept)-1])
			}
		}
		for _, b := range kept {
			for _, x := range b {
				require.Zero(t, x, "a later read has written to it")
			}
		}
	})
}

// No message can be larger than an int on the machine at hand, which has 32
// bits on some.
func TestRoomFitsAnInt(t *testing.T) {
	for _, tc := range []struct{ start, gathered, have int64 }{
		{0, 0, 1},
		{0, 600 << 20, 16 << 10},
		{0, 1500 << 20, 16 << 10},
		{600 << 20, 16 << 10, 16 << 10},
		{math.MaxInt - 100, 0, 1},
		{math.MaxInt - 1, 0, 16 << 10},
		{math.MaxInt / 2, math.MaxInt / 8, 16 << 10},
		{math.MaxInt - 1<<20, 1<<20 - 1, 100},
	} {
		for _, in := range []*readHalf{
			{remaining: math.MaxInt64, fin: true, frames: 1},
			{remaining: math.MaxInt64, frames: 1},
			{remaining: 16 << 10, fin: true, frames: 100},
		} {
			room := in.room(tc.start, tc.gathered, tc.have)
			require.Positive(t, room, "%+v", tc)
			require.LessOrEqual(t, int64(room), math.MaxInt-tc.start-tc.gathered, "%+v", tc)
		}
	}
	in := &readHalf{remaining: 1, fin: true, frames: 1}
	require.Zero(t, in.room(math.MaxInt-10, 10, 1), "there is no such slice")
}

// net.Pipe has no buffer, and its errors are its own.
func TestOverNetPipe(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		client, server := newConn(a, connOptions{}), newConn(b, connOptions{server: true})
		ended := make(chan error, 1)
		go func() { ended <- echo(server) }()
		for _, size := range messageSizes[:len(messageSizes)-1] {
			go func() {
				if err := client.WriteMessage(BinaryMessage, []byte(ascii(size))); err != nil {
					t.Error(err)
				}
			}()
			_, got, err := client.ReadMessage()
			require.NoError(t, err)
			require.True(t, ascii(size) == string(got), "%d bytes", size)
		}
		require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Second)))
		_, _, err := client.ReadMessage()
		wantTimeout(t, err)
		require.NoError(t, client.SetReadDeadline(time.Time{}))

		results := make(chan error, 2)
		go func() {
			_, _, err := client.ReadMessage()
			results <- err
		}()
		synctest.Wait()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed, "not io.ErrClosedPipe")
		require.Equal(t, &CloseError{Code: 1006, Text: "unexpected EOF"}, <-results)
		require.NoError(t, client.Close())
	})
	synctest.Test(t, func(t *testing.T) { // Close interrupts both halves
		a, b := net.Pipe()
		c := newConn(a, connOptions{})
		results := make(chan error, 2)
		go func() {
			_, _, err := c.ReadMessage()
			results <- err
		}()
		go func() { results <- c.WriteMessage(TextMessage, nil) }()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-results, net.ErrClosed)
		require.ErrorIs(t, <-results, net.ErrClosed)
		require.NoError(t, b.Close())
	})
}

// A Write that does not keep to io.Writer's rules cuts a frame, and its error
// is every later write's. One that says that it wrote too much wrote it.
func TestTransportsWithOddWrites(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		n    int
		err  error
		want error
	}{
		{0, nil, io.ErrShortWrite},
		{1, nil, io.ErrShortWrite},
		{-5, nil, io.ErrShortWrite},
		{1000, nil, nil},
		{0, boom, boom},
		{3, boom, boom},
		{-1, boom, boom},
		{1000, boom, boom},
		{1, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
		{1000, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
	} {
		t.Run(fmt.Sprint(tc.n, tc.err), func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				c.hook().write = func([]byte) (int, error) { return tc.n, tc.err }
				require.Equal(t, tc.want, c.WriteMessage(TextMessage, []byte("x")))
				require.Equal(t, tc.want, c.WriteControl(PingMessage, nil, time.Time{}))
				w, err := c.NextWriter(TextMessage)
				require.Equal(t, tc.want, err)
				if err == nil {
					require.NoError(t, w.Close())
				}
			})
		})
	}
}

// A Read that does not keep to io.Reader's rules is an error, not a panic and
// not a loop.
func TestTransportsWithOddReads(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		n    int
		err  error
		want error
	}{
		{0, nil, io.ErrNoProgress},
		{-5, nil, errReadCount},
		{17, nil, errReadCount},
		{1 << 20, nil, errReadCount},
		{-1, boom, errReadCount},
		{0, boom, boom},
	} {
		t.Run(fmt.Sprint(tc.n, tc.err), func(t *testing.T) {
			checkBuffers(t)
			ours, theirs := testnet.Pipe()
			defer theirs.Close()
			h := &hookConn{Conn: ours}
			c := newConn(h, connOptions{})
			frame := wireFrame(finBinary, false, ascii(20_000))
			h.read = func(p []byte) (int, error) { return tc.n, tc.err }
			if tc.n == 17 {
				h.read = func(p []byte) (int, error) { return len(p) + 1, nil }
			}
			odd := h.read
			for _, good := range []int{0, 1, 4, 100} { // bytes before the odd Read
				h.read = func(p []byte) (int, error) {
					if good == 0 {
						return odd(p)
					}
					n := copy(p[:min(len(p), good)], frame)
					frame, good = frame[n:], good-n
					return n, nil
				}
				c = newConn(h, connOptions{})
				for range 2 {
					_, _, err := c.ReadMessage()
					require.Equal(t, tc.want, err)
				}
				frame = wireFrame(finBinary, false, ascii(20_000))
			}
			require.NoError(t, c.Close())
		})
	}
}

// Bytes that come with an error are read; the error is asked for again.
func TestBytesThatComeWithAnError(t *testing.T) {
	checkBuffers(t)
	h := &hookConn{}
	ours, theirs := testnet.Pipe()
	defer theirs.Close()
	h.Conn = ours
	frame := wireFrame(finText, false, "hello")
	h.read = func(p []byte) (int, error) {
		n := copy(p, frame)
		frame = frame[n:]
		return n, io.EOF
	}
	c := newConn(h, connOptions{})
	_, got, err := c.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	_, _, err = c.ReadMessage()
	require.Equal(t, &CloseError{Code: 1006, Text: "unexpected EOF"}, err)
	require.NoError(t, c.Close())
}

// A reader that drops the rest of a message waits for it without a buffer, but
// for the seam that must keep one.
func TestDroppingHoldsNoBuffer(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		p.send(p.frame(finBinary, ascii(50_000))[:20_000])
		_, _, err := c.NextReader()
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, _, err := c.NextReader()
			done <- err
		}()
		synctest.Wait()
		if !c.transport.seam.raw() {
			before++
		}
		require.Equal(t, before, onLoan.Load())
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

// SetWriteDeadline ends those who wait, however many, at the same moment.
func TestSetWriteDeadlineReachesACrowd(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		const crowd = 300
		p.blockWrites(0)
		done := make(chan error, crowd)
		for range crowd {
			go func() {
				if err := c.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
					t.Error(err)
				}
				done <- c.WriteMessage(TextMessage, nil)
			}()
		}
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start.Add(time.Second)))
		for range crowd {
			wantTimeout(t, <-done)
		}
		require.Equal(t, time.Second, time.Since(start))
		p.unblockWrites()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
		p.want("nothing was out", finText, "fine")
	})
}

// The transport is told a deadline without a lock, so an older one may reach it
// last. The newest counts.
func TestNewestWriteDeadlineWins(t *testing.T) {
	t.Run("the frame's is late", func(t *testing.T) {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			late := make(chan struct{})
			h, calls := c.hook(), 0
			h.setWriteDeadline = func(d time.Time) error {
				if calls++; calls == 1 {
					<-late
				}
				return h.Conn.SetWriteDeadline(d)
			}
			p.blockWrites(0)
			start := time.Now()
			done := make(chan error, 1)
			go func() { done <- c.WriteMessage(TextMessage, nil) }()
			synctest.Wait()
			require.NoError(t, c.SetWriteDeadline(start.Add(time.Second)))
			close(late)
			wantTimeout(t, <-done)
			require.Equal(t, time.Second, time.Since(start))
		})
	})
	t.Run("the program's is late", func(t *testing.T) {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			late := make(chan struct{})
			h, calls := c.hook(), 0
			h.setWriteDeadline = func(d time.Time) error {
				if calls++; calls == 2 {
					<-late
				}
				return h.Conn.SetWriteDeadline(d)
			}
			p.blockWrites(0)
			start := time.Now()
			results := make(chan error, 2)
			go func() { results <- c.WriteMessage(TextMessage, nil) }()
			synctest.Wait()
			go func() { results <- c.SetWriteDeadline(start.Add(time.Second)) }()
			synctest.Wait()
			p.unblockWrites()
			require.NoError(t, <-results)
			p.want("the frame for which the deadline was meant", finText, "")
			p.blockWrites(0)
			control := make(chan error, 1)
			go func() { control <- c.WriteControl(PingMessage, nil, start.Add(5*time.Second)) }()
			synctest.Wait()
			close(late)
			require.NoError(t, <-results)
			wantTimeout(t, <-control)
			require.Equal(t, 5*time.Second, time.Since(start), "the control frame has its own deadline")
		})
	})
}

// What was read before makes no difference: for the payload of a message of
// which the header came, a read waits without a buffer.
func TestWaitingForAnotherPayloadHoldsNoBuffer(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		f := p.frame(finBinary, ascii(1000))
		header := len(f) - 1000
		for range 3 {
			p.send(f[:header])
			done := make(chan error, 1)
			go func() {
				_, _, err := c.ReadMessage()
				done <- err
			}()
			synctest.Wait()
			require.Equal(t, before, onLoan.Load())
			p.send(f[header:])
			require.NoError(t, <-done)
			require.Equal(t, before, onLoan.Load())
		}
	})
}
