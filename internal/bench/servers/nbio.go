package servers

import (
	"net/http"
	"slices"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// nbio is used with its engine, whose blocking mode its documentation calls the
// faster one for few connections. For many it has them without a goroutine, which
// stands in here for a handler that has returned.
var nbio = Library{
	Name: "nbio", Modes: allModes[:2], Without: []Place{InHandler}, WithoutTLS: true,
	Own: nbioListen,
}

type nbioConn struct{ *websocket.Conn }

func (c nbioConn) Send(kind Kind, p []byte) error {
	return c.WriteMessage(websocket.MessageType(kind), p)
}

func nbioListen(style Style, on Events) (address string, err error) {
	logging.SetLevel(logging.LevelError)
	u := websocket.NewUpgrader()
	u.EnableCompression(style.Mode == traffic.NoTakeover)
	u.BlockingModAsyncWrite = false // a goroutine of its own per connection for what is sent
	u.OnOpen(func(c *websocket.Conn) { on.Opened(nbioConn{c}) })
	u.OnClose(func(c *websocket.Conn, err error) { on.Closed(nbioConn{c}, err) })
	u.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, p []byte) {
		if err := on.Message(nbioConn{c}, Kind(kind), p); err != nil {
			c.CloseWithError(err)
		}
	})
	mod := nbhttp.IOModBlocking
	if style.Place == Returned {
		mod = nbhttp.IOModNonBlocking
	}
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{"127.0.0.1:0"},
		MaxLoad:                 1 << 20,
		IOMod:                   mod,
		ReleaseWebsocketPayload: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = u.Upgrade(w, r, nil) // the response says it
		}),
	})
	if err := engine.Start(); err != nil {
		return "", err
	}
	return slices.Clone(engine.Addrs)[0], nil
}
