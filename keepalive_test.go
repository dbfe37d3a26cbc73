package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// kept are the options of a connection whose peer is pinged after 10 s and given 4 to answer.
// The timer's period is half a second.
func kept() connOptions {
	return connOptions{keepalive: &Keepalive{Interval: 10 * time.Second, Timeout: 4 * time.Second}, collectStats: true}
}

// within expects that a time has passed, a period more or less.
func within(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	require.InDelta(t, want, time.Since(since), float64(500*time.Millisecond))
}

func TestKeepaliveFindsSilentPeers(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		begin := time.Now()
		end := reading(c)
		p.want("a ping", finPing, "")
		within(t, begin, 10*time.Second)
		err := <-end
		within(t, begin, 14*time.Second)
		require.Equal(t, ErrKeepaliveTimeout, err)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
		_, _, err = c.ReadMessage()
		require.Equal(t, ErrKeepaliveTimeout, err, "for good")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("bye")), "the other half is not touched")
		require.Zero(t, c.monitor.keepalive.conns)
		require.Nil(t, c.monitor.keepalive.wheel)
	})
}

// A peer that was asleep, and wakes up, does not read from a Server that all was well.
func TestKeepaliveOfAServer(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		var stats Stats
		s := &Server{OnClose: func(_ *Conn, last Stats) { stats = last }}
		require.Nil(t, s.conns.enter("", 0, 0))
		s.conns.add(c)
		s.serve(c, "", func(c *Conn) {
			_, _, err := c.ReadMessage()
			require.Equal(t, ErrKeepaliveTimeout, err)
		})
		require.Equal(t, CloseAbnormalClosure, stats.CloseCode)
		p.want("it was asked", finPing, "")
		_, _, err := p.next()
		require.Equal(t, io.EOF, err, "nothing more was sent")
	})
}

// A NetConn whose peer is gone is closed without waiting for it again.
func TestKeepaliveOfANetConn(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		n := NetConn(c, BinaryMessage)
		_, err := n.Read(make([]byte, 1))
		require.Equal(t, ErrKeepaliveTimeout, err)
		start := time.Now()
		_ = n.Close()
		require.Zero(t, time.Since(start))
	})
}

// answerPings is a peer that does no more than it must, and counts.
func answerPings(p *peer) (pings *atomic.Int32) {
	pings = new(atomic.Int32)
	go func() {
		for {
			first, payload, err := p.next()
			if err != nil {
				return
			}
			if first == finPing {
				pings.Add(1)
				if _, err := p.Write(p.frame(finPong, payload)); err != nil {
					return
				}
			}
		}
	}()
	return pings
}

func TestKeepaliveOfLivingPeers(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		end := reading(c)
		pings := answerPings(p)
		time.Sleep(time.Hour)
		require.Empty(t, end)
		synctest.Wait()
		require.InDelta(t, 360, pings.Load(), 20, "one each interval")
		require.EqualValues(t, pings.Load(), c.Stats().PingsSent)
		require.Equal(t, 1, c.monitor.keepalive.conns)
	})
}

// Whatever comes counts, a byte of a message too.
func TestKeepaliveHearsEveryByte(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		end := reading(c)
		for _, b := range p.frame(finText, ascii(300)) {
			time.Sleep(9 * time.Second)
			p.send([]byte{b})
		}
		synctest.Wait()
		require.Empty(t, end)
		require.Zero(t, p.Buffered(), "no ping was needed")
		require.EqualValues(t, 1, c.Stats().Received.Messages)

		time.Sleep(11 * time.Second)
		p.want("a ping", finPing, "")
		p.send(p.frame(finText, "not a pong, but alive"))
		time.Sleep(9 * time.Second)
		require.Empty(t, end)
	})
}

// Where nobody reads, nothing can be seen to come.
func TestKeepaliveWaitsForReaders(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		time.Sleep(time.Hour)
		p.wantSilence("nobody reads")
		begin := time.Now()
		end := reading(c)
		p.want("a ping", finPing, "")
		require.LessOrEqual(t, time.Since(begin), 11*time.Second)
		require.Equal(t, ErrKeepaliveTimeout, <-end)
	})
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		answerPings(p)
		for range 100 {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(11*time.Second)))
			_, _, err := c.ReadMessage()
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.False(t, errors.Is(err, ErrKeepaliveTimeout))
			time.Sleep(20 * time.Second) // the program does something else
		}
	})
}

func TestKeepaliveBesideAReadDeadline(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		begin := time.Now()
		require.NoError(t, c.SetReadDeadline(begin.Add(12*time.Second)))
		_, _, err := c.ReadMessage()
		wantTimeout(t, err)
		require.Equal(t, 12*time.Second, time.Since(begin), "the program's deadline comes first")
		require.NoError(t, c.SetReadDeadline(begin.Add(time.Hour)))
		p.send(p.frame(finText, "alive"))
		_, _, err = c.ReadMessage()
		require.NoError(t, err)
		begin = time.Now()
		_, _, err = c.ReadMessage()
		require.Equal(t, ErrKeepaliveTimeout, err, "and here it does not")
		within(t, begin, 14*time.Second)
	})
}

// A connection whose peer takes nothing holds up no other, and the timer starts no goroutine
// for it that stays.
func TestKeepaliveWaitsForNobody(t *testing.T) {
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				o := kept()
				stuck, stuckPeer := m.openWith(t, o)
				lively, livelyPeer := m.openWith(t, o)
				defer stuckPeer.Close()
				defer livelyPeer.Close()
				stuckPeer.blockWrites(1) // a ping is cut
				stuckEnd, livelyEnd := reading(stuck), reading(lively)
				pings := answerPings(livelyPeer)
				for range 100 {
					time.Sleep(5 * time.Second)
					stuckPeer.send(stuckPeer.frame(finText, "I write, but do not read"))
				}
				require.Empty(t, stuckEnd)
				require.Empty(t, livelyEnd)
				require.Greater(t, pings.Load(), int32(40))
				begin := time.Now()
				require.Equal(t, ErrKeepaliveTimeout, <-stuckEnd)
				within(t, begin, 14*time.Second)
				require.NoError(t, stuck.Close())
				require.Equal(t, 1, o.keepalive.conns)
				require.NoError(t, lively.Close())
				require.ErrorIs(t, <-livelyEnd, net.ErrClosed)
				require.Zero(t, o.keepalive.conns)
				was := o.keepalive.now.Load()
				time.Sleep(time.Minute)
				require.Equal(t, was, o.keepalive.now.Load(), "the timer has ended with the last connection")
			})
		})
	}
}

func TestKeepaliveOfMany(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		o := kept()
		const many = 300
		var conns []*Conn
		var ends []<-chan error
		for i := range many {
			c, p := modes[i%len(modes)].openWith(t, o)
			defer p.Close()
			conns = append(conns, c)
			ends = append(ends, reading(c))
			if i%3 != 0 {
				answerPings(p)
			}
			time.Sleep(37 * time.Millisecond)
		}
		for i := 0; i < many; i += 3 {
			require.Equal(t, ErrKeepaliveTimeout, <-ends[i])
		}
		time.Sleep(time.Hour)
		require.Equal(t, many-many/3, o.keepalive.conns)
		for i, c := range conns {
			if i%3 != 0 {
				require.Empty(t, ends[i])
			}
			require.NoError(t, c.Close())
		}
		require.Zero(t, o.keepalive.conns)
		require.Nil(t, o.keepalive.wheel)
	})
}

// A process that was stopped reads what has come before anybody is judged.
func TestKeepaliveOfAStoppedProcess(t *testing.T) {
	serverConnWith := kept()
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{server: true, raw: true}.openWith(t, serverConnWith)
		defer p.Close()
		defer c.Close()
		end := reading(c)
		k := c.monitor.keepalive
		p.want("a ping", finPing, "")
		k.mu.Lock()
		k.last = k.last.Add(-time.Hour)
		k.mu.Unlock()
		was := k.now.Load()
		time.Sleep(k.period)
		synctest.Wait()
		require.Equal(t, was, k.now.Load(), "the time in which it was stopped does not count")
		time.Sleep(k.period)
		synctest.Wait()
		require.Equal(t, was+1, k.now.Load())
		require.Equal(t, ErrKeepaliveTimeout, <-end)
	})
}

func TestKeepaliveTimes(t *testing.T) {
	for _, tc := range []struct{ interval, timeout, period time.Duration }{
		{0, 0, 2500 * time.Millisecond},
		{-1, -1, 2500 * time.Millisecond},
		{1, 1, time.Millisecond},
		{30 * time.Second, 10 * time.Second, 1250 * time.Millisecond},
		{time.Hour, time.Second, 3600 * time.Millisecond},
		{1<<63 - 1, 1<<63 - 1, (1<<63 - 1) / 8},
	} {
		k := &Keepalive{Interval: tc.interval, Timeout: tc.timeout}
		k.start()
		k.timer.Stop()
		require.Equal(t, tc.period, k.period)
		require.LessOrEqual(t, len(k.wheel), 1001)
		require.Positive(t, k.interval)
		require.Positive(t, k.timeout)
	}
}

// Pings go out each Interval, also where a peer is given longer than that to answer.
func TestKeepaliveWithALongTimeout(t *testing.T) {
	patient := func() connOptions {
		return connOptions{keepalive: &Keepalive{Interval: 10 * time.Second, Timeout: time.Minute}}
	}
	eachConnWith(t, patient, func(t *testing.T, c *Conn, p *peer) {
		end := reading(c)
		pings := answerPings(p)
		time.Sleep(time.Hour)
		require.Empty(t, end)
		require.InDelta(t, 360, pings.Load(), 40, "one each interval")
	})
	eachConnWith(t, patient, func(t *testing.T, c *Conn, p *peer) {
		begin := time.Now()
		end := reading(c)
		p.want("a ping", finPing, "")
		time.Sleep(time.Until(begin.Add(65 * time.Second)))
		p.send(p.frame(finPong, ""))
		synctest.Wait()
		require.Empty(t, end, "in time")
		begin = time.Now()
		require.Equal(t, ErrKeepaliveTimeout, <-end)
		require.InDelta(t, 70*time.Second, time.Since(begin), float64(3*time.Second))
	})
}

// A ping that waits for a large message to go out cannot have been answered.
func TestKeepaliveBehindALargeMessage(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		end := reading(c)
		message := make([]byte, 20<<20)
		left := int64(len(message) + headerSize(len(message), !c.server))
		wrote := make(chan error, 1)
		go func() { wrote <- c.WriteMessage(BinaryMessage, message) }()
		for left > 0 { // for 40 seconds
			n, err := io.CopyN(io.Discard, p, min(left, 512<<10))
			require.NoError(t, err)
			left -= n
			time.Sleep(time.Second)
			require.Empty(t, end)
		}
		require.NoError(t, <-wrote)
		answerPings(p)
		time.Sleep(time.Minute)
		require.Empty(t, end)
	})
}

// A handler that takes its time keeps the answer from being read.
func TestKeepaliveWaitsForHandlers(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		takes := func() { time.Sleep(40 * time.Second) }
		c.SetPingHandler(func(string) error { takes(); return nil })
		c.SetPongHandler(func(data string) error {
			if data != "" {
				takes()
			}
			return nil
		})
		end := reading(c)
		answerPings(p)
		for range 3 {
			p.send(p.frame(finPing, ""), p.frame(finPong, "x"))
			time.Sleep(2 * time.Minute)
			require.Empty(t, end)
		}
	})
}

// A transport whose SetReadDeadline blocks holds up no other connection.
type blocksDeadlines struct {
	net.Conn
	until chan struct{}
}

func (c blocksDeadlines) SetReadDeadline(t time.Time) error {
	<-c.until
	return c.Conn.SetReadDeadline(t)
}

func TestKeepaliveOfTransportsThatBlock(t *testing.T) {
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				o := kept()
				until := make(chan struct{})
				var ends []<-chan error
				for i := range 4 {
					c, p := m.openWith(t, o)
					defer p.Close()
					defer c.Close()
					if i != 1 {
						c.replaceTransport(blocksDeadlines{p.ours, until})
					}
					ends = append(ends, reading(c))
				}
				begin := time.Now()
				require.Equal(t, ErrKeepaliveTimeout, <-ends[1])
				within(t, begin, 14*time.Second)
				close(until)
				for _, i := range []int{0, 2, 3} {
					require.Equal(t, ErrKeepaliveTimeout, <-ends[i])
				}
			})
		})
	}
}

func TestKeepaliveWithoutDeadlines(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		c.replaceTransport(noDeadlines{p.ours, errors.New("no deadlines")})
		begin := time.Now()
		require.Equal(t, ErrKeepaliveTimeout, <-reading(c))
		within(t, begin, 14*time.Second)
	})
}

func TestKeepaliveOfTransportsThatPanic(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		c.replaceTransport(panicsInDeadlines{p.ours})
		require.Equal(t, ErrKeepaliveTimeout, <-reading(c))
	})
}

// A program that has set a deadline for its last write, long ago, is kept alive all the same.
func TestKeepaliveBehindAPassedWriteDeadline(t *testing.T) {
	eachConnWith(t, kept, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		end := reading(c)
		pings := answerPings(p)
		time.Sleep(time.Hour)
		require.Empty(t, end, "the peer is alive")
		require.InDelta(t, 360, pings.Load(), 20)
	})
}
