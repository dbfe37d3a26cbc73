// Package servers has WebSocket libraries as servers, each used as its
// documentation calls fastest, with the same behaviour: text messages come in
// and go out, and with compression all of them are compressed, however small.
// One file is one library.
package servers

import (
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A Conn is a connection of whatever library.
type Conn interface {
	// Send sends a text message. p is the caller's again once it returns.
	Send(p []byte) error
}

// Events are what a server tells of its connections. Those of one connection
// come one after the other.
type Events struct {
	Opened  func(Conn)
	Message func(c Conn, p []byte) error // p is valid until it returns; an error ends the connection
	Closed  func(error)
}

// A Library makes servers.
type Library struct {
	Name  string
	Modes []traffic.Mode // that it can do

	// Handler upgrades requests, and returns while the connection goes on.
	Handler func(mode traffic.Mode, on Events) http.Handler
}

// All are all libraries, in the order in which they are measured.
var All = []Library{ours, oursDense, gorilla, coder, gws}

// Find returns the library of that name.
func Find(name string) (Library, error) {
	for _, l := range All {
		if l.Name == name {
			return l, nil
		}
	}
	return Library{}, fmt.Errorf("servers: no %q", name)
}

// allModes are for those that are not limited to some.
var allModes = []traffic.Mode{traffic.Plain, traffic.NoTakeover, traffic.Takeover12, traffic.Takeover15}

// messages are where messages are read to by libraries that give them as an
// io.Reader, while there is one.
var messages = sync.Pool{New: func() any {
	p := make([]byte, 0, 4<<10)
	return &p
}}

// deliver reads a message into pooled memory and tells of it.
func deliver(c Conn, r io.Reader, on Events) error {
	pooled := messages.Get().(*[]byte)
	defer messages.Put(pooled)
	p := (*pooled)[:0]
	for {
		if len(p) == cap(p) {
			p = append(p, 0)[:len(p)]
		}
		n, err := r.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err == io.EOF {
			*pooled = p
			return on.Message(c, p)
		} else if err != nil {
			return err
		}
	}
}
