package main

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/stretchr/testify/require"
)

// countedConn counts the bytes that come in.
type countedConn struct {
	net.Conn
	in atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

// TestServerCompresses counts what the server sends.
func TestServerCompresses(t *testing.T) {
	_, addr := startServer(t, "-compress")
	var counted *countedConn
	dialer := websocket.Dialer{
		HandshakeTimeout: patience,
		Compression:      &websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true},
		NetDial: func(network, addr string) (net.Conn, error) {
			conn, err := net.DialTimeout(network, addr, patience)
			counted = &countedConn{Conn: conn}
			return counted, err
		},
	}
	conn, _, err := dialer.Dial("ws://"+addr+"/ws", nil)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(patience)))
	agreed, ok := conn.Compression()
	require.True(t, ok)
	require.True(t, agreed.SendContextTakeover)
	require.True(t, agreed.ReceiveContextTakeover)

	before := counted.in.Load()
	line := []byte("The quick brown fox jumps over the lazy dog, and the dog goes on sleeping.")
	for range 100 {
		require.NoError(t, conn.WriteMessage(websocket.TextMessage, line))
		requireEcho(t, conn, websocket.TextMessage, line)
	}
	require.Less(t, counted.in.Load()-before, int64(100*len(line)/3), "sent without reference to earlier messages")

	message := bytes.Repeat([]byte("1 MiB is"), 1<<20/8)
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, message))
	requireEcho(t, conn, websocket.TextMessage, message)
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, append(message, '!')))
	_, _, err = conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
}

func TestServerDoesNotCompressUnasked(t *testing.T) {
	_, addr := startServer(t)
	conn := dialWith(t, addr, &websocket.Compression{})
	_, ok := conn.Compression()
	require.False(t, ok)
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte("hello")))
	requireEcho(t, conn, websocket.TextMessage, []byte("hello"))
}

func TestClientCompresses(t *testing.T) {
	takeover := &websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true}
	client, conn := startClientOf(t, websocket.Upgrader{Compression: takeover}, "-compress")
	agreed, ok := conn.Compression()
	require.True(t, ok)
	require.True(t, agreed.SendContextTakeover)
	require.True(t, agreed.ReceiveContextTakeover)
	line := strings.Repeat("Grüße, 世界 👋 ", 20)
	for range 3 {
		client.writeLine(t, line)
		requireEcho(t, conn, websocket.TextMessage, []byte(line))
		require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte(line)))
		require.Equal(t, line, client.readLine(t))
	}
	require.NoError(t, client.stdin.Close())
	requireClosed(t, conn, websocket.CloseNormalClosure)
	code, _, stderr := client.wait(t)
	require.Equal(t, 0, code)
	require.Contains(t, stderr, "with compression")
}

// TestCompressionDeclined has one side ask for what the other does not want.
func TestCompressionDeclined(t *testing.T) {
	for _, c := range []struct {
		name     string
		upgrader websocket.Upgrader
		args     []string
	}{
		{"by the server", websocket.Upgrader{}, []string{"-compress"}},
		{"not offered by the client", websocket.Upgrader{EnableCompression: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, conn := startClientOf(t, c.upgrader, c.args...)
			_, ok := conn.Compression()
			require.False(t, ok)
			client.writeLine(t, "hello")
			requireEcho(t, conn, websocket.TextMessage, []byte("hello"))
			require.NoError(t, client.stdin.Close())
			requireClosed(t, conn, websocket.CloseNormalClosure)
			code, _, stderr := client.wait(t)
			require.Equal(t, 0, code)
			require.NotContains(t, stderr, "with compression")
		})
	}
}
