package library

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// coder does not check text.
var coder = Library{
	Name: "coder", Module: "github.com/coder/websocket",
	Accept: coderAccept, Dial: coderDial,
}

type coderConn struct{ *websocket.Conn }

func (c coderConn) Next() (text bool, payload []byte, err error) {
	kind, p, err := c.Read(context.Background())
	return kind == websocket.MessageText, p, err
}

func (c coderConn) Close() { _ = c.CloseNow() } // its end is what counts

func coderAccept(w http.ResponseWriter, r *http.Request) (Conn, error) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(streams.Limit)
	return coderConn{c}, nil
}

func coderDial(nc net.Conn, compression bool) (Conn, error) {
	o := websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nc, nil },
	}}}
	if compression {
		o.CompressionMode = websocket.CompressionNoContextTakeover
	}
	c, _, err := websocket.Dial(context.Background(), address, &o)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(streams.Limit)
	return coderConn{c}, nil
}
