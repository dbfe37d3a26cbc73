// Package chat is a chat room: what one guest says, all guests hear.
//
// One goroutine, Room.Run, knows who is there. Each guest has two more: one
// reads from the connection, the other is the only one that writes messages to
// it, pings included.
package chat

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// A Config says what a room expects of its guests.
type Config struct {
	PingEvery  time.Duration // must be less than PongWait
	PongWait   time.Duration // how long a guest may be silent
	WriteWait  time.Duration // how long a guest may not take what it is sent
	MaxMessage int64         // in bytes
	History    int           // how many messages a newcomer hears at once
	Backlog    int           // how many messages may wait for a guest that is slow

	// Left, if not nil, is told of each guest that has gone.
	Left func(Departure)
}

// A Departure is how a guest left.
type Departure struct {
	Err        error
	Code       int  // of the close frame; 0 if the reason is none
	Unexpected bool // the connection was closed, and not in one of the polite ways
	Timeout    bool
	TooLong    bool // a message was
}

// A Room is an http.Handler, to which guests come by WebSocket.
type Room struct {
	config     Config
	upgrader   websocket.Upgrader
	register   chan *guest
	leave      chan *guest // wants to hear no more
	unregister chan *guest // has gone
	broadcast  chan []byte
	closed     chan struct{} // when Run has returned
}

// NewRoom returns a room in which nothing happens until it is Run.
func NewRoom(config Config) *Room {
	return &Room{
		config:     config,
		upgrader:   websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024},
		register:   make(chan *guest),
		leave:      make(chan *guest),
		unregister: make(chan *guest),
		broadcast:  make(chan []byte),
		closed:     make(chan struct{}),
	}
}

// Run passes messages on until the context ends. Then it sends all guests away
// and returns when they have gone.
func (r *Room) Run(ctx context.Context) {
	defer close(r.closed)
	guests := map[*guest]bool{} // true while the guest is sent messages
	var history [][]byte
	dismiss := func(g *guest, goodbye []byte) {
		if guests[g] {
			guests[g] = false
			g.goodbye = goodbye
			close(g.out)
		}
	}
	closing, end := false, ctx.Done()
	for !closing || len(guests) > 0 {
		select {
		case g := <-r.register:
			guests[g] = true
			for _, m := range history {
				g.out <- m // there is room for so many
			}
			if closing {
				dismiss(g, websocket.FormatCloseMessage(websocket.CloseGoingAway, "closing time"))
			}
			close(g.welcome)
		case g := <-r.leave:
			dismiss(g, []byte{})
		case g := <-r.unregister:
			dismiss(g, nil)
			delete(guests, g)
		case m := <-r.broadcast:
			if history = append(history, m); len(history) > r.config.History {
				history = history[1:]
			}
			for g, open := range guests {
				if !open {
					continue
				}
				select {
				case g.out <- m:
				default:
					dismiss(g, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "too slow"))
				}
			}
		case <-end:
			closing, end = true, nil
			for g := range guests {
				dismiss(g, websocket.FormatCloseMessage(websocket.CloseGoingAway, "closing time"))
			}
		}
	}
}

// ServeHTTP lets a guest in and returns when it has left.
func (r *Room) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	conn, err := r.upgrader.Upgrade(w, req, nil)
	if err != nil {
		return // the client was told
	}
	g := &guest{
		room:    r,
		conn:    conn,
		out:     make(chan []byte, r.config.History+r.config.Backlog),
		welcome: make(chan struct{}),
	}
	select {
	case r.register <- g:
	case <-r.closed:
		_ = conn.Close()
		return
	}
	<-g.welcome
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		g.writePump()
	}()
	err = g.readPump()
	_ = conn.Close()
	if r.config.Left != nil {
		r.config.Left(departure(err))
	}
	r.unregister <- g
	<-wrote
}

func departure(err error) Departure {
	d := Departure{Err: err, TooLong: err == websocket.ErrReadLimit}
	d.Unexpected = websocket.IsUnexpectedCloseError(err,
		websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived)
	if e, ok := err.(*websocket.CloseError); ok {
		d.Code = e.Code
	}
	if e, ok := err.(net.Error); ok {
		d.Timeout = e.Timeout()
	}
	return d
}
