package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// noContext is what a careless program hands over.
var noContext context.Context

// afterAll calls f in a goroutine of its own once everybody waits.
func afterAll(f func()) {
	go func() {
		synctest.Wait()
		f()
	}()
}

func TestReadMessageContext(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		ctx, cancel := context.WithCancel(t.Context())
		afterAll(cancel)
		messageType, m, err := c.ReadMessageContext(ctx)
		require.Equal(t, context.Canceled, err)
		require.Equal(t, -1, messageType)
		require.Nil(t, m)

		p.send(p.frame(finText, "there"))
		_, _, err = c.ReadMessageContext(ctx)
		require.Equal(t, context.Canceled, err, "a context that has ended reads nothing")
		for range 3 {
			messageType, m, err = c.ReadMessageContext(t.Context())
			require.NoError(t, err, "the connection survived")
			require.Equal(t, TextMessage, messageType)
			require.Equal(t, "there", string(m))
			p.send(p.frame(finText, "there"))
		}
		_, _, err = c.ReadMessage()
		require.NoError(t, err)

		p.send(p.frame(finBinary, ""))
		_, m, err = c.ReadMessageContext(t.Context())
		require.NoError(t, err)
		require.Equal(t, []byte{}, m, "not nil, as of ReadMessage")

		_, _, err = c.ReadMessageContext(noContext)
		require.Equal(t, errNoContext, err)
		require.Equal(t, errNoContext, c.WriteMessageContext(noContext, TextMessage, nil))
	})
}

func TestReadMessageContextInsideAMessage(t *testing.T) {
	message := ascii(20_000)
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		wire := bytes.Join([][]byte{p.frame(beginText, message[:9000]), p.frame(finPing, "x"), p.frame(finContinue, message[9000:])}, nil)
		for _, cut := range []int{1, 5, 100, 9000, 9005, 9020, len(wire) - 1} {
			p.send(wire[:cut])
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _, err := c.ReadMessageContext(ctx)
			require.Equal(t, context.DeadlineExceeded, err, "cut at %d", cut)
			cancel()
			p.send(wire[cut:])
			_, m, err := c.ReadMessage()
			require.NoError(t, err, "cut at %d", cut)
			require.True(t, string(m) == message, "cut at %d", cut)
		}
	})
}

func TestReadDeadlineHoldsBesideAContext(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		require.NoError(t, c.SetReadDeadline(begin.Add(time.Second)))
		_, _, err := c.ReadMessageContext(ctx)
		wantTimeout(t, err)
		require.Equal(t, time.Second, time.Since(begin), "the earlier of the two ends the read")

		require.NoError(t, c.SetReadDeadline(begin.Add(time.Hour)))
		_, _, err = c.ReadMessageContext(ctx)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, time.Minute, time.Since(begin))
		_, _, err = c.ReadMessage()
		wantTimeout(t, err)
		require.Equal(t, time.Hour, time.Since(begin), "and the program's deadline is in force after")

		require.NoError(t, c.SetReadDeadline(time.Time{}))
		ctx, cancel = context.WithCancel(t.Context())
		afterAll(func() {
			_ = c.SetReadDeadline(begin.Add(2 * time.Hour))
			cancel()
			_ = c.SetReadDeadline(begin.Add(3 * time.Hour))
		})
		_, _, err = c.ReadMessageContext(ctx)
		require.Equal(t, context.Canceled, err)
		_, _, err = c.ReadMessage()
		wantTimeout(t, err)
		require.Equal(t, 3*time.Hour, time.Since(begin), "one that is set meanwhile too")
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		p.send(p.frame(finText, "on"))
		_, m, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "on", string(m))
	})
}

func TestContextOfOneReaderDoesNotEndAnother(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		read := make(chan error, 1)
		go func() {
			_, _, err := c.ReadMessage()
			read <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		_, _, err := c.ReadMessageContext(ctx)
		require.Equal(t, errConcurrentRead, err)
		cancel()
		synctest.Wait()
		p.send(p.frame(finText, "for the first"))
		require.NoError(t, <-read)
	})
}

// Contexts that end at any moment: no message is lost, whichever read it goes to.
func TestReadMessageContextLosesNothing(t *testing.T) {
	const messages = 2000
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			checkBuffers(t)
			testnet.CheckGoroutines(t)
			c, p := m.pair(t)
			go func() {
				for i := range messages {
					_, _ = p.Write(p.frame(finText, fmt.Sprint(i, " ", ascii(i%300))))
				}
			}()
			cancelled := 0
			for i := 0; i < messages; {
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					for range rand.IntN(2000) {
						_ = ctx.Err()
					}
					cancel()
				}()
				_, got, err := c.ReadMessageContext(ctx)
				if err != nil {
					require.Equal(t, context.Canceled, err)
					cancelled++
					continue
				}
				require.Equal(t, fmt.Sprint(i, " ", ascii(i%300)), string(got))
				i++
			}
			t.Log(cancelled, "reads were interrupted")
		})
	}
}

func TestWriteMessageContextWaitsForOthers(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(3)
		first := make(chan error, 1)
		go func() { first <- c.WriteMessage(TextMessage, []byte(ascii(300))) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		afterAll(cancel)
		require.Equal(t, context.Canceled, c.WriteMessageContext(ctx, TextMessage, []byte("cancelled")))
		require.Equal(t, context.Canceled, c.WriteMessageContext(ctx, TextMessage, []byte("cancelled")), "before it began")
		p.unblockWrites()
		require.NoError(t, <-first, "the other write is not touched")
		p.want("the other write", finText, ascii(300))
		for size := range 3 {
			message := ascii(size * 20_000)
			require.NoError(t, c.WriteMessageContext(t.Context(), BinaryMessage, []byte(message)))
			p.want("of any size", finBinary, message)
		}
		require.NoError(t, c.WriteMessageContext(t.Context(), PingMessage, []byte("ping")))
		p.want("and type", finPing, "ping")
		require.Equal(t, errBadMessageType, c.WriteMessageContext(t.Context(), 0, nil))
	})
}

func TestWriteMessageContextBeforeItsFirstByte(t *testing.T) {
	for _, size := range []int{1, 1000, 20_000, 100_000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(0)
			ctx, cancel := context.WithCancel(t.Context())
			afterAll(cancel)
			require.Equal(t, context.Canceled, c.WriteMessageContext(ctx, TextMessage, []byte(ascii(size))))
			p.unblockWrites()
			require.NoError(t, c.WriteMessage(TextMessage, []byte("next")), "the connection is as it was")
			p.want("nothing of the first message went out", finText, "next")
		})
	}
}

func TestWriteMessageContextThatCutsAFrame(t *testing.T) {
	for _, size := range []int{10, 1000, 20_000, 600_000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(9)
			ctx, cancel := context.WithCancel(t.Context())
			afterAll(cancel)
			err := c.WriteMessageContext(ctx, TextMessage, []byte(ascii(size)))
			require.ErrorIs(t, err, ErrFrameCut)
			require.ErrorIs(t, err, context.Canceled)
			p.unblockWrites()
			require.Equal(t, err, c.WriteMessage(TextMessage, nil), "it is what every later write returns")
			require.Equal(t, err, c.WriteMessageContext(t.Context(), TextMessage, nil))
			p.send(p.frame(finText, "still"))
			_, m, err := c.ReadMessage()
			require.NoError(t, err, "reading goes on")
			require.Equal(t, "still", string(m))
		})
	}
}

// A deadline that is moved while a context ends does not keep the write going.
func TestWriteDeadlineDoesNotUndoAContext(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		ctx, cancel := context.WithCancel(t.Context())
		afterAll(func() {
			cancel()
			_ = c.SetWriteDeadline(time.Now().Add(time.Hour))
		})
		begin := time.Now()
		require.Equal(t, context.Canceled, c.WriteMessageContext(ctx, TextMessage, []byte("x")))
		require.Zero(t, time.Since(begin))

		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		err := c.WriteMessageContext(t.Context(), TextMessage, []byte("x"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the write deadline holds beside a context")
	})
}

func TestWriteMessageContextCompressed(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		for _, size := range []int{500, 5000, 3 << 20} {
			t.Run(fmt.Sprint(takeover, size), func(t *testing.T) {
				checkBuffers(t)
				synctest.Test(t, func(t *testing.T) {
					agreed := &Compression{SendContextTakeover: takeover, ReceiveContextTakeover: takeover, SendWindowBits: 12, ReceiveWindowBits: 12, Level: -1}
					a, b := testnet.Pipe()
					c, peer := newConn(a, connOptions{compression: agreed}), newConn(b, connOptions{compression: agreed, server: true})
					defer c.Close()
					defer peer.Close()
					peer.SetReadLimit(0)
					a.Out().SetBuffer(0)
					for range 3 {
						ctx, cancel := context.WithCancel(t.Context())
						afterAll(cancel)
						require.Equal(t, context.Canceled, c.WriteMessageContext(ctx, TextMessage, []byte(similar(1, size))))
					}
					a.Out().SetBuffer(64 << 10)
					for i := range 3 {
						message := similar(i, size)
						sent := make(chan error, 1)
						go func() { sent <- c.WriteMessageContext(t.Context(), TextMessage, []byte(message)) }()
						_, got, err := peer.ReadMessage()
						require.NoError(t, err, "what was not sent is no context")
						require.True(t, string(got) == message)
						require.NoError(t, <-sent)
					}
				})
			})
		}
	}
}

func TestMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "1"), p.frame(finBinary, "2"), p.frame(finText, "3"), p.frame(finClose, closePayload(1000, "")))
		var got []Message
		for m, err := range c.Messages(t.Context()) {
			require.NoError(t, err)
			if got = append(got, m); len(got) == 2 {
				break
			}
		}
		for m, err := range c.Messages(t.Context()) {
			require.NoError(t, err)
			got = append(got, m)
		}
		require.Equal(t, []Message{{TextMessage, []byte("1")}, {BinaryMessage, []byte("2")}, {TextMessage, []byte("3")}}, got)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		ctx, cancel := context.WithCancel(t.Context())
		afterAll(cancel)
		var errs []error
		for m, err := range c.Messages(ctx) {
			require.Zero(t, m)
			errs = append(errs, err)
		}
		require.Equal(t, []error{context.Canceled}, errs, "the error comes last, and once")
		p.send(p.frame(finClose, closePayload(1008, "no")))
		for _, err := range c.Messages(t.Context()) {
			require.Equal(t, &CloseError{Code: 1008, Text: "no"}, err)
		}
	})
}

func TestCloseContext(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		closed := make(chan error, 1)
		go func() { closed <- c.CloseContext(t.Context(), CloseGoingAway, "bye") }()
		p.want("the close frame", finClose, closePayload(1001, "bye"))
		p.send(p.frame(finText, "dropped"), p.frame(beginText, "this"), p.frame(finPing, "x"), p.frame(finContinue, "too"))
		synctest.Wait()
		require.Empty(t, closed)
		p.send(p.frame(finClose, closePayload(1001, "")))
		require.NoError(t, <-closed)
		_, _, err := c.ReadMessage()
		require.Equal(t, &CloseError{Code: 1001}, err)
		require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, nil))
		require.True(t, p.ours.Closed())
		require.NoError(t, c.CloseContext(t.Context(), 1000, ""), "it is closed already")
	})
}

func TestCloseContextOfAClosedConn(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, _ *peer) {
		require.NoError(t, c.Close())
		require.NoError(t, c.CloseContext(t.Context(), 1000, ""))
	})
}

func TestCloseContextWithASilentPeer(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second))) // is not what counts now
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		require.Equal(t, context.DeadlineExceeded, c.CloseContext(ctx, 1000, ""))
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.True(t, p.ours.Closed(), "it is closed in any case")
		_, _, err := c.ReadMessage()
		require.ErrorIs(t, err, net.ErrClosed)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		begin := time.Now()
		require.Equal(t, context.DeadlineExceeded, c.CloseContext(t.Context(), 1000, ""))
		require.Equal(t, closeWait, time.Since(begin), "a context without a deadline")
		require.True(t, p.ours.Closed())
	})
}

func TestCloseContextBesideAReader(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		read := make(chan error)
		go func() {
			for {
				_, m, err := c.ReadMessage()
				if err == nil && string(m) != "still comes" {
					err = errors.New("another message")
				}
				read <- err
				if err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- c.CloseContext(t.Context(), 1000, "") }()
		p.wantClose("the close frame", 1000)
		for range 3 {
			synctest.Wait()
			p.send(p.frame(finText, "still comes"))
			require.NoError(t, <-read, "the reader gets what still comes")
		}
		p.send(p.frame(finClose, ""))
		require.Equal(t, &CloseError{Code: 1005}, <-read)
		require.NoError(t, <-closed)
	})
}

// A reader that does not come back is waited for no longer than readerReturns.
func TestCloseContextBetweenTwoReads(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(beginText, "half a message"))
		_, r, err := c.NextReader()
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 4))
		require.NoError(t, err)
		closed := make(chan error, 1)
		go func() { closed <- c.CloseContext(t.Context(), 1000, "") }()
		p.wantClose("the close frame", 1000)
		time.Sleep(readerReturns - 1)
		_, err = io.ReadFull(r, make([]byte, 4))
		require.NoError(t, err)
		time.Sleep(2 * readerReturns)
		_, err = r.Read(make([]byte, 4))
		require.ErrorIs(t, err, net.ErrClosed, "the message is cut")
		_, _, err = c.ReadMessage()
		require.ErrorIs(t, err, net.ErrClosed)
		p.send(p.frame(finContinue, "the rest"), p.frame(finClose, closePayload(1000, "")))
		require.NoError(t, <-closed)
		_, _, err = c.ReadMessage()
		require.Equal(t, &CloseError{Code: 1000}, err)
	})
}

// A reader that has messages in hand, and is busy with one of them when CloseContext is called, gets them all.
func TestCloseContextBesideABusyReader(t *testing.T) {
	for _, busy := range []time.Duration{0, 1, 10 * time.Millisecond, readerReturns - 1} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.send(p.frame(finText, "0"), p.frame(finText, "1"), p.frame(finText, "2"), p.frame(finText, "3"))
			_, _, err := c.ReadMessage() // and is at work on it now
			require.NoError(t, err)
			closed := make(chan error, 1)
			go func() { closed <- c.CloseContext(t.Context(), 1000, "") }()
			p.wantClose("the close frame", 1000)
			for n := 1; n <= 3; n++ {
				time.Sleep(busy)
				_, m, err := c.ReadMessage()
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(n), string(m))
			}
			read := make(chan error, 1)
			go func() {
				_, _, err := c.ReadMessage()
				read <- err
			}()
			time.Sleep(2 * readerReturns)
			p.send(p.frame(finClose, closePayload(1000, "")))
			require.Equal(t, &CloseError{Code: 1000}, <-read)
			require.NoError(t, <-closed)
		})
	}
}

// What nobody comes to read is dropped.
func TestCloseContextWithoutAReader(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "one"), p.frame(finText, "two"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		closed := make(chan error, 1)
		start := time.Now()
		go func() { closed <- c.CloseContext(t.Context(), 1000, "") }()
		p.wantClose("the close frame", 1000)
		p.send(p.frame(finText, "three"), p.frame(finClose, closePayload(1000, "")))
		require.NoError(t, <-closed)
		require.Equal(t, readerReturns, time.Since(start))
	})
}

// Where reading has ended already, the close frame is sent all the same.
func TestCloseContextAfterAHandlersError(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.SetPingHandler(func(string) error { return errHandler })
		p.send(p.frame(finPing, ""))
		_, _, err := c.ReadMessage()
		require.Equal(t, errHandler, err)
		require.Equal(t, errHandler, c.CloseContext(t.Context(), 1008, ""))
		p.wantClose("the close frame", 1008)
	})
}

// A transport that panics has not sent the close frame, and nobody waits for its answer for long.
func TestCloseContextOfATransportThatPanics(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.hook().write = func([]byte) (int, error) { panic("transport") }
		start := time.Now()
		require.Equal(t, errTransportPanicked, c.CloseContext(t.Context(), 1000, ""))
		require.Equal(t, brokenRead, time.Since(start))
	})
}

// A transport whose reads time out for reasons of its own is not read from for ever.
func TestCloseContextOfATransportThatTimesOut(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		if c.transport.seam.raw() {
			return // its reads are the system's
		}
		c.hook().read = func([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }
		start := time.Now()
		require.Equal(t, os.ErrDeadlineExceeded, c.CloseContext(t.Context(), 1000, ""))
		require.Zero(t, time.Since(start))
	})
}

// Where the peer has broken off, a write may be what finds out. The error is that of a read, or, where a
// read says nothing, the write's.
func TestCloseContextThatCannotBeSent(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.hook().write = func([]byte) (int, error) { return 0, errHandler }
		start := time.Now()
		require.Equal(t, errHandler, c.CloseContext(t.Context(), 1000, ""))
		require.Equal(t, brokenRead, time.Since(start))
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.hook().write = func([]byte) (int, error) { return 0, errHandler }
		require.NoError(t, p.Close())
		require.Equal(t, &CloseError{Code: CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}, c.CloseContext(t.Context(), 1000, ""))
	})
}

// A read deadline that the program sets meanwhile, as a loop of its own may, does not end the wait
// for the peer's close frame.
func TestCloseContextBesideReadDeadlines(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		closed := make(chan error, 1)
		go func() { closed <- c.CloseContext(t.Context(), 1000, "") }()
		p.wantClose("the close frame", 1000)
		p.send(p.frame(beginText, "half a message"))
		for range 3 {
			synctest.Wait()
			require.NoError(t, c.SetReadDeadline(time.Now()))
		}
		synctest.Wait()
		require.Empty(t, closed)
		p.send(p.frame(finContinue, "the rest"), p.frame(finClose, closePayload(1000, "")))
		require.NoError(t, <-closed)
	})
}

func TestCloseContextBesideABlockedWriter(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(5)
		wrote := make(chan error, 1)
		go func() { wrote <- c.WriteMessage(TextMessage, []byte(ascii(5000))) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		require.Equal(t, context.DeadlineExceeded, c.CloseContext(ctx, 1000, ""))
		require.Equal(t, time.Second, time.Since(begin))
		require.ErrorIs(t, <-wrote, net.ErrClosed)
	})
	// Of two sides that write, and do not read, each waits for the other, until one of them closes.
	for _, sent := range []int{0, 200} { // 200 KB are more than the way here holds
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(5)
			wrote := make(chan error, 1)
			go func() { wrote <- c.WriteMessage(TextMessage, []byte(ascii(5000))) }()
			synctest.Wait()
			closed := make(chan error, 1)
			go func() { closed <- c.CloseContext(t.Context(), 1000, "") }()
			synctest.Wait()
			for range sent {
				p.send(p.frame(finBinary, ascii(1000)))
			}
			p.unblockWrites()
			require.NoError(t, <-wrote)
			p.want("the message before", finText, ascii(5000))
			p.wantClose("the close frame", 1000)
			p.send(p.frame(finClose, ""))
			require.NoError(t, <-closed)
		})
	}
}

func TestCloseContextInTheMiddleOfAWriter(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = w.Write(make([]byte, 20_000))
		require.NoError(t, err)
		_, _, err = p.next()
		require.NoError(t, err)
		p.send(p.frame(finClose, closePayload(1000, "")))
		require.NoError(t, c.CloseContext(t.Context(), 1000, ""))
		p.wantClose("it passes between the fragments", 1000)
		require.ErrorIs(t, w.Close(), net.ErrClosed)
	})
}

func TestCloseContextByMany(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { require.NoError(t, c.CloseContext(t.Context(), 1000, "")) })
		}
		p.wantClose("one close frame", 1000)
		synctest.Wait()
		p.wantSilence("and no other")
		p.send(p.frame(finClose, closePayload(1000, "")))
		all.Wait()
	})
}

func TestCloseContextThatIsRefused(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.Equal(t, errCloseCodeUnsent, c.CloseContext(t.Context(), 1006, ""))
		require.Equal(t, errControlTooLong, c.CloseContext(t.Context(), 1000, ascii(124)))
		require.Equal(t, errNoContext, c.CloseContext(noContext, 1000, ""))
		require.NoError(t, c.WriteMessage(TextMessage, []byte("on")))
		p.want("nothing has happened", finText, "on")
	})
}

func TestCloseContextOfABrokenPeer(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		afterAll(func() { _ = p.Close() })
		err := c.CloseContext(t.Context(), 1000, "")
		require.Error(t, err)
		require.True(t, p.ours.Closed())
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		afterAll(func() { p.send(p.frame(0xF0, "")) })
		var broken *ProtocolError
		require.ErrorAs(t, c.CloseContext(t.Context(), 1000, ""), &broken)
	})
}

// The peer closes at the same moment.
func TestCloseContextFromBothSides(t *testing.T) {
	for _, takes := range []time.Duration{0, time.Millisecond} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			a, b := testnet.Pipe()
			a.Out().SetLatency(takes)
			b.Out().SetLatency(takes)
			client, server := newConn(a, connOptions{}), newConn(b, connOptions{server: true})
			closed := make(chan error, 1)
			go func() { closed <- client.CloseContext(t.Context(), 1000, "") }()
			require.NoError(t, server.CloseContext(t.Context(), 1001, ""))
			require.NoError(t, <-closed)
		})
	}
}

// cancelsBehind ends a context behind one of its writes.
type cancelsBehind struct {
	net.Conn
	writes int
	cancel func()
}

func (c *cancelsBehind) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.writes--; c.writes == 0 {
		c.cancel()
	}
	return n, err
}

// Between two fragments of a message nothing is on its way that could be cut, but the message is.
func TestWriteMessageContextThatEndsBetweenFragments(t *testing.T) {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			message := []byte(similar(1, 1<<20+1))
			for writes := 1; ; writes++ {
				a, b := testnet.Pipe()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				ends := &cancelsBehind{a, writes, cancel}
				if end == context.DeadlineExceeded {
					ends.cancel = func() { <-ctx.Done() }
				}
				c := newConn(ends, connOptions{compression: &Compression{SendWindowBits: 12, ReceiveWindowBits: 12, Level: -1}})
				go func() { _, _ = io.Copy(io.Discard, b) }()
				err := c.WriteMessageContext(ctx, TextMessage, message)
				if err != nil {
					require.ErrorIs(t, err, ErrFrameCut, "after %d fragments", writes)
					require.ErrorIs(t, err, end)
					require.Equal(t, err, c.WriteMessage(TextMessage, nil), "nothing may follow but the rest")
				}
				cancel()
				_ = c.Close()
				_ = b.Close()
				if err == nil {
					require.Greater(t, writes, 10)
					return
				}
			}
		})
	}
}

// Reads that return at once hide the read half for a moment only, and so does Close.
func TestCloseContextBesideReadsThatFailAtOnce(t *testing.T) {
	checkBuffers(t)
	testnet.CheckGoroutines(t)
	for i := range 1000 {
		c, p := modes[i%len(modes)].open(t)
		c.in.err = &CloseError{Code: CloseNormalClosure}
		var stop atomic.Bool
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for !stop.Load() {
					_, _, _ = c.ReadMessage()
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := c.CloseContext(ctx, CloseNormalClosure, "")
		cancel()
		stop.Store(true)
		all.Wait()
		_ = p.Close()
		require.NoError(t, err)
	}
}

// panicsInDeadlines panics where a call is to be ended at once.
type panicsInDeadlines struct{ net.Conn }

func (c panicsInDeadlines) SetReadDeadline(t time.Time) error {
	if t.Equal(aLongTimeAgo) {
		panic("SetReadDeadline")
	}
	return c.Conn.SetReadDeadline(t)
}

func (c panicsInDeadlines) SetWriteDeadline(t time.Time) error {
	if t.Equal(aLongTimeAgo) {
		panic("SetWriteDeadline")
	}
	return c.Conn.SetWriteDeadline(t)
}

// A panic of the transport in a goroutine that the program knows nothing of does not end the
// process.
func TestContextsOfTransportsThatPanic(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.replaceTransport(panicsInDeadlines{p.ours})
		ctx, cancel := context.WithCancel(t.Context())
		afterAll(func() {
			cancel()
			synctest.Wait()
			p.send(p.frame(finText, "x"))
		})
		_, m, err := c.ReadMessageContext(ctx)
		require.NoError(t, err, "as of a transport that has no deadlines")
		require.Equal(t, "x", string(m))

		ctx, cancel = context.WithCancel(t.Context())
		p.blockWrites(0)
		afterAll(func() {
			cancel()
			synctest.Wait()
			p.unblockWrites()
		})
		require.NoError(t, c.WriteMessageContext(ctx, TextMessage, []byte("y")))
		p.want("the message", finText, "y")
	})
}

// noDeadlines is a transport that has no deadlines, and says so or does not.
type noDeadlines struct {
	net.Conn
	err error
}

func (c noDeadlines) SetDeadline(time.Time) error      { return c.err }
func (c noDeadlines) SetReadDeadline(time.Time) error  { return c.err }
func (c noDeadlines) SetWriteDeadline(time.Time) error { return c.err }

func TestCloseContextWithoutDeadlines(t *testing.T) {
	for _, says := range []error{nil, errors.New("no deadlines")} {
		for _, room := range []int{0, 1, 1000} {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				c.replaceTransport(noDeadlines{p.ours, says})
				p.blockWrites(room)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin := time.Now()
				require.Equal(t, context.DeadlineExceeded, c.CloseContext(ctx, 1000, ""))
				require.Equal(t, time.Second, time.Since(begin))
				require.True(t, p.ours.Closed())
			})
		}
	}
}

func TestCloseContextAfterAFailureAndClose(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.ours.Out().FailWritesAfter(0, nil)
		require.Error(t, c.WriteMessage(TextMessage, nil))
		require.NoError(t, c.Close())
		require.NoError(t, c.CloseContext(t.Context(), 1000, ""), "it is closed already")
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, c.CloseContext(ctx, 1000, ""), "in the middle of the frame, too")
	})
}

// failsBehind ends a context and fails.
type failsBehind struct {
	net.Conn
	cancel func()
	err    error
}

func (c failsBehind) Write([]byte) (int, error) {
	c.cancel()
	return 0, c.err
}

// The transport's own error is the error, whether the context has ended since or not.
func TestWriteMessageContextOfABrokenTransport(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		broken := errors.New("broken")
		ctx, cancel := context.WithCancel(t.Context())
		c.replaceTransport(failsBehind{p.ours, cancel, broken})
		require.Equal(t, broken, c.WriteMessageContext(ctx, TextMessage, []byte("x")))
		require.Equal(t, broken, c.WriteMessage(TextMessage, nil))
	})
}

// brokenByDeadlines is a transport for which a write that timed out is the last one, as TLS.
type brokenByDeadlines struct {
	net.Conn
	err error
}

func (c *brokenByDeadlines) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.Conn.Write(p)
	if isDeadline(err) {
		c.err = lastTimeout{err}
		err = c.err
	}
	return n, err
}

type lastTimeout struct{ error }

func (lastTimeout) Timeout() bool   { return true }
func (lastTimeout) Temporary() bool { return false }
func (e lastTimeout) Unwrap() error { return e.error }

// A write whose context ended before it came to the transport leaves that alone.
func TestWriteMessageContextThatEndsWithTheWait(t *testing.T) {
	for _, size := range []int{1, 1000, 20_000, 100_000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.replaceTransport(&brokenByDeadlines{Conn: p.ours})
			require.NoError(t, c.lead(false, nil, writeDeadline{}))
			ctx, cancel := context.WithCancel(t.Context())
			wrote := make(chan error, 1)
			go func() { wrote <- c.WriteMessageContext(ctx, TextMessage, []byte(ascii(size))) }()
			synctest.Wait()
			c.out.mu.Lock()
			cancel()
			c.out.handOn()
			c.out.mu.Unlock()
			require.Equal(t, context.Canceled, <-wrote)
			require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
			p.want("the connection is as it was", finText, "next")
		})
	}
}

func TestWriteMessageContextWhereTimeoutsBreak(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.replaceTransport(&brokenByDeadlines{Conn: p.ours})
		p.blockWrites(0)
		ctx, cancel := context.WithCancel(t.Context())
		afterAll(cancel)
		err := c.WriteMessageContext(ctx, TextMessage, []byte("x"))
		require.ErrorIs(t, err, ErrFrameCut)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// What was corked before goes out by itself, and a context ends the wait for that.
func TestWriteMessageContextBehindCorkedMessages(t *testing.T) {
	for _, size := range []int{1, 20_000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			require.NoError(t, c.lead(false, nil, writeDeadline{}))
			c.in.more.Store(true)
			require.NoError(t, c.sendSmall(whole(opText), []byte("corked"), writeDeadline{}))
			c.in.more.Store(false)
			require.True(t, c.out.hasCorked())
			ctx, cancel := context.WithCancel(t.Context())
			wrote := make(chan error, 1)
			go func() { wrote <- c.WriteMessageContext(ctx, TextMessage, []byte(ascii(size))) }()
			synctest.Wait()
			p.blockWrites(0)
			c.follow()
			synctest.Wait()
			begin := time.Now()
			cancel()
			require.Equal(t, context.Canceled, <-wrote)
			require.Zero(t, time.Since(begin))
			p.unblockWrites()
			p.want("corked", finText, "corked")
			require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
			p.want("the connection is as it was", finText, "next")
		})
	}
}
