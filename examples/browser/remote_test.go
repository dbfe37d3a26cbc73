package browser

import (
	"bufio"
	"bytes"
	"context"
	_ "embed" // for the page
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
)

//go:embed testdata/remote.html
var remotePage []byte

// A remote is a page in a browser that evaluates scripts for the test. It fetches
// them over HTTP, which every browser can do without a driver of its own.
type remote struct {
	browser string
	mux     *http.ServeMux
	paths   int
	scripts chan string
	answers chan answer
}

// An answer is what a script came to.
type answer struct {
	Value json.RawMessage
	Error string
}

// eachBrowser runs a test with every browser. The bytes of all connections are
// counted if count is true; then they are not *net.TCPConn to the library.
func eachBrowser(t *testing.T, count bool, test func(t *testing.T, page *remote)) {
	for _, browser := range browsers {
		t.Run(browser.name, func(t *testing.T) {
			page := &remote{
				browser: browser.name,
				mux:     http.NewServeMux(),
				scripts: make(chan string),
				answers: make(chan answer),
			}
			server := httptest.NewUnstartedServer(page.mux)
			if count {
				server.Listener = countingListener{server.Listener}
				server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
					return context.WithValue(ctx, trafficKey{}, &conn.(*countingConn).traffic)
				}
			}
			page.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write(remotePage)
			})
			page.mux.HandleFunc("GET /script", func(w http.ResponseWriter, r *http.Request) {
				select {
				case script := <-page.scripts:
					_, _ = io.WriteString(w, script)
				case <-r.Context().Done(): // the browser is gone
				}
			})
			page.mux.HandleFunc("POST /value", func(_ http.ResponseWriter, r *http.Request) {
				var a answer
				if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
					a.Error = err.Error()
				}
				select {
				case page.answers <- a:
				case <-r.Context().Done():
				}
			})
			server.Start()
			t.Cleanup(server.Close)
			browser.start(t, server.URL)
			test(t, page)
		})
	}
}

// ask has the page evaluate a script, waits for the promise if its value is one,
// and returns the value.
func ask[T any](t *testing.T, page *remote, script string) (value T) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case page.scripts <- script:
	case <-timeout.C:
		require.FailNow(t, "the page did not fetch the script")
	}
	select {
	case a := <-page.answers:
		require.Empty(t, a.Error)
		require.NoError(t, json.Unmarshal(a.Value, &value), "%s", a.Value)
	case <-timeout.C:
		require.FailNow(t, "the page did not answer")
	}
	return value
}

// handle serves requests at a path of its own, which it returns.
func (page *remote) handle(handler http.HandlerFunc) (path string) {
	page.paths++
	path = fmt.Sprintf("/%d", page.paths)
	page.mux.HandleFunc(path, handler)
	return path
}

// A handler deals with a connection. Its traffic is nil if bytes are not counted.
type handler func(conn *websocket.Conn, r *http.Request, wire *traffic) error

// upgrade serves a WebSocket at a path of its own. The handler's result is sent to
// handled.
func (page *remote) upgrade(upgrader websocket.Upgrader, handle handler) (path string, handled <-chan error) {
	result := make(chan error, 1)
	path = page.handle(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			result <- err
			return
		}
		defer conn.Close()
		deadline := time.Now().Add(patience)
		if err := errors.Join(conn.SetReadDeadline(deadline), conn.SetWriteDeadline(deadline)); err != nil {
			result <- err
			return
		}
		wire, _ := r.Context().Value(trafficKey{}).(*traffic)
		result <- handle(conn, r, wire)
	})
	return path, result
}

func await(t *testing.T, handled <-chan error) error {
	t.Helper()
	select {
	case err := <-handled:
		return err
	case <-time.After(patience):
		require.FailNow(t, "the handler did not return")
		return nil
	}
}

// traffic is how many bytes came in and went out on a connection.
type traffic struct {
	in, out atomic.Int64
	first   []byte // what went out first: the handshake
}

// answer is what the server's handshake says of extensions.
func (wire *traffic) answer(r *http.Request) (string, error) {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire.first)), r)
	if err != nil {
		return "", err
	}
	return strings.Join(response.Header.Values("Sec-WebSocket-Extensions"), ", "), nil
}

type trafficKey struct{} // of a request's context

type countingListener struct{ net.Listener }

func (ln countingListener) Accept() (net.Conn, error) {
	conn, err := ln.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{Conn: conn}, nil
}

type countingConn struct {
	net.Conn
	traffic traffic
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.traffic.in.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (int, error) {
	if c.traffic.first == nil {
		c.traffic.first = bytes.Clone(p)
	}
	n, err := c.Conn.Write(p)
	c.traffic.out.Add(int64(n))
	return n, err
}
