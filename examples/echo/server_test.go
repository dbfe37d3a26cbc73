package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/stretchr/testify/require"
)

// dial connects to the endpoint of the server at addr, with deadlines, so that
// nothing in a test waits for ever.
func dial(t *testing.T, addr string) *websocket.Conn {
	t.Helper()
	return dialWith(t, addr, nil)
}

func dialWith(t *testing.T, addr string, compression *websocket.Compression) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: patience, Compression: compression}
	conn, _, err := dialer.Dial("ws://"+addr+"/ws", nil)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(patience)))
	return conn
}

func requireEcho(t *testing.T, conn *websocket.Conn, messageType int, message []byte) {
	t.Helper()
	gotType, got, err := conn.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, messageType, gotType)
	require.True(t, bytes.Equal(message, got), "sent %d bytes, received other %d", len(message), len(got))
}

func get(t *testing.T, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestServer(t *testing.T) {
	server, addr := startServer(t)

	t.Run("page", func(t *testing.T) {
		resp, body := get(t, "http://"+addr+"/", nil)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
		require.Equal(t, string(page), body)
		resp, _ = get(t, "http://"+addr+"/other", nil)
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
	})

	t.Run("messages", func(t *testing.T) {
		conn := dial(t, addr)
		messages := []struct {
			messageType int
			message     []byte
		}{
			{websocket.TextMessage, nil},
			{websocket.TextMessage, []byte("Hello, 世界 👋")},
			{websocket.BinaryMessage, nil},
			{websocket.BinaryMessage, []byte{0, 0x7f, 0x80, 0xff}},
			{websocket.BinaryMessage, bytes.Repeat([]byte{1}, 125)}, // the lengths at which
			{websocket.BinaryMessage, bytes.Repeat([]byte{2}, 126)}, // a frame's header grows
			{websocket.BinaryMessage, bytes.Repeat([]byte{3}, 65535)},
			{websocket.BinaryMessage, bytes.Repeat([]byte{4}, 65536)},
			{websocket.TextMessage, bytes.Repeat([]byte("1 MiB is"), 1<<20/8)}, // the server's limit
		}
		for _, m := range messages {
			require.NoError(t, conn.WriteMessage(m.messageType, m.message))
			requireEcho(t, conn, m.messageType, m.message)
		}
	})

	t.Run("order", func(t *testing.T) {
		conn := dial(t, addr)
		for i := range 100 {
			require.NoError(t, conn.WriteMessage(websocket.TextMessage, fmt.Append(nil, i)))
		}
		for i := range 100 {
			requireEcho(t, conn, websocket.TextMessage, fmt.Append(nil, i))
		}
	})

	t.Run("fragments", func(t *testing.T) {
		conn := dial(t, addr)
		w, err := conn.NextWriter(websocket.TextMessage)
		require.NoError(t, err)
		var message bytes.Buffer
		for i := range 10_000 { // more than any write buffer
			_, err := fmt.Fprintf(io.MultiWriter(w, &message), "part %d äöü\n", i)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		requireEcho(t, conn, websocket.TextMessage, message.Bytes())
	})

	t.Run("ping", func(t *testing.T) {
		conn := dial(t, addr)
		var pong string
		conn.SetPongHandler(func(data string) error { pong = data; return nil })
		require.NoError(t, conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patience)))
		// The echo of a later message comes after the pong.
		require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte("after")))
		requireEcho(t, conn, websocket.TextMessage, []byte("after"))
		require.Equal(t, "are you there", pong)
	})

	t.Run("client closes", func(t *testing.T) {
		conn := dial(t, addr)
		closing := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "done")
		require.NoError(t, conn.WriteMessage(websocket.CloseMessage, closing))
		_, _, err := conn.ReadMessage()
		require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure), "%v", err)
	})

	t.Run("too large", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("Windows discards what has arrived, the close frame, when the rest of the message meets a closed connection")
		}
		conn := dial(t, addr)
		// The server gives up at the header, so that either call may fail, but
		// not without the reason.
		_ = conn.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20+1))
		_, _, err := conn.ReadMessage()
		require.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
	})

	t.Run("invalid text", func(t *testing.T) {
		conn := dial(t, addr)
		require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte{0xff}))
		_, _, err := conn.ReadMessage()
		require.True(t, websocket.IsCloseError(err, websocket.CloseInvalidFramePayloadData), "%v", err)
	})

	t.Run("page of another origin", func(t *testing.T) {
		resp, _ := get(t, "http://"+addr+"/ws", http.Header{
			"Connection":            {"Upgrade"},
			"Upgrade":               {"websocket"},
			"Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
			"Origin":                {"http://elsewhere.example"},
		})
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
	})

	t.Run("interrupt", func(t *testing.T) {
		conns := []*websocket.Conn{dial(t, addr), dial(t, addr), dial(t, addr)}
		for _, conn := range conns { // the server handles all of them when this is done
			require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte("hi")))
			requireEcho(t, conn, websocket.TextMessage, []byte("hi"))
		}
		server.interrupt(t)
		for _, conn := range conns {
			_, _, err := conn.ReadMessage()
			require.True(t, websocket.IsCloseError(err, websocket.CloseGoingAway), "%v", err)
		}
		code, stdout, stderr := server.wait(t)
		require.Equal(t, 0, code)
		require.Empty(t, stdout, "only the address goes to stdout")
		require.NotContains(t, stderr, "1001", "an answered close frame is no error")

		_, err := net.DialTimeout("tcp", addr, patience)
		require.Error(t, err)
	})
}

// TestShutdownWithMutePeers runs serve itself, to see that it leaves nothing
// behind: neither for a peer that does not answer the close frame nor for one
// that does not even read.
func TestShutdownWithMutePeers(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, stdoutWriter := io.Pipe()
	var logged bytes.Buffer
	served := make(chan error, 1)
	go func() { served <- serve(ctx, "localhost:0", nil, stdoutWriter, log.New(&logged, "", 0)) }()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	addr := servedAddr(t, strings.TrimSuffix(line, "\n"))

	mute := dial(t, addr)
	require.NoError(t, mute.WriteMessage(websocket.TextMessage, []byte("hi")))
	requireEcho(t, mute, websocket.TextMessage, []byte("hi"))

	deaf := dial(t, addr)
	require.NoError(t, deaf.SetWriteDeadline(time.Now().Add(time.Second)))
	for err == nil { // until the buffers both ways are full and the server's write waits
		err = deaf.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20))
	}

	unused, err := net.DialTimeout("tcp", addr, patience)
	require.NoError(t, err)
	defer unused.Close()

	cancel()
	select {
	case err := <-served:
		require.NoError(t, err)
	case <-time.After(patience):
		require.FailNow(t, "serve did not return")
	}
	require.Equal(t, 2, strings.Count(logged.String(), "use of closed network connection"), "%s", &logged)
	// The last instructions of a goroutine come after what serve waits for.
	require.Eventually(t, func() bool { return !running("newEndpoint", "websocket.(*Server)") },
		patience, 10*time.Millisecond)
}

// running tells whether a goroutine is inside one of the functions.
func running(functions ...string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, f := range functions {
		if bytes.Contains(stacks, []byte(f)) {
			return true
		}
	}
	return false
}

func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer ln.Close()
	code, stdout, stderr := start(t, "-addr", ln.Addr().String()).wait(t)
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, ln.Addr().String())
}

func TestUnexpectedArgument(t *testing.T) {
	code, _, stderr := start(t, "ws://localhost/").wait(t)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "-connect")
}
