package browser

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
)

// TestInterop has scripts in a page talk to handlers in the test.
func TestInterop(t *testing.T) {
	browser := startBrowser(t)
	t.Run("large messages", func(t *testing.T) { testLargeMessages(t, browser) })
	t.Run("fragments and ping", func(t *testing.T) { testFragmentsAndPing(t, browser) })
	t.Run("page closes", func(t *testing.T) { testPageCloses(t, browser) })
	t.Run("server closes", func(t *testing.T) { testServerCloses(t, browser) })
}

// openPage serves an empty page and, beside it at /ws, the handler, and opens the
// page in a new tab. The handler's result is sent to handled.
func openPage(
	t *testing.T, browser context.Context, upgrader websocket.Upgrader, handle func(*websocket.Conn) error,
) (tab context.Context, handled <-chan error) {
	t.Helper()
	tab, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	result := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>test</title>"))
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
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
		result <- handle(conn)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	do(t, tab, chromedp.Navigate(server.URL))
	return tab, result
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

func echo(conn *websocket.Conn) error {
	for {
		messageType, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if err := conn.WriteMessage(messageType, message); err != nil {
			return err
		}
	}
}

// testLargeMessages compares in the page what comes back with what it sent.
func testLargeMessages(t *testing.T, browser context.Context) {
	tab, handled := openPage(t, browser, websocket.Upgrader{}, echo)
	got := evaluate[struct{ Text, Binary, Clean bool }](t, tab, `new Promise((resolve, reject) => {
		const text = "Grüße, 世界 👋 ".repeat(40000); // 21 bytes each time
		const binary = new Uint8Array(1 << 20).map((_, i) => i * i >> 3);
		const ws = new WebSocket("ws://" + location.host + "/ws");
		ws.binaryType = "arraybuffer";
		const messages = [];
		ws.onopen = () => { ws.send(text); ws.send(binary); };
		ws.onmessage = event => {
			if (messages.push(event.data) === 2) ws.close(1000);
		};
		ws.onclose = event => {
			if (messages.length !== 2) { reject(new Error("closed: " + event.code)); return; }
			const echoed = new Uint8Array(messages[1]);
			resolve({
				text: messages[0] === text,
				binary: echoed.length === binary.length && echoed.every((b, i) => b === binary[i]),
				clean: event.wasClean,
			});
		};
	})`)
	require.True(t, got.Text)
	require.True(t, got.Binary)
	require.True(t, got.Clean)
	err := await(t, handled)
	require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure), "%v", err)
}

// testFragmentsAndPing sends a message in several frames with a ping between them.
// It arrives in the page as one, and the browser answers the ping.
func testFragmentsAndPing(t *testing.T, browser context.Context) {
	const part = "Grüße, 世界 👋 "
	const parts = 10_000
	var pong string
	tab, handled := openPage(t, browser, websocket.Upgrader{WriteBufferSize: 1024}, func(conn *websocket.Conn) error {
		conn.SetPongHandler(func(data string) error { pong = data; return nil })
		w, err := conn.NextWriter(websocket.TextMessage)
		if err != nil {
			return err
		}
		for i := range parts {
			if _, err := w.Write([]byte(part)); err != nil {
				return err
			}
			if i == parts/2 {
				err := conn.WriteControl(websocket.PingMessage, []byte("in between"), time.Now().Add(patience))
				if err != nil {
					return err
				}
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		_, _, err = conn.ReadMessage() // the pong, then the close frame
		return err
	})
	text := evaluate[string](t, tab, `new Promise((resolve, reject) => {
		const ws = new WebSocket("ws://" + location.host + "/ws");
		let text;
		ws.onmessage = event => { text = event.data; ws.close(); };
		ws.onclose = event => event.wasClean ? resolve(text) : reject(new Error("closed: " + event.code));
	})`)
	require.True(t, text == strings.Repeat(part, parts), "%d bytes", len(text))
	err := await(t, handled)
	require.True(t, websocket.IsCloseError(err, websocket.CloseNoStatusReceived), "%v", err)
	require.Equal(t, "in between", pong)
}

func testPageCloses(t *testing.T, browser context.Context) {
	tab, handled := openPage(t, browser, websocket.Upgrader{Subprotocols: []string{"chat.v2", "chat.v1"}}, echo)
	protocol := evaluate[string](t, tab, `new Promise((resolve, reject) => {
		const ws = new WebSocket("ws://" + location.host + "/ws", ["other", "chat.v1", "chat.v2"]);
		ws.onopen = () => ws.close(3999, "schön war's 👋");
		ws.onclose = event => event.wasClean && event.code === 3999
			? resolve(ws.protocol) : reject(new Error("closed: " + event.code));
	})`)
	require.Equal(t, "chat.v2", protocol, "the server's order counts")
	require.Equal(t, &websocket.CloseError{Code: 3999, Text: "schön war's 👋"}, await(t, handled))
}

func testServerCloses(t *testing.T, browser context.Context) {
	tab, handled := openPage(t, browser, websocket.Upgrader{}, func(conn *websocket.Conn) error {
		closing := websocket.FormatCloseMessage(4001, "bis später 👋")
		if err := conn.WriteMessage(websocket.CloseMessage, closing); err != nil {
			return err
		}
		_, _, err := conn.ReadMessage()
		return err
	})
	got := evaluate[struct {
		Code   int
		Reason string
		Clean  bool
	}](t, tab, `new Promise(resolve => {
		const ws = new WebSocket("ws://" + location.host + "/ws");
		ws.onclose = event => resolve({code: event.code, reason: event.reason, clean: event.wasClean});
	})`)
	require.Equal(t, 4001, got.Code)
	require.Equal(t, "bis später 👋", got.Reason)
	require.True(t, got.Clean)
	err := await(t, handled)
	require.True(t, websocket.IsCloseError(err, 4001), "%v", err)
}
