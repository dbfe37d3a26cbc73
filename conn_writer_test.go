package websocket

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

// fills are ways to write a text that no buffer has room for.
var fills = []struct {
	name string
	fill func(w io.Writer, text string) error
}{
	{"Write", func(w io.Writer, text string) error { _, err := w.Write([]byte(text)); return err }},
	{"WriteString", func(w io.Writer, text string) error { _, err := io.WriteString(w, text); return err }},
	{"ReadFrom", func(w io.Writer, text string) error {
		_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(text)}) // hides its WriteTo
		return err
	}},
	{"Fprint", func(w io.Writer, text string) error { _, err := fmt.Fprint(w, text); return err }},
	{"json.Encoder", func(w io.Writer, text string) error { return json.NewEncoder(w).Encode(text) }},
}

// A message that lost a part is never completed, not even by the Close that
// most programs defer: the peer could not tell it from a whole one.
func TestFailedWriteEndsTheWriter(t *testing.T) {
	for _, way := range fills {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				p.blockWrites(3)
				go func() {
					if err := c.WriteControl(PingMessage, []byte("slow"), time.Time{}); err != nil {
						t.Error(err)
					}
				}()
				synctest.Wait()
				require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
				var w io.WriteCloser
				err := func() (err error) { // as programs do
					if w, err = c.NextWriter(TextMessage); err != nil {
						return err
					}
					defer func() { err = errors.Join(err, w.Close()) }()
					if _, err := io.WriteString(w, "beginning, "); err != nil {
						return err
					}
					return way.fill(w, ascii(20_000))
				}()
				require.ErrorIs(t, err, errWriteTimeout)
				p.unblockWrites()
				require.NoError(t, c.SetWriteDeadline(time.Time{})) // for the next message
				require.Equal(t, errWriteTimeout, w.Close(), "the same error, however late")
				_, err = io.WriteString(w, "more")
				require.Equal(t, errWriteTimeout, err)
				p.want("the frame under way", finPing, "slow")
				p.wantSilence("half a message is not sent")
				require.Equal(t, before, onLoan.Load())
				require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
				p.want("the connection is as it was", finText, "fine")
			})
		})
	}
}

// Once the peer has the beginning of a message that lost a part, nothing but a
// control frame could follow it, so nothing does.
func TestFailedWriteOfAStreamFailsTheWriteHalf(t *testing.T) {
	for _, way := range fills {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				w, err := c.NextWriter(TextMessage)
				require.NoError(t, err)
				_, err = io.WriteString(w, ascii(20_000))
				require.NoError(t, err)
				p.want("the first fragment", beginText, ascii(20_000))
				require.NoError(t, c.SetWriteDeadline(time.Now().Add(-time.Second)))
				wantTimeout(t, way.fill(w, ascii(20_000)))
				require.NoError(t, c.SetWriteDeadline(time.Time{}))
				for range 2 {
					require.Equal(t, errWriteTimeout, w.Close())
				}
				require.Equal(t, errWriteTimeout, c.WriteMessage(TextMessage, nil))
				require.Equal(t, errWriteTimeout, c.WriteControl(PingMessage, nil, time.Time{}))
				_, err = c.NextWriter(TextMessage)
				require.Equal(t, errWriteTimeout, err)
				p.wantSilence("the message is not completed")
				require.Equal(t, before, onLoan.Load())
			})
		})
	}
}

// The writes that wait for a message to end are told when it cannot.
func TestFailedStreamReachesTheWaitingWriters(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, ascii(20_000))
		require.NoError(t, err)
		p.want("the first fragment", beginText, ascii(20_000))
		broken := errors.New("broken")
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- c.WriteMessage(TextMessage, nil) }()
		}
		synctest.Wait()
		p.ours.Out().FailWritesAfter(0, broken)
		start := time.Now()
		_, err = io.WriteString(w, ascii(20_000))
		require.ErrorIs(t, err, broken)
		for range 3 {
			require.ErrorIs(t, <-done, broken)
		}
		require.Zero(t, time.Since(start))
	})
}

// A control frame is never cut: neither to what fits nor to what came before.
func TestControlMessageThatIsTooLongIsNotSent(t *testing.T) {
	for _, messageType := range []int{CloseMessage, PingMessage, PongMessage} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			for _, pieces := range [][]int{{126}, {2, 124}, {100, 20, 6}, {125, 1, 0}} {
				w, err := c.NextWriter(messageType)
				require.NoError(t, err)
				text := closePayload(1000, ascii(200))
				for _, n := range pieces {
					if _, err = io.WriteString(w, text[:n]); err != nil {
						break
					}
					text = text[n:]
				}
				require.Equal(t, errControlTooLong, err, "%v", pieces)
				_, err = io.WriteString(w, "x")
				require.Equal(t, errControlTooLong, err, "%v", pieces)
				require.Equal(t, errControlTooLong, w.Close(), "%v", pieces)
				p.wantSilence("part of it is lost")
				require.Equal(t, before, onLoan.Load())
			}
			require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
			p.want("the connection is as it was", finText, "fine")
		})
	}
}

// RFC 6455 §7.4: what a close frame must not carry ends its writer, and not
// the connection.
func TestNextWriterAfterARefusedClosePayload(t *testing.T) {
	ends := map[string]func(c *Conn, w io.WriteCloser) error{
		"by Close":      func(c *Conn, w io.WriteCloser) error { return w.Close() },
		"by NextWriter": func(c *Conn, w io.WriteCloser) error { _, err := c.NextWriter(TextMessage); return err },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				for range 3 {
					refused, err := c.NextWriter(CloseMessage)
					require.NoError(t, err)
					_, err = io.WriteString(refused, closePayload(1006, "oops"))
					require.NoError(t, err)
					require.Equal(t, errCloseCodeUnsent, end(c, refused))
					_, err = io.WriteString(refused, "x")
					require.Equal(t, errCloseCodeUnsent, err)
					require.Equal(t, errCloseCodeUnsent, refused.Close())

					w, err := c.NextWriter(TextMessage)
					require.NoError(t, err)
					require.NoError(t, w.Close())
					p.want("the next message", finText, "")
				}
			})
		})
	}
}

// NextWriter that cannot close the writer before it leaves that one open.
func TestNextWriterThatRunsIntoItsDeadlineMayBeRepeated(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		first, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(first, "first")
		require.NoError(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(-time.Second)))
		before := onLoan.Load()
		for range 3 {
			_, err = c.NextWriter(BinaryMessage)
			wantTimeout(t, err)
			require.Equal(t, before, onLoan.Load())
		}
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		_, err = io.WriteString(first, " and more")
		require.NoError(t, err)
		second, err := c.NextWriter(BinaryMessage)
		require.NoError(t, err)
		p.want("the first is ended", finText, "first and more")
		require.NoError(t, second.Close())
		p.want("the second", finBinary, "")
	})
}

// Each buffer of the program's pool comes back, whatever happens to its writer.
func TestWriteBuffersComeBack(t *testing.T) {
	pooled := func(t *testing.T, f func(t *testing.T, c *Conn, p *peer)) {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			pool := &countingPool{}
			c.writeOptions = newWriteOptions(100, pool, nil)
			f(t, c, p)
			synctest.Wait()
			require.Zero(t, pool.out, "buffers of the program's pool that are lost")
			for i, a := range pool.free {
				for _, b := range pool.free[:i] {
					require.NotSame(t, a, b, "a buffer came back twice")
				}
			}
		})
	}
	t.Run("after a panic of the transport", func(t *testing.T) {
		pooled(t, func(t *testing.T, c *Conn, p *peer) {
			c.replaceTransport(&panickingConn{Conn: c.transport.Conn, armed: true})
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			require.PanicsWithValue(t, "transport", func() { _ = w.Close() })
			require.Equal(t, errTransportPanicked, w.Close())
		})
	})
	t.Run("after Close while a fragment is sent", func(t *testing.T) {
		pooled(t, func(t *testing.T, c *Conn, p *peer) {
			c.hook().write = func(b []byte) (int, error) { return len(b), c.Close() }
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			_, err = w.Write(make([]byte, 20_000))
			require.NoError(t, err, "it was sent")
			require.ErrorIs(t, w.Close(), net.ErrClosed)
		})
	})
	t.Run("after Close while a fragment is blocked", func(t *testing.T) {
		pooled(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(10)
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			done := make(chan error)
			go func() {
				_, err := w.Write(make([]byte, 20_000))
				done <- err
			}()
			synctest.Wait()
			require.NoError(t, c.Close())
			require.ErrorIs(t, <-done, net.ErrClosed)
			require.ErrorIs(t, w.Close(), net.ErrClosed)
		})
	})
	t.Run("after Close with a writer open", func(t *testing.T) {
		pooled(t, func(t *testing.T, c *Conn, p *peer) {
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			_, err = io.WriteString(w, "gathered")
			require.NoError(t, err)
			require.NoError(t, c.Close())
			_, err = io.WriteString(w, "x")
			require.ErrorIs(t, err, net.ErrClosed)
		})
	})
	t.Run("of two NextWriters at once", func(t *testing.T) {
		pooled(t, func(t *testing.T, c *Conn, p *peer) {
			pool := c.writeOptions.pool.(*countingPool)
			var inner io.WriteCloser
			nested := &nestingPool{countingPool: pool, first: func() {
				var err error
				inner, err = c.NextWriter(BinaryMessage)
				require.NoError(t, err)
				_, err = io.WriteString(inner, "inner")
				require.NoError(t, err)
			}}
			c.writeOptions = newWriteOptions(100, nested, nil)
			outer, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			p.want("one of them closed the other's", finBinary, "inner")
			_, err = io.WriteString(inner, "x")
			require.Equal(t, errWriterClosed, err)
			_, err = io.WriteString(outer, "outer")
			require.NoError(t, err)
			require.NoError(t, c.Close())
			_, err = io.WriteString(outer, "x")
			require.ErrorIs(t, err, net.ErrClosed)
		})
	})
	t.Run("after a Get that panicked", func(t *testing.T) {
		pooled(t, func(t *testing.T, c *Conn, p *peer) {
			pool := c.writeOptions.pool.(*countingPool)
			c.writeOptions = newWriteOptions(100, &nestingPool{countingPool: pool, first: func() { panic("pool") }}, nil)
			require.PanicsWithValue(t, "pool", func() { _, _ = c.NextWriter(TextMessage) })
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			p.want("nothing is locked", finText, "")
		})
	})
}

// A nestingPool calls first in its first Get, as if a scheduler had let others
// run there.
type nestingPool struct {
	*countingPool
	first func()
}

func (p *nestingPool) Get() any {
	if f := p.first; f != nil {
		p.first = nil
		f()
	}
	return p.countingPool.Get()
}

// Many NextWriters at once close each other's writers, and every message that
// was begun arrives whole.
func TestConcurrentNextWriters(t *testing.T) {
	const writers, each = 8, 30
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		pool := &countingPool{}
		c.writeOptions = newWriteOptions(100, pool, nil)
		var done sync.WaitGroup
		for range writers {
			done.Go(func() {
				for range each {
					w, err := c.NextWriter(TextMessage)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := io.WriteString(w, "whole"); err != nil && err != errWriterClosed {
						t.Error(err)
					}
					if err := w.Close(); err != nil && err != errWriterClosed {
						t.Error(err)
					}
				}
			})
		}
		for range writers * each {
			first, body, err := p.next()
			require.NoError(t, err)
			require.Equal(t, byte(finText), first)
			require.Contains(t, []string{"", "whole"}, body)
		}
		done.Wait()
		p.wantSilence("one frame a writer")
		require.Zero(t, pool.out)
	})
}

// allocated is how many bytes f allocates, and whoever else runs meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A message costs the memory that it needs, whatever it might have taken.
func TestLargeWriteBufferSizeCostsASmallMessageNothing(t *testing.T) {
	const size, messages = 1 << 20, 20
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.writeOptions = newWriteOptions(size, nil, nil)
		got := allocated(func() {
			for range messages {
				w, err := c.NextWriter(TextMessage)
				require.NoError(t, err)
				_, err = io.WriteString(w, "small")
				require.NoError(t, err)
				require.NoError(t, w.Close())
			}
		})
		// The race detector has sync.Pool forget a buffer now and then.
		require.Less(t, got, uint64(messages*3*bufpool.Size), "bytes for %d small messages", messages)
	})
}

// Up to WriteBufferSize a message is one frame, in whatever pieces it is
// written, and its buffer grows by doubling.
func TestWriteBufferGrowsWithTheMessage(t *testing.T) {
	const size = 200_000
	for _, piece := range []int{100, 10_000, 16 << 10, 16<<10 + 1, 99_999, size} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			c.writeOptions = newWriteOptions(size, nil, nil)
			w, err := c.NextWriter(BinaryMessage)
			require.NoError(t, err)
			got := allocated(func() {
				for text := ascii(size); text != ""; text = text[min(piece, len(text)):] {
					_, err := io.WriteString(w, text[:min(piece, len(text))])
					require.NoError(t, err)
				}
			})
			require.Less(t, got, uint64(3*size), "bytes for a message in pieces of %d", piece)
			p.wantSilence("it is gathered")
			go func() {
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}()
			p.want("one frame", finBinary, ascii(size))
			synctest.Wait()
			require.Equal(t, before, onLoan.Load())
		})
	}
}

// An idle connection does not keep the memory of a queue that it once had.
func TestQueueOfWritersIsNotKept(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(1)
		var done sync.WaitGroup
		for range 1000 {
			done.Go(func() {
				if err := c.WriteMessage(TextMessage, []byte("x")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		require.NotNil(t, c.out.batch)
		require.Len(t, c.out.waiters.all(), 1, "the others' messages go out with the first one's")
		p.unblockWrites()
		for range 1000 {
			p.want("each", finText, "x")
		}
		done.Wait()
		require.Zero(t, c.out.waiters)
	})
}

// The write half is handed on in the order in which it was asked for.
func TestWritersTakeTurns(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(1)
		for i := range 20 {
			go func() {
				if err := c.WriteMessage(1+i%2, fmt.Append(nil, i)); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		p.unblockWrites()
		for i := range 20 {
			p.want("in turn", byte(0x80|1+i%2), fmt.Sprint(i))
		}
	})
}

// The arithmetic of the package documentation.
func TestFragmentsOfTheDocumentation(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		write := func() {
			w, err := c.NextWriter(BinaryMessage)
			require.NoError(t, err)
			for i := range 40 {
				_, err := io.WriteString(w, ascii(40_000)[i*1000:][:1000])
				require.NoError(t, err)
			}
			require.NoError(t, w.Close())
		}
		write()
		p.want("first", beginBinary, ascii(40_000)[:17_000])
		p.want("second", moreData, ascii(40_000)[17_000:34_000])
		p.want("last", finContinue, ascii(40_000)[34_000:])
		c.writeOptions = newWriteOptions(40_000, nil, nil)
		write()
		p.want("one frame", finBinary, ascii(40_000))
	})
}

// io.Copy takes as much at a time as the writer's buffer does, so that no small
// packet trails each of 16 KiB.
func TestCopyIntoAWriter(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(BinaryMessage)
		require.NoError(t, err)
		n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(ascii(50_000))})
		require.NoError(t, err)
		require.EqualValues(t, 50_000, n)
		require.NoError(t, w.Close())
		writes := p.ours.Stats().Writes
		var got strings.Builder
		for got.Len() < 50_000 {
			_, body, err := p.next()
			require.NoError(t, err)
			got.WriteString(body)
		}
		require.True(t, ascii(50_000) == got.String())
		require.LessOrEqual(t, writes, 50_000/(16<<10)+2)
		_, err = io.Copy(w, struct{ io.Reader }{strings.NewReader("")})
		require.Equal(t, errWriterClosed, err)
	})
}

// An oddReader returns what a Read must not, or nothing for ever.
type oddReader struct {
	n   int
	err error
}

func (r oddReader) Read([]byte) (int, error) { return r.n, r.err }

// A reader that breaks the rules of io is an error of the copy, not a panic and not a loop.
func TestCopyOfAnOddReader(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		oddReader
		want error
	}{
		{oddReader{0, nil}, io.ErrNoProgress},
		{oddReader{-1, nil}, errReadCount},
		{oddReader{-1, boom}, errReadCount},
		{oddReader{1 << 20, nil}, errReadCount},
		{oddReader{0, boom}, boom},
		{oddReader{0, io.EOF}, nil},
	} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			n, err := io.Copy(w, tc.oddReader)
			require.Equal(t, tc.want, err)
			require.Zero(t, n)
			require.NoError(t, w.Close())
			p.want("the message, of which nothing was read", finText, "")
			require.NoError(t, c.WriteControl(PingMessage, nil, time.Time{}))
		})
	}
}
