package servers

import (
	"net/http"

	"golang.org/x/net/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// xnet is golang.org/x/net/websocket. Its connection ends when the handler
// returns. It is used with a Codec, which is how the type of a message is known.
var xnet = Library{
	Name: "x/net", Modes: []traffic.Mode{traffic.Plain}, Lax: true, Without: []Place{Returned},
	Handler: xnetHandler,
}

type xnetConn struct{ *websocket.Conn }

type xnetMessage struct {
	kind Kind
	p    []byte
}

var xnetCodec = websocket.Codec{
	Marshal: func(v any) ([]byte, byte, error) {
		m := v.(*xnetMessage)
		return m.p, byte(m.kind), nil
	},
	Unmarshal: func(p []byte, kind byte, v any) error {
		*v.(*xnetMessage) = xnetMessage{Kind(kind), p}
		return nil
	},
}

func (c xnetConn) Send(kind Kind, p []byte) error {
	return xnetCodec.Send(c.Conn, &xnetMessage{kind, p})
}

func xnetHandler(_ Style, on Events) http.Handler {
	return websocket.Server{Handler: func(c *websocket.Conn) {
		on.Opened(xnetConn{c})
		on.Closed(xnetConn{c}, xnetLoop(xnetConn{c}, on))
	}}
}

func xnetLoop(c xnetConn, on Events) error {
	for {
		var m xnetMessage
		if err := xnetCodec.Receive(c.Conn, &m); err != nil {
			return err
		}
		if err := on.Message(c, m.kind, m.p); err != nil {
			return err
		}
	}
}
