package websocket

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// While a connection lives, nothing is left of its HTTP request: neither the request
// nor its context, nor what a middleware has made of the ResponseWriter.
func TestServerKeepsNoRequest(t *testing.T) {
	checkBuffers(t)
	testnet.CheckGoroutines(t)
	type key struct{}
	collected := make(chan string, 3)
	watch := func(name string) { collected <- name }
	s := &Server{
		MaxConns: 1, MaxConnsPerClient: 1,
		Accept: srvAccept(srvEcho),
		OnOpen: func(*Conn) {}, OnClose: func(*Conn, Stats) {},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		middleware := &hsUnwrapper{w}
		runtime.AddCleanup(r, watch, "the request")
		runtime.AddCleanup(middleware, watch, "the ResponseWriter")
		s.ServeHTTP(middleware, r)
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		inContext := new([100]byte)
		runtime.AddCleanup(inContext, watch, "the context")
		return context.WithValue(ctx, key{}, inContext)
	}
	server.Start()
	defer server.Close()
	c, _, err := DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	require.NoError(t, err)
	defer c.Close()
	var gone []string
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	for len(gone) < cap(collected) {
		runtime.GC() // an object may be held by the stack of a goroutine that is about to end
		select {
		case what := <-collected:
			gone = append(gone, what)
		case <-patience.C:
			require.FailNow(t, "something is kept", "collected were %v", gone)
		default:
		}
	}
	require.ElementsMatch(t, []string{"the request", "the ResponseWriter", "the context"}, gone)
	require.NoError(t, c.WriteMessage(TextMessage, []byte("still there")))
	hsExpect(t, c, "still there")
	s.Close()
	require.NoError(t, s.Shutdown(t.Context()))
}
