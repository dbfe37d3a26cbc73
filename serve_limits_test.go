package websocket

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Of clients that dial at the same time, as many get in as the limit says, and as many
// again when those have left.
func TestServerMaxConns(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		const most, dials, rounds = 5, 40, 20
		var open, peak atomic.Int64
		s := &Server{
			MaxConns: most,
			Accept:   srvAccept(srvEcho),
			OnOpen: func(*Conn) {
				now := open.Add(1)
				for was := peak.Load(); was < now && !peak.CompareAndSwap(was, now); was = peak.Load() {
				}
			},
			OnClose: func(*Conn, Stats) { open.Add(-1) },
		}
		d := srvServe(t, s).dialer(t)
		for round := range rounds {
			var wg sync.WaitGroup
			var mu sync.Mutex
			var in []*Conn
			for range dials {
				wg.Go(func() {
					c, response, err := d.Dial(hsURL, nil)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						in = append(in, c)
					case response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "10":
						t.Errorf("%v %v", err, response)
					}
				})
			}
			wg.Wait()
			require.Len(t, in, most)
			synctest.Wait()
			require.Equal(t, most, s.Stats().Open)
			for i, c := range in {
				if i%2 == 0 {
					require.NoError(t, c.WriteMessage(CloseMessage, nil))
					srvEnds(t, c, CloseNoStatusReceived)
				}
				require.NoError(t, c.Close())
			}
			synctest.Wait()
			srvEmpty(t, s)
			require.Equal(t, int64((round+1)*(dials-most)), s.Stats().Refused)
		}
		require.EqualValues(t, most, peak.Load())
		require.EqualValues(t, most*rounds, s.Stats().Accepted)
	})
}

// The limit of one client is none for others.
func TestServerMaxConnsPerClient(t *testing.T) {
	for name, address := range map[string]func(r *http.Request) string{
		"the host of RemoteAddr": nil,
		"from a header":          func(r *http.Request) string { return r.Header.Get("X-Client") },
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{MaxConns: 8, MaxConnsPerClient: 2, Accept: srvAccept(srvEcho), ClientAddress: address}
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				l := hsServe(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.RemoteAddr = r.Header.Get("X-Client")
					if address != nil {
						r.RemoteAddr = "192.0.2.1:1" // the proxy's
					}
					s.ServeHTTP(w, r)
				})})
				d := l.dialer(t)
				dial := func(client string) (*Conn, int) {
					c, response, _ := d.Dial(hsURL, http.Header{"X-Client": {client}})
					if c == nil && response.StatusCode == http.StatusTooManyRequests {
						require.Equal(t, "10", response.Header.Get("Retry-After"))
					}
					return c, response.StatusCode
				}
				// Ports differ, where they count for nothing; what is no host and port is a name.
				clients := [][2]string{{"192.0.2.7:1", "192.0.2.7:2"}, {"[2001:db8::1]:1", "[2001:db8::1]:2"}, {"@", "@"}}
				if address != nil {
					clients = [][2]string{{"192.0.2.7", "192.0.2.7"}, {"192.0.2.7:1", "192.0.2.7:1"}, {"", ""}}
				}
				for _, client := range clients {
					a, status := dial(client[0])
					require.Equal(t, http.StatusSwitchingProtocols, status)
					_, status = dial(client[1])
					require.Equal(t, http.StatusSwitchingProtocols, status)
					_, status = dial(client[1])
					require.Equal(t, http.StatusTooManyRequests, status)
					require.NoError(t, a.Close())
					synctest.Wait()
					_, status = dial(client[0])
					require.Equal(t, http.StatusSwitchingProtocols, status)
				}
				require.Len(t, s.conns.clients, 3)
				_, status := dial("192.0.2.8:1")
				require.Equal(t, http.StatusSwitchingProtocols, status)
				_, status = dial("192.0.2.8:1")
				require.Equal(t, http.StatusSwitchingProtocols, status)
				_, status = dial("192.0.2.9:1")
				require.Equal(t, http.StatusServiceUnavailable, status)
				synctest.Wait()
				require.Equal(t, 8, s.Stats().Open)
			})
			srvEmpty(t, s)
		})
	}
}

// A refusal by a limit ends its HTTP connection, and Upgrader.Error writes it.
func TestServerLimitRefuses(t *testing.T) {
	for status, s := range map[int]*Server{
		http.StatusServiceUnavailable: {MaxConns: 1},
		http.StatusTooManyRequests:    {MaxConnsPerClient: 1, ClientAddress: func(*http.Request) string { return "all" }},
	} {
		synctest.Test(t, func(t *testing.T) {
			accepted := 0
			s.Accept = func(http.ResponseWriter, *http.Request) func(*Conn) {
				accepted++
				return srvEcho
			}
			s.Upgrader = &Upgrader{Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
				require.IsType(t, HandshakeError{}, reason)
				require.ErrorContains(t, reason, "Server.MaxConns")
				http.Error(w, "full", status)
			}}
			srvServe(t, s).open(t)
			response, body := hsRefused(t, s, hsRequest(""))
			require.Equal(t, status, response.StatusCode)
			require.Equal(t, "full\n", body)
			require.Equal(t, 1, accepted)
		})
	}
}

// Whatever becomes of an upgrade, its place is free afterwards, also where many fail and
// many succeed at the same time.
func TestServerPlacesOfFailedUpgrades(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		fault := errors.New("cable cut")
		s := &Server{
			MaxConns: 3, MaxConnsPerClient: 2,
			ClientAddress: func(r *http.Request) string { return r.Header.Get("X-Client") },
			OnError:       func(*Conn, error) {},
			Accept: func(w http.ResponseWriter, r *http.Request) func(*Conn) {
				switch r.Header.Get("X-Fate") {
				case "panic":
					panic(errHandler)
				case "refused":
					return nil
				case "header":
					w.Header().Set("Sec-Websocket-Extensions", "x")
				case "served panic":
					return func(*Conn) { srvPanics() }
				}
				return srvEcho
			},
		}
		serve := func(fate, client string) *testnet.Conn {
			end, server := testnet.Pipe()
			w := hsHijacker{ResponseWriter: httptest.NewRecorder(), conn: server}
			switch fate {
			case "hijack":
				w.err = fault
			case "transport":
				server.Out().FailWritesAfter(0, fault)
			}
			defer func() {
				if v := recover(); v != nil && fate != "panic" {
					t.Errorf("%s: %v", fate, v)
				}
			}()
			s.ServeHTTP(w, hsParse(t, hsRequest("", "X-Fate: "+fate, "X-Client: "+client)))
			return end
		}
		fates := []string{"panic", "refused", "header", "served panic", "hijack", "transport", "served"}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 200 {
					if end := serve(fates[(i+j)%len(fates)], string(rune('a'+j%3))); end != nil {
						_ = end.Close()
					}
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		stats := s.Stats()
		require.EqualValues(t, 8*200, stats.Accepted+stats.Refused)
		require.NotZero(t, stats.Accepted)
		srvEmpty(t, s)
		for i, client := range []string{"a", "a", "b"} {
			end := serve("served", client)
			require.Equal(t, i+1, s.Stats().Open)
			t.Cleanup(func() { _ = end.Close() })
		}
	})
}

// A response that is not read holds its place until the handshake's time is up.
func TestServerPlaceOfAStalledHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{MaxConns: 1, Accept: srvAccept(srvEcho)}
		l := srvServe(t, s)
		stalled := l.dial(t)
		stalled.In().SetBuffer(10)
		_, err := io.WriteString(stalled, hsRequest(""))
		require.NoError(t, err)
		synctest.Wait()
		require.Zero(t, s.Stats().Open)
		_, response, err := l.dialer(t).Dial(hsURL, nil)
		require.Equal(t, ErrBadHandshake, err)
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		time.Sleep(defaultHandshakeTimeout) // of the bubble
		synctest.Wait()
		l.open(t)
	})
}
