package servers

import (
	"net/http"

	"github.com/seed62ce5aa7/websocket"
)

var (
	ours      = Library{Name: "ours", Modes: allModes, Handler: oursHandler(1), Broadcast: oursBroadcast}
	oursDense = Library{Name: "ours dense", Modes: allModes[1:], Handler: oursHandler(6)}
)

type oursConn struct{ *websocket.Conn }

func (c oursConn) Send(kind Kind, p []byte) error { return c.WriteMessage(int(kind), p) }

// oursHandler has each connection read into memory of its own.
func oursHandler(level int) func(Style, Events) http.Handler {
	return func(style Style, on Events) http.Handler {
		var u websocket.Upgrader
		if mode := style.Mode; mode.Compresses() {
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
			style.run(func() {
				defer c.Close()
				on.Opened(oursConn{c})
				on.Closed(oursConn{c}, oursLoop(oursConn{c}, on))
			})
		})
	}
}

func oursLoop(c oursConn, on Events) error {
	var p []byte
	for {
		var (
			kind int
			err  error
		)
		if kind, p, err = c.AppendMessage(p[:0]); err != nil {
			return err
		}
		if err := on.Message(c, Kind(kind), p); err != nil {
			return err
		}
	}
}

func oursBroadcast(to []Conn, p []byte) error {
	m, err := websocket.NewPreparedMessage(websocket.BinaryMessage, p)
	if err != nil {
		return err
	}
	for _, c := range to {
		if err := c.(oursConn).WritePreparedMessage(m); err != nil {
			return err
		}
	}
	return nil
}
