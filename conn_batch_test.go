package websocket

import (
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// writersBehind blocks the transport but for room bytes, and has a message, "first", be
// written and n more wait behind it, of which all but the first are in the hands of
// results.
func (p *peer) writersBehind(c *Conn, room, n, size int) (first <-chan error, results <-chan error) {
	p.t.Helper()
	p.blockWrites(room)
	firstDone, all := make(chan error, 1), make(chan error, n)
	go func() { firstDone <- c.WriteMessage(TextMessage, []byte("first")) }()
	synctest.Wait()
	for range n {
		go func() { all <- c.WriteMessage(BinaryMessage, []byte(ascii(size))) }()
	}
	synctest.Wait()
	return firstDone, all
}

// waiting is how many wait for the write half, each for itself or for its batch.
func waiting(c *Conn) int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return len(c.out.waiters.all())
}

func wantAll(t testing.TB, n int, results <-chan error, want func(err error)) {
	t.Helper()
	synctest.Wait()
	require.Len(t, results, n, "all have returned")
	for range n {
		want(<-results)
	}
}

func TestWaitingMessagesGoOutTogether(t *testing.T) {
	const n = 999
	for _, size := range []int{1, 40, 200, 5000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			first, results := p.writersBehind(c, 0, n, size)
			frame := len(wireFrame(finBinary, !p.masks, ascii(size)))
			batches := (n + fullBatch/frame - 1) / (fullBatch / frame)
			require.Equal(t, batches, waiting(c))
			start, writes := time.Now(), p.writes()
			p.ours.Out().SetBuffer(n*frame + 1000)
			wantAll(t, n, results, func(err error) { require.NoError(t, err) })
			require.NoError(t, <-first)
			require.Equal(t, batches, p.writes()-writes, "writes")
			p.want("in its turn", finText, "first")
			for range n {
				p.want("each", finBinary, ascii(size))
			}
			require.Zero(t, time.Since(start))
			require.Equal(t, before, onLoan.Load())
			wantNothingKept(t, c)
		})
	}
}

// Whoever comes later joins the batch that came last, and no other.
func TestBatchBehindAFullBatch(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		first, results := p.writersBehind(c, 0, 16, 5000)
		require.Equal(t, 2, waiting(c))
		p.ours.Out().SetBuffer(1000) // the first message and part of the full batch
		synctest.Wait()
		require.NoError(t, <-first)
		require.Equal(t, 1, waiting(c))
		late := make(chan error, 1)
		go func() { late <- c.WriteMessage(TextMessage, []byte("late")) }()
		synctest.Wait()
		require.Equal(t, 1, waiting(c), "in the second batch")
		p.ours.Out().SetBuffer(200_000)
		wantAll(t, 16, results, func(err error) { require.NoError(t, err) })
		require.NoError(t, <-late)
		wantNothingKept(t, c)
	})
}

// A write that fails is the error of all whose messages were in it, and the reason why
// those that wait behind it fail.
func TestFailedBatchReachesItsWriters(t *testing.T) {
	for _, size := range []int{10, 10_000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			first, results := p.writersBehind(c, 0, 20, size)
			p.ours.Out().FailWritesAfter(30, errInjected) // behind the first
			p.unblockWrites()
			wantAll(t, 20, results, func(err error) { require.ErrorIs(t, err, errInjected) })
			require.NoError(t, <-first)
			require.ErrorIs(t, c.WriteMessage(TextMessage, nil), errInjected)
			require.Equal(t, before, onLoan.Load())
			wantNothingKept(t, c)
		})
	}
}

// A deadline that passes before a byte of a batch went out, while it waits or when the
// transport is asked, is an error of all its writers and of nobody else.
func TestDeadlineOfABatchBeforeAnyByte(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		require.NoError(t, c.lead(false, nil, writeDeadline{})) // somebody takes long
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start.Add(time.Second)))
		results := make(chan error, 20)
		for range 20 {
			go func() { results <- c.WriteMessage(TextMessage, []byte("late")) }()
		}
		time.Sleep(time.Second) // by the bubble's clock
		wantAll(t, 20, results, func(err error) { require.Equal(t, errWriteTimeout, err) })
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		c.follow()
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
		p.want("nothing before", finText, "next")
		require.Equal(t, before, onLoan.Load())
		wantNothingKept(t, c)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		first, results := p.writersBehind(c, 0, 20, 10)

		// When the transport is asked: there is room for the first one only.
		p.ours.Out().SetBuffer(len(wireFrame(finText, !p.masks, "first")))
		synctest.Wait()
		require.NoError(t, <-first)
		require.Zero(t, waiting(c), "the batch is with the transport")
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		more := make(chan error, 5) // that wait while the batch is with the transport
		for range 5 {
			go func() { more <- c.WriteMessage(BinaryMessage, []byte("more")) }()
		}
		time.Sleep(time.Second)
		wantAll(t, 20, results, wantTimeoutOf(t))
		wantAll(t, 5, more, wantTimeoutOf(t))
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		p.unblockWrites()
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
		p.want("before", finText, "first")
		p.want("nothing between", finText, "next")
		require.Equal(t, before, onLoan.Load())
		wantNothingKept(t, c)
	})
}

func wantTimeoutOf(t testing.TB) func(err error) {
	return func(err error) {
		t.Helper()
		wantTimeout(t, err)
	}
}

// Behind the first byte there is no way back.
func TestDeadlineOfABatchThatHasBegun(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		first, results := p.writersBehind(c, 0, 20, 10)
		start := time.Now()
		p.ours.Out().SetBuffer(len(wireFrame(finText, !p.masks, "first")) + 1)
		synctest.Wait()
		require.NoError(t, <-first)
		time.Sleep(defaultWriteTimeout)
		var got error
		wantAll(t, 20, results, func(err error) {
			wantTimeout(t, err)
			got = err
		})
		require.Equal(t, defaultWriteTimeout, time.Since(start))
		p.unblockWrites()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.Same(t, got, c.WriteMessage(TextMessage, nil))
		require.Equal(t, before, onLoan.Load())
		wantNothingKept(t, c)
	})
}

// The default deadline of a batch that waits counts from the last that joined it.
func TestDefaultDeadlineOfABatch(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.lead(false, nil, writeDeadline{})) // somebody takes very long
		start := time.Now()
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- c.WriteMessage(TextMessage, nil) }()
			time.Sleep(20 * time.Second)
		}
		require.Empty(t, results)
		wantTimeout(t, <-results)
		require.Equal(t, 20*time.Second+defaultWriteTimeout, time.Since(start))
		wantTimeout(t, <-results)
		require.Equal(t, 20*time.Second+defaultWriteTimeout, time.Since(start))
		c.follow()
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
		p.want("nothing was sent", finText, "next")
		wantNothingKept(t, c)
	})
}

func TestCloseEndsABatch(t *testing.T) {
	for _, room := range []int{0, 3} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			first, results := p.writersBehind(c, room, 20, 10)
			start := time.Now()
			require.NoError(t, c.Close())
			wantAll(t, 20, results, func(err error) { require.ErrorIs(t, err, net.ErrClosed) })
			require.ErrorIs(t, <-first, net.ErrClosed)
			require.Zero(t, time.Since(start))
			require.Equal(t, before, onLoan.Load())
			wantNothingKept(t, c)
		})
	}
}

// A close frame that waited before a batch is the last frame there is; one that came
// later goes out behind it.
func TestCloseFrameAndABatch(t *testing.T) {
	for _, before := range []bool{true, false} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(0)
			results := make(chan error, 11)
			closes := func() {
				go func() { results <- c.WriteControl(CloseMessage, nil, time.Time{}) }()
				synctest.Wait()
			}
			first := make(chan error, 1)
			go func() { first <- c.WriteMessage(TextMessage, []byte("first")) }()
			synctest.Wait()
			if before {
				closes()
			}
			for range 10 {
				go func() { results <- c.WriteMessage(BinaryMessage, []byte("x")) }()
			}
			synctest.Wait()
			if !before {
				closes()
			}
			p.unblockWrites()
			p.want("first", finText, "first")
			if !before {
				for range 10 {
					p.want("each", finBinary, "x")
				}
			}
			p.want("last", finClose, "")
			refused := 0
			wantAll(t, 11, results, func(err error) {
				if err != nil {
					require.Equal(t, ErrCloseSent, err)
					refused++
				}
			})
			require.Equal(t, before, refused == 10)
			require.NoError(t, <-first)
			p.wantSilence("nothing behind a close frame")
			wantNothingKept(t, c)
		})
	}
}

// Behind a writer that has part of its message on the wire each waits for itself, as
// long as it may itself.
func TestNoBatchBehindAnOpenStream(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, ascii(20_000))
		require.NoError(t, err)
		p.want("a fragment", beginText, ascii(20_000))
		start := time.Now()
		results := make(chan error, 3)
		for i := range 3 {
			go func() { results <- c.WriteMessage(BinaryMessage, fmt.Append(nil, i)) }()
			time.Sleep(time.Second)
		}
		require.Equal(t, 3, waiting(c))
		for i := range 2 {
			require.Equal(t, errStreamOpen, <-results)
			require.Equal(t, defaultWriteTimeout+time.Duration(i)*time.Second, time.Since(start))
		}
		require.NoError(t, w.Close())
		p.want("the end", finContinue, "")
		p.want("the one that is left", finBinary, "2")
		require.NoError(t, <-results)
		wantNothingKept(t, c)
	})
}

// A stream that begins while a batch waits goes first, to its end.
func TestBatchBehindAStreamThatBegins(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		done := make(chan error, 2)
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		go func() {
			_, err := io.WriteString(w, ascii(20_000))
			done <- err
		}()
		synctest.Wait()
		results := make(chan error, 3)
		for i := range 3 {
			go func() { results <- c.WriteMessage(BinaryMessage, []byte("x")) }()
			synctest.Wait()
			if i == 1 {
				p.unblockWrites()
				p.want("a fragment", beginText, ascii(20_000))
				require.NoError(t, <-done)
			}
		}
		require.Equal(t, 2, waiting(c), "a batch of two, and one that came behind the first fragment")
		require.NoError(t, w.Close())
		p.want("the end", finContinue, "")
		for range 3 {
			p.want("each", finBinary, "x")
		}
		wantAll(t, 3, results, func(err error) { require.NoError(t, err) })
		wantNothingKept(t, c)
	})
}

// A panic of the program's transport comes to the writer that calls it; the others of
// the batch get an error.
func TestPanicOfTheTransportInABatch(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		h := c.hook()
		entered, panics := make(chan bool), make(chan bool)
		h.write = func(b []byte) (int, error) {
			entered <- true
			if <-panics {
				panic("transport")
			}
			return h.Conn.Write(b)
		}
		results := make(chan error, 20)
		write := func() {
			defer func() {
				if recover() != nil {
					results <- errInjected
				}
			}()
			results <- c.WriteMessage(TextMessage, []byte("x"))
		}
		go write()
		<-entered
		for range 10 {
			go write()
		}
		synctest.Wait()
		panics <- false
		require.NoError(t, <-results)
		<-entered
		for range 5 { // behind the batch
			go write()
		}
		synctest.Wait()
		panics <- true
		panicked := 0
		wantAll(t, 15, results, func(err error) {
			if err == errInjected {
				panicked++
			} else {
				require.Equal(t, errTransportPanicked, err)
			}
		})
		require.Equal(t, 1, panicked)
		require.Equal(t, before, onLoan.Load())
		wantNothingKept(t, c)
	})
}

// Messages small and large and control frames go out in the order in which they came.
func TestBatchesAmongOthersKeepTheOrder(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		type sent struct {
			first   byte
			payload string
		}
		var order []sent
		results := make(chan error, 100)
		begin := func(first byte, payload string, write func() error) {
			order = append(order, sent{first, payload})
			go func() { results <- write() }()
			synctest.Wait()
		}
		small := func(i int) func() error {
			return func() error { return c.WriteMessage(TextMessage, fmt.Append(nil, i)) }
		}
		begin(finText, "0", small(0))
		for i := range 3 { // one batch, as each comes behind what was there before it
			begin(finText, fmt.Sprint(i), small(i))
		}
		begin(finBinary, ascii(30_000), func() error { return c.WriteMessage(BinaryMessage, []byte(ascii(30_000))) })
		begin(finPing, "p", func() error { return c.WriteControl(PingMessage, []byte("p"), time.Now().Add(time.Minute)) })
		p.unblockWrites()
		for _, s := range order {
			p.want("in order", s.first, s.payload)
		}
		wantAll(t, len(order), results, func(err error) { require.NoError(t, err) })
		wantNothingKept(t, c)
	})
}

// SetWriteDeadline reaches a batch in the queue and one with the transport.
func TestSetWriteDeadlineReachesABatch(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		first, results := p.writersBehind(c, 0, 20, 10)
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start))
		wantAll(t, 20, results, wantTimeoutOf(t))
		wantTimeout(t, <-first)
		require.Zero(t, time.Since(start))
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		p.unblockWrites()
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")), "no byte went out")
		p.want("the first frame", finText, "next")
		wantNothingKept(t, c)
	})
}
