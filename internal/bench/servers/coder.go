package servers

import (
	"context"
	"net/http"

	"github.com/coder/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// coder has windows of 32 KiB only.
var coder = Library{
	Name:    "coder",
	Modes:   []traffic.Mode{traffic.Plain, traffic.NoTakeover, traffic.Takeover15},
	Handler: coderHandler,
}

type coderConn struct{ *websocket.Conn }

func (c coderConn) Send(p []byte) error {
	return c.Write(context.Background(), websocket.MessageText, p)
}

func coderHandler(mode traffic.Mode, on Events) http.Handler {
	o := websocket.AcceptOptions{CompressionThreshold: 1}
	switch mode {
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
		go func() {
			defer c.CloseNow()
			on.Opened(coderConn{c})
			on.Closed(coderLoop(coderConn{c}, on))
		}()
	})
}

func coderLoop(c coderConn, on Events) error {
	for {
		_, r, err := c.Reader(context.Background())
		if err != nil {
			return err
		}
		if err := deliver(c, r, on); err != nil {
			return err
		}
	}
}
