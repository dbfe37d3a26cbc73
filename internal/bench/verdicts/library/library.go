// Package library has WebSocket libraries read streams, as a server and as a client. One
// file is one library. They all do the same: messages are taken one after another until
// there is an error, and then the connection is closed; nothing is said to them about
// close frames and pings.
package library

import (
	"fmt"
	"net"
	"net/http"
)

// A Conn is a connection of some library.
type Conn interface {
	// Next waits for the next message.
	Next() (text bool, payload []byte, err error)
	Close()
}

// A Library makes connections, with a limit of streams.Limit bytes for a message.
type Library struct {
	Name   string
	Module string // empty for this one

	// Accept upgrades a request, and accepts an offer of permessage-deflate.
	Accept func(http.ResponseWriter, *http.Request) (Conn, error)

	// Dial is the client's side of the handshake on a connection.
	Dial func(nc net.Conn, compression bool) (Conn, error)
}

// All are all libraries.
var All = []Library{ours, gorilla, coder, gobwas}

// Find returns the library of that name.
func Find(name string) (Library, error) {
	for _, l := range All {
		if l.Name == name {
			return l, nil
		}
	}
	return Library{}, fmt.Errorf("library: no %q", name)
}

// address is of nothing: connections are there before they are dialled.
const address = "ws://host/"
