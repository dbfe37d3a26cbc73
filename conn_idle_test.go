package websocket

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// stackBytes is the memory that stacks of goroutines have.
func stackBytes() int {
	s := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

// A goroutine begins with 2 KiB of stack. One that waits for messages on a socket, and
// echoes small ones, never needs more, or an idle connection would cost half as much again.
func TestIdleConnectionStack(t *testing.T) {
	switch {
	case raceEnabled:
		t.Skip("frames are larger with the race detector")
	case !rawSeams || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64":
		t.Skip("the frames of this system were not measured")
	}
	var u Upgrader
	for name, handler := range map[string]http.Handler{
		"Upgrader": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			go echoLeanly(c)
		}),
		"Server": &Server{Accept: srvAccept(echoLeanly), MaxConnsPerClient: 1000, OnOpen: func(*Conn) {}},
	} {
		t.Run(name, func(t *testing.T) { idleConnectionStack(t, handler) })
	}
}

// echoLeanly echoes small messages on little stack.
func echoLeanly(c *Conn) {
	defer c.Close()
	buf := make([]byte, 0, 1024)
	for {
		messageType, p, err := c.AppendMessage(buf)
		if err != nil || c.WriteMessage(messageType, p) != nil {
			return
		}
	}
}

func idleConnectionStack(t *testing.T, handler http.Handler) {
	checkBuffers(t)
	testnet.CheckGoroutines(t)
	const conns = 400
	server := httptest.NewServer(handler)
	defer server.Close()
	var clients []*Conn
	dial := func() {
		c, _, err := DefaultDialer.Dial("ws"+server.URL[len("http"):], nil)
		require.NoError(t, err)
		clients = append(clients, c)
		t.Cleanup(func() { _ = c.Close() })
	}
	dial()
	runtime.GC() // stacks that nobody has any more are collected
	before := stackBytes()
	for range conns {
		dial()
	}
	for range 2 { // the first of them finds pools empty
		for _, c := range clients {
			require.NoError(t, c.WriteMessage(TextMessage, []byte(ascii(512))))
			_, r, err := c.NextReader()
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, r)
			require.NoError(t, err)
		}
	}
	runtime.GC()
	per := (stackBytes() - before) / conns
	require.LessOrEqual(t, per, 2048+512, "bytes of stack for a connection") // some grow when the allocator has to look for memory
}
