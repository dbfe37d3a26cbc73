package websockettest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
	"github.com/seed62ce5aa7/websocket/websockettest"
)

// inAndOut runs f in a bubble and outside of one.
func inAndOut(t *testing.T, f func(t *testing.T)) {
	t.Run("in a bubble", func(t *testing.T) { synctest.Test(t, f) })
	t.Run("outside", func(t *testing.T) {
		testnet.CheckGoroutines(t)
		f(t)
	})
}

func wantMessage(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	messageType, p, err := c.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, websocket.TextMessage, messageType)
	require.Equal(t, text, string(p))
}

func TestPipe(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		server, client := websockettest.Pipe(t, nil, nil)
		require.NoError(t, client.WriteMessage(websocket.TextMessage, []byte("to the server")))
		wantMessage(t, server, "to the server")
		require.NoError(t, server.WriteMessage(websocket.TextMessage, []byte("to the client")))
		wantMessage(t, client, "to the client")
	})
}

// The handshake is that of the Upgrader and the Dialer.
func TestPipeNegotiates(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		u := &websocket.Upgrader{Subprotocols: []string{"b", "a"}, EnableCompression: true}
		d := &websocket.Dialer{
			Subprotocols: []string{"a", "b"}, EnableCompression: true,
			Proxy:          func(*http.Request) (*url.URL, error) { return nil, errors.New("a proxy") },
			NetDialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("dialed") },
		}
		server, client := websockettest.Pipe(t, u, d)
		for _, c := range []*websocket.Conn{server, client} {
			require.Equal(t, "b", c.Subprotocol())
			_, compressed := c.Compression()
			require.True(t, compressed)
		}
		_, err := d.NetDialContext(t.Context(), "", "")
		require.EqualError(t, err, "dialed", "the caller's Dialer was changed")
	})
}

// A fatalTB is a test that is to fail.
type fatalTB struct {
	testing.TB
	said chan string
}

func (t fatalTB) Fatalf(format string, args ...any) {
	t.said <- fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestPipeWhoseHandshakeFails(t *testing.T) {
	for want, c := range map[string]struct {
		u *websocket.Upgrader
		d *websocket.Dialer
	}{
		"websockettest: websocket: bad handshake (403 Forbidden)": {
			u: &websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return false }},
		},
		"websockettest: websocket: a subprotocol is empty, or has a comma, a control character or white space at an end (no response)": {
			d: &websocket.Dialer{Subprotocols: []string{""}},
		},
	} {
		t.Run(want, func(t *testing.T) {
			inAndOut(t, func(t *testing.T) {
				said := make(chan string, 1)
				go websockettest.Pipe(fatalTB{t, said}, c.u, c.d)
				require.Equal(t, want, <-said)
			})
		})
	}
}

// Who waits in a bubble waits durably: the clock goes on.
func TestPipeWaitsDurably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := websockettest.Pipe(t, nil, nil)
		start := time.Now()
		for _, c := range []*websocket.Conn{server, client} {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Hour)))
			_, _, err := c.ReadMessage()
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		require.Equal(t, 2*time.Hour, time.Since(start))

		// A peer that does not read: a direction holds 64 KiB.
		require.NoError(t, server.WriteMessage(websocket.BinaryMessage, make([]byte, 32<<10)))
		require.NoError(t, server.SetWriteDeadline(time.Now().Add(time.Minute)))
		require.ErrorIs(t, server.WriteMessage(websocket.BinaryMessage, make([]byte, 64<<10)), os.ErrDeadlineExceeded)
		require.Equal(t, 2*time.Hour+time.Minute, time.Since(start))
	})
}

func TestPipeIsClosedWithTheTest(t *testing.T) {
	var server, client *websocket.Conn
	t.Run("test", func(t *testing.T) { server, client = websockettest.Pipe(t, nil, nil) })
	for _, c := range []*websocket.Conn{server, client} {
		_, _, err := c.ReadMessage()
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

// echo is a handler that serves in the handler, as most do.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := new(websocket.Upgrader).Upgrade(w, r, http.Header{"X-Path": {r.URL.RequestURI()}})
	if err != nil {
		return
	}
	defer c.Close()
	for {
		messageType, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(messageType, p) != nil {
			return
		}
	}
}

func TestNewDialer(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		dialer := websockettest.NewDialer(t, http.HandlerFunc(echo))
		for _, address := range []string{"ws://server.example/path?a=b", "wss://server.example/path?a=b"} {
			c, response, err := dialer.Dial(address, nil)
			require.NoError(t, err)
			require.Equal(t, "/path?a=b", response.Header.Get("X-Path"))
			require.NoError(t, c.WriteMessage(websocket.TextMessage, []byte("hello")))
			wantMessage(t, c, "hello")
		}
	})
}

// What a handler does to a request that it does not upgrade can be seen.
func TestNewDialerOfAHandlerThatRefuses(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		dialer := websockettest.NewDialer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "who is "+r.Header.Get("Name")+"?", http.StatusUnauthorized)
		}))
		_, response, err := dialer.Dial("ws://server.example/", http.Header{"Name": {"Ann"}})
		require.Equal(t, websocket.ErrBadHandshake, err)
		require.Equal(t, http.StatusUnauthorized, response.StatusCode)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, "who is Ann?\n", string(body))
	})
}

func TestNewDialerManyAtATime(t *testing.T) {
	inAndOut(t, func(t *testing.T) {
		dialer := websockettest.NewDialer(t, http.HandlerFunc(echo))
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				c, _, err := dialer.Dial("ws://server.example/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				message := bytes.Repeat([]byte{byte(i)}, 1000*i)
				if err := c.WriteMessage(websocket.BinaryMessage, message); err != nil {
					t.Error(err)
				}
				if _, p, err := c.ReadMessage(); err != nil || !bytes.Equal(message, p) {
					t.Errorf("%d bytes, %v", len(p), err)
				}
			})
		}
		wg.Wait()
	})
}

// The end of the test is the end of the connections, of those too that a handler still
// serves.
func TestNewDialerEndsWithTheTest(t *testing.T) {
	testnet.CheckGoroutines(t)
	var dialer *websocket.Dialer
	var c *websocket.Conn
	t.Run("test", func(t *testing.T) {
		dialer = websockettest.NewDialer(t, http.HandlerFunc(echo))
		var err error
		c, _, err = dialer.Dial("ws://server.example/", nil)
		require.NoError(t, err)
	})
	_, _, err := c.ReadMessage()
	require.ErrorIs(t, err, net.ErrClosed)
	_, _, err = dialer.Dial("ws://server.example/", nil)
	require.ErrorIs(t, err, net.ErrClosed)
}
