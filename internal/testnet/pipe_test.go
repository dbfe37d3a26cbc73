package testnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

// waiting reads by the second way: it waits without a buffer, then takes.
type waiting struct{ *Conn }

func (w waiting) Read(p []byte) (int, error) {
	for {
		if err := w.WaitRead(); err != nil {
			return 0, err
		}
		if n, ok, err := w.TryRead(p); ok {
			return n, err
		}
	}
}

// bothWays runs a test that reads r by Read, and again by WaitRead and TryRead.
func bothWays(t *testing.T, test func(t *testing.T, w *Conn, r net.Conn)) {
	t.Helper()
	t.Run("Read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := Pipe()
			test(t, a, b)
		})
	})
	t.Run("WaitRead", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := Pipe()
			test(t, a, waiting{b})
		})
	})
}

func TestNetConn(t *testing.T) {
	shapes := []struct {
		name  string
		shape func(d *Direction)
	}{
		{"plain", func(*Direction) {}},
		{"small buffer", func(d *Direction) { d.SetBuffer(7) }},
		{"random pieces", func(d *Direction) {
			d.LimitReads(Random(1, 300))
			d.LimitWrites(Random(2, 300))
		}},
		{"latency", func(d *Direction) { d.SetLatency(50 * time.Microsecond) }},
	}
	for _, s := range shapes {
		pipe := func() (*Conn, *Conn) {
			a, b := Pipe()
			s.shape(a.Out())
			s.shape(a.In())
			return a, b
		}
		t.Run(s.name+"/Read", func(t *testing.T) {
			CheckGoroutines(t)
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				a, b := pipe()
				return a, b, func() { a.Close(); b.Close() }, nil
			})
		})
		t.Run(s.name+"/WaitRead", func(t *testing.T) {
			CheckGoroutines(t)
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				a, b := pipe()
				return waiting{a}, waiting{b}, func() { a.Close(); b.Close() }, nil
			})
		})
	}
}

// requireOpError checks what every error but EOF has in common.
func requireOpError(t *testing.T, err error, op string, target error) {
	t.Helper()
	var opErr *net.OpError
	require.ErrorAs(t, err, &opErr)
	require.Equal(t, op, opErr.Op)
	require.ErrorIs(t, err, target)
	var netErr net.Error
	require.ErrorAs(t, err, &netErr)
	require.Equal(t, target == os.ErrDeadlineExceeded, netErr.Timeout())
}

func TestCloseEndsEverything(t *testing.T) {
	a, b := Pipe()
	_, err := b.Write([]byte("unread"))
	require.NoError(t, err)
	require.False(t, a.Closed())
	require.NoError(t, a.Close())
	require.True(t, a.Closed())
	require.False(t, b.Closed())
	require.Zero(t, a.Buffered())

	p := make([]byte, 1)
	_, err = a.Read(p)
	requireOpError(t, err, "read", net.ErrClosed)
	_, err = a.Read(nil)
	requireOpError(t, err, "read", net.ErrClosed)
	_, ok, err := a.TryRead(p)
	require.True(t, ok)
	requireOpError(t, err, "read", net.ErrClosed)
	_, ok, err = a.TryRead(nil)
	require.True(t, ok)
	requireOpError(t, err, "read", net.ErrClosed)
	requireOpError(t, a.WaitRead(), "read", net.ErrClosed)
	_, err = a.Write(p)
	requireOpError(t, err, "write", net.ErrClosed)
	_, err = a.Write(nil)
	requireOpError(t, err, "write", net.ErrClosed)
	requireOpError(t, a.SetDeadline(time.Now()), "set", net.ErrClosed)
	requireOpError(t, a.SetReadDeadline(time.Time{}), "set", net.ErrClosed)
	requireOpError(t, a.SetWriteDeadline(time.Time{}), "set", net.ErrClosed)
	requireOpError(t, a.CloseWrite(), "close", net.ErrClosed)
	requireOpError(t, a.Close(), "close", net.ErrClosed)
}

func TestPeerClose(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		_, err := a.Write([]byte("last words"))
		require.NoError(t, err)
		require.NoError(t, a.Close())

		n, err := b.Write([]byte("x"))
		require.Zero(t, n)
		requireOpError(t, err, "write", errBrokenPipe)

		got := make([]byte, 4)
		_, err = io.ReadFull(b, got)
		require.NoError(t, err)
		rest, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Equal(t, "last words", string(got)+string(rest))
		for range 2 {
			_, err = b.Read(got)
			require.Equal(t, io.EOF, err, "EOF stays and is not wrapped")
		}
	})
}

func TestTryRead(t *testing.T) {
	a, b := Pipe()
	p := make([]byte, 4)
	n, ok, err := b.TryRead(p)
	require.False(t, ok)
	require.Zero(t, n)
	require.NoError(t, err)

	_, err = a.Write([]byte("bytes"))
	require.NoError(t, err)
	require.NoError(t, b.WaitRead())
	require.NoError(t, b.WaitRead(), "waiting takes nothing")
	require.Equal(t, 5, b.Buffered())
	n, ok, err = b.TryRead(p)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "byte", string(p[:n]))
	require.Equal(t, 1, b.Buffered())

	require.NoError(t, a.CloseWrite())
	n, ok, err = b.TryRead(p)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "s", string(p[:n]))
	require.NoError(t, b.WaitRead(), "the end of the stream is worth a TryRead")
	n, ok, err = b.TryRead(p)
	require.Zero(t, n)
	require.True(t, ok)
	require.Equal(t, io.EOF, err)
}

func TestCloseWrite(t *testing.T) {
	a, b := Pipe()
	_, err := a.Write([]byte("request"))
	require.NoError(t, err)
	require.NoError(t, a.CloseWrite())
	require.NoError(t, a.CloseWrite())
	_, err = a.Write([]byte("more"))
	requireOpError(t, err, "write", errBrokenPipe)
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, "request", string(got))

	_, err = b.Write([]byte("answer"))
	require.NoError(t, err)
	require.NoError(t, b.Close())
	got, err = io.ReadAll(a)
	require.NoError(t, err)
	require.Equal(t, "answer", string(got))
}

// TestBlockedCalls blocks every kind of call and ends it by every kind of event.
func TestBlockedCalls(t *testing.T) {
	fill := func(c *Conn) { c.Out().SetBuffer(0) }
	calls := []struct {
		name, op string
		call     func(c *Conn) error
	}{
		{"Read", "read", func(c *Conn) error { _, err := c.Read(make([]byte, 1)); return err }},
		{"WaitRead", "read", (*Conn).WaitRead},
		{"Write", "write", func(c *Conn) error { _, err := c.Write(make([]byte, 1)); return err }},
	}
	events := []struct {
		name        string
		event       func(a, b *Conn)
		read, write error
	}{
		{"Close", func(a, _ *Conn) { a.Close() }, net.ErrClosed, net.ErrClosed},
		{"peer closes", func(_, b *Conn) { b.Close() }, io.EOF, errBrokenPipe},
		{"past deadline", func(a, _ *Conn) { a.SetDeadline(time.Unix(1, 0)) },
			os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
		{"cuts", func(a, _ *Conn) { a.In().CutAfter(0, nil); a.Out().CutAfter(0, nil) }, io.EOF, errBrokenPipe},
	}
	for _, c := range calls {
		for _, e := range events {
			t.Run(c.name+"/"+e.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := Pipe()
					fill(a)
					var err error
					var done bool
					go func() { err = c.call(a); done = true }()
					synctest.Wait()
					require.False(t, done)
					e.event(a, b)
					synctest.Wait()
					require.True(t, done)
					switch {
					case c.op == "write":
						requireOpError(t, err, "write", e.write)
					case e.read != io.EOF:
						requireOpError(t, err, "read", e.read)
					case c.name == "WaitRead":
						require.NoError(t, err)
					default:
						require.Equal(t, io.EOF, err)
					}
				})
			})
		}
	}
}

func TestWriteBlocksAtTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		_, err := a.Write(make([]byte, 64<<10))
		require.NoError(t, err, "the default buffer takes 64 KiB")

		var n int
		var done bool
		go func() { n, err = a.Write(make([]byte, 3)); done = true }()
		synctest.Wait()
		require.False(t, done)
		require.Equal(t, 64<<10, b.Buffered())

		_, rerr := io.ReadFull(b, make([]byte, 2))
		require.NoError(t, rerr)
		synctest.Wait()
		require.False(t, done, "one byte is still without room")
		require.Equal(t, 64<<10, b.Buffered())

		a.Out().SetBuffer(64<<10 + 1)
		synctest.Wait()
		require.True(t, done, "a larger buffer has room")
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
}

func TestConcurrentWritesDoNotInterleave(t *testing.T) {
	CheckGoroutines(t)
	a, b := Pipe()
	a.Out().SetBuffer(10)
	a.Out().LimitWrites(AtMost(3))
	const writers, size = 20, 64
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if _, err := a.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Error(err)
			}
		})
	}
	var seen [writers]bool
	for range writers {
		block := make([]byte, size)
		_, err := io.ReadFull(b, block)
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat(block[:1], size), block)
		require.False(t, seen[block[0]])
		seen[block[0]] = true
	}
	wg.Wait()
}

// TestWriteTurn ends a Write that waits for another's end.
func TestWriteTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := Pipe()
		a.Out().SetBuffer(1)
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				n, err := a.Write([]byte("ab"))
				if n > 1 {
					err = errors.Join(err, errors.New("more than the buffer was written"))
				}
				errs <- err
			}()
		}
		synctest.Wait()
		require.NoError(t, a.Close())
		requireOpError(t, <-errs, "write", net.ErrClosed)
		requireOpError(t, <-errs, "write", net.ErrClosed)
	})
}

func TestStats(t *testing.T) {
	a, b := Pipe()
	_, err := a.Write([]byte("abc"))
	require.NoError(t, err)
	_, err = a.Write([]byte("de"))
	require.NoError(t, err)
	require.NoError(t, b.WaitRead())
	_, _, err = b.TryRead(make([]byte, 1))
	require.NoError(t, err)
	_, err = b.Read(make([]byte, 3))
	require.NoError(t, err)
	require.Equal(t, Stats{Writes: 2, BytesWritten: 5}, a.Stats())
	require.Equal(t, Stats{Reads: 1, TryReads: 1, WaitReads: 1, BytesRead: 4}, b.Stats())
	require.Equal(t, 1, b.Buffered())
	require.Zero(t, a.Buffered())
}

func TestAddrs(t *testing.T) {
	a, b := Pipe()
	require.Equal(t, a.LocalAddr(), b.RemoteAddr())
	require.Equal(t, b.LocalAddr(), a.RemoteAddr())
	require.NotEqual(t, a.LocalAddr(), b.LocalAddr())
	require.Equal(t, "testnet", a.LocalAddr().Network())
	_, _, err := net.SplitHostPort(a.RemoteAddr().String())
	require.NoError(t, err)
}

// TestSteadyStateAllocatesNothing keeps the network out of the allocation
// counts of the tests that use it.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	a, b := Pipe()
	require.NoError(t, a.SetDeadline(time.Now().Add(time.Hour)))
	require.NoError(t, b.SetDeadline(time.Now().Add(time.Hour)))
	p := make([]byte, 1000)
	// The buffer never runs empty, so that its reuse is in the count.
	_, err := a.Write(p[:1])
	require.NoError(t, err)
	perRun := testing.AllocsPerRun(100, func() {
		if _, err := a.Write(p); err != nil {
			t.Error(err)
		}
		if err := b.WaitRead(); err != nil {
			t.Error(err)
		}
		if n, _, err := b.TryRead(p[:600]); n != 600 || err != nil {
			t.Error(n, err)
		}
		if n, err := b.Read(p[:400]); n != 400 || err != nil {
			t.Error(n, err)
		}
	})
	require.Zero(t, perRun)
	require.Equal(t, 1, b.Buffered())
	require.Less(t, cap(b.in.buf), 10*len(p), "what was read is not kept")
}
