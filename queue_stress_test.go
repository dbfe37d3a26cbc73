package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A tally holds what came of each sender against what it sent.
type tally struct {
	last  map[string]int
	count int
}

// take looks at a message "sender number": those of a sender come in order, each once.
func (y *tally) take(message string) error {
	sender, number, _ := strings.Cut(message, " ")
	number, _, _ = strings.Cut(number, " ") // what pads it
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if y.last == nil {
		y.last = map[string]int{}
	}
	if last, ok := y.last[sender]; ok && n <= last {
		return fmt.Errorf("%s sent %d before %d", sender, last, n)
	}
	y.last[sender] = n
	y.count++
	return nil
}

// seeds is how many seeds a test takes of n; the race detector makes each take long.
func seeds(n uint64) uint64 {
	if raceEnabled {
		return n / 6
	}
	return n
}

// Senders by a queue and beside it, of all sizes, to a peer that reads slowly: none of what was
// taken is lost and the order of each is kept, and whatever the moment at which the
// connection closes, all come to an end.
func TestSendQueueStress(t *testing.T) {
	const senders, messages = 5, 60
	for seed := range seeds(12) {
		for _, policy := range []QueuePolicy{QueueBlock, QueueDropNewest, QueueDropOldest} {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				random := rand.New(rand.NewPCG(seed, uint64(policy)))
				p.ours.Out().SetBuffer(1 + random.IntN(2000))
				p.ours.Out().LimitWrites(testnet.Random(seed, 500))
				q := NewSendQueue(c, QueueLimits{Messages: 1 + random.IntN(20), Bytes: 1 + random.IntN(50_000), WhenFull: policy})
				var refused atomic.Int64
				var wg sync.WaitGroup
				for i := range senders {
					r := rand.New(rand.NewPCG(seed, uint64(i)))
					wg.Go(func() {
						for n := range messages {
							m := fmt.Sprint("s", i, " ", n, " ", strings.Repeat("x", r.IntN(3)*r.IntN(100)*r.IntN(100)))
							var err error
							switch pm, _ := NewPreparedMessage(TextMessage, []byte(m)); {
							case i == 0:
								err = c.WriteMessage(TextMessage, []byte(m))
							case r.IntN(3) == 0:
								err = q.SendPrepared(background, pm)
							default:
								err = q.sendText(m)
							}
							if err == ErrQueueFull {
								refused.Add(1)
							} else if err != nil {
								t.Error(err)
							}
							if r.IntN(5) == 0 {
								time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
							}
						}
						if err := q.Flush(background); err != nil {
							t.Error(err)
						}
					})
				}
				all := make(chan struct{})
				go func() {
					wg.Wait()
					close(all)
				}()
				var got tally
				received := make(chan error, 1)
				go func() {
					for {
						_, m, err := p.next()
						if err == nil {
							err = got.take(m)
						}
						if err != nil {
							received <- err
							return
						}
						time.Sleep(time.Duration(random.IntN(200)) * time.Microsecond)
					}
				}()
				<-all
				q.wantIdle(t)
				_, _, dropped := q.Depth()
				require.NoError(t, c.Close())
				require.Equal(t, io.EOF, <-received)
				require.EqualValues(t, senders*messages, int64(got.count)+dropped)
				require.LessOrEqual(t, refused.Load(), dropped)
				if policy == QueueBlock {
					require.Zero(t, dropped)
				}
				require.Equal(t, before, onLoan.Load())
			})
		}
	}
}

// Whenever the connection ends, by Close, by the peer, by a full queue or by a fault: all who send and
// flush return, and nothing is kept.
func TestSendQueueEndsAtAnyTime(t *testing.T) {
	ends := map[string]func(c *Conn, p *peer){
		"Close":       func(c *Conn, _ *peer) { _ = c.Close() },
		"close frame": func(c *Conn, _ *peer) { _ = c.WriteControl(CloseMessage, nil, time.Now().Add(time.Second)) },
		"fault":       func(_ *Conn, p *peer) { p.ours.Out().FailWritesAfter(10, errInjected) },
		"peer gone":   func(_ *Conn, p *peer) { _ = p.Close() },
		"stops":       func(_ *Conn, p *peer) { p.ours.Out().SetBuffer(0) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			for seed := range seeds(30) {
				eachConn(t, func(t *testing.T, c *Conn, p *peer) {
					before := onLoan.Load()
					random := rand.New(rand.NewPCG(seed, 0))
					p.ours.Out().SetBuffer(1 + random.IntN(300))
					policy := QueuePolicy(random.IntN(4))
					q := NewSendQueue(c, QueueLimits{Messages: 1 + random.IntN(10), WhenFull: policy})
					var reader sync.WaitGroup
					reader.Go(func() {
						for {
							if _, _, err := p.next(); err != nil {
								return
							}
							time.Sleep(time.Millisecond)
						}
					})
					var wg sync.WaitGroup
					var ending atomic.Bool
					for i := range 4 {
						wg.Go(func() {
							pause := time.Millisecond
							for {
								err := q.sendText(strings.Repeat("x", 20*i))
								if err == nil && i == 0 {
									err = q.Flush(background)
								}
								switch {
								case err == nil:
									pause = time.Duration(1+50*i) * time.Microsecond
								case err == ErrQueueFull && policy != QueueClose:
								default:
									return
								}
								if ending.Load() {
									pause = time.Second // half a minute may pass until it has ended
								}
								time.Sleep(pause)
							}
						})
					}
					time.Sleep(time.Duration(random.IntN(20_000)) * time.Microsecond)
					ending.Store(true)
					end(c, p)
					wg.Wait()
					require.Error(t, q.sendText("late"))
					_ = c.Close()
					_ = p.Close()
					reader.Wait()
					q.wantIdle(t)
					require.Equal(t, before, onLoan.Load())
				})
			}
		})
	}
}

// The same over real transports: some peers read slowly, some stop; connections are closed meanwhile.
func TestSendQueueOverRealTransports(t *testing.T) {
	const senders, messages = 4, 300
	for _, way := range []string{"reads", "stops", "closes"} {
		t.Run(way, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, a, b net.Conn) {
				client, server := newConn(a, connOptions{}), newConn(b, connOptions{server: true})
				for _, c := range []*Conn{client, server} {
					c.SetReadLimit(1 << 20)
				}
				ended := make(chan error, 2)
				var wg sync.WaitGroup
				for _, ends := range [][2]*Conn{{client, server}, {server, client}} {
					from, to := ends[0], ends[1]
					go func() {
						var got tally
						for i := 0; ; i++ {
							if i == 50 && way == "stops" {
								time.Sleep(50 * time.Millisecond)
							}
							_, m, err := to.ReadMessage()
							if err == nil {
								err = got.take(string(m))
							}
							if err != nil {
								ended <- err
								return
							}
							if i == 50 && way == "closes" {
								_ = to.Close()
							}
							if got.count == senders*messages {
								ended <- nil
								return
							}
						}
					}()
					q := NewSendQueue(from, QueueLimits{Messages: 50, Bytes: 100_000})
					for i := range senders {
						wg.Go(func() {
							for n := range messages {
								m := fmt.Sprint("s", i, " ", n, " ", strings.Repeat("x", n*n/2))
								if err := q.sendText(m); err != nil {
									if way != "closes" {
										t.Error(err)
									}
									return
								}
							}
							if err := q.Flush(background); err != nil && way != "closes" {
								t.Error(err)
							}
						})
					}
				}
				for range 2 {
					if err := <-ended; way != "closes" {
						require.NoError(t, err)
					}
				}
				wg.Wait()
				_ = client.Close()
				_ = server.Close()
			})
		})
	}
}

// A peer that does not read at all, over sockets: the sender never waits where it may not.
func TestSendQueueNeverWaitsForASocket(t *testing.T) {
	eachTransport(t, func(t *testing.T, _, b net.Conn) {
		c := newConn(b, connOptions{server: true})
		q := NewSendQueue(c, QueueLimits{Messages: 10, WhenFull: QueueDropNewest})
		m := []byte(ascii(10_000))
		for {
			err := q.Send(background, BinaryMessage, m)
			if errors.Is(err, ErrQueueFull) {
				break
			}
			require.NoError(t, err)
		}
		ctx, cancel := context.WithTimeout(background, 10*time.Millisecond)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, q.Flush(ctx))
		require.NoError(t, c.Close())
		require.ErrorIs(t, q.Flush(background), net.ErrClosed)
	})
}
