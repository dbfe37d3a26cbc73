package websocket

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Every connection is told at once, whatever the others do; those that answer end at
// once, and the rest is cut when the context ends.
func TestServerShutdownOfManyConnections(t *testing.T) {
	for _, stalled := range []bool{false, true} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			const conns, grace = 1000, 10 * time.Second
			var closed atomic.Int64
			s := &Server{Accept: srvAccept(srvEcho), OnClose: func(*Conn, Stats) { closed.Add(1) }}
			l := srvServe(t, s)
			var answer []*Conn
			var told sync.WaitGroup
			start := time.Now()
			for i := range conns {
				kind := i % 10
				if !stalled {
					kind = 0
				}
				switch kind {
				case 1: // it does not answer
					srvRaw(t, l)
				case 2: // nor is there room for the close frame
					srvRaw(t, l).In().SetBuffer(0)
				case 3: // a write is under way, which it does not take
					conn := srvRaw(t, l)
					conn.In().SetBuffer(10)
					_, err := conn.Write(wireFrame(finBinary, true, ascii(10_000)))
					require.NoError(t, err)
				default:
					answer = append(answer, l.open(t))
				}
			}
			for _, c := range answer {
				told.Go(func() {
					srvEnds(t, c, CloseGoingAway)
					require.Equal(t, start, time.Now())
				})
			}
			synctest.Wait()
			require.Equal(t, conns, s.Stats().Open)
			ctx, cancel := context.WithTimeout(t.Context(), grace)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- s.Shutdown(ctx) }()
			told.Wait()
			synctest.Wait()
			require.Equal(t, conns-len(answer), s.Stats().Open)
			require.EqualValues(t, len(answer), closed.Load())
			err := <-done
			synctest.Wait()
			if stalled {
				require.Equal(t, context.DeadlineExceeded, err)
				require.Equal(t, grace, time.Since(start))
			} else {
				require.NoError(t, err)
				require.Equal(t, start, time.Now())
			}
			require.EqualValues(t, conns, closed.Load())
			srvEmpty(t, s)
		})
	}
}

// srvRaw is a client that has read its handshake, and then reads nothing.
func srvRaw(t testing.TB, l *hsListener) *testnet.Conn {
	t.Helper()
	conn := l.dial(t)
	_, err := io.WriteString(conn, hsRequest(""))
	require.NoError(t, err)
	hsReadHead(t, conn)
	return conn
}

// After Shutdown has begun, requests are refused, and it stays so.
func TestServerShutdownRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, end := range []func(*Server){
			func(s *Server) { require.NoError(t, s.Shutdown(t.Context())) },
			func(s *Server) { s.Close() },
		} {
			s := &Server{Accept: srvAccept(func(*Conn) { t.Error("served") })}
			end(s)
			for range 2 {
				response, body := hsRefused(t, s, hsRequest(""))
				require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
				require.Equal(t, "10", response.Header.Get("Retry-After"))
				require.Equal(t, "Service Unavailable\n", body)
			}
			require.Equal(t, ServerStats{Refused: 2}, s.Stats())
		}
	})
}

// A request that is being accepted, or answered, when Shutdown begins is waited for: its
// connection is told, too.
func TestServerShutdownDuringAnUpgrade(t *testing.T) {
	for _, inAccept := range []bool{true, false} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			accept := make(chan struct{})
			s := &Server{Accept: func(http.ResponseWriter, *http.Request) func(*Conn) {
				if inAccept {
					<-accept
				}
				return srvEcho
			}}
			l := srvServe(t, s)
			d := l.dialer(t)
			var conn *testnet.Conn
			if !inAccept { // the response cannot be sent
				d.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
					conn = l.dial(t)
					conn.In().SetBuffer(0)
					return conn, nil
				}
			}
			dialed := make(chan *Conn)
			go func() {
				c, _, err := d.Dial(hsURL, nil)
				if err != nil {
					t.Error(err)
				}
				dialed <- c
			}()
			synctest.Wait()
			done := make(chan error, 1)
			go func() { done <- s.Shutdown(context.Background()) }()
			synctest.Wait()
			require.Empty(t, done, "there is a request yet")
			if inAccept {
				close(accept)
			} else {
				conn.In().SetBuffer(1000)
			}
			srvEnds(t, <-dialed, CloseGoingAway)
			require.NoError(t, <-done)
			srvEmpty(t, s)
		})
	}
}

// If its context ends first, the connection that comes of such a request is cut.
func TestServerUpgradeAfterShutdown(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		accept := make(chan struct{})
		s := &Server{Accept: func(http.ResponseWriter, *http.Request) func(*Conn) {
			<-accept
			return srvEcho
		}}
		d := srvServe(t, s).dialer(t)
		dialed := make(chan *Conn)
		go func() {
			c, _, err := d.Dial(hsURL, nil)
			if err != nil {
				t.Error(err)
			}
			dialed <- c
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, s.Shutdown(ctx))
		start := time.Now()
		close(accept)
		srvEnds(t, <-dialed, CloseAbnormalClosure)
		synctest.Wait()
		require.Equal(t, start, time.Now())
		require.NoError(t, s.Shutdown(ctx), "all have ended, so it is in time")
		srvEmpty(t, s)
	})
}

// The transport of a connection that came too late may take its time to close, or panic: the
// HTTP handler does not wait for it, and nothing stays counted.
func TestServerCutsWhoComesTooLate(t *testing.T) {
	var wait chan struct{}
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"slow":   func(c net.Conn) net.Conn { return slowConn{c, wait} },
		"panics": func(c net.Conn) net.Conn { return unclosableConn{c} },
	} {
		t.Run(name, func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				wait = make(chan struct{})
				closed := 0
				s := &Server{OnClose: func(*Conn, Stats) { closed++ }, OnError: func(*Conn, error) {}}
				s.Accept = func(http.ResponseWriter, *http.Request) func(*Conn) {
					s.Close()
					return srvEcho
				}
				client, server := testnet.Pipe()
				s.ServeHTTP(hsHijacker{ResponseWriter: httptest.NewRecorder(), conn: wrap(server)}, hsParse(t, hsRequest("")))
				close(wait)
				require.NoError(t, s.Shutdown(t.Context()))
				require.Equal(t, 1, closed)
				require.EqualValues(t, 1, s.Stats().Accepted)
				require.Zero(t, s.Stats().Refused)
				srvEmpty(t, s)
				require.NoError(t, client.Close())
			})
		})
	}
}

// Shutdown may be called again, and at the same time; each call has its own context.
func TestServerShutdownMoreThanOnce(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		s := &Server{Accept: srvAccept(func(c *Conn) {
			srvEcho(c)
			<-ended
		})}
		c := srvServe(t, s).open(t)
		canceled, cancel := context.WithCancel(t.Context())
		patient := make(chan error)
		for range 3 {
			go func() { patient <- s.Shutdown(context.Background()) }()
		}
		impatient := make(chan error)
		go func() { impatient <- s.Shutdown(canceled) }()
		srvEnds(t, c, CloseGoingAway)
		synctest.Wait()
		cancel()
		require.Equal(t, context.Canceled, <-impatient)
		require.Equal(t, context.Canceled, s.Shutdown(canceled))
		close(ended)
		for range 3 {
			require.NoError(t, <-patient)
		}
		require.NoError(t, s.Shutdown(canceled))
		s.Close()
		srvEmpty(t, s)
	})
}

// Those are told, too, whose programs set a deadline for each write, of which the last has
// long passed.
func TestServerShutdownBehindAPassedWriteDeadline(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Accept: srvAccept(func(c *Conn) {
			if err := c.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Error(err)
			}
			srvEcho(c)
		})}
		c := srvServe(t, s).open(t)
		time.Sleep(time.Hour) // of the bubble
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var told sync.WaitGroup
		told.Go(func() { srvEnds(t, c, CloseGoingAway) })
		err := s.Shutdown(ctx)
		told.Wait()
		require.NoError(t, err)
		srvEmpty(t, s)
	})
}

// http.Server begins it, and both are waited for.
func TestServerRegisterOnShutdown(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Accept: srvAccept(srvEcho)}
		server := &http.Server{Handler: s}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		server.RegisterOnShutdown(func() { _ = s.Shutdown(ctx) })
		l := hsServe(t, server)
		var told sync.WaitGroup
		for range 10 {
			c := l.open(t)
			told.Go(func() { srvEnds(t, c, CloseGoingAway) })
		}
		require.NoError(t, errors.Join(server.Shutdown(ctx), s.Shutdown(ctx)))
		told.Wait()
		srvEmpty(t, s)
	})
}

// A function that waits for something else than its connection holds Shutdown up, no
// longer than its context lasts.
func TestServerShutdownWaitsForTheFunction(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		s := &Server{Accept: srvAccept(func(*Conn) { <-goOn })}
		c := srvServe(t, s).open(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		done := make(chan error)
		go func() { done <- s.Shutdown(ctx) }()
		srvEnds(t, c, CloseGoingAway)
		require.Equal(t, context.DeadlineExceeded, <-done)
		require.Equal(t, time.Minute, time.Since(start))
		synctest.Wait()
		require.Equal(t, 1, s.Stats().Open)
		close(goOn)
		require.NoError(t, s.Shutdown(context.Background()))
		srvEmpty(t, s)
	})
}

// A slowConn takes its time to close.
type slowConn struct {
	net.Conn
	wait <-chan struct{}
}

func (c slowConn) Close() error {
	<-c.wait
	return c.Conn.Close()
}

// An unclosableConn does not close.
type unclosableConn struct{ net.Conn }

func (c unclosableConn) Close() error {
	_ = c.Conn.Close()
	panic(errHandler)
}

// Close cuts every connection without a word, and waits for none of them.
func TestServerClose(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Accept: srvAccept(srvEcho), OnError: func(*Conn, error) {}}
		l := srvServe(t, s)
		var clients []*testnet.Conn
		for range 100 {
			clients = append(clients, srvRaw(t, l))
		}
		wait := make(chan struct{})
		for _, wrap := range []func(net.Conn) net.Conn{
			func(c net.Conn) net.Conn { return slowConn{c, wait} },
			func(c net.Conn) net.Conn { return unclosableConn{c} },
		} {
			client, server := testnet.Pipe()
			s.ServeHTTP(hsHijacker{ResponseWriter: httptest.NewRecorder(), conn: wrap(server)}, hsParse(t, hsRequest("")))
			hsReadHead(t, client)
			defer func() { _ = client.Close() }()
		}
		synctest.Wait()
		require.Equal(t, 102, s.Stats().Open)
		start := time.Now()
		s.Close()
		s.Close()
		synctest.Wait()
		require.Equal(t, 1, s.Stats().Open, "the slow one")
		for _, c := range clients {
			rest, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Empty(t, string(rest), "no close frame")
		}
		require.Equal(t, start, time.Now())
		close(wait)
		require.NoError(t, s.Shutdown(t.Context()))
		srvEmpty(t, s)
	})
}

// Conns is what is open when the loop begins, and the loop may do what it likes.
func TestServerConns(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Accept: srvAccept(srvEcho)}
		l := srvServe(t, s)
		const conns = 10
		for range conns {
			l.open(t)
		}
		synctest.Wait()
		seen := map[*Conn]bool{}
		for c := range s.Conns() {
			seen[c] = true
			require.NoError(t, c.Close())
			l.open(t)
			synctest.Wait()
		}
		require.Len(t, seen, conns)
		require.Equal(t, conns, s.Stats().Open)
		for c := range s.Conns() {
			require.False(t, seen[c])
			break
		}
	})
}

// The sums are those of all connections, closed ones included, and never go down.
func TestServerStats(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Accept: srvAccept(srvEcho), Upgrader: &Upgrader{CollectStats: true}}
		l := srvServe(t, s)
		const conns = 10
		var messages, payload int64
		for i := range conns {
			c := l.open(t)
			for j := range i {
				require.NoError(t, c.WriteMessage(PingMessage, []byte("x")))
				require.NoError(t, c.WriteMessage(BinaryMessage, make([]byte, 100*j)))
				_, p, err := c.ReadMessage()
				require.NoError(t, err)
				messages++
				payload += int64(len(p))
			}
			if i%2 == 0 {
				require.NoError(t, c.WriteMessage(CloseMessage, FormatCloseMessage(1000, "")))
				srvEnds(t, c, 1000)
			}
			synctest.Wait()
			stats := s.Stats()
			require.Equal(t, (i+1)/2, stats.Open)
			require.EqualValues(t, i+1, stats.Accepted)
			for _, traffic := range []Traffic{stats.Received, stats.Sent} {
				require.Equal(t, messages, traffic.Messages)
				require.Equal(t, payload, traffic.PayloadBytes)
				require.Greater(t, traffic.WireBytes, payload)
			}
			require.Equal(t, messages, stats.PingsReceived)
		}
	})
}

// The sums of two connections, field by field.
func TestServerStatsAdd(t *testing.T) {
	c := Stats{
		Received: Traffic{1, 2, 3}, Sent: Traffic{4, 5, 6}, PingsReceived: 1<<32 - 1, PingsSent: 8,
		CloseCode: 1000, ClosedByPeer: true, QueuedMessages: 12, QueuedBytes: 13, DroppedMessages: 14,
	}
	var sum ServerStats
	sum.add(c)
	sum.add(c)
	require.Equal(t, ServerStats{
		Received: Traffic{2, 4, 6}, Sent: Traffic{8, 10, 12}, PingsReceived: 1<<33 - 2, PingsSent: 16, DroppedMessages: 28,
	}, sum)
}

func TestServerStatsForms(t *testing.T) {
	stats := ServerStats{
		Open: 1, Accepted: 2, Refused: 3,
		Received: Traffic{4, 5, 6}, Sent: Traffic{7, 8, 9}, PingsReceived: 10, PingsSent: 11, QueuedMessages: 12, QueuedBytes: 13, DroppedMessages: 14,
	}
	text, err := json.Marshal(stats)
	require.NoError(t, err)
	require.JSONEq(t, `{"Open":1,"Accepted":2,"Refused":3,
		"Received":{"Messages":4,"PayloadBytes":5,"WireBytes":6},"Sent":{"Messages":7,"PayloadBytes":8,"WireBytes":9},
		"PingsReceived":10,"PingsSent":11,"QueuedMessages":12,"QueuedBytes":13,"DroppedMessages":14}`, string(text))

	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("now", "server", stats)
	require.Contains(t, logged.String(), "server.open=1 server.accepted=2 server.refused=3 "+
		"server.received.messages=4 server.received.payload_bytes=5 server.received.wire_bytes=6 "+
		"server.sent.messages=7 server.sent.payload_bytes=8 server.sent.wire_bytes=9 "+
		"server.pings_received=10 server.pings_sent=11 "+
		"server.queued_messages=12 server.queued_bytes=13 server.dropped_messages=14\n")
}

// Stats, Conns, Shutdown and Close may be called while connections come and go.
func TestServerConcurrentCalls(t *testing.T) {
	checkBuffers(t)
	testnet.CheckGoroutines(t)
	s := &Server{Accept: srvAccept(srvEcho), MaxConns: 20, MaxConnsPerClient: 10}
	server := httptest.NewServer(s)
	defer server.Close()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	looping := func(f func()) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	connected := make(chan struct{}, 1)
	for range 4 {
		looping(func() {
			c, _, err := DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
			if err != nil {
				return
			}
			_ = c.WriteMessage(TextMessage, []byte("hello"))
			_, _, _ = c.ReadMessage()
			_ = c.Close()
			select {
			case connected <- struct{}{}:
			default:
			}
		})
	}
	looping(func() { _ = s.Stats() })
	looping(func() {
		for c := range s.Conns() {
			_ = c.RemoteAddr()
		}
	})
	for range 50 {
		<-connected
	}
	require.NoError(t, s.Shutdown(t.Context()))
	s.Close()
	close(stop)
	wg.Wait()
	srvEmpty(t, s)
}
