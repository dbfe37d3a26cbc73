package servers

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// gorilla has no context takeover. It is used as its documentation has it for
// many connections: NextReader, a pool of write buffers, prepared messages.
var gorilla = Library{
	Name: "gorilla", Modes: allModes[:2], Lax: true, Exclusive: true,
	Handler: gorillaHandler, Broadcast: gorillaBroadcast,
}

type gorillaConn struct{ *websocket.Conn }

func (c gorillaConn) Send(kind Kind, p []byte) error { return c.WriteMessage(int(kind), p) }

func gorillaHandler(style Style, on Events) http.Handler {
	u := websocket.Upgrader{EnableCompression: style.Mode.Compresses(), WriteBufferPool: &sync.Pool{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r, nil)
		if err != nil {
			return // the response says it
		}
		style.run(func() {
			defer c.Close()
			on.Opened(gorillaConn{c})
			on.Closed(gorillaConn{c}, gorillaLoop(gorillaConn{c}, on))
		})
	})
}

func gorillaLoop(c gorillaConn, on Events) error {
	for {
		kind, r, err := c.NextReader()
		if err != nil {
			return err
		}
		if err := deliver(c, Kind(kind), r, on); err != nil {
			return err
		}
	}
}

func gorillaBroadcast(to []Conn, p []byte) error {
	m, err := websocket.NewPreparedMessage(websocket.BinaryMessage, p)
	if err != nil {
		return err
	}
	for _, c := range to {
		if err := c.(gorillaConn).WritePreparedMessage(m); err != nil {
			return err
		}
	}
	return nil
}
