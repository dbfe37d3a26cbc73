package library

import (
	"bufio"
	"compress/flate"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// gobwas is used with wsutil's Reader, and wsflate as its example has it: where compression
// was agreed on, the Reader cannot check text, as it would look at what is compressed. To
// tell the peer that something was wrong is left to the program, which does what the
// examples do: 1002 for a ws.ProtocolError, 1007 for text that is not UTF-8.
var gobwas = Library{
	Name: "gobwas", Module: "github.com/gobwas/ws",
	Accept: gobwasAccept, Dial: gobwasDial,
}

type gobwasConn struct {
	nc          net.Conn
	reader      wsutil.Reader
	compression wsflate.MessageState
	control     wsutil.FrameHandlerFunc
	closed      bool // a close frame came, and was answered
}

func newGobwasConn(nc net.Conn, from io.Reader, state ws.State, compression bool) *gobwasConn {
	c := &gobwasConn{nc: nc}
	handle := wsutil.ControlFrameHandler(nc, state)
	c.control = func(h ws.Header, r io.Reader) error {
		c.closed = c.closed || h.OpCode == ws.OpClose
		return handle(h, r)
	}
	c.reader = wsutil.Reader{
		Source: from, State: state, CheckUTF8: !compression,
		MaxMessageSize: streams.Limit, OnIntermediate: c.control,
	}
	if compression {
		c.reader.State |= ws.StateExtended
		c.reader.Extensions = []wsutil.RecvExtension{&c.compression}
	}
	return c
}

func (c *gobwasConn) Next() (text bool, payload []byte, err error) {
	for {
		h, err := c.reader.NextFrame()
		if err == nil && h.OpCode.IsControl() {
			if err = c.control(h, &c.reader); err == nil {
				continue
			}
		}
		var p []byte
		if err == nil {
			p, err = c.payload()
		}
		if err != nil {
			c.fail(err)
			return false, nil, err
		}
		return h.OpCode == ws.OpText, p, nil
	}
}

// payload reads a message to its end.
func (c *gobwasConn) payload() ([]byte, error) {
	if !c.compression.IsCompressed() {
		return io.ReadAll(&c.reader)
	}
	p, err := io.ReadAll(wsflate.NewReader(&c.reader, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) }))
	if err != nil {
		return nil, err
	}
	return p, c.reader.Discard() // what is behind a block with BFINAL
}

func (c *gobwasConn) fail(err error) {
	var code ws.StatusCode
	var protocol ws.ProtocolError
	switch {
	case c.closed:
		return
	case errors.As(err, &protocol):
		code = ws.StatusProtocolError
	case errors.Is(err, wsutil.ErrInvalidUTF8):
		code = ws.StatusInvalidFramePayloadData
	default:
		return
	}
	f := ws.NewCloseFrame(ws.NewCloseFrameBody(code, ""))
	if c.reader.State.ClientSide() {
		f = ws.MaskFrameInPlace(f)
	}
	_ = ws.WriteFrame(c.nc, f) // the peer may be gone
}

func (c *gobwasConn) Close() { _ = c.nc.Close() } // its end is what counts

func gobwasAccept(w http.ResponseWriter, r *http.Request) (Conn, error) {
	e := wsflate.Extension{Parameters: wsflate.DefaultParameters}
	u := ws.HTTPUpgrader{Negotiate: e.Negotiate}
	nc, rw, _, err := u.Upgrade(r, w)
	if err != nil {
		return nil, err
	}
	_, compression := e.Accepted()
	return newGobwasConn(nc, rw.Reader, ws.StateServerSide, compression), nil
}

func gobwasDial(nc net.Conn, compression bool) (Conn, error) {
	d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}
	if compression {
		d.Extensions = []httphead.Option{wsflate.DefaultParameters.Option()}
	}
	_, br, h, err := d.Dial(context.Background(), address)
	if err != nil {
		return nil, err
	}
	if br == nil { // the server has sent nothing behind its response yet
		br = bufio.NewReader(nc)
	}
	return newGobwasConn(nc, br, ws.StateClientSide, len(h.Extensions) > 0), nil
}
