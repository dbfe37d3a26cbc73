package servers

import (
	"net/http"

	gwslib "github.com/lxzan/gws"
)

// gws is used as its examples are: an event handler, one reading goroutine, and
// a Broadcaster.
var gws = Library{Name: "gws", Modes: allModes, Handler: gwsHandler, Broadcast: gwsBroadcast}

type gwsConn struct{ *gwslib.Conn }

func (c gwsConn) Send(kind Kind, p []byte) error { return c.WriteMessage(gwslib.Opcode(kind), p) }

// gwsEvents are Events, as gws wants them.
type gwsEvents struct {
	gwslib.BuiltinEventHandler
	on Events
}

func (e *gwsEvents) OnOpen(c *gwslib.Conn) { e.on.Opened(gwsConn{c}) }

func (e *gwsEvents) OnClose(c *gwslib.Conn, err error) { e.on.Closed(gwsConn{c}, err) }

func (e *gwsEvents) OnMessage(c *gwslib.Conn, m *gwslib.Message) {
	defer m.Close()
	if err := e.on.Message(gwsConn{c}, Kind(m.Opcode), m.Bytes()); err != nil {
		_ = c.NetConn().Close() // ReadLoop sees it
	}
}

func gwsHandler(style Style, on Events) http.Handler {
	o := gwslib.ServerOption{CheckUtf8Enabled: style.CheckText}
	if mode := style.Mode; mode.Compresses() {
		takeover := mode.Bits() != 0
		o.PermessageDeflate = gwslib.PermessageDeflate{
			Enabled:               true,
			ServerContextTakeover: takeover,
			ClientContextTakeover: takeover,
			ServerMaxWindowBits:   mode.Bits(),
			ClientMaxWindowBits:   mode.Bits(),
			Threshold:             1,
		}
	}
	u := gwslib.NewUpgrader(&gwsEvents{on: on}, &o)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := u.Upgrade(w, r)
		if err != nil {
			return // the response says it
		}
		style.run(c.ReadLoop)
	})
}

func gwsBroadcast(to []Conn, p []byte) error {
	b := gwslib.NewBroadcaster(gwslib.OpcodeBinary, p)
	defer b.Close()
	for _, c := range to {
		if err := b.Broadcast(c.(gwsConn).Conn); err != nil {
			return err
		}
	}
	return nil
}
