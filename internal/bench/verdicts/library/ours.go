package library

import (
	"context"
	"net"
	"net/http"

	"github.com/seed62ce5aa7/websocket"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

var ours = Library{Name: "ours", Accept: oursAccept, Dial: oursDial}

type oursConn struct{ *websocket.Conn }

func (c oursConn) Next() (text bool, payload []byte, err error) {
	kind, p, err := c.ReadMessage()
	return kind == websocket.TextMessage, p, err
}

func (c oursConn) Close() { _ = c.Conn.Close() } // its end is what counts

func oursAccept(w http.ResponseWriter, r *http.Request) (Conn, error) {
	u := websocket.Upgrader{EnableCompression: true}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(streams.Limit)
	return oursConn{c}, nil
}

func oursDial(nc net.Conn, compression bool) (Conn, error) {
	d := websocket.Dialer{
		EnableCompression: compression,
		NetDialContext:    func(context.Context, string, string) (net.Conn, error) { return nc, nil },
	}
	c, _, err := d.Dial(address, nil)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(streams.Limit)
	return oursConn{c}, nil
}
