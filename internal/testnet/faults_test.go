package testnet

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errInjected = errors.New("injected")

// sizes returns the sizes of the Reads that reach EOF.
func sizes(t *testing.T, c net.Conn) []int {
	t.Helper()
	var sizes []int
	p := make([]byte, 1000)
	for {
		n, err := c.Read(p)
		if err == io.EOF {
			return sizes
		}
		require.NoError(t, err)
		sizes = append(sizes, n)
	}
}

func TestReadsCoalesceWritesWithoutFaults(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		for range 3 {
			_, err := a.Write(make([]byte, 5))
			require.NoError(t, err)
		}
		require.NoError(t, a.Close())
		require.Equal(t, []int{15}, sizes(t, b))
	})
}

func TestLimitReads(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		a.Out().LimitReads(AtMost(4))
		_, err := a.Write(make([]byte, 10))
		require.NoError(t, err)
		n, err := b.Read(make([]byte, 1000))
		require.NoError(t, err)
		require.Equal(t, 4, n)
		a.Out().LimitReads(AtMost(0)) // counts as 1
		n, err = b.Read(make([]byte, 1000))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		a.Out().LimitReads(nil)
		require.NoError(t, a.Close())
		require.Equal(t, []int{5}, sizes(t, b))
	})
}

func TestRandomReadsFollowTheSeed(t *testing.T) {
	run := func(seed uint64) []int {
		a, b := Pipe()
		b.In().LimitReads(Random(seed, 50))
		_, err := a.Write(make([]byte, 5000))
		require.NoError(t, err)
		require.NoError(t, a.Close())
		return sizes(t, b)
	}
	first := run(7)
	require.Equal(t, first, run(7))
	require.NotEqual(t, first, run(8))
	seen := make(map[int]bool)
	for _, n := range first {
		seen[n] = true
	}
	require.False(t, seen[51])
	require.Greater(t, len(seen), 25, "sizes vary")
}

func TestCutAfter(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		_, err := a.Write([]byte("before "))
		require.NoError(t, err)
		a.Out().CutAfter(5, nil)
		n, err := a.Write([]byte("01"))
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, err = a.Write([]byte("23456"))
		require.Equal(t, 3, n)
		requireOpError(t, err, "write", errBrokenPipe)
		n, err = a.Write(nil)
		require.Zero(t, n)
		requireOpError(t, err, "write", errBrokenPipe)
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Equal(t, "before 01234", string(got))

		// The other direction goes on.
		_, err = b.Write([]byte("x"))
		require.NoError(t, err)
		_, err = a.Read(make([]byte, 1))
		require.NoError(t, err)
	})
}

func TestCutAfterWithError(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		a.Out().CutAfter(3, errInjected)
		n, err := a.Write([]byte("012"))
		require.NoError(t, err, "all of it was written")
		require.Equal(t, 3, n)
		require.NoError(t, a.Close())
		got, err := io.ReadAll(b)
		require.Equal(t, "012", string(got))
		requireOpError(t, err, "read", errInjected)
		_, err = b.Read(make([]byte, 1))
		requireOpError(t, err, "read", errInjected)
	})
}

func TestCutTakenBack(t *testing.T) {
	a, b := Pipe()
	a.Out().CutAfter(3, nil)
	a.Out().CutAfter(-1, nil)
	_, err := a.Write(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 10, b.Buffered())
}

func TestFailWritesAfter(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		a.Out().FailWritesAfter(4, errInjected)
		n, err := a.Write([]byte("012"))
		require.NoError(t, err)
		require.Equal(t, 3, n)
		for _, left := range []int{1, 0} {
			n, err = a.Write([]byte("3x"))
			require.Equal(t, left, n)
			requireOpError(t, err, "write", errInjected)
		}
		got := make([]byte, 4)
		_, err = io.ReadFull(b, got)
		require.NoError(t, err)
		require.Equal(t, "0123", string(got))

		// The reader is not told.
		var done bool
		go func() { _, err = b.Read(got); done = true }()
		synctest.Wait()
		require.False(t, done)

		a.Out().FailWritesAfter(0, io.EOF)
		_, werr := a.Write([]byte("x"))
		requireOpError(t, werr, "write", io.EOF)
		a.Out().FailWritesAfter(0, nil)
		_, werr = a.Write([]byte("x"))
		requireOpError(t, werr, "write", errBrokenPipe)
		a.Out().FailWritesAfter(-1, nil)
		_, werr = a.Write([]byte("4"))
		require.NoError(t, werr)
		synctest.Wait()
		require.True(t, done)
		require.NoError(t, err)
		require.Equal(t, byte('4'), got[0])
	})
}

// TestFailBlockedWrite also holds that the chosen error precedes the cut's.
func TestFailBlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := Pipe()
		a.Out().SetBuffer(2)
		var n int
		var err error
		go func() { n, err = a.Write([]byte("0123")) }()
		synctest.Wait()
		a.Out().FailWritesAfter(0, errInjected)
		synctest.Wait()
		require.Equal(t, 2, n)
		requireOpError(t, err, "write", errInjected)
		a.Out().CutAfter(0, nil)
		_, err = a.Write([]byte("x"))
		requireOpError(t, err, "write", errInjected)
	})
}

func TestLatency(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		a.Out().SetLatency(time.Second)
		start := time.Now()
		_, err := a.Write([]byte("one"))
		require.NoError(t, err)
		time.Sleep(300 * time.Millisecond)
		_, err = a.Write([]byte("two"))
		require.NoError(t, err)
		require.NoError(t, a.Close())
		require.Equal(t, 300*time.Millisecond, time.Since(start), "Write does not wait")

		for _, want := range []struct {
			text string
			err  error
			at   time.Duration
		}{
			{"one", nil, time.Second},
			{"two", nil, 1300 * time.Millisecond},
			{"", io.EOF, 1300 * time.Millisecond},
		} {
			p := make([]byte, 10)
			n, err := b.Read(p)
			require.Equal(t, want.err, err)
			require.Equal(t, want.text, string(p[:n]))
			require.Equal(t, want.at, time.Since(start))
		}
	})
}

func TestLatencyOfTheEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		a.Out().SetLatency(time.Second)
		start := time.Now()
		require.NoError(t, a.CloseWrite())
		_, err := b.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestLatencyTryRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		a.Out().SetLatency(time.Second)
		_, err := a.Write([]byte("x"))
		require.NoError(t, err)
		p := make([]byte, 10)
		time.Sleep(time.Second - 1)
		_, ok, err := b.TryRead(p)
		require.NoError(t, err)
		require.False(t, ok)
		require.Equal(t, 1, b.Buffered(), "on its way")
		time.Sleep(time.Nanosecond)
		n, ok, err := b.TryRead(p)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 1, n)
	})
}

// TestLatencyAndDeadline has the deadline before the bytes, with them (when it
// wins), and after.
func TestLatencyAndDeadline(t *testing.T) {
	for _, after := range []time.Duration{-1, 0, 1} {
		bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
			a.Out().SetLatency(time.Second)
			start := time.Now()
			require.NoError(t, b.SetReadDeadline(start.Add(time.Second+after)))
			_, err := a.Write([]byte("x"))
			require.NoError(t, err)
			_, err = b.Read(make([]byte, 1))
			ends := time.Second + min(after, 0)
			if after > 0 {
				require.NoError(t, err)
			} else {
				requireTimeoutAt(t, err, start.Add(ends))
			}
			require.Equal(t, ends, time.Since(start))
		})
	}
}

// TestLatencyOfABlockedReader sends while the reader already waits, and makes
// the later bytes no faster than the earlier.
func TestLatencyOfABlockedReader(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		start := time.Now()
		go func() {
			for _, latency := range []time.Duration{time.Second, time.Millisecond, 0} {
				a.Out().SetLatency(latency)
				if _, err := a.Write([]byte("abc")); err != nil {
					t.Error(err)
				}
			}
		}()
		p := make([]byte, 100)
		n, err := b.Read(p)
		require.NoError(t, err)
		require.Equal(t, "abcabcabc", string(p[:n]))
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestTrickle(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		a.Out().LimitWrites(AtMost(2))
		a.Out().SetGap(time.Minute)
		start := time.Now()
		n, err := a.Write([]byte("01234"))
		require.NoError(t, err)
		require.Equal(t, 5, n)
		require.NoError(t, a.Close())
		require.Equal(t, []int{2, 2, 1}, sizes(t, b))
		require.Equal(t, 3*time.Minute, time.Since(start), "two gaps, and one before the end")
	})
}

// TestEverythingAtOnce moves a stream through all that leaves bytes alone.
func TestEverythingAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		d := a.Out()
		d.SetBuffer(100)
		d.LimitReads(Random(1, 40))
		d.LimitWrites(Random(2, 40))
		d.SetLatency(time.Second)
		d.SetGap(time.Millisecond)
		sent := make([]byte, 30_000)
		for i := range sent {
			sent[i] = byte(i ^ i>>8)
		}
		go func() {
			n, err := a.Write(sent)
			if n != len(sent) || err != nil {
				t.Error(n, err)
			}
			a.Close()
		}()
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Equal(t, sent, got)
	})
}
