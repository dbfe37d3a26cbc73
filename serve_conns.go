package websocket

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// A serverState says how far a Server is on its way to its end. It only ever goes
// forward.
type serverState uint8

const (
	_             serverState = iota // open
	serverLeaving                    // Shutdown was called: nobody enters, all are sent 1001
	serverClosed                     // Close was called, or Shutdown's context ended: all are cut
)

// A connSet is what a Server knows of its connections. One enters as a request that is
// admitted, is added once it was upgraded, and leaves when it was served.
type connSet struct {
	mu sync.Mutex // guards the fields below; never held over I/O or user code

	state   serverState
	inside  int                // who entered and did not leave
	clients map[string]int     // of these, how many each client has, where that is limited
	open    map[*Conn]struct{} // of these, who was added
	idle    chan struct{}      // nil while the state is open; then closed once nobody is inside
	past    ServerStats        // what was counted so far, and the sums of the connections that left
}

// enter counts a request of the client's, or says why it may not be.
func (s *connSet) enter(client string, most, mostPerClient int) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != 0:
		return refuse(http.StatusServiceUnavailable, "websocket: the server is shutting down")
	case most > 0 && s.inside >= most:
		return refuse(http.StatusServiceUnavailable, "websocket: there are %d connections, as many as Server.MaxConns allows", s.inside)
	case mostPerClient > 0 && s.clients[client] >= mostPerClient:
		return refuse(http.StatusTooManyRequests, "websocket: %q has %d connections, as many as Server.MaxConnsPerClient allows", client, s.clients[client])
	}
	s.inside++
	if mostPerClient > 0 {
		if s.clients == nil {
			s.clients = map[string]int{}
		}
		s.clients[client]++
	}
	return nil
}

func (s *connSet) countRefusal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past.Refused++
}

// add tells what is to be done with a connection that came too late.
func (s *connSet) add(c *Conn) serverState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*Conn]struct{}{}
	}
	s.open[c] = struct{}{}
	s.past.Accepted++
	return s.state
}

// leave ends what enter has begun; c is nil if nothing was added.
func (s *connSet) leave(c *Conn, client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c != nil {
		delete(s.open, c)
		s.past.add(c.Stats())
	}
	if n := s.clients[client]; n > 1 {
		s.clients[client] = n - 1
	} else {
		delete(s.clients, client)
	}
	s.inside--
	if s.inside == 0 && s.idle != nil {
		close(s.idle) // once, since nobody enters any more
	}
}

// end takes the set to a state from which there is no way back. It returns the
// connections that are there, and what is closed once nobody is inside.
func (s *connSet) end(state serverState) (conns []*Conn, idle <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = max(s.state, state)
	if s.idle == nil {
		s.idle = make(chan struct{})
		if s.inside == 0 {
			close(s.idle)
		}
	}
	return slices.Collect(maps.Keys(s.open)), s.idle
}

func (s *connSet) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

// Shutdown ends the server in good order. Requests that come from now on are refused
// with status 503. Every connection is sent close code 1001 (going away), without
// waiting for any of them. Then Shutdown waits until every function that serves a
// connection has returned and its connection is closed, OnClose included. If ctx ends
// first, Shutdown closes what is left, as [Server.Close] does, and returns the context's
// error.
//
// A function that reads gets the peer's answer, a *[CloseError] with code 1001, or, if
// the peer does not answer, an error when ctx ends. One that waits for something else
// must be told by the program. A request that is being accepted while Shutdown begins
// still becomes a connection, is sent 1001 at once, and is waited for.
//
// http.Server.Shutdown knows nothing of these connections. To have it begin this, and to
// wait for both:
//
//	httpServer.RegisterOnShutdown(func() { _ = server.Shutdown(ctx) })
//	...
//	err := errors.Join(httpServer.Shutdown(ctx), server.Shutdown(ctx))
//
// That begins when httpServer.Shutdown is called, so ctx has to be there then, but not before.
// The close frame overtakes what a [SendQueue] holds: what is to arrive needs a [SendQueue.Flush]
// before. A function that serves a connection, and a hook, must not call Shutdown, which waits
// for them: start a goroutine there.
//
// Shutdown may be called any number of times, also at the same time. The server cannot
// be used again.
func (s *Server) Shutdown(ctx context.Context) error {
	switch {
	case ctx == nil:
		return errNoContext
	case s == nil:
		return nil
	}
	conns, idle := s.conns.end(serverLeaving)
	for _, c := range conns {
		c.startClose(CloseGoingAway, "")
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-idle: // so it was in time
		return nil
	default:
		s.Close()
		return ctx.Err()
	}
}

// Close closes every connection at once, without a close frame, and has requests refused
// from now on, as [Server.Shutdown] does. It waits neither for the transports, of which
// TLS may take five seconds to say goodbye, nor for the functions that serve the
// connections, whose reads and writes return errors. It may be called any number of
// times, also during Shutdown, which then waits for the functions only.
func (s *Server) Close() {
	if s == nil {
		return
	}
	conns, _ := s.conns.end(serverClosed)
	for _, c := range conns {
		c.cut()
	}
}

// cut closes a connection and waits for nothing.
func (c *Conn) cut() {
	go func() {
		defer c.recoverWrite() // of a panic of the program's transport
		_ = c.Close()
	}()
}

// Conns returns the connections that are open when the loop over it begins, in no
// particular order, from before OnOpen to after OnClose. They may close meanwhile.
func (s *Server) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		if s == nil {
			return
		}
		for _, c := range s.conns.all() {
			if !yield(c) {
				return
			}
		}
	}
}
