package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
)

// TestInterop has scripts in a page talk to handlers in the test, over TCP
// connections as the library finds them in a server.
func TestInterop(t *testing.T) {
	eachBrowser(t, false, func(t *testing.T, page *remote) {
		for _, test := range []struct {
			name string
			run  func(*testing.T, *remote, websocket.Upgrader)
		}{
			{"large messages", testLargeMessages},
			{"fragments and ping", testFragmentsAndPing},
			{"page closes", testPageCloses},
			{"server closes", testServerCloses},
		} {
			t.Run(test.name, func(t *testing.T) { test.run(t, page, websocket.Upgrader{}) })
			t.Run(test.name+", compressed", func(t *testing.T) {
				test.run(t, page, websocket.Upgrader{
					Compression: &websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true},
				})
			})
		}
	})
}

func echo(conn *websocket.Conn, _ *http.Request, _ *traffic) error {
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
func testLargeMessages(t *testing.T, page *remote, upgrader websocket.Upgrader) {
	path, handled := page.upgrade(upgrader, echo)
	got := ask[struct{ Compressed, Text, Binary, Clean bool }](t, page, fmt.Sprintf(`new Promise((resolve, reject) => {
		const text = "Grüße, 世界 👋 ".repeat(40000); // 21 bytes each time
		const binary = new Uint8Array(1 << 20).map((_, i) => i * i >> 3);
		const ws = connect(%q);
		const messages = [];
		ws.onopen = () => { ws.send(text); ws.send(binary); };
		ws.onmessage = event => {
			if (messages.push(event.data) === 2) ws.close(1000);
		};
		ws.onclose = event => {
			if (messages.length !== 2) { reject(new Error("closed: " + event.code)); return; }
			resolve({
				compressed: ws.extensions.includes("permessage-deflate"),
				text: same(messages[0], text),
				binary: same(messages[1], binary),
				clean: event.wasClean,
			});
		};
	})`, path))
	require.Equal(t, upgrader.Compression != nil, got.Compressed)
	require.True(t, got.Text)
	require.True(t, got.Binary)
	require.True(t, got.Clean)
	err := await(t, handled)
	require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure), "%v", err)
}

// testFragmentsAndPing sends a message in several frames with a ping between them.
// It arrives in the page as one, and the browser answers the ping.
func testFragmentsAndPing(t *testing.T, page *remote, upgrader websocket.Upgrader) {
	const part = "Grüße, 世界 👋 "
	const parts = 10_000
	var pong string
	upgrader.WriteBufferSize = 1024
	path, handled := page.upgrade(upgrader, func(conn *websocket.Conn, _ *http.Request, _ *traffic) error {
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
	text := ask[string](t, page, fmt.Sprintf(`new Promise((resolve, reject) => {
		const ws = connect(%q);
		let text;
		ws.onmessage = event => { text = event.data; ws.close(); };
		ws.onclose = event => event.wasClean ? resolve(text) : reject(new Error("closed: " + event.code));
	})`, path))
	require.True(t, text == strings.Repeat(part, parts), "%d bytes", len(text))
	err := await(t, handled)
	require.True(t, websocket.IsCloseError(err, websocket.CloseNoStatusReceived), "%v", err)
	require.Equal(t, "in between", pong)
}

func testPageCloses(t *testing.T, page *remote, upgrader websocket.Upgrader) {
	upgrader.Subprotocols = []string{"chat.v2", "chat.v1"}
	path, handled := page.upgrade(upgrader, echo)
	protocol := ask[string](t, page, fmt.Sprintf(`new Promise((resolve, reject) => {
		const ws = connect(%q, ["other", "chat.v1", "chat.v2"]);
		ws.onopen = () => ws.close(3999, "schön war's 👋");
		ws.onclose = event => event.wasClean && event.code === 3999
			? resolve(ws.protocol) : reject(new Error("closed: " + event.code));
	})`, path))
	require.Equal(t, "chat.v2", protocol, "the server's order counts")
	require.Equal(t, &websocket.CloseError{Code: 3999, Text: "schön war's 👋"}, await(t, handled))
}

func testServerCloses(t *testing.T, page *remote, upgrader websocket.Upgrader) {
	path, handled := page.upgrade(upgrader, func(conn *websocket.Conn, _ *http.Request, _ *traffic) error {
		closing := websocket.FormatCloseMessage(4001, "bis später 👋")
		if err := conn.WriteMessage(websocket.CloseMessage, closing); err != nil {
			return err
		}
		_, _, err := conn.ReadMessage()
		return err
	})
	got := ask[struct {
		Code   int
		Reason string
		Clean  bool
	}](t, page, fmt.Sprintf(`new Promise(resolve => {
		const ws = connect(%q);
		ws.onclose = event => resolve({code: event.code, reason: event.reason, clean: event.wasClean});
	})`, path))
	require.Equal(t, 4001, got.Code)
	require.Equal(t, "bis später 👋", got.Reason)
	require.True(t, got.Clean)
	err := await(t, handled)
	require.True(t, websocket.IsCloseError(err, 4001), "%v", err)
}
