package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A hookConn lets a test take the place of methods of a transport.
type hookConn struct {
	net.Conn
	read             func(p []byte) (int, error)
	write            func(p []byte) (int, error)
	setWriteDeadline func(t time.Time) error
	close            func() error
}

func (c *hookConn) Read(p []byte) (int, error) {
	if c.read != nil {
		return c.read(p)
	}
	return c.Conn.Read(p)
}

func (c *hookConn) Write(p []byte) (int, error) {
	if c.write != nil {
		return c.write(p)
	}
	return c.Conn.Write(p)
}

func (c *hookConn) SetWriteDeadline(t time.Time) error {
	if c.setWriteDeadline != nil {
		return c.setWriteDeadline(t)
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *hookConn) Close() error {
	if c.close != nil {
		return c.close()
	}
	return c.Conn.Close()
}

// hook puts a hookConn between a connection and its transport, before anything
// was read or written.
func (c *Conn) hook() *hookConn {
	h := &hookConn{Conn: c.transport.Conn}
	c.replaceTransport(h)
	return h
}

// readOn reads until the connection fails, and says how it did.
func readOn(c *Conn) <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				ended <- err
				return
			}
		}
	}()
	return ended
}

// RFC 6455 §5.5.2 has every ping answered, but a peer that pings without end
// must not keep the write half from those who wait for it, nor in the hands of
// one whose own frame is out.
func TestPingFloodDoesNotHoldUpWriters(t *testing.T) {
	const flood = 1000
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var pongs, frames atomic.Int64
		ping := p.frame(finPing, "x")
		c.hook().write = func(b []byte) (int, error) {
			if b[0] == finPong {
				pongs.Add(1)
			}
			if frames.Add(1) < flood { // each frame of ours makes the peer ping once more
				if _, err := p.Write(ping); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(10 * time.Millisecond) // by the bubble's clock: a network takes a while
			return len(b), nil
		}
		ended := readOn(c)
		results := make(chan int64, 2)
		for range 2 {
			go func() {
				if err := c.WriteMessage(TextMessage, []byte("hello")); err != nil {
					t.Error(err)
				}
				results <- pongs.Load()
			}()
			synctest.Wait()
		}
		require.LessOrEqual(t, <-results, int64(2), "pongs until the first message was out")
		require.LessOrEqual(t, <-results, int64(3), "pongs until the second message was out")
		time.Sleep(time.Hour) // by the bubble's clock
		require.GreaterOrEqual(t, pongs.Load(), int64(flood/3), "the flood was answered")
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
	})
}

// A write is over when its own frame is out: what somebody else is owed is not
// its affair, and its deadline says so.
func TestWriteReturnsWhenItsFrameIsOut(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(1)
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- c.WriteControl(PingMessage, []byte("mine"), start.Add(100*time.Millisecond)) }()
		synctest.Wait()
		readOn(c)
		p.send(p.frame(finPing, "theirs"))
		synctest.Wait()
		p.ours.Out().SetBuffer(len(wireFrame(finPing, !p.masks, "mine"))) // and no room for a pong
		require.NoError(t, <-done)
		require.Zero(t, time.Since(start))
		p.unblockWrites()
		p.want("the frame", finPing, "mine")
		p.want("the pong", finPong, "theirs")
	})
}

// A deadline that a program set for a write of long ago is not the pong's.
func TestOwedPongDoesNotKnowTheWriteDeadline(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		time.Sleep(5 * time.Second) // by the bubble's clock
		p.blockWrites(1)
		go func() {
			if err := c.WriteControl(PingMessage, []byte("mine"), time.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		readOn(c)
		p.send(p.frame(finPing, "theirs"))
		synctest.Wait()
		p.unblockWrites()
		p.want("the write under way", finPing, "mine")
		p.want("RFC 6455 §5.5.2: the ping is answered", finPong, "theirs")
	})
}

// A peer that pings and does not read costs a read the time of one answer, not
// of each.
func TestPingsOfAPeerThatDoesNotReadHoldAReadUpOnce(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		n := 0
		for _, want := range []time.Duration{replyWait, 0, 0} {
			for range 20 {
				n++
				p.send(p.frame(finPing, strconv.Itoa(n)))
			}
			p.send(p.frame(finText, "data"))
			start := time.Now()
			_, _, err := c.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, want, time.Since(start))
			synctest.Wait()
		}
		p.unblockWrites()
		synctest.Wait()
		newest, pongs := "", 0
		for ; p.Buffered() > 0; pongs++ {
			first, body, err := p.next()
			require.NoError(t, err)
			require.Equal(t, byte(finPong), first)
			newest = body
		}
		require.Equal(t, strconv.Itoa(n), newest, "RFC 6455 §5.5.3: the newest is answered")
		require.LessOrEqual(t, pongs, 2, "and the one that was on its way")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
		p.want("the connection is as it was", finText, "fine")

		// Now that the peer reads, it is trusted again, as long as it does.
		for _, want := range []time.Duration{0, replyWait, 0} {
			if want > 0 {
				p.blockWrites(0)
			}
			p.send(p.frame(finPing, "x"), p.frame(finText, "data"))
			start := time.Now()
			_, _, err := c.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, want, time.Since(start))
			synctest.Wait()
			if want == 0 && p.Buffered() > 0 {
				p.want("the pong", finPong, "x")
			}
		}
	})
}

// A pong that nobody takes is given up, and harms nothing.
func TestOwedPongIsGivenUp(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		p.blockWrites(0)
		p.send(p.frame(finPing, "1"), p.frame(finPing, "2"), p.frame(finText, "x"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		time.Sleep(defaultWriteTimeout) // by the bubble's clock
		synctest.Wait()
		require.Equal(t, before, onLoan.Load())
		p.unblockWrites()
		p.wantSilence("too late for a pong")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
		p.want("the connection is as it was", finText, "fine")
	})
}

// owePong has a pong wait behind a write that is blocked, whose result comes
// on the channel.
func owePong(t *testing.T, c *Conn, p *peer) (written chan error) {
	t.Helper()
	p.blockWrites(3)
	written = make(chan error, 1)
	go func() { written <- c.WriteMessage(TextMessage, []byte("slow")) }()
	synctest.Wait()
	p.send(p.frame(finPing, "owed"), p.frame(finText, "x"))
	_, _, err := c.ReadMessage()
	require.NoError(t, err)
	synctest.Wait()
	return written
}

// A panic of the transport in a goroutine that the program did not start would
// end the program. It is told by the half's error.
func TestPanicOfTheTransportInAnOwedPong(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		conn := &panickingConn{Conn: c.transport.Conn}
		c.replaceTransport(conn)
		written := owePong(t, c, p)
		conn.armed = true // for the next Write, which is the pong's
		p.unblockWrites()
		require.NoError(t, <-written)
		synctest.Wait()
		require.Equal(t, errTransportPanicked, c.WriteMessage(TextMessage, nil))
		require.Equal(t, errTransportPanicked, c.WriteControl(PingMessage, nil, time.Time{}))
		p.send(p.frame(finPing, "x"), p.frame(finText, "reading goes on"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "reading goes on", string(got))
	})
}

// Whatever ends the write half ends the goroutine with the owed pong, and
// brings its buffer back. The bubble does not end as long as it runs.
func TestOwedPongEndsWithTheWriteHalf(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		end  func(c *Conn, p *peer)
		want error // of the write that the pong waits for
	}{
		{"Close", func(c *Conn, p *peer) { _ = c.Close() }, net.ErrClosed},
		{"the peer's end", func(c *Conn, p *peer) { _ = p.Close() }, nil},
		{"an error of the transport", func(c *Conn, p *peer) { p.ours.Out().FailWritesAfter(0, broken) }, broken},
		{"the connection below", func(c *Conn, p *peer) { _ = c.NetConn().Close() }, net.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				written := owePong(t, c, p)
				tc.end(c, p)
				err := <-written
				require.Error(t, err)
				if tc.want != nil {
					require.ErrorIs(t, err, tc.want)
				}
				synctest.Wait()
				require.Equal(t, before, onLoan.Load())
				require.Nil(t, c.out.owedPong)
				require.Empty(t, c.out.waiters.all())
			})
		})
	}
	t.Run("Close while it is on its way", func(t *testing.T) {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			written := owePong(t, c, p)
			p.ours.Out().SetBuffer(len(wireFrame(finText, !p.masks, "slow")) + 1) // and a byte of the pong
			require.NoError(t, <-written)
			synctest.Wait()
			require.Equal(t, before+1, onLoan.Load(), "the pong is on its way")
			require.NoError(t, c.Close())
			synctest.Wait()
			require.Equal(t, before, onLoan.Load())
		})
	})
	// RFC 6455 §5.5.1: nothing follows a close frame, and that was there first.
	t.Run("a close frame before it", func(t *testing.T) {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(3)
			written := make(chan error, 2)
			go func() { written <- c.WriteMessage(TextMessage, []byte("slow")) }()
			synctest.Wait()
			go func() { written <- c.WriteControl(CloseMessage, nil, time.Time{}) }()
			synctest.Wait()
			p.send(p.frame(finPing, "too late"), p.frame(finText, "x"))
			_, _, err := c.ReadMessage()
			require.NoError(t, err)
			p.unblockWrites()
			require.NoError(t, <-written)
			require.NoError(t, <-written)
			p.want("the message", finText, "slow")
			p.want("the close frame", finClose, "")
			p.wantSilence("and no pong")
			require.Nil(t, c.out.owedPong)
		})
	})
}

// RFC 6455 §5.4: control frames may be injected in the middle of a message.
func TestOwedPongPassesBetweenFragments(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(100)
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		written := make(chan error)
		go func() {
			_, err := io.WriteString(w, ascii(20_000))
			written <- err
		}()
		synctest.Wait()
		readOn(c)
		p.send(p.frame(finPing, ascii(125)))
		synctest.Wait()
		p.unblockWrites()
		require.NoError(t, <-written)
		p.want("the first fragment", beginText, ascii(20_000))
		p.want("the pong, though the message is open", finPong, ascii(125))
		require.NoError(t, w.Close())
		p.want("the last fragment", finContinue, "")
	})
}

// The default ping handler is a function that a program may call from anywhere.
func TestPingHandlerCalledByManyOwesOnePong(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		written := owePong(t, c, p)
		before := onLoan.Load()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if err := c.PingHandler()(fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, before, onLoan.Load(), "a pong that is owed costs no more than one buffer")
		require.Len(t, c.out.waiters.all(), 1)
		require.NoError(t, c.PingHandler()("newest"))
		require.Equal(t, errControlTooLong, c.PingHandler()(ascii(126)))
		p.unblockWrites()
		require.NoError(t, <-written)
		p.want("the write under way", finText, "slow")
		p.want("one pong", finPong, "newest")
		p.wantSilence("and no other")
	})
}

// A goroutine that the program did not start must not end the process, whatever
// the transport does and whatever had happened before.
func TestPanicOfTheTransportInAnOwedPongAfterClose(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		h := c.hook()
		writes := 0
		h.write = func(b []byte) (int, error) {
			if writes++; writes > 1 {
				_ = c.Close()
				panic("a transport that was closed")
			}
			return h.Conn.Write(b)
		}
		written := owePong(t, c, p)
		p.unblockWrites()
		require.NoError(t, <-written)
		synctest.Wait()
		require.Equal(t, 2, writes)
		require.Equal(t, errConnClosed, c.WriteMessage(TextMessage, nil))
	})
}

// Pongs go out in the order of their pings, also where an owed one is still on
// its way to the write half when that becomes free.
func TestPongsKeepTheirOrder(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		for i := range 100 {
			require.NoError(t, c.lead(false, nil, writeDeadline{}))
			c.sendPong([]byte(fmt.Sprint("owed ", i)))
			c.follow()
			c.sendPong([]byte(fmt.Sprint("next ", i)))
			_, got, err := p.next()
			require.NoError(t, err)
			if got == fmt.Sprint("owed ", i) { // unless it was replaced
				_, got, err = p.next()
				require.NoError(t, err)
			}
			require.Equal(t, fmt.Sprint("next ", i), got)
			p.wantSilence("the newest is the last")
		}
	})
}
