package library

import (
	"context"
	"net"
	"net/http"

	"github.com/gorilla/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// gorilla does not check text: its documentation leaves that to the program.
var gorilla = Library{
	Name: "gorilla", Module: "github.com/gorilla/websocket",
	Accept: gorillaAccept, Dial: gorillaDial,
}

type gorillaConn struct{ *websocket.Conn }

func (c gorillaConn) Next() (text bool, payload []byte, err error) {
	kind, p, err := c.ReadMessage()
	return kind == websocket.TextMessage, p, err
}

func (c gorillaConn) Close() { _ = c.Conn.Close() } // its end is what counts

func gorillaAccept(w http.ResponseWriter, r *http.Request) (Conn, error) {
	u := websocket.Upgrader{EnableCompression: true}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(streams.Limit)
	return gorillaConn{c}, nil
}

func gorillaDial(nc net.Conn, compression bool) (Conn, error) {
	d := websocket.Dialer{
		EnableCompression: compression,
		NetDialContext:    func(context.Context, string, string) (net.Conn, error) { return nc, nil },
	}
	c, _, err := d.Dial(address, nil)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(streams.Limit)
	return gorillaConn{c}, nil
}
