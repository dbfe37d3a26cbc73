package servers

import (
	"context"
	"net/http"

	"github.com/coder/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// coder has windows of 32 KiB only, and nothing for broadcasts. It is used with
// Reader, which its documentation has for less garbage, and with a context that
// is never cancelled, which takes it least.
var coder = Library{
	Name: "coder", Modes: []traffic.Mode{traffic.Plain, traffic.NoTakeover, traffic.Takeover15}, Lax: true,
	Handler: coderHandler,
}

type coderConn struct{ *websocket.Conn }

func (c coderConn) Send(kind Kind, p []byte) error {
	return c.Write(context.Background(), websocket.MessageType(kind), p)
}

func coderHandler(style Style, on Events) http.Handler {
	o := websocket.AcceptOptions{CompressionThreshold: 1}
	switch style.Mode {
	case traffic.NoTakeover:
		o.CompressionMode = websocket.CompressionNoContextTakeover
	case traffic.Takeover15:
		o.CompressionMode = websocket.CompressionContextTakeover
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &o)
		if err != nil {
			return // the response says it
		}
		c.SetReadLimit(-1)
		style.run(func() {
			defer c.CloseNow()
			on.Opened(coderConn{c})
			on.Closed(coderConn{c}, coderLoop(coderConn{c}, on))
		})
	})
}

func coderLoop(c coderConn, on Events) error {
	for {
		kind, r, err := c.Reader(context.Background())
		if err != nil {
			return err
		}
		if err := deliver(c, Kind(kind), r, on); err != nil {
			return err
		}
	}
}
