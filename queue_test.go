package websocket

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/require"
)

var background = context.Background()

// wantIdle expects that a queue has nothing, and nobody.
func (q *SendQueue) wantIdle(t testing.TB) {
	t.Helper()
	synctest.Wait()
	messages, bytes, _ := q.Depth()
	require.Zero(t, messages)
	require.Zero(t, bytes)
	q.mu.Lock()
	defer q.mu.Unlock()
	require.Equal(t, q.err != nil, q.sending)
	require.Nil(t, q.waiting)
	require.Nil(t, q.memory)
	require.Empty(t, q.blocked)
	require.Nil(t, q.sent)
}

func (q *SendQueue) wantDepth(t testing.TB, messages, bytes int, dropped int64) {
	t.Helper()
	synctest.Wait()
	m, b, d := q.Depth()
	require.Equal(t, [3]int64{int64(messages), int64(bytes), dropped}, [3]int64{int64(m), int64(b), d}, "messages, bytes, dropped")
}

// stalled returns a queue behind which the transport takes nothing, and one message, "first",
// is with the transport.
func stalled(t testing.TB, c *Conn, p *peer, limits QueueLimits) *SendQueue {
	t.Helper()
	q := NewSendQueue(c, limits)
	p.blockWrites(0)
	require.NoError(t, q.Send(background, TextMessage, []byte("first")))
	synctest.Wait()
	return q
}

func (q *SendQueue) sendText(message string) error {
	data := []byte(message)
	err := q.Send(background, TextMessage, data)
	clear(data) // it is the caller's again
	return err
}

func TestSendQueueSendsAtOnce(t *testing.T) {
	large, err := NewPreparedMessage(BinaryMessage, []byte(ascii(300_000)))
	require.NoError(t, err)
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		q := NewSendQueue(c, QueueLimits{})
		for _, size := range messageSizes {
			require.NoError(t, q.sendText(ascii(size)))
			if c.transport.seam.raw() && size < 10_000 {
				require.Equal(t, len(wireFrame(finText, !p.masks, ascii(size))), p.Buffered(), "before anybody else runs")
				require.False(t, q.sending)
			}
			p.want("each size", finText, ascii(size))
		}
		require.NoError(t, q.Send(background, PingMessage, []byte("x")))
		p.want("a control frame", finPing, "x")
		synctest.Wait()
		p.ours.Out().SetBuffer(1 << 20)
		require.NoError(t, q.SendPrepared(background, large))
		if c.transport.seam.raw() && c.server {
			require.Equal(t, len(wireFrame(finBinary, false, ascii(300_000))), p.Buffered(), "whatever its size")
			require.False(t, q.sending)
		}
		p.want("a large one", finBinary, ascii(300_000))
		q.wantIdle(t)
		wantNothingKept(t, c)
		require.Equal(t, before, onLoan.Load())
		q.wantDepth(t, 0, 0, 0)
	})
}

// Whatever part of a message the transport takes, the rest follows, and what is queued behind
// it, in order and in few writes.
func TestSendQueueSendsTheRest(t *testing.T) {
	prepared, err := NewPreparedMessage(BinaryMessage, []byte(ascii(1000)))
	require.NoError(t, err)
	large, err := NewPreparedMessage(BinaryMessage, []byte(ascii(300_000)))
	require.NoError(t, err)
	for name, m := range map[string]*PreparedMessage{
		"0 B": nil, "1000 B": nil, "65536 B": nil, "300000 B": nil,
		"1000 B prepared": prepared, "300000 B prepared": large,
	} {
		t.Run(name, func(t *testing.T) {
			digits, _, _ := strings.Cut(name, " ")
			size, err := strconv.Atoi(digits)
			require.NoError(t, err)
			send := func(q *SendQueue) error {
				if m != nil {
					return q.SendPrepared(background, m)
				}
				return q.Send(background, BinaryMessage, []byte(ascii(size)))
			}
			for _, room := range []int{0, 1, 2, 3, 4, 5, 9, 10, 11, 14, 15, 500, 20_000, 65_535, 65_546, 65_550, 100_000} {
				if room >= size+14 {
					continue
				}
				eachConn(t, func(t *testing.T, c *Conn, p *peer) {
					before := onLoan.Load()
					q := NewSendQueue(c, QueueLimits{})
					p.blockWrites(room)
					require.NoError(t, send(q))
					for i := range 500 {
						require.NoError(t, q.sendText(strconv.Itoa(i)))
					}
					synctest.Wait()
					writes := p.writes()
					p.ours.Out().SetBuffer(1 << 20)
					require.NoError(t, q.Flush(background))
					require.LessOrEqual(t, p.writes()-writes, 7, "writes: steps of the first one, and all others")
					p.want("the first", finBinary, ascii(size))
					for i := range 500 {
						p.want("in order", finText, strconv.Itoa(i))
					}
					q.wantIdle(t)
					wantNothingKept(t, c)
					require.Equal(t, before, onLoan.Load())
				})
			}
		})
	}
}

func TestSendQueueDepth(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := stalled(t, c, p, QueueLimits{})
		q.wantDepth(t, 1, 5, 0)
		require.NoError(t, q.sendText("second"))
		require.NoError(t, q.sendText(""))
		q.wantDepth(t, 3, 11, 0)
		p.ours.Out().SetBuffer(len(wireFrame(finText, !p.masks, "first")))
		q.wantDepth(t, 2, 6, 0)
		p.unblockWrites()
		q.wantDepth(t, 0, 0, 0)
		q.wantIdle(t)
		require.Same(t, q, c.sendQueue())
	})
}

// Statistics count what a queue sends, once each.
func TestSendQueueIsCounted(t *testing.T) {
	for _, room := range []int{0, 1, 4, 1000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.monitor = new(monitor)
			q := NewSendQueue(c, QueueLimits{})
			p.blockWrites(room)
			wire := 0
			for _, m := range []string{"1", "22", "333", "4444"} {
				require.NoError(t, q.sendText(m))
				wire += len(wireFrame(finText, !p.masks, m))
			}
			require.NoError(t, q.SendPrepared(background, preparedCall))
			require.NoError(t, q.Send(background, PingMessage, nil))
			wire += len(wireFrame(finText, !p.masks, string(preparedCall.payload))) + len(wireFrame(finPing, !p.masks, ""))
			synctest.Wait()
			p.unblockWrites()
			require.NoError(t, q.Flush(background))
			q.wantIdle(t)
			s := c.Stats()
			want := Traffic{Messages: 5, PayloadBytes: int64(10 + len(preparedCall.payload)), WireBytes: int64(wire)}
			require.Equal(t, want, s.Sent)
			require.EqualValues(t, 1, s.PingsSent)
		})
	}
}

// What a prepared message has is never copied to wait.
func TestSendQueueSharesPreparedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		pm, err := NewPreparedMessage(TextMessage, []byte(ascii(50_000)))
		require.NoError(t, err)
		q := stalled(t, c, p, QueueLimits{})
		for range 3 {
			require.NoError(t, q.SendPrepared(background, pm))
		}
		for _, m := range q.waiting {
			require.Same(t, &pm.payload[0], &m.data[0])
		}
		p.unblockWrites()
		p.want("first", finText, "first")
		for range 3 {
			p.want("prepared", finText, ascii(50_000))
		}
		q.wantIdle(t)
	})
}

// A server whose peers stop inside a prepared message holds no copies of it.
func TestSendQueueHoldsNoCopyOfPreparedMessages(t *testing.T) {
	for _, room := range []int{4, 100, 60_000} {
		serverConn(t, func(t *testing.T, c *Conn, p *peer) {
			pm, err := NewPreparedMessage(TextMessage, []byte(ascii(60_001)))
			require.NoError(t, err)
			before := onLoan.Load()
			q := NewSendQueue(c, QueueLimits{})
			p.blockWrites(room)
			require.NoError(t, q.SendPrepared(background, pm))
			synctest.Wait()
			require.Equal(t, room, p.Buffered())
			require.Equal(t, before, onLoan.Load())
			p.unblockWrites()
			p.want("all of it", finText, ascii(60_001))
			q.wantIdle(t)
		})
	}
}

// The copies of small messages that wait take memory as the messages do.
func TestSendQueueMemory(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := stalled(t, c, p, QueueLimits{})
		require.NoError(t, q.sendText("x"))
		require.LessOrEqual(t, cap(q.memory), 512)
		for i := range 1000 {
			require.NoError(t, q.sendText(strconv.Itoa(i)))
		}
		require.LessOrEqual(t, cap(q.memory), 4096)
		p.unblockWrites()
		require.NoError(t, q.Flush(background))
		p.want("first", finText, "first")
		p.want("second", finText, "x")
		for i := range 1000 {
			p.want("in order", finText, strconv.Itoa(i))
		}
		q.wantIdle(t)
	})
}

// What went out is not kept by what waits behind it.
func TestSendQueueForgetsWhatWasSent(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := stalled(t, c, p, QueueLimits{})
		gone := func() weak.Pointer[PreparedMessage] {
			pm, err := NewPreparedMessage(TextMessage, []byte(ascii(1000)))
			require.NoError(t, err)
			require.NoError(t, q.SendPrepared(background, pm))
			return weak.Make(pm)
		}()
		for range 3 {
			require.NoError(t, q.sendText(ascii(60_000)))
		}
		p.ours.Out().SetBuffer(70_000) // the first ones
		synctest.Wait()
		messages, _, _ := q.Depth()
		require.NotZero(t, messages)
		runtime.GC()
		require.True(t, gone.Value() == nil)
	})
}

func TestSendQueueBlocks(t *testing.T) {
	for name, limits := range map[string]QueueLimits{
		"messages": {Messages: 3},
		"bytes":    {Bytes: 8},
	} {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				q := stalled(t, c, p, limits)
				for _, m := range []string{"m1", "m2", "m3.."} {
					require.NoError(t, q.sendText(m))
				}
				ctx, cancel := context.WithCancel(background)
				results := make(chan error, 10)
				send := func(ctx context.Context, m string) {
					go func() { results <- q.Send(ctx, TextMessage, []byte(m)) }()
					synctest.Wait()
				}
				send(background, "m4")
				send(ctx, "given up")
				send(background, "m5")
				require.Empty(t, results)
				q.wantDepth(t, 4, 13, 0)
				cancel()
				require.Equal(t, context.Canceled, <-results)
				late, stop := context.WithTimeout(background, time.Second)
				defer stop()
				start := time.Now()
				send(late, "too late")
				require.Equal(t, context.DeadlineExceeded, <-results)
				require.Equal(t, time.Second, time.Since(start))
				p.ours.Out().SetBuffer(1 << 10)
				synctest.Wait()
				require.Len(t, results, 2)
				require.NoError(t, <-results)
				require.NoError(t, <-results)
				for _, m := range []string{"first", "m1", "m2", "m3..", "m4", "m5"} {
					p.want("in order", finText, m)
				}
				q.wantIdle(t)
				p.wantSilence("nothing was sent of those given up")
			})
		})
	}
}

// Who gives up its place lets those behind it in, and nobody overtakes one that waits for
// more room than there is.
func TestSendQueueBlockedInTurn(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := stalled(t, c, p, QueueLimits{Bytes: 10})
		require.NoError(t, q.sendText("12345"))
		ctx, cancel := context.WithCancel(background)
		results := make(chan string, 10)
		send := func(ctx context.Context, m string) {
			go func() { results <- fmt.Sprint(m, " ", q.Send(ctx, TextMessage, []byte(m))) }()
			synctest.Wait()
		}
		send(ctx, "six...")
		send(background, "tiny")
		require.Empty(t, results, "it waits its turn")
		cancel()
		synctest.Wait()
		require.Len(t, results, 2)
		got := map[string]bool{<-results: true, <-results: true}
		require.Equal(t, map[string]bool{"six... context canceled": true, "tiny <nil>": true}, got)
		p.unblockWrites()
		for _, m := range []string{"first", "12345", "tiny"} {
			p.want("in order", finText, m)
		}
		q.wantIdle(t)
	})
}

func TestSendQueueDropsTheNewest(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := stalled(t, c, p, QueueLimits{Messages: 2, WhenFull: QueueDropNewest})
		require.NoError(t, q.sendText("m1"))
		require.NoError(t, q.sendText("m2"))
		for range 3 {
			require.Equal(t, ErrQueueFull, q.sendText("m3"))
		}
		q.wantDepth(t, 3, 9, 3)
		p.unblockWrites()
		for _, m := range []string{"first", "m1", "m2"} {
			p.want("in order", finText, m)
		}
		require.NoError(t, q.sendText("m4"))
		p.want("it goes on", finText, "m4")
		q.wantIdle(t)
	})
}

func TestSendQueueDropsTheOldest(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := stalled(t, c, p, QueueLimits{Messages: 3, Bytes: 10, WhenFull: QueueDropOldest})
		for _, m := range []string{"m1", "m2", "m3", "m4"} {
			require.NoError(t, q.sendText(m))
		}
		q.wantDepth(t, 4, 11, 1)
		require.NoError(t, q.sendText("seven77")) // m2 and m3 make room
		q.wantDepth(t, 3, 14, 3)
		p.unblockWrites()
		for _, m := range []string{"first", "m4", "seven77"} {
			p.want("in order", finText, m)
		}
		q.wantIdle(t)
	})
}

// With room for one, the peer gets the newest after what was on its way.
func TestSendQueueOfTheNewest(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := stalled(t, c, p, QueueLimits{Messages: 1, WhenFull: QueueDropOldest})
		for i := range 100 {
			require.NoError(t, q.sendText(strconv.Itoa(i)))
		}
		p.unblockWrites()
		p.want("first", finText, "first")
		p.want("the newest", finText, "99")
		q.wantIdle(t)
		p.wantSilence("nothing else")
	})
}

// A message larger than the bound is taken if no other waits.
func TestSendQueueTakesOneLargeMessage(t *testing.T) {
	for _, policy := range []QueuePolicy{QueueBlock, QueueDropNewest, QueueDropOldest, QueueClose} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			q := stalled(t, c, p, QueueLimits{Bytes: 10, WhenFull: policy})
			require.NoError(t, q.sendText(ascii(100)))
			p.unblockWrites()
			p.want("first", finText, "first")
			p.want("large", finText, ascii(100))
			q.wantIdle(t)
		})
	}
}

// RFC 6455 §7.4 and its registry: 1013 is "try again later".
func TestSendQueueClosesWhenFull(t *testing.T) {
	for name, slow := range map[string]bool{"a slow peer": true, "a dead one": false} {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				ended := readOn(c)
				q := stalled(t, c, p, QueueLimits{Messages: 2, WhenFull: QueueClose})
				require.NoError(t, q.sendText("m1"))
				require.NoError(t, q.sendText("m2"))
				start := time.Now()
				require.Equal(t, ErrQueueFull, q.sendText("m3"))
				require.Equal(t, ErrQueueFull, q.sendText("m4"))
				require.Equal(t, ErrQueueFull, q.Flush(background))
				if slow {
					time.Sleep(replyWait / 2)
					p.unblockWrites()
					p.want("it was on its way", finText, "first")
					p.wantClose("nothing else before it", 1013)
					require.Empty(t, ended, "the handshake is not over")
					p.send(p.frame(finClose, closePayload(1013, "")))
					require.Equal(t, &CloseError{Code: 1013}, <-ended)
				} else {
					require.Error(t, <-ended)
					require.Equal(t, replyWait, time.Since(start))
				}
				dropped := int64(3)
				if !slow {
					dropped++ // what was on its way
				}
				q.wantDepth(t, 0, 0, dropped)
				require.Equal(t, ErrQueueFull, q.sendText("m5"))
				time.Sleep(time.Minute)
				require.True(t, p.ours.Closed())
				require.Equal(t, before, onLoan.Load())
				q.wantIdle(t)
			})
		})
	}
}

func TestSendQueueFlush(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := NewSendQueue(c, QueueLimits{Messages: 5, WhenFull: QueueDropOldest})
		require.NoError(t, q.Flush(background), "there is nothing")
		p.blockWrites(0)
		require.NoError(t, q.sendText("first"))
		synctest.Wait()
		for i := range 5 {
			require.NoError(t, q.sendText(fmt.Sprint("old", i)))
		}
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, q.Flush(ctx))
		flushed := make(chan error, 1)
		go func() { flushed <- q.Flush(background) }()
		synctest.Wait()
		for i := range 50 { // all of those that the flush is for are dropped
			require.NoError(t, q.sendText(fmt.Sprint("new", i)))
		}
		synctest.Wait()
		require.Empty(t, flushed, "the first is still on its way")
		p.ours.Out().SetBuffer(len(wireFrame(finText, !p.masks, "first")))
		require.NoError(t, <-flushed, "what came later does not count")
		p.want("first", finText, "first")
		p.unblockWrites()
		for i := 45; i < 50; i++ {
			p.want("new", finText, fmt.Sprint("new", i))
		}
		require.NoError(t, q.Flush(background))
		q.wantIdle(t)
	})
}

// The end of a connection ends its queue, wherever it is.
func TestCloseEndsASendQueue(t *testing.T) {
	for _, room := range []int{0, 1, 3, 20} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			q := NewSendQueue(c, QueueLimits{Messages: 3})
			p.blockWrites(room)
			results := make(chan error, 10)
			for range 4 {
				require.NoError(t, q.sendText(ascii(100)))
				synctest.Wait()
			}
			for range 3 {
				go func() { results <- q.sendText("blocked") }()
				go func() { results <- q.Flush(background) }()
			}
			synctest.Wait()
			require.Empty(t, results)
			start := time.Now()
			require.NoError(t, c.Close())
			wantAll(t, 6, results, func(err error) { require.ErrorIs(t, err, net.ErrClosed) })
			require.Zero(t, time.Since(start))
			require.ErrorIs(t, q.sendText("late"), net.ErrClosed)
			require.ErrorIs(t, q.Flush(background), net.ErrClosed)
			q.wantIdle(t)
			dropped := int64(4)
			if room > 0 && c.transport.seam.raw() {
				dropped-- // the first had begun to go out, and counts as sent
			}
			q.wantDepth(t, 0, 0, dropped)
			wantNothingKept(t, c)
			require.Equal(t, before, onLoan.Load())
		})
	}
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // nothing is queued
		q := NewSendQueue(c, QueueLimits{})
		require.NoError(t, c.Close())
		require.ErrorIs(t, q.sendText("late"), net.ErrClosed)
		require.ErrorIs(t, NewSendQueue(c, QueueLimits{}).sendText("late"), net.ErrClosed)
		q.wantIdle(t)
	})
}

// An error of the transport is what the next call returns, and every later one.
func TestSendQueueErrorStays(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		q := stalled(t, c, p, QueueLimits{})
		require.NoError(t, q.sendText("lost"))
		p.ours.Out().FailWritesAfter(3, errInjected)
		p.unblockWrites()
		synctest.Wait()
		for range 3 {
			require.ErrorIs(t, q.sendText("late"), errInjected)
			require.ErrorIs(t, q.Flush(background), errInjected)
			require.ErrorIs(t, c.WriteMessage(TextMessage, nil), errInjected)
		}
		require.False(t, p.ours.Closed(), "it is for the reader to see")
		q.wantIdle(t)
		q.wantDepth(t, 0, 0, 2)
		wantNothingKept(t, c)
		require.Equal(t, before, onLoan.Load())
	})
}

// A peer that takes nothing for the connection's write timeout is given up, and the reader learns
// of it.
func TestSendQueueGivesUpAStalledPeer(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		start := time.Now()
		ended := readOn(c)
		q := stalled(t, c, p, QueueLimits{})
		require.NoError(t, q.sendText("lost"))
		require.ErrorIs(t, <-ended, net.ErrClosed)
		require.Equal(t, defaultWriteTimeout, time.Since(start))
		wantTimeout(t, q.sendText("late"))
		wantTimeout(t, q.Flush(background))
		require.True(t, p.ours.Closed())
		q.wantIdle(t)
	})
}

// The write deadline holds for the queue as it does for WriteMessage.
func TestSendQueueAndWriteDeadline(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := NewSendQueue(c, QueueLimits{})
		require.NoError(t, c.SetWriteDeadline(time.Now()))
		wantTimeout(t, q.sendText("late"))
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, q.sendText("in time"), "the connection has survived it")
		p.want("nothing before", finText, "in time")
		synctest.Wait()
		p.blockWrites(0)
		require.NoError(t, q.sendText("waits"))
		time.Sleep(time.Hour)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		time.Sleep(time.Second)
		synctest.Wait()
		wantTimeout(t, q.sendText("late"))
		q.wantIdle(t)
	})
}

// Behind a close frame nothing goes out.
func TestSendQueueAndCloseFrame(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // beside the queue
		q := stalled(t, c, p, QueueLimits{})
		closed := make(chan error, 1)
		go func() { closed <- c.WriteControl(CloseMessage, nil, time.Time{}) }()
		synctest.Wait()
		require.NoError(t, q.sendText("behind it"))
		p.unblockWrites()
		p.want("first", finText, "first")
		p.want("close", finClose, "")
		require.NoError(t, <-closed)
		synctest.Wait()
		require.Equal(t, ErrCloseSent, q.sendText("late"))
		require.Equal(t, ErrCloseSent, q.Flush(background))
		require.False(t, p.ours.Closed(), "the handshake is not over")
		q.wantIdle(t)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // in the queue
		q := stalled(t, c, p, QueueLimits{})
		require.NoError(t, q.sendText("before"))
		require.NoError(t, q.Send(background, CloseMessage, FormatCloseMessage(1000, "")))
		require.NoError(t, q.sendText("behind"))
		p.unblockWrites()
		p.want("first", finText, "first")
		p.want("before", finText, "before")
		p.want("close", finClose, closePayload(1000, ""))
		synctest.Wait()
		require.Equal(t, ErrCloseSent, q.sendText("late"))
		p.wantSilence("nothing behind a close frame")
		q.wantIdle(t)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // the first of all
		q := NewSendQueue(c, QueueLimits{})
		require.NoError(t, q.Send(background, CloseMessage, nil))
		p.want("close", finClose, "")
		synctest.Wait()
		require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, nil))
		require.Equal(t, ErrCloseSent, q.sendText("late"))
	})
}

// A queue waits for whoever has the write half, as others do: the message of a NextWriter that has
// begun, and other writes.
func TestSendQueueBehindOtherWrites(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := NewSendQueue(c, QueueLimits{})
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = w.Write([]byte(ascii(20_000)))
		require.NoError(t, err)
		p.want("a fragment", beginText, ascii(20_000))
		for i := range 3 {
			require.NoError(t, q.sendText(strconv.Itoa(i)))
		}
		p.wantSilence("they wait")
		require.NoError(t, w.Close())
		p.want("the end", finContinue, "")
		for i := range 3 {
			p.want("in order", finText, strconv.Itoa(i))
		}
		p.blockWrites(0)
		written := make(chan error, 1)
		go func() { written <- c.WriteMessage(TextMessage, []byte("beside")) }()
		synctest.Wait()
		require.NoError(t, q.sendText("queued"))
		synctest.Wait()
		p.unblockWrites()
		p.want("it was first", finText, "beside")
		p.want("then", finText, "queued")
		require.NoError(t, <-written)
		q.wantIdle(t)
	})
}

// What is corked goes out before what is queued, and a queue's message is corked too.
func TestSendQueueAndCorkedMessages(t *testing.T) {
	for _, room := range []int{0, 1, 5, 10, 1000} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			q := NewSendQueue(c, QueueLimits{})
			p.send(p.frame(finText, "one"), p.frame(finText, "two"))
			_, _, err := c.ReadMessage()
			require.NoError(t, err)
			require.NoError(t, q.sendText("a1"))
			require.NoError(t, q.sendText("a2"))
			p.blockWrites(room)
			_, _, err = c.ReadMessage()
			require.NoError(t, err)
			require.NoError(t, q.sendText("b"), "no more is in hand")
			synctest.Wait()
			p.unblockWrites()
			for _, m := range []string{"a1", "a2", "b"} {
				p.want("in order", finText, m)
			}
			q.wantIdle(t)
			wantNothingKept(t, c)
			require.Equal(t, before, onLoan.Load())
		})
	}
	serverConn(t, func(t *testing.T, c *Conn, p *peer) { // as much as can be corked, and more
		before := onLoan.Load()
		q := NewSendQueue(c, QueueLimits{})
		p.send(p.frame(finText, "one"), p.frame(finText, "two"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		p.ours.Out().SetBuffer(1 << 20)
		for range 100 {
			require.NoError(t, q.sendText(ascii(1000)))
		}
		require.Greater(t, p.Buffered(), 60_000)
		for range 100 {
			p.want("in order", finText, ascii(1000))
		}
		_, _, err = c.ReadMessage()
		require.NoError(t, err)
		q.wantIdle(t)
		require.Equal(t, before, onLoan.Load())
	})
}

// A transport that panics in the queue's goroutine ends the queue and nothing else.
func TestPanicOfTheTransportInASendQueue(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		h := c.hook()
		panics := make(chan bool)
		h.write = func(b []byte) (int, error) {
			if <-panics {
				panic("transport")
			}
			return h.Conn.Write(b)
		}
		q := NewSendQueue(c, QueueLimits{})
		require.NoError(t, q.sendText("first"))
		panics <- false
		p.want("first", finText, "first")
		synctest.Wait()
		for range 3 {
			require.NoError(t, q.sendText("lost"))
		}
		synctest.Wait()
		panics <- true
		synctest.Wait()
		require.Equal(t, errTransportPanicked, q.sendText("late"))
		require.Equal(t, errTransportPanicked, q.Flush(background))
		q.wantIdle(t)
		require.Equal(t, before, onLoan.Load())
	})
}

func TestSendQueueCompresses(t *testing.T) {
	const n = 60
	for _, o := range []Compression{noTakeover, takeover12} {
		for _, room := range []int{0, 1, 100, 1 << 20} {
			eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
				before := onLoan.Load()
				q := NewSendQueue(c, QueueLimits{})
				p.blockWrites(room)
				for i := range n {
					m := similar(i, 10+i*i*10)
					if i%3 == 0 {
						pm, err := NewPreparedMessage(TextMessage, []byte(m))
						require.NoError(t, err)
						require.NoError(t, q.SendPrepared(background, pm))
					} else {
						require.NoError(t, q.sendText(m))
					}
					if i == n/2 {
						synctest.Wait()
					}
				}
				synctest.Wait()
				p.unblockWrites()
				smaller := 0
				for i := range n {
					_, got, compressed, _ := p.message(z)
					require.Equal(t, similar(i, 10+i*i*10), got)
					if compressed {
						smaller++
					}
				}
				require.Greater(t, smaller, n/2)
				q.wantIdle(t)
				require.Equal(t, before, onLoan.Load())
			})
		}
	}
	eachCompressed(t, noTakeover, func(t *testing.T, c *Conn, p *peer, z *flatePeer) { // in fragments
		q := NewSendQueue(c, QueueLimits{})
		m := similar(1, 2<<20)
		require.NoError(t, q.sendText(m))
		_, got, compressed, frames := p.message(z)
		require.True(t, m == got)
		require.True(t, compressed)
		require.Greater(t, frames, 1)
		q.wantIdle(t)
	})
}

// A message that is corked is one that later ones refer to, and is counted.
func TestSendQueueCorksCompressedMessages(t *testing.T) {
	eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		c.monitor = new(monitor)
		q := NewSendQueue(c, QueueLimits{})
		p.send(p.frame(finText, "one"), p.frame(finText, "two"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		for i := range 5 {
			require.NoError(t, q.sendText(similar(i, 500)))
		}
		_, _, err = c.ReadMessage()
		require.NoError(t, err)
		require.NoError(t, q.sendText(similar(5, 500)))
		for i := range 6 {
			p.wantMessage("in order", z, similar(i, 500), true)
		}
		q.wantIdle(t)
		require.EqualValues(t, 6, c.Stats().Sent.Messages)
	})
}

func TestSendQueueRefusesWhatWriteMessageDoes(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := NewSendQueue(c, QueueLimits{})
		for range 2 {
			require.Equal(t, errBadMessageType, q.Send(background, 0, nil))
			require.Equal(t, errBadMessageType, q.Send(background, 3, nil))
			require.Equal(t, errControlTooLong, q.Send(background, PingMessage, make([]byte, 126)))
			require.Equal(t, errCloseCodeUnsent, q.Send(background, CloseMessage, FormatCloseMessage(1006, "")))
			require.Equal(t, errNotPrepared, q.SendPrepared(background, nil))
			require.Equal(t, errNotPrepared, q.SendPrepared(background, new(PreparedMessage)))
		}
		ctx, cancel := context.WithCancel(background)
		cancel()
		require.Equal(t, context.Canceled, q.Send(ctx, TextMessage, nil))
		p.wantSilence("nothing was sent")
		var none context.Context
		require.Equal(t, errNoContext, q.Send(none, TextMessage, []byte("x")))
		require.Equal(t, errNoContext, q.SendPrepared(none, preparedCall))
		require.Equal(t, errNoContext, q.Flush(none))
		p.wantSilence("nothing was sent")
	})
}

func TestZeroSendQueues(t *testing.T) {
	pm, err := NewPreparedMessage(TextMessage, nil)
	require.NoError(t, err)
	var nobody *SendQueue
	bad := QueueLimits{Messages: -1, Bytes: -1, WhenFull: -1}
	for _, q := range []*SendQueue{nobody, {}, NewSendQueue(nil, QueueLimits{}), NewSendQueue(new(Conn), bad)} {
		require.Equal(t, errNoConn, q.Send(background, TextMessage, nil))
		require.Equal(t, errNoConn, q.SendPrepared(background, pm))
		require.Equal(t, errNoConn, q.Flush(background))
		messages, bytes, dropped := q.Depth()
		require.Zero(t, int64(messages)+int64(bytes)+dropped)
	}
}

func TestSendQueueSize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(SendQueue{}), uintptr(192))
	require.LessOrEqual(t, unsafe.Offsetof(SendQueue{}.err), uintptr(64))
}

// While nothing is queued there is no goroutine, and no buffer.
func TestIdleSendQueuesHoldNothing(t *testing.T) {
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			goroutines, buffers := runtime.NumGoroutine(), onLoan.Load()
			for range 50 {
				c, p := m.pair(t)
				q := NewSendQueue(c, QueueLimits{})
				for range 3 {
					require.NoError(t, q.sendText("hello"))
					require.NoError(t, q.Flush(background))
					p.want("hello", finText, "hello")
				}
			}
			for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // the end of a goroutine is no event that can be awaited
			}
			require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
			require.Equal(t, buffers, onLoan.Load())
		})
	}
}

// However long other writes take, as long as they make progress the queue waits for them, and the
// connection stays.
func TestSendQueueWaitsForSlowWrites(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // a large message to a slow peer
		q := NewSendQueue(c, QueueLimits{})
		p.ours.Out().SetBuffer(32 << 10)
		start := time.Now()
		written := make(chan error, 1)
		go func() { written <- c.WriteMessage(BinaryMessage, make([]byte, 1<<20)) }()
		synctest.Wait()
		require.NoError(t, q.sendText("behind it"))
		var reader sync.WaitGroup
		reader.Go(func() {
			buf := make([]byte, 16<<10)
			for {
				if _, err := p.Read(buf); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		require.NoError(t, q.Flush(background))
		require.Greater(t, time.Since(start), defaultWriteTimeout)
		require.NoError(t, <-written)
		require.NoError(t, q.sendText("and on"))
		require.NoError(t, q.Flush(background))
		q.wantIdle(t)
		require.NoError(t, c.Close())
		reader.Wait()
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // the message of a NextWriter
		q := NewSendQueue(c, QueueLimits{})
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = w.Write([]byte(ascii(20_000)))
		require.NoError(t, err)
		p.want("a fragment", beginText, ascii(20_000))
		for _, m := range []string{"a", "b", "c"} {
			require.NoError(t, q.sendText(m))
		}
		time.Sleep(10 * defaultWriteTimeout)
		require.NoError(t, w.Close())
		p.want("the end", finContinue, "")
		for _, m := range []string{"a", "b", "c"} {
			p.want("in order", finText, m)
		}
		q.wantIdle(t)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // a deadline that was set holds
		q := NewSendQueue(c, QueueLimits{})
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = w.Write([]byte(ascii(20_000)))
		require.NoError(t, err)
		p.want("a fragment", beginText, ascii(20_000))
		require.NoError(t, q.sendText("late"))
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		start := time.Now()
		wantTimeout(t, q.Flush(background))
		require.Equal(t, time.Second, time.Since(start))
		q.wantIdle(t)
	})
}

// A write beside the queue whose context ends cuts its frame. It ends the queue, but not reading.
func TestSendQueueBehindACutFrame(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := NewSendQueue(c, QueueLimits{})
		p.blockWrites(10)
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		cut := make(chan error, 1)
		go func() { cut <- c.WriteMessageContext(ctx, BinaryMessage, []byte(ascii(1000))) }()
		synctest.Wait()
		require.NoError(t, q.sendText("lost"))
		require.ErrorIs(t, <-cut, ErrFrameCut)
		synctest.Wait()
		require.ErrorIs(t, q.sendText("late"), ErrFrameCut)
		p.send(p.frame(finText, "still read"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "still read", string(got))
		q.wantIdle(t)
	})
}

// What is left of a message is waited with in memory of our own: the caller's is not kept.
func TestSendQueueForgetsTheCallersMemory(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		q := NewSendQueue(c, QueueLimits{})
		p.blockWrites(3)
		gone := func() weak.Pointer[[1000]byte] {
			data := new([1000]byte)
			require.NoError(t, q.Send(background, BinaryMessage, data[:]))
			return weak.Make(data)
		}()
		synctest.Wait()
		q.wantDepth(t, 1, 1000, 0)
		runtime.GC()
		require.True(t, gone.Value() == nil)
		p.unblockWrites()
		p.want("all of it", finBinary, string(make([]byte, 1000)))
		q.wantIdle(t)
	})
}
