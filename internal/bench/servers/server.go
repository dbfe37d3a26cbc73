// Package servers has WebSocket libraries as servers, each used as its
// documentation calls fastest, with the same behaviour: messages come in and go
// out, and with compression all of them are compressed, however small. One file
// is one library.
package servers

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A Kind is the type of a message; the number is its opcode's (RFC 6455 §5.2).
type Kind int

// The kinds.
const (
	Text   Kind = 1
	Binary Kind = 2
)

// A Conn is a connection of whatever library.
type Conn interface {
	// Send sends a message. p is the caller's again once it returns.
	Send(kind Kind, p []byte) error
}

// Events are what a server tells of its connections. Those of one connection
// come one after the other.
type Events struct {
	Opened  func(Conn)
	Message func(c Conn, kind Kind, p []byte) error // p is valid until it returns; an error ends the connection
	Closed  func(Conn, error)
}

// A Place is where the goroutine of a connection is.
type Place string

// The places.
const (
	Fastest   Place = ""             // wherever the library is fastest
	InHandler Place = "in handler"   // the request's handler does not return before the connection's end
	Returned  Place = "has returned" // the handler returns, and leaves net/http nothing to keep
)

// A Style is how a server is to be.
type Style struct {
	Mode      traffic.Mode
	CheckText bool // text that is not UTF-8 ends the connection, if the library can do that
	Place     Place
	TLS       *tls.Config `json:"-"` // for net/http, or nil
}

// A Library makes servers. It has a Handler, or brings its own listener.
type Library struct {
	Name  string
	Modes []traffic.Mode // that it can do

	// Lax libraries take text for what it is, and do not check it.
	Lax bool

	// Exclusive libraries allow one writer of a connection at a time.
	Exclusive bool

	// Without are the places that its connections cannot have.
	Without []Place

	// WithoutTLS are those that are not used with it here.
	WithoutTLS bool

	// Handler upgrades requests. It returns while the connection goes on, unless
	// its place is in the handler.
	Handler func(Style, Events) http.Handler

	// Own, if there is no Handler, listens on the loopback.
	Own func(Style, Events) (address string, err error)

	// Broadcast sends a binary message to all, in the way that the library has
	// for it. If it has none, each is sent it.
	Broadcast func(to []Conn, p []byte) error
}

var (
	// Compressing are the libraries of which compression is measured, in the order
	// in which they are.
	Compressing = []Library{oursOwn, oursDense, gorilla, coder, gws}

	// All are all libraries, in the order in which their speed is measured: the last
	// is the limit that they have.
	All = []Library{ours, gorilla, coder, gobwas, gws, nbio, xnet, bare}

	// Limits are what others are compared with.
	Limits = []Library{bare, hijack}
)

// Find returns the library of that name in one of the lists.
func Find(name string, lists ...[]Library) (Library, error) {
	for _, list := range lists {
		for _, l := range list {
			if l.Name == name {
				return l, nil
			}
		}
	}
	return Library{}, fmt.Errorf("servers: no %q", name)
}

// Listen has the library serve on a port of the loopback, for as long as the
// process lives.
func (l Library) Listen(style Style, on Events) (address string, err error) {
	if l.Own != nil {
		return l.Own(style, on)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: l.Handler(style, on), TLSConfig: style.TLS}
	if style.TLS != nil {
		go server.ServeTLS(listener, "", "")
	} else {
		go server.Serve(listener)
	}
	return listener.Addr().String(), nil
}

// SendAll broadcasts.
func (l Library) SendAll(to []Conn, p []byte) error {
	if l.Broadcast != nil {
		return l.Broadcast(to, p)
	}
	for _, c := range to {
		if err := c.Send(Binary, p); err != nil {
			return err
		}
	}
	return nil
}

// run runs a connection's loop at its place.
func (s Style) run(loop func()) {
	if s.Place == InHandler {
		loop()
	} else {
		go loop()
	}
}

// allModes are for those that are not limited to some.
var allModes = []traffic.Mode{traffic.Plain, traffic.NoTakeover, traffic.Takeover12, traffic.Takeover15}
