package websocket

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// An hsListener is the in-memory network of an http.Server.
type hsListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *hsListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *hsListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *hsListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

// dial connects to the server.
func (l *hsListener) dial(t testing.TB) *testnet.Conn {
	t.Helper()
	client, server := testnet.Pipe()
	client.Out().SetBuffer(1 << 20) // whole requests, read or not
	l.conns <- server
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// hsServe runs an http.Server, in the bubble of the caller, until its end.
func hsServe(t testing.TB, server *http.Server) *hsListener {
	t.Helper()
	l := &hsListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server.ErrorLog = log.New(hsLog{t}, "", 0)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return l
}

// An hsLog fails the test when net/http has something to complain about.
type hsLog struct{ testing.TB }

func (l hsLog) Write(p []byte) (int, error) {
	l.Errorf("the http.Server logged: %s", p)
	return len(p), nil
}

// hsUpgrades serves upgrades and hands over what came of them.
func hsUpgrades(t testing.TB, u *Upgrader, responseHeader http.Header) (*hsListener, <-chan *Conn) {
	t.Helper()
	conns := make(chan *Conn, 1)
	return hsServe(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, responseHeader)
		if err != nil {
			t.Errorf("Upgrade: %v", err)
			return
		}
		conns <- c
	})}), conns
}

// hsReadHead reads a response up to the end of its header.
func hsReadHead(t testing.TB, r io.Reader) (head string, br *bufio.Reader) {
	t.Helper()
	br = bufio.NewReader(r)
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := br.ReadString('\n')
		head += line
		require.NoError(t, err, "%q", head)
	}
	return head, br
}

const hsAdmin = "GET /admin HTTP/1.1\r\nHost: server.example\r\n\r\n"

// hsRefuse is hsRefused by u, and returns the error of Upgrade, too.
func hsRefuse(t testing.TB, u *Upgrader, responseHeader http.Header, raw string) (response *http.Response, body string, err error) {
	t.Helper()
	response, body = hsRefused(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c *Conn
		c, err = u.Upgrade(w, r, responseHeader)
		if c != nil {
			t.Error("upgraded")
		}
	}), raw)
	return response, body, err
}

// hsRefused sends a request to a handler over a real http.Server, with another request
// behind it, and returns the response. It fails the test if the connection lives on,
// or if the other request is answered: bytes that were meant for a WebSocket must not be
// taken for HTTP.
func hsRefused(t testing.TB, handler http.Handler, raw string) (response *http.Response, body string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/admin", func(http.ResponseWriter, *http.Request) { t.Error("the pipelined request was answered") })
	mux.Handle("/", handler)
	conn := hsServe(t, &http.Server{Handler: mux, MaxHeaderBytes: 1 << 20}).dial(t)
	_, err := io.WriteString(conn, raw+hsAdmin)
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	require.NoError(t, err)

	br := bufio.NewReader(strings.NewReader(string(all)))
	for response == nil || response.StatusCode < 200 {
		response, err = http.ReadResponse(br, hsMethod(raw))
		require.NoError(t, err)
	}
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	rest, err := io.ReadAll(br)
	require.NoError(t, err)
	require.Empty(t, string(rest), "there is more behind the refusal")
	require.True(t, response.Close, "the refusal does not say Connection: close")
	return response, string(text)
}

// hsMethod tells http.ReadResponse whether to expect a body.
func hsMethod(raw string) *http.Request {
	method, _, _ := strings.Cut(raw, " ")
	return &http.Request{Method: method}
}

// RFC 6455 §4.2.1 and §4.4: each refusal has its status, says which version
// there is, and ends the connection.
func TestRefusalOverHTTP(t *testing.T) {
	for _, c := range hsRefusals() {
		if c.first {
			continue // net/http's affair
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				response, body, err := hsRefuse(t, &Upgrader{}, nil, c.raw)
				if err == nil && strings.Count(c.raw, "\n") > 1000 {
					// Since Go 1.27 net/http has a limit of its own for the
					// number of lines, and the handler does not run.
					require.Equal(t, 4, response.StatusCode/100, "%d %s", response.StatusCode, body)
					time.Sleep(time.Second) // by the bubble's clock: net/http waits before it closes
					return
				}
				var refused HandshakeError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, c.status, response.StatusCode)
				require.Equal(t, []string{"13"}, response.Header["Sec-Websocket-Version"])
				if !strings.HasPrefix(c.raw, "HEAD ") {
					require.Equal(t, http.StatusText(c.status)+"\n", body)
				}
				if c.status == http.StatusUpgradeRequired { // RFC 9110 §15.5.22
					require.Equal(t, []string{"websocket"}, response.Header["Upgrade"])
				}
				if c.status == http.StatusMethodNotAllowed { // RFC 9110 §15.5.6
					require.Equal(t, []string{"GET"}, response.Header["Allow"])
				}
			})
		})
	}
}

// What net/http answers by itself does not reach the handler.
func TestRefusalByHTTPItself(t *testing.T) {
	for _, c := range hsRefusals() {
		if !c.first {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := hsServe(t, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					t.Error("the handler was called")
				})}).dial(t)
				_, err := io.WriteString(conn, c.raw+hsAdmin)
				require.NoError(t, err)
				all, err := io.ReadAll(conn)
				require.NoError(t, err)
				require.Regexp(t, "^HTTP/1.1 [45]..", string(all))
			})
		})
	}
}

// RFC 6455 §4.2.2 and §10.2: an Origin that is not allowed is a 403.
func TestOriginIsRefused(t *testing.T) {
	for _, origin := range []string{"http://evil.example", "https://server.example:444", "null", "", "http://server.example, http://evil.example"} {
		t.Run(origin, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				response, body, err := hsRefuse(t, &Upgrader{}, nil, hsRequest("", "Origin: "+origin))
				require.Equal(t, http.StatusForbidden, response.StatusCode)
				require.Equal(t, "Forbidden\n", body)
				require.ErrorContains(t, err, "origin")
			})
		})
	}
}

// An http page must not talk to a server over TLS; an https page may talk to
// one behind the proxy that ended its TLS.
func TestOriginSchemeCountsOverTLS(t *testing.T) {
	for _, c := range []struct {
		origin  string
		overTLS bool
		want    bool
	}{
		{"http://server.example", false, true},
		{"http://server.example", true, false},
		{"https://server.example", false, true},
		{"https://server.example", true, true},
	} {
		r := hsParse(t, hsRequest("", "Origin: "+c.origin))
		if c.overTLS {
			r.TLS = httptest.NewRequest(http.MethodGet, "https://server.example", nil).TLS
			require.NotNil(t, r.TLS)
		}
		require.Equal(t, c.want, checkSameOrigin(r), "%+v", c)
	}
}

// CheckOrigin is asked in place of the default, also where there is no Origin.
func TestCheckOriginReplacesTheDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, raw := range []string{hsRequest(""), hsRequest("", "Origin: http://server.example")} {
			response, _, err := hsRefuse(t, &Upgrader{CheckOrigin: func(*http.Request) bool { return false }}, nil, raw)
			require.Equal(t, http.StatusForbidden, response.StatusCode)
			require.ErrorContains(t, err, "CheckOrigin")
		}
		asked := ""
		u := &Upgrader{CheckOrigin: func(r *http.Request) bool { asked = r.Header.Get("Origin"); return true }}
		l, conns := hsUpgrades(t, u, nil)
		conn := l.dial(t)
		_, err := io.WriteString(conn, hsRequest("", "Origin: http://evil.example"))
		require.NoError(t, err)
		require.NoError(t, (<-conns).Close())
		require.Equal(t, "http://evil.example", asked)
	})
}

// A request that breaks the protocol is judged before CheckOrigin sees it.
func TestCheckOriginSeesHandshakesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &Upgrader{CheckOrigin: func(*http.Request) bool { t.Error("asked"); return true }}
		response, _, _ := hsRefuse(t, u, nil, hsRequest("Sec-WebSocket-Key"))
		require.Equal(t, http.StatusBadRequest, response.StatusCode)
	})
}

// A response header that would smuggle lines into the handshake is our own
// mistake: status 500, and nothing of it goes out.
func TestBadResponseHeaderIs500(t *testing.T) {
	for _, h := range []http.Header{
		{"X": {"a\r\nSet-Cookie: smuggled"}}, {"X\r\nSet-Cookie": {"smuggled"}}, {"X": {"smuggled\n"}},
		{"Sec-Websocket-Extensions": {"smuggled"}}, {"sec-websocket-extensions": {"smuggled"}},
		{"Sec-Websocket-Protocol": {"chat\r\nX: smuggled"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			response, body, err := hsRefuse(t, &Upgrader{}, h, hsRequest("", "Sec-WebSocket-Protocol: chat"))
			require.Equal(t, http.StatusInternalServerError, response.StatusCode)
			require.Equal(t, "Internal Server Error\n", body)
			var refused HandshakeError
			require.ErrorAs(t, err, &refused)
			for _, values := range response.Header {
				require.NotContains(t, strings.Join(values, ""), "smuggled")
			}
		})
	}
}

// Upgrader.Error gets the status and the reason as a value, finds the
// connection's end announced, and cannot take that back by the header.
func TestErrorWritesTheRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var given error
		u := &Upgrader{Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			require.Equal(t, http.StatusUpgradeRequired, status)
			require.Equal(t, "/chat", r.URL.Path)
			_, ok := reason.(HandshakeError)
			require.True(t, ok, "%T", reason)
			given = reason
			h := w.Header()
			require.Equal(t, []string{"close"}, h["Connection"])
			require.Equal(t, []string{"13"}, h["Sec-Websocket-Version"])
			require.Equal(t, []string{"websocket"}, h["Upgrade"])
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "no")
		}}
		response, body, err := hsRefuse(t, u, nil, hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"))
		require.Equal(t, http.StatusTeapot, response.StatusCode)
		require.Equal(t, "no", body)
		require.Equal(t, given, err)
		var value HandshakeError
		require.True(t, errors.As(err, &value))
		require.Equal(t, given, value)
	})
}

// Connection: close is set again behind an Error that took it away and left
// the response to net/http.
func TestErrorCannotKeepTheConnection(t *testing.T) {
	for name, spoil := range map[string]func(http.Header){
		"deleted":  func(h http.Header) { h.Del("Connection") },
		"replaced": func(h http.Header) { h.Set("Connection", "keep-alive") },
		"more":     func(h http.Header) { h.Add("Connection", "keep-alive") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &Upgrader{Error: func(w http.ResponseWriter, _ *http.Request, _ int, _ error) { spoil(w.Header()) }}
				response, _, err := hsRefuse(t, u, nil, hsRequest("Upgrade"))
				require.Equal(t, http.StatusOK, response.StatusCode, "nobody has set another")
				require.Error(t, err)
			})
			w := httptest.NewRecorder()
			u := &Upgrader{Error: func(w http.ResponseWriter, _ *http.Request, _ int, _ error) { spoil(w.Header()) }}
			_, err := u.Upgrade(w, hsParse(t, hsRequest("Upgrade")), nil)
			require.Error(t, err)
			require.Equal(t, []string{"close"}, w.Header()["Connection"])
		})
	}
}

// A middleware's own Connection header does not survive a refusal.
func TestRefusalReplacesConnection(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Connection", "keep-alive")
	_, err := (&Upgrader{}).Upgrade(w, hsParse(t, hsRequest("Upgrade")), nil)
	require.Error(t, err)
	require.Equal(t, []string{"close"}, w.Header()["Connection"])
}

// RFC 9113 §8.2.2: HTTP/2 has no Connection header, and one connection for all
// requests, which a refusal does not end.
func TestRefusalOverHTTP2(t *testing.T) {
	refusals := make(chan error, 2)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := (&Upgrader{}).Upgrade(w, r, nil)
		if h := w.Header(); h["Connection"] != nil || h["Upgrade"] != nil {
			t.Errorf("a header that HTTP/2 does not have: %v", h)
		}
		refusals <- err
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for i := range 2 {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
		})
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		response, err := server.Client().Do(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		_ = response.Body.Close()
		require.Equal(t, 2, response.ProtoMajor)
		require.Equal(t, http.StatusBadRequest, response.StatusCode)
		require.Empty(t, response.Header["Connection"])
		require.ErrorContains(t, <-refusals, "HTTP/2.0")
		require.Equal(t, i > 0, reused)
	}
}

// What goes out over a real server: the handshake's headers once, the
// program's beside them.
func TestUpgradeResponse(t *testing.T) {
	for _, c := range []struct {
		name     string
		u        *Upgrader
		response http.Header
		offer    []string
		want     string // the lines behind the accept key
		chosen   string
	}{
		{"nothing asked", &Upgrader{}, nil, nil, "", ""},
		{"the server's order", &Upgrader{Subprotocols: []string{"b", "a"}}, nil,
			[]string{"Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: c, b"}, "Sec-WebSocket-Protocol: b\r\n", "b"},
		{"none in common", &Upgrader{Subprotocols: []string{"x"}}, nil, []string{"Sec-WebSocket-Protocol: a"}, "", ""},
		{"the response header's", &Upgrader{}, http.Header{"Sec-Websocket-Protocol": {"a"}},
			[]string{"Sec-WebSocket-Protocol: b, a"}, "Sec-WebSocket-Protocol: a\r\n", "a"},
		{"the response header's in the RFC's spelling", &Upgrader{}, http.Header{"Sec-WebSocket-Protocol": {"a"}},
			[]string{"Sec-WebSocket-Protocol: b, a"}, "Sec-WebSocket-Protocol: a\r\n", "a"},
		{"the response header's that nobody offered", &Upgrader{}, http.Header{"Sec-Websocket-Protocol": {"a"}}, nil, "", ""},
		{"an empty list", &Upgrader{Subprotocols: []string{}}, http.Header{"Sec-Websocket-Protocol": {"a"}},
			[]string{"Sec-WebSocket-Protocol: a"}, "", ""},
		{"cookies", &Upgrader{}, http.Header{"Set-Cookie": {"a=b", "c=d"}}, nil, "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n", ""},
		{"the handshake's own", &Upgrader{}, http.Header{"Upgrade": {"x"}, "Connection": {"close"}, "Sec-Websocket-Accept": {"x"}}, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, conns := hsUpgrades(t, c.u, c.response)
				conn := l.dial(t)
				_, err := io.WriteString(conn, hsRequest("", c.offer...))
				require.NoError(t, err)
				head, _ := hsReadHead(t, conn)
				require.Equal(t, string(appendResponse(nil, hsKey, "", "", nil))[:len(head)-len(c.want)-2]+c.want+"\r\n", head)
				ws := <-conns
				require.Equal(t, c.chosen, ws.Subprotocol())
				require.NoError(t, ws.Close())
			})
		})
	}
}

// HandshakeTimeout bounds how long a client may take to read the response, and
// the default does where it is zero.
func TestHandshakeTimeoutOfTheServer(t *testing.T) {
	for _, c := range []struct{ set, want time.Duration }{
		{3 * time.Second, 3 * time.Second}, {0, 45 * time.Second}, {-1, 45 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe() // which holds nothing
			defer func() { _ = client.Close() }()
			start := time.Now()
			u := &Upgrader{HandshakeTimeout: c.set}
			ws, err := u.Upgrade(hsHijacker{conn: server}, hsParse(t, hsRequest("")), nil)
			require.Nil(t, ws)
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			require.True(t, timeout.Timeout())
			require.Equal(t, c.want, time.Since(start))
			_, err = client.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, "the connection is still open")
		})
	}
}

// The deadlines that an http.Server sets end with the upgrade, on HTTP's own
// clock as on that of HandshakeTimeout.
func TestServerDeadlinesAreCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := make(chan *Conn, 1)
		l := hsServe(t, &http.Server{
			ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := (&Upgrader{HandshakeTimeout: time.Second}).Upgrade(w, r, nil)
				if err != nil {
					t.Error(err)
				}
				conns <- c
			}),
		})
		conn := l.dial(t)
		_, err := io.WriteString(conn, hsRequest(""))
		require.NoError(t, err)
		_, br := hsReadHead(t, conn)
		ws := <-conns
		defer func() { _ = ws.Close() }()

		time.Sleep(time.Hour) // of the bubble
		require.NoError(t, ws.WriteMessage(TextMessage, []byte("late")))
		frame := make([]byte, 6)
		_, err = io.ReadFull(br, frame)
		require.NoError(t, err)
		require.Equal(t, "\x81\x04late", string(frame))
		_, err = conn.Write(hsFrame("later"))
		require.NoError(t, err)
		_, message, err := ws.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "later", string(message))
	})
}

// hsFrame is a client's text frame of at most 125 bytes.
func hsFrame(text string) []byte {
	f := append([]byte{0x81, 0x80 | byte(len(text)), 1, 2, 3, 4}, text...)
	for i := range text {
		f[6+i] ^= byte(1 + i%4)
	}
	return f
}

// Bytes that came in one piece with the request are frames like any other.
func TestFirstFrameBehindTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkBuffers(t)
		l, conns := hsUpgrades(t, &Upgrader{}, nil)
		conn := l.dial(t)
		_, err := conn.Write(append([]byte(hsRequest("")), append(hsFrame("early"), hsFrame("bird")[:3]...)...))
		require.NoError(t, err)
		ws := <-conns
		_, message, err := ws.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "early", string(message))
		_, err = conn.Write(hsFrame("bird")[3:])
		require.NoError(t, err)
		_, message, err = ws.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "bird", string(message))
		require.NoError(t, ws.Close())
	})
}

// The same over a socket, with and without TLS.
func TestUpgradeOverSockets(t *testing.T) {
	testnet.CheckGoroutines(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&Upgrader{Subprotocols: hsOffered}).Upgrade(w, r, http.Header{"Set-Cookie": {"a=b"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		kind, p, err := c.ReadMessage()
		if err == nil {
			err = c.WriteMessage(kind, p)
		}
		if err != nil {
			t.Error(err)
		}
		_, _, _ = c.ReadMessage()
	})
	for name, start := range map[string]func(*httptest.Server){"TCP": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(echo)
			server.EnableHTTP2 = true
			start(server)
			defer server.Close()
			d := &Dialer{Subprotocols: []string{"superchat"}}
			if name == "TLS" {
				d.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				d.TLSClientConfig.NextProtos = []string{"h2", "http/1.1"}
			}
			c, response, err := d.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/chat", nil)
			require.NoError(t, err)
			defer func() { _ = c.Close() }()
			require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
			require.Equal(t, "a=b", response.Header.Get("Set-Cookie"))
			require.Equal(t, "superchat", c.Subprotocol())
			require.NoError(t, c.WriteMessage(TextMessage, []byte("hello")))
			_, p, err := c.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, "hello", string(p))
		})
	}
}

// A nil *Upgrader is the zero one, as a nil *Dialer is a ready one.
func TestNilUpgrader(t *testing.T) {
	var u *Upgrader
	client, server := testnet.Pipe()
	c, err := u.Upgrade(hsHijacker{conn: server}, hsParse(t, hsRequest("")), nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, client.Close())
}
