package testnet

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReadDeadline(t *testing.T) {
	bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
		p := make([]byte, 1)
		start := time.Now()
		require.NoError(t, b.SetReadDeadline(start.Add(time.Hour)))
		_, err := b.Read(p)
		requireOpError(t, err, "read", os.ErrDeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(start))

		_, err = a.Write([]byte("x"))
		require.NoError(t, err)
		_, err = b.Read(p)
		requireOpError(t, err, "read", os.ErrDeadlineExceeded)

		require.NoError(t, b.SetReadDeadline(time.Time{}))
		_, err = b.Read(p)
		require.NoError(t, err, "cleared, and the byte is still there")

		// A deadline before EOF hides it.
		require.NoError(t, a.Close())
		require.NoError(t, b.SetReadDeadline(time.Now()))
		_, err = b.Read(p)
		requireOpError(t, err, "read", os.ErrDeadlineExceeded)
		require.NoError(t, b.SetDeadline(time.Time{}))
		_, err = b.Read(p)
		require.Equal(t, io.EOF, err)
	})
}

func TestPastDeadlineTryRead(t *testing.T) {
	a, b := Pipe()
	_, err := a.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, b.SetReadDeadline(time.Unix(1, 0)))
	n, ok, err := b.TryRead(make([]byte, 1))
	require.Zero(t, n)
	require.True(t, ok)
	requireOpError(t, err, "read", os.ErrDeadlineExceeded)
	requireOpError(t, b.WaitRead(), "read", os.ErrDeadlineExceeded)
	require.Equal(t, 1, b.Buffered())

	n, err = b.Read(nil)
	require.NoError(t, err, "nothing was asked for")
	require.Zero(t, n)
	n, ok, err = b.TryRead(nil)
	require.NoError(t, err)
	require.True(t, ok)
	require.Zero(t, n)
}

// TestMovedDeadline moves the deadline of a blocked call.
func TestMovedDeadline(t *testing.T) {
	moves := []struct {
		name     string
		at, to   time.Duration // to 0: cleared
		expected time.Duration // 0: not at all
	}{
		{"later", time.Second, 10 * time.Second, 10 * time.Second},
		{"earlier", time.Second, 2 * time.Second, 2 * time.Second},
		{"to now", time.Second, time.Second, time.Second},
		{"cleared", time.Second, 0, 0},
	}
	for _, m := range moves {
		t.Run(m.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, a *Conn, b net.Conn) {
				start := time.Now()
				require.NoError(t, b.SetReadDeadline(start.Add(5*time.Second)))
				require.NoError(t, a.SetWriteDeadline(start.Add(5*time.Second)))
				a.Out().SetBuffer(0)
				var wg sync.WaitGroup
				var took [2]time.Duration
				var errs [2]error
				wg.Go(func() {
					_, errs[0] = b.Read(make([]byte, 1))
					took[0] = time.Since(start)
				})
				wg.Go(func() {
					_, errs[1] = a.Write(make([]byte, 1))
					took[1] = time.Since(start)
				})
				time.Sleep(m.at)
				to := time.Time{}
				if m.to != 0 {
					to = start.Add(m.to)
				}
				require.NoError(t, b.SetReadDeadline(to))
				require.NoError(t, a.SetWriteDeadline(to))
				expected := m.expected
				if expected == 0 {
					time.Sleep(time.Hour)
					require.NoError(t, b.SetReadDeadline(time.Now()))
					require.NoError(t, a.SetWriteDeadline(time.Now()))
					expected = m.at + time.Hour
				}
				wg.Wait()
				requireOpError(t, errs[0], "read", os.ErrDeadlineExceeded)
				requireOpError(t, errs[1], "write", os.ErrDeadlineExceeded)
				require.Equal(t, expected, took[0])
				require.Equal(t, expected, took[1])
			})
		})
	}
}

func TestWriteDeadlineCountsWhatWasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		a.Out().SetBuffer(10)
		start := time.Now()
		require.NoError(t, a.SetWriteDeadline(start.Add(time.Minute)))
		go func() {
			time.Sleep(time.Second)
			if _, err := b.Read(make([]byte, 4)); err != nil {
				t.Error(err)
			}
		}()
		n, err := a.Write([]byte("0123456789abcdefghij"))
		requireOpError(t, err, "write", os.ErrDeadlineExceeded)
		require.Equal(t, 14, n)
		require.Equal(t, time.Minute, time.Since(start))
		n, err = a.Write(nil)
		requireOpError(t, err, "write", os.ErrDeadlineExceeded)
		require.Zero(t, n)

		require.NoError(t, a.Close())
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Equal(t, "456789abcd", string(got))
	})
}

// TestManyWaiters has readers and writers share the timers of one connection.
func TestManyWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := Pipe()
		a.Out().SetBuffer(0)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				// Some calls begin after the timer is set.
				time.Sleep(time.Duration(i) * time.Second)
				_, err := a.Read(make([]byte, 1))
				requireTimeoutAt(t, err, start.Add(time.Minute))
			})
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				_, err := a.Write(make([]byte, 1))
				requireTimeoutAt(t, err, start.Add(2*time.Minute))
			})
		}
		require.NoError(t, a.SetReadDeadline(start.Add(time.Minute)))
		require.NoError(t, a.SetWriteDeadline(start.Add(2*time.Minute)))
		wg.Wait()
	})
}

// requireTimeoutAt may be called on any goroutine.
func requireTimeoutAt(t *testing.T, err error, at time.Time) {
	t.Helper()
	if nerr, ok := err.(net.Error); !ok || !nerr.Timeout() {
		t.Errorf("%v, want a timeout", err)
	}
	if now := time.Now(); !now.Equal(at) {
		t.Errorf("timeout at %v, want %v", now, at)
	}
}

// TestFarDeadlines sets deadlines that no duration reaches.
func TestFarDeadlines(t *testing.T) {
	a, b := Pipe()
	p := make([]byte, 1)
	require.NoError(t, a.SetDeadline(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
	_, err := a.Write(p)
	require.NoError(t, err)
	require.NoError(t, b.SetDeadline(time.Time{}.Add(1)))
	_, err = b.Read(p)
	requireOpError(t, err, "read", os.ErrDeadlineExceeded)

	CheckGoroutines(t)
	done := make(chan error, 1)
	go func() { _, err := a.Read(p); done <- err }()
	require.NoError(t, b.SetDeadline(time.Time{}))
	_, err = b.Write(p)
	require.NoError(t, err)
	require.NoError(t, <-done)
}
