package servers

import (
	"net/http"

	gwslib "github.com/lxzan/gws"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

var gws = Library{Name: "gws", Modes: allModes, Handler: gwsHandler}

type gwsConn struct{ *gwslib.Conn }

func (c gwsConn) Send(p []byte) error { return c.WriteMessage(gwslib.OpcodeText, p) }

// gwsEvents are Events, as gws wants them.
type gwsEvents struct {
	gwslib.BuiltinEventHandler
	on Events
}

func (e *gwsEvents) OnOpen(c *gwslib.Conn) { e.on.Opened(gwsConn{c}) }

func (e *gwsEvents) OnClose(_ *gwslib.Conn, err error) { e.on.Closed(err) }

func (e *gwsEvents) OnMessage(c *gwslib.Conn, m *gwslib.Message) {
	defer m.Close()
	if err := e.on.Message(gwsConn{c}, m.Bytes()); err != nil {
		_ = c.NetConn().Close() // ReadLoop sees it
	}
}

func gwsHandler(mode traffic.Mode, on Events) http.Handler {
	var o gwslib.ServerOption
	if mode.Compresses() {
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
		go c.ReadLoop()
	})
}
