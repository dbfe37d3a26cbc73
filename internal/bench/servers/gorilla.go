package servers

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// gorilla has no context takeover.
var gorilla = Library{Name: "gorilla", Modes: allModes[:2], Handler: gorillaHandler}

type gorillaConn struct{ *websocket.Conn }

func (c gorillaConn) Send(p []byte) error { return c.WriteMessage(websocket.TextMessage, p) }

func gorillaHandler(mode traffic.Mode, on Events) http.Handler {
	u := websocket.Upgrader{EnableCompression: mode.Compresses(), WriteBufferPool: &sync.Pool{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return // the response says it
		}
		go func() {
			defer c.Close()
			on.Opened(gorillaConn{c})
			on.Closed(gorillaLoop(gorillaConn{c}, on))
		}()
	})
}

func gorillaLoop(c gorillaConn, on Events) error {
	for {
		_, r, err := c.NextReader()
		if err != nil {
			return err
		}
		if err := deliver(c, r, on); err != nil {
			return err
		}
	}
}
