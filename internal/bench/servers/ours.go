package servers

import (
	"net/http"

	"github.com/seed62ce5aa7/websocket"
)

// ours reads small messages into memory of each connection's own, and large ones into
// memory from a pool, which is memory that the processor has at hand. Where connections are
// many and mostly idle, all are read into memory from the pool. Of compression it is measured
// with memory of each connection's own.
var (
	ours      = Library{Name: "ours", Modes: allModes, Handler: oursHandler(1, oursBySize), Broadcast: oursBroadcast}
	oursOwn   = Library{Name: "ours", Modes: allModes, Handler: oursHandler(1, oursAppended)}
	oursDense = Library{Name: "ours dense", Modes: allModes[1:], Handler: oursHandler(6, oursAppended)}
)

type oursConn struct{ *websocket.Conn }

func (c oursConn) Send(kind Kind, p []byte) error { return c.WriteMessage(int(kind), p) }

func oursHandler(level int, loop func(oursConn, Events) error) func(Style, Events) http.Handler {
	return func(style Style, on Events) http.Handler {
		loop := loop
		if style.Place != Fastest {
			loop = oursPooled
		}
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
				on.Closed(oursConn{c}, loop(oursConn{c}, on))
			})
		})
	}
}

// ownMost is the most memory that a connection keeps for its messages.
const ownMost = 4 << 10

func oursBySize(c oursConn, on Events) error {
	var own []byte
	for {
		kind, p, err := c.AppendMessage(own[:0])
		if err != nil {
			return err
		}
		if err := on.Message(c, Kind(kind), p); err != nil {
			return err
		}
		if cap(p) <= ownMost {
			own = p
			continue
		}
		own = nil
		for size := cap(p); size > ownMost; {
			if size, err = oursDeliver(c, on); err != nil {
				return err
			}
		}
	}
}

func oursPooled(c oursConn, on Events) error {
	for {
		if _, err := oursDeliver(c, on); err != nil {
			return err
		}
	}
}

// oursDeliver reads a message into pooled memory, tells of it, and returns its size.
func oursDeliver(c oursConn, on Events) (size int, err error) {
	kind, r, err := c.NextReader()
	if err != nil {
		return 0, err
	}
	m, err := gather(r)
	if err == nil {
		err = on.Message(c, Kind(kind), *m)
	}
	size = len(*m)
	messages.Put(m)
	return size, err
}

func oursAppended(c oursConn, on Events) error {
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
