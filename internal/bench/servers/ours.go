package servers

import (
	"net/http"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

var (
	ours      = Library{Name: "ours", Modes: allModes, Handler: oursHandler(1)}
	oursDense = Library{Name: "ours dense", Modes: allModes[1:], Handler: oursHandler(6)}
)

type oursConn struct{ *websocket.Conn }

func (c oursConn) Send(p []byte) error { return c.WriteMessage(websocket.TextMessage, p) }

func oursHandler(level int) func(traffic.Mode, Events) http.Handler {
	return func(mode traffic.Mode, on Events) http.Handler {
		var u websocket.Upgrader
		if mode.Compresses() {
			takeover := mode.Bits() != 0
			u.Compression = &websocket.Compression{
				SendContextTakeover:    takeover,
				ReceiveContextTakeover: takeover,
				SendWindowBits:         mode.Bits(),
				ReceiveWindowBits:      mode.Bits(),
				Threshold:              1,
				Level:                  level,
			}
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := u.Upgrade(w, r, nil)
			if err != nil {
				return // the response says it
			}
			go func() {
				defer c.Close()
				on.Opened(oursConn{c})
				on.Closed(oursLoop(oursConn{c}, on))
			}()
		})
	}
}

func oursLoop(c oursConn, on Events) error {
	var p []byte
	for {
		var err error
		if _, p, err = c.AppendMessage(p[:0]); err != nil {
			return err
		}
		if err := on.Message(c, p); err != nil {
			return err
		}
	}
}
