package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// dialer connects to what listens.
func (l *hsListener) dialer(t testing.TB) *Dialer {
	return &Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return l.dial(t), nil }}
}

// open is a connection to what listens.
func (l *hsListener) open(t testing.TB) *Conn {
	t.Helper()
	c, _, err := l.dialer(t).Dial(hsURL, nil)
	require.NoError(t, err)
	return c
}

// srvServe runs an http.Server for s, in the bubble of the caller, until its end.
func srvServe(t testing.TB, s *Server) *hsListener { return hsServe(t, &http.Server{Handler: s}) }

// srvAccept accepts all requests.
func srvAccept(serve func(*Conn)) func(http.ResponseWriter, *http.Request) func(*Conn) {
	return func(http.ResponseWriter, *http.Request) func(*Conn) { return serve }
}

func srvEcho(c *Conn) { _ = echo(c) }

// srvEmpty expects that nobody is inside of s.
func srvEmpty(t testing.TB, s *Server) {
	t.Helper()
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	require.Zero(t, s.conns.inside)
	require.Empty(t, s.conns.open)
	require.Empty(t, s.conns.clients)
}

// srvEnds reads to the end of a connection and expects a close code.
func srvEnds(t testing.TB, c *Conn, code int) {
	t.Helper()
	_, _, err := c.ReadMessage()
	require.True(t, IsCloseError(err, code), "%v, want close code %d", err, code)
}

// What Accept learns of the request is there for the function that it returns, which
// runs when the HTTP handler has returned; what it sets goes out with the handshake.
func TestServerServes(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		handled := make(chan struct{})
		s := &Server{
			Upgrader: &Upgrader{Subprotocols: []string{"chat"}},
			Accept: func(w http.ResponseWriter, r *http.Request) func(*Conn) {
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
				name := r.URL.Query().Get("name")
				return func(c *Conn) {
					<-handled
					if err := c.WriteMessage(TextMessage, []byte(name+" by "+c.Subprotocol())); err != nil {
						t.Error(err)
					}
					srvEcho(c)
				}
			},
		}
		l := hsServe(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Middleware", "was here")
			s.ServeHTTP(w, r)
			close(handled)
		})})
		d := l.dialer(t)
		d.Subprotocols = []string{"chat"}
		c, response, err := d.Dial(hsURL+"?name=Ann", nil)
		require.NoError(t, err)
		require.Equal(t, "a=b", response.Header.Get("Set-Cookie"))
		require.Equal(t, "was here", response.Header.Get("X-Middleware"))
		hsExpect(t, c, "Ann by chat")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("hello")))
		hsExpect(t, c, "hello")
	})
}

// RFC 9110 §8.6, RFC 9112 §6.1: what a middleware has set for the body of another response does
// not announce one behind the handshake.
func TestServerLeavesOutWhatTellsOfABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Accept: func(w http.ResponseWriter, _ *http.Request) func(*Conn) {
			w.Header().Set("Content-Length", "5")
			w.Header()["transfer-encoding"] = []string{"chunked"}
			w.Header().Set("X-Middleware", "was here")
			return srvEcho
		}}
		conn := srvServe(t, s).dial(t)
		_, err := io.WriteString(conn, hsRequest(""))
		require.NoError(t, err)
		head, _ := hsReadHead(t, conn)
		require.Contains(t, head, "X-Middleware: was here\r\n")
		require.NotContains(t, strings.ToLower(head), "content-length")
		require.NotContains(t, strings.ToLower(head), "transfer-encoding")
	})
}

// Accept may choose the subprotocol by the header, as the response header of Upgrade may.
func TestServerAcceptChoosesTheSubprotocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Accept: func(w http.ResponseWriter, r *http.Request) func(*Conn) {
			w.Header().Set("Sec-Websocket-Protocol", Subprotocols(r)[1])
			return srvEcho
		}}
		d := srvServe(t, s).dialer(t)
		d.Subprotocols = []string{"a", "b"}
		c, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		require.Equal(t, "b", c.Subprotocol())
	})
}

// RFC 6455 §4.2.1 and §10.2: Accept sees opening handshakes only, from Origins that may
// talk to us.
func TestServerAcceptSeesHandshakesOnly(t *testing.T) {
	refusals := []hsRefusal{{name: "a foreign Origin", raw: hsRequest("", "Origin: http://evil.example"), status: http.StatusForbidden, reason: "origin"}}
	for _, c := range hsRefusals() {
		if !c.first && strings.Count(c.raw, "\n") < 1000 { // what net/http may answer by itself
			refusals = append(refusals, c)
		}
	}
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var given error
				s := &Server{
					Upgrader: &Upgrader{Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
						given = reason
						w.WriteHeader(status)
					}},
					Accept: func(http.ResponseWriter, *http.Request) func(*Conn) {
						t.Error("Accept was called")
						return nil
					},
				}
				response, _ := hsRefused(t, s, c.raw)
				require.Equal(t, c.status, response.StatusCode)
				require.IsType(t, HandshakeError{}, given)
				require.Contains(t, strings.ToLower(given.Error()), strings.ToLower(c.reason))
				require.Equal(t, ServerStats{Refused: 1}, s.Stats())
				srvEmpty(t, s)
			})
		})
	}
}

// However Accept refuses a request, the response is the only one on its connection.
func TestServerAcceptRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		accept func(w http.ResponseWriter)
		status int
		body   string
	}{
		"nothing written": {func(http.ResponseWriter) {}, 403, "Forbidden\n"},
		"an error":        {func(w http.ResponseWriter) { http.Error(w, "who?", http.StatusUnauthorized) }, 401, "who?\n"},
		"a status":        {func(w http.ResponseWriter) { w.WriteHeader(404) }, 404, ""},
		"a body":          {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "no") }, 200, "no"},
		"flushed":         {func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }, 200, ""},
		"a hint before":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, 403, "Forbidden\n"},
		"a hint and an error": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(404)
		}, 404, ""},
		"a connection to keep": {func(w http.ResponseWriter) {
			w.Header().Set("Connection", "keep-alive")
			http.Error(w, "who?", http.StatusUnauthorized)
		}, 401, "who?\n"},
		"a connection to keep, and nothing written": {func(w http.ResponseWriter) { w.Header().Set("Connection", "keep-alive") }, 403, "Forbidden\n"},
	} {
		for _, function := range []bool{false, true} {
			if function && c.body == "Forbidden\n" {
				continue // that is an upgrade
			}
			synctest.Test(t, func(t *testing.T) {
				s := &Server{Accept: func(w http.ResponseWriter, _ *http.Request) func(*Conn) {
					c.accept(w)
					if function { // too late
						return func(*Conn) { t.Error("served") }
					}
					return nil
				}}
				response, body := hsRefused(t, s, hsRequest(""))
				require.Equal(t, c.status, response.StatusCode, name)
				require.Equal(t, c.body, body, name)
				require.Equal(t, ServerStats{Refused: 1}, s.Stats())
				srvEmpty(t, s)
			})
		}
	}
}

// The ResponseWriter of Accept passes on what the one below can do.
func TestServerAcceptWriterUnwraps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set error = errHandler
		s := &Server{Accept: func(w http.ResponseWriter, _ *http.Request) func(*Conn) {
			set = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			return srvEcho
		}}
		c := srvServe(t, s).open(t)
		require.NoError(t, set)
		time.Sleep(time.Hour) // of the bubble; the deadline ended with the upgrade
		require.NoError(t, c.WriteMessage(TextMessage, []byte("hello")))
		hsExpect(t, c, "hello")
	})
}

// A Server that lacks something refuses, and a request that cannot be answered is left.
func TestServerWithNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var nobody *Server
		for _, s := range []*Server{nobody, {}} {
			response, body := hsRefused(t, s, hsRequest(""))
			require.Equal(t, http.StatusInternalServerError, response.StatusCode)
			require.Equal(t, "Internal Server Error\n", body)
			response, _ = hsRefused(t, s, hsRequest("Upgrade"))
			require.Equal(t, http.StatusUpgradeRequired, response.StatusCode)
			s.ServeHTTP(nil, nil)
			s.ServeHTTP(httptest.NewRecorder(), nil)
			s.ServeHTTP(nil, hsParse(t, hsRequest("")))
			for range s.Conns() {
				t.Error("a connection")
			}
			require.Zero(t, s.Stats().Open)
			var none context.Context
			require.Equal(t, errNoContext, s.Shutdown(none))
			require.NoError(t, s.Shutdown(t.Context()))
			s.Close()
		}
		require.Zero(t, nobody.Stats())
	})
}

// The hooks see each connection once, in their order, and closed at the end.
func TestServerHooks(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		var said []string
		var opened *Conn
		s := &Server{Upgrader: &Upgrader{CollectStats: true}}
		s.OnOpen = func(c *Conn) {
			said, opened = append(said, "open"), c
			require.Equal(t, 1, s.Stats().Open)
		}
		s.Accept = srvAccept(func(c *Conn) {
			require.Same(t, opened, c)
			said = append(said, "serve")
			srvEcho(c)
		})
		s.OnClose = func(c *Conn, stats Stats) {
			require.Same(t, opened, c)
			require.True(t, c.is(isClosed))
			require.Equal(t, 1, s.Stats().Open, "until the hook has returned")
			require.EqualValues(t, 1, stats.Received.Messages)
			require.EqualValues(t, 5, stats.Received.PayloadBytes)
			require.EqualValues(t, 1, stats.Sent.Messages)
			require.Equal(t, 4001, stats.CloseCode)
			require.True(t, stats.ClosedByPeer)
			said = append(said, "close")
		}
		s.OnError = func(*Conn, error) { t.Error("an error") }
		c := srvServe(t, s).open(t)
		require.NoError(t, c.WriteMessage(TextMessage, []byte("hello")))
		hsExpect(t, c, "hello")
		require.NoError(t, c.WriteMessage(CloseMessage, FormatCloseMessage(4001, "")))
		srvEnds(t, c, 4001)
		synctest.Wait()
		require.Equal(t, []string{"open", "serve", "close"}, said)
		srvEmpty(t, s)
	})
}

// A handshake that cannot be sent makes no connection, and is told to OnError.
func TestServerHandshakeCannotBeSent(t *testing.T) {
	checkBuffers(t)
	fault := errors.New("cable cut")
	var failed []error
	s := &Server{
		Accept:  srvAccept(func(*Conn) { t.Error("served") }),
		OnOpen:  func(*Conn) { t.Error("opened") },
		OnClose: func(*Conn, Stats) { t.Error("closed") },
		OnError: func(c *Conn, err error) {
			require.True(t, c.is(isClosed))
			require.NotNil(t, c.RemoteAddr())
			failed = append(failed, err)
		},
	}
	client, server := testnet.Pipe()
	server.Out().FailWritesAfter(10, fault)
	s.ServeHTTP(hsHijacker{ResponseWriter: httptest.NewRecorder(), conn: server}, hsParse(t, hsRequest("")))
	require.Len(t, failed, 1)
	require.ErrorIs(t, failed[0], fault)
	require.True(t, server.Closed())
	require.NoError(t, client.Close())

	// What Upgrader.Error has heard of is not told twice.
	w := httptest.NewRecorder()
	s.ServeHTTP(hsHijacker{ResponseWriter: w, err: fault}, hsParse(t, hsRequest("")))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Len(t, failed, 1)

	s.OnError = nil
	_, server = testnet.Pipe()
	server.Out().FailWritesAfter(10, fault)
	s.ServeHTTP(hsHijacker{ResponseWriter: httptest.NewRecorder(), conn: server}, hsParse(t, hsRequest("")))
	require.Equal(t, ServerStats{Refused: 3}, s.Stats())
	srvEmpty(t, s)
}

// When the function returns, the peer is sent code 1000, unless there was an end before.
func TestServerClosesWhatWasServed(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(*Conn)
		code  int
	}{
		"it returns": {func(*Conn) {}, CloseNormalClosure},
		"it returns with messages unread": {func(c *Conn) {
			_, _, _ = c.ReadMessage()
		}, CloseNormalClosure},
		"it has closed":        {func(c *Conn) { _ = c.Close() }, CloseAbnormalClosure},
		"it has said goodbye":  {func(c *Conn) { _ = c.WriteMessage(CloseMessage, FormatCloseMessage(4000, "")) }, 4000},
		"it calls Goexit":      {func(*Conn) { runtime.Goexit() }, CloseInternalServerErr},
		"it goes on elsewhere": {func(c *Conn) { go srvEcho(c) }, CloseNormalClosure},
	} {
		t.Run(name, func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				start, closed := time.Now(), 0
				s := &Server{
					Accept:  srvAccept(c.serve),
					OnClose: func(*Conn, Stats) { closed++ },
					OnError: func(_ *Conn, err error) { t.Error(err) },
				}
				client := srvServe(t, s).open(t)
				for range 3 { // the first is read perhaps, and an answer is none
					_ = client.WriteMessage(TextMessage, []byte("hello"))
				}
				for {
					_, _, err := client.ReadMessage()
					if err != nil {
						require.True(t, IsCloseError(err, c.code), "%v", err)
						break
					}
				}
				synctest.Wait()
				require.Equal(t, start, time.Now(), "nobody waited")
				require.Equal(t, 1, closed)
				srvEmpty(t, s)
			})
		})
	}
}

// A peer that does not answer, or does not even read, holds the end up for so long and
// no longer.
func TestServerCloseIsBounded(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			served := make(chan struct{})
			s := &Server{Accept: srvAccept(func(*Conn) { <-served })}
			conn := srvServe(t, s).dial(t)
			_, err := io.WriteString(conn, hsRequest(""))
			require.NoError(t, err)
			_, br := hsReadHead(t, conn)
			if deaf {
				conn.In().SetBuffer(0)
			}
			start := time.Now()
			close(served)
			synctest.Wait()
			require.Equal(t, 1, s.Stats().Open, "it is not closed yet")
			rest, err := io.ReadAll(br)
			require.NoError(t, err)
			if !deaf {
				require.Equal(t, "\x88\x02\x03\xe8", string(rest))
			}
			require.Equal(t, closeWait, time.Since(start))
			synctest.Wait()
			srvEmpty(t, s)
		})
	}
}

// A panic of the function's is the end of its connection alone, if somebody hears of it.
func TestServerPanic(t *testing.T) {
	for _, inOpen := range []bool{false, true} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			var said []error
			s := &Server{
				Accept: srvAccept(func(*Conn) { srvPanics() }),
				OnClose: func(*Conn, Stats) {
					require.Len(t, said, 1, "OnError is called before")
					said = append(said, nil)
				},
			}
			if inOpen {
				s.OnOpen = func(*Conn) { srvPanics() }
			}
			s.OnError = func(c *Conn, err error) {
				require.True(t, c.is(isClosed))
				said = append(said, err)
			}
			c := srvServe(t, s).open(t)
			srvEnds(t, c, CloseInternalServerErr)
			synctest.Wait()
			require.Len(t, said, 2)
			var failure *PanicError
			require.ErrorAs(t, said[0], &failure)
			require.Equal(t, errHandler, failure.Value)
			require.Contains(t, string(failure.Stack), "srvPanics")
			require.ErrorIs(t, failure, errHandler)
			require.ErrorContains(t, failure, errHandler.Error())
			require.NoError(t, (&PanicError{Value: "no error"}).Unwrap())
			srvEmpty(t, s)
		})
	}
}

func srvPanics() { panic(errHandler) }

// If nobody does, it goes on, behind the end of the connection.
func TestServerPanicGoesOn(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		closed := false
		s := &Server{OnClose: func(*Conn, Stats) { closed = true }}
		require.Nil(t, s.conns.enter("", 0, 0))
		s.conns.add(c)
		panicked := make(chan any)
		go func() {
			defer func() { panicked <- recover() }()
			s.serve(c, "", func(*Conn) { srvPanics() })
		}()
		p.want("why", finClose, closePayload(CloseInternalServerErr, ""))
		p.send(p.frame(finClose, closePayload(CloseInternalServerErr, "")))
		require.Equal(t, errHandler, <-panicked)
		require.True(t, p.ours.Closed())
		require.True(t, closed)
		srvEmpty(t, s)
	})
}

// A hook that panics leaves the connection closed, and not counted.
func TestServerHookPanics(t *testing.T) {
	for name, s := range map[string]*Server{
		"OnError": {OnError: func(*Conn, error) { srvPanics() }},
		"OnClose": {OnClose: func(*Conn, Stats) { srvPanics() }, OnError: func(*Conn, error) {}},
	} {
		t.Run(name, func(t *testing.T) {
			serverConn(t, func(t *testing.T, c *Conn, p *peer) {
				require.Nil(t, s.conns.enter("", 0, 0))
				s.conns.add(c)
				panicked := make(chan any)
				go func() {
					defer func() { panicked <- recover() }()
					s.serve(c, "", func(*Conn) { panic("first") })
				}()
				p.wantClose("why", CloseInternalServerErr)
				require.NoError(t, p.Conn.Close())
				require.Equal(t, errHandler, <-panicked)
				require.True(t, p.ours.Closed())
				srvEmpty(t, s)
			})
		})
	}
}

// A transport that panics when a connection ends is the end of that connection alone, too. If it
// does for the close frame, that is a write of nobody's which has failed.
func TestServerTransportPanics(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"in Close": func(c net.Conn) net.Conn { return unclosableConn{c} },
		"in Write": func(c net.Conn) net.Conn { return &panickingConn{Conn: c, armed: true} },
	} {
		for _, before := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				serverConn(t, func(t *testing.T, c *Conn, p *peer) {
					c.replaceTransport(wrap(p.ours))
					var said []any
					s := &Server{
						OnError: func(_ *Conn, err error) {
							require.IsType(t, &PanicError{}, err)
							said = append(said, err.(*PanicError).Value)
						},
						OnClose: func(*Conn, Stats) { said = append(said, "closed") },
					}
					require.Nil(t, s.conns.enter("", 0, 0))
					s.conns.add(c)
					require.NoError(t, p.Conn.Close())
					s.serve(c, "", func(*Conn) {
						if before {
							panic("served")
						}
					})
					want := []any{"closed"}
					switch {
					case before:
						want = []any{"served", "closed"}
					case name == "in Close":
						want = []any{errHandler, "closed"}
					}
					require.Equal(t, want, said)
					synctest.Wait()
					require.True(t, p.ours.Closed())
					srvEmpty(t, s)
				})
			})
		}
	}
}

// A test that fails in OnError ends the goroutine, and OnClose is called all the same.
func TestServerGoexitInOnError(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		closed := make(chan struct{})
		s := &Server{
			OnError: func(*Conn, error) { runtime.Goexit() },
			OnClose: func(*Conn, Stats) { close(closed) },
		}
		require.Nil(t, s.conns.enter("", 0, 0))
		s.conns.add(c)
		require.NoError(t, p.Conn.Close())
		go s.serve(c, "", func(*Conn) { srvPanics() })
		<-closed
		require.NoError(t, s.Shutdown(t.Context()))
		srvEmpty(t, s)
	})
}

// Accept's own panic is net/http's to deal with, and leaves nothing counted.
func TestServerAcceptPanics(t *testing.T) {
	s := &Server{MaxConnsPerClient: 1, Accept: func(http.ResponseWriter, *http.Request) func(*Conn) { panic(errHandler) }}
	for range 2 {
		require.PanicsWithValue(t, errHandler, func() { s.ServeHTTP(httptest.NewRecorder(), hsParse(t, hsRequest(""))) })
	}
	require.Equal(t, ServerStats{Refused: 2}, s.Stats())
	srvEmpty(t, s)
}

// A middleware may answer for a hook that has panicked. That is a refusal like any other:
// what the client has sent behind its request is not taken for another one.
func TestServerPanicsBehindAMiddleware(t *testing.T) {
	panics := func() { panic(errHandler) }
	for name, s := range map[string]*Server{
		"CheckOrigin":   {Upgrader: &Upgrader{CheckOrigin: func(*http.Request) bool { panics(); return true }}},
		"ClientAddress": {MaxConnsPerClient: 1, ClientAddress: func(*http.Request) string { panics(); return "" }},
		"Accept":        {Accept: func(http.ResponseWriter, *http.Request) func(*Conn) { panics(); return nil }},
		"Accept, which wanted the connection kept": {Accept: func(w http.ResponseWriter, _ *http.Request) func(*Conn) {
			w.Header().Set("Connection", "keep-alive")
			panics()
			return nil
		}},
		"Error": {
			Accept: func(http.ResponseWriter, *http.Request) func(*Conn) { return nil },
			Upgrader: &Upgrader{Error: func(w http.ResponseWriter, _ *http.Request, _ int, _ error) {
				w.Header().Del("Connection")
				panics()
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if s.Accept == nil {
				s.Accept = srvAccept(func(*Conn) { t.Error("served") })
			}
			synctest.Test(t, func(t *testing.T) {
				response, body := hsRefused(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer func() {
						if v := recover(); v != nil {
							http.Error(w, "sorry", http.StatusInternalServerError)
						}
					}()
					s.ServeHTTP(w, r)
				}), hsRequest(""))
				require.Equal(t, http.StatusInternalServerError, response.StatusCode)
				require.Equal(t, "sorry\n", body)
				require.Equal(t, ServerStats{Refused: 1}, s.Stats())
				srvEmpty(t, s)
			})
		})
	}
}

// Over sockets, in the clear and by TLS, with all at the same time.
func TestServerOverRealTransports(t *testing.T) {
	for _, overTLS := range []bool{false, true} {
		checkBuffers(t)
		testnet.CheckGoroutines(t)
		const conns = 50
		var closed atomic.Int64
		opened := make(chan struct{}, conns)
		s := &Server{
			Accept:  srvAccept(srvEcho),
			OnOpen:  func(*Conn) { opened <- struct{}{} },
			OnClose: func(*Conn, Stats) { closed.Add(1) },
		}
		server := httptest.NewUnstartedServer(s)
		dialer, address := Dialer{}, "ws://"
		if overTLS {
			server.StartTLS()
			dialer.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
			address = "wss://"
		} else {
			server.Start()
		}
		_, host, _ := strings.Cut(server.URL, "//")
		ended := make(chan error, conns)
		for range conns {
			go func() {
				c, _, err := dialer.Dial(address+host, nil)
				if err != nil {
					ended <- err
					return
				}
				defer c.Close()
				for err == nil { // it talks until the end
					if err = c.WriteMessage(BinaryMessage, []byte(ascii(1000))); err == nil || err == ErrCloseSent {
						_, _, err = c.ReadMessage()
					}
				}
				ended <- err
			}()
		}
		for range conns {
			<-opened
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		require.NoError(t, s.Shutdown(ctx))
		cancel()
		for range conns {
			err := <-ended
			require.True(t, IsCloseError(err, CloseGoingAway), "%v", err)
		}
		require.EqualValues(t, conns, closed.Load())
		srvEmpty(t, s)
		server.Close()
	}
}

// A connection of a program's own http.Server is upgraded with what came behind the
// request.
func TestServerReadsWhatCameWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := srvServe(t, &Server{Accept: srvAccept(srvEcho)}).dial(t)
		_, err := conn.Write(append([]byte(hsRequest("")), hsFrame("hello")...))
		require.NoError(t, err)
		_, br := hsReadHead(t, conn)
		frame := make([]byte, 7)
		_, err = io.ReadFull(br, frame)
		require.NoError(t, err)
		require.Equal(t, "\x81\x05hello", string(frame))
	})
}
