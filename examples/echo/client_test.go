package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/stretchr/testify/require"
)

// startClient runs the client against a server of the test's own and returns the
// server's side of the connection, which the test reads and writes itself.
func startClient(t *testing.T) (*process, *websocket.Conn) {
	t.Helper()
	return startClientOf(t, websocket.Upgrader{})
}

// startClientOf is startClient with a server and command line of the test's choice.
func startClientOf(t *testing.T, upgrader websocket.Upgrader, args ...string) (*process, *websocket.Conn) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			accepted <- conn
		}
	}))
	t.Cleanup(server.Close)
	client := start(t, append(args, "-connect", "ws"+strings.TrimPrefix(server.URL, "http"))...)
	select {
	case conn := <-accepted:
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		require.NoError(t, conn.SetWriteDeadline(time.Now().Add(patience)))
		return client, conn
	case <-time.After(patience):
		require.FailNow(t, "the client did not connect")
		return nil, nil
	}
}

func requireClosed(t *testing.T, conn *websocket.Conn, code int) {
	t.Helper()
	_, _, err := conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, code), "%v", err)
}

func sendClose(t *testing.T, conn *websocket.Conn, payload []byte) {
	t.Helper()
	require.NoError(t, conn.WriteControl(websocket.CloseMessage, payload, time.Now().Add(patience)))
}

func TestClient(t *testing.T) {
	client, conn := startClient(t)

	for _, line := range []string{"hello", "", "世界 👋", "carriage return\r"} {
		client.writeLine(t, line)
		requireEcho(t, conn, websocket.TextMessage, []byte(strings.TrimSuffix(line, "\r")))
	}
	client.writeLine(t, "not UTF-8 \xff")
	requireEcho(t, conn, websocket.BinaryMessage, []byte("not UTF-8 \xff"))

	for _, m := range []struct {
		messageType   int
		message, want string
	}{
		{websocket.TextMessage, "hello", "hello"},
		{websocket.TextMessage, "", ""},
		{websocket.TextMessage, "\tgrüß dich 👋", "\tgrüß dich 👋"},
		{websocket.TextMessage, "\x1b[2J\x07", `"\x1b[2J\a"`},
		{websocket.BinaryMessage, "\x00\x01\xff", "binary [00 01 ff]"},
		{websocket.BinaryMessage, "", "binary []"},
	} {
		require.NoError(t, conn.WriteMessage(m.messageType, []byte(m.message)))
		require.Equal(t, m.want, client.readLine(t))
	}

	require.NoError(t, client.stdin.Close())
	requireClosed(t, conn, websocket.CloseNormalClosure)
	code, stdout, stderr := client.wait(t)
	require.Equal(t, 0, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "closed: 1000")
}

func TestClientPrintsWhatComesBeforeTheClose(t *testing.T) {
	client, conn := startClient(t)
	// With a close handler that answers nothing, the test answers in its time.
	conn.SetCloseHandler(func(int, string) error { return nil })
	client.writeLine(t, "question")
	require.NoError(t, client.stdin.Close())
	requireEcho(t, conn, websocket.TextMessage, []byte("question"))
	requireClosed(t, conn, websocket.CloseNormalClosure)
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte("answer")))
	sendClose(t, conn, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	code, stdout, _ := client.wait(t)
	require.Equal(t, 0, code)
	require.Equal(t, "answer\n", stdout)
}

func TestClientInterrupted(t *testing.T) {
	client, conn := startClient(t)
	client.writeLine(t, "hello") // its arrival tells that the client is running
	requireEcho(t, conn, websocket.TextMessage, []byte("hello"))
	client.interrupt(t)
	requireClosed(t, conn, websocket.CloseNormalClosure)
	code, _, _ := client.wait(t)
	require.Equal(t, 0, code)
}

func TestClientWhenPeerCloses(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload []byte
		exit    int
		stderr  []string
	}{
		{"normally", websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), 0, []string{"1000"}},
		{"without a code", nil, 0, []string{"1005"}},
		{"going away", websocket.FormatCloseMessage(websocket.CloseGoingAway, "so long"), 1, []string{"1001", "so long"}},
		{"with its own code", websocket.FormatCloseMessage(4001, ""), 1, []string{"4001"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, conn := startClient(t)
			sendClose(t, conn, c.payload)
			code, _, stderr := client.wait(t)
			require.Equal(t, c.exit, code)
			for _, part := range c.stderr {
				require.Contains(t, stderr, part)
			}
		})
	}
}

func TestClientWhenPeerVanishes(t *testing.T) {
	client, conn := startClient(t)
	require.NoError(t, conn.Close())
	code, _, stderr := client.wait(t)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "1006")
}

func TestClientWhenPeerIsMute(t *testing.T) {
	t.Parallel()
	client, _ := startClient(t)
	require.NoError(t, client.stdin.Close())
	code, _, stderr := client.wait(t)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "did not answer")
}

func TestClientCannotConnect(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	for _, c := range []struct{ name, url, stderr string }{
		{"not an endpoint", "ws://" + addr + "/", "404 Not Found"},
		{"nobody there", "ws://localhost:0/", ":0"},
		{"no URL", "localhost", "URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := start(t, "-connect", c.url).wait(t)
			require.Equal(t, 1, code)
			require.Empty(t, stdout)
			require.Contains(t, stderr, c.stderr)
		})
	}
}

func TestClientOfServer(t *testing.T) {
	server, addr := startServer(t)
	client := start(t, "-connect", "ws://"+addr+"/ws")
	long := strings.Repeat("long ", 40_000)
	client.writeLine(t, "first")
	require.Equal(t, "first", client.readLine(t))
	client.writeLine(t, long)
	client.writeLine(t, "世界 👋")
	_, err := client.stdin.Write([]byte("no line end"))
	require.NoError(t, err)
	require.NoError(t, client.stdin.Close())
	code, stdout, _ := client.wait(t)
	require.Equal(t, 0, code)
	require.Equal(t, long+"\n世界 👋\nno line end\n", stdout)

	server.interrupt(t)
	code, _, stderr := server.wait(t)
	require.Equal(t, 0, code)
	require.Empty(t, stderr, "a normal end is not logged")
}

func TestServerEndsClient(t *testing.T) {
	server, addr := startServer(t)
	client := start(t, "-connect", "ws://"+addr+"/ws")
	client.writeLine(t, "hello")
	require.Equal(t, "hello", client.readLine(t))
	server.interrupt(t)
	code, _, stderr := client.wait(t)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "1001")
	code, _, _ = server.wait(t)
	require.Equal(t, 0, code)
}
