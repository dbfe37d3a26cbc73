package servers

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// gobwas is used with wsutil's Reader, one per connection, over a buffer, and
// wsutil's pool of writers. Its package ws alone is faster, but leaves it to the
// program to check and put together what comes in.
var gobwas = Library{
	Name: "gobwas", Modes: allModes[:2], Exclusive: true,
	Handler: gobwasHandler, Broadcast: gobwasBroadcast,
}

type gobwasConn struct {
	net.Conn
	compresses bool
}

// gobwasCopied is up to where a payload is copied behind its header: of a larger
// one the header is a Write of its own, which its documentation prefers there.
const gobwasCopied = 16 << 10

func (c *gobwasConn) Send(kind Kind, p []byte) error {
	switch {
	case c.compresses:
		return gobwasSendCompressed(c, kind, p)
	case len(p) > gobwasCopied:
		return wsutil.WriteServerMessage(c.Conn, ws.OpCode(kind), p)
	}
	w := wsutil.GetWriter(c.Conn, ws.StateServerSide, ws.OpCode(kind), len(p)+ws.MaxHeaderSize)
	defer wsutil.PutWriter(w)
	if _, err := w.Write(p); err != nil {
		return err
	}
	return w.Flush()
}

func gobwasHandler(style Style, on Events) http.Handler {
	compresses := style.Mode == traffic.NoTakeover
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var u ws.HTTPUpgrader
		if compresses {
			u.Negotiate = (&wsflate.Extension{Parameters: wsflate.DefaultParameters}).Negotiate
		}
		nc, rw, _, err := u.Upgrade(r, w)
		if err != nil {
			return // the response says it
		}
		from := rw.Reader // without rw, so that its Writer goes
		style.run(func() {
			defer nc.Close()
			c := &gobwasConn{nc, compresses}
			on.Opened(c)
			on.Closed(c, gobwasLoop(c, from, style.CheckText, on))
		})
	})
}

func gobwasLoop(c *gobwasConn, from *bufio.Reader, checks bool, on Events) error {
	r := wsutil.Reader{Source: from, State: ws.StateServerSide, CheckUTF8: checks}
	var compression wsflate.MessageState
	if c.compresses {
		r.State |= ws.StateExtended
		r.Extensions = []wsutil.RecvExtension{&compression}
		r.CheckUTF8 = false // it would look at what is compressed
	}
	control := wsutil.ControlFrameHandler(c.Conn, ws.StateServerSide)
	r.OnIntermediate = control
	for {
		h, err := r.NextFrame()
		if err != nil {
			return err
		}
		switch {
		case h.OpCode.IsControl():
			err = control(h, &r)
		case compression.IsCompressed():
			err = deliverInflated(c, Kind(h.OpCode), &r, on)
		default:
			err = deliver(c, Kind(h.OpCode), &r, on)
		}
		if err != nil {
			return err
		}
	}
}

// gobwasBroadcast compiles the frame once.
func gobwasBroadcast(to []Conn, p []byte) error {
	frame, err := ws.CompileFrame(ws.NewBinaryFrame(p))
	if err != nil {
		return err
	}
	for _, c := range to {
		if _, err := c.(*gobwasConn).Write(frame); err != nil {
			return err
		}
	}
	return nil
}
