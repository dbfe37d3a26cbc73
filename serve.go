package websocket

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
)

// A Server is an http.Handler that upgrades requests, serves each connection on a
// goroutine of its own, limits and counts connections, and ends them all in good order.
// An idle connection has a goroutine and its [Conn]; the request and the stack of the
// HTTP handler are given back.
//
// The fields must not be changed while the Server is in use, and it must not be copied.
// The methods may be called from any number of goroutines. The hooks are called by
// those of the connections, many at a time.
type Server struct {
	// Upgrader judges requests, answers those that are refused, by whatever rule, and
	// makes the connections. Nil means the zero Upgrader.
	Upgrader *Upgrader

	// Accept decides about a request that is a right opening handshake from an Origin
	// that may talk to us, and that no limit refuses. It returns the function that
	// serves the connection, which finds there what Accept has learned from the
	// request. That is called when the connection is there, on a goroutine of its own,
	// and must read, as in [Conn]. When it returns, the connection is closed with code
	// 1000, if nobody has closed it; the peer has five seconds to answer. One that a
	// [Keepalive] has found to be gone is closed without a close frame.
	//
	// The request's context has ended by then, as it does when a handler has returned:
	// what its values are good for outlives it by context.WithoutCancel(r.Context()).
	// Messages that a [SendQueue] has taken and not sent are lost when the function
	// returns, unless it calls [SendQueue.Flush].
	//
	// If Accept returns nil, the request is refused: with the response that Accept has
	// written, or with status 403 if it wrote none. On HTTP/1 the connection is closed
	// behind it. A response that Accept has written refuses the request whatever Accept returns;
	// Upgrader.Error does not see it. To flush w, use an http.ResponseController. Headers that Accept, or a middleware, has set on w go out with the
	// handshake, as those given to [Upgrader.Upgrade] do.
	Accept func(w http.ResponseWriter, r *http.Request) func(c *Conn)

	// MaxConns is the number of connections that there may be at a time, those whose
	// request is being accepted included. One more is refused with status 503. Zero
	// means no limit.
	MaxConns int

	// MaxConnsPerClient is the number of connections that one client may have at a
	// time. One more is refused with status 429. Zero means no limit. A connection
	// counts until its function has returned and its transport is closed, which may be a
	// moment after its peer has seen it close.
	MaxConnsPerClient int

	// ClientAddress names the client of a request, for MaxConnsPerClient. Nil means
	// the host of its RemoteAddr. Behind a reverse proxy, whose own address that is,
	// it has to be taken from a header that the proxy sets, and on a Unix socket, which has
	// no hosts, from something else; what a client can choose is no limit for it. One
	// client may well have 2⁶⁴ addresses of IPv6: where that counts, name their prefix.
	ClientAddress func(r *http.Request) string

	// OnOpen, if not nil, is called with each connection before the function that
	// serves it.
	OnOpen func(c *Conn)

	// OnClose, if not nil, is called with each connection when it is closed and the
	// function that served it has returned, with the last of its Stats, which are counted if
	// the Upgrader's CollectStats or Keepalive is set.
	OnClose func(c *Conn, stats Stats)

	// OnError, if not nil, is called with a *[PanicError] when OnOpen, the function that
	// serves the connection, or the Close of the transport has panicked, before OnClose.
	// Without it that panic ends the program, as others do. It is called, too, with the
	// error of the transport when a handshake could not be sent: OnOpen and OnClose never
	// see that connection. The connection is closed. Requests that are refused are seen by Upgrader.Error,
	// but for those that Accept has answered itself.
	OnError func(c *Conn, err error)

	conns connSet
}

// A PanicError is what Server.OnError is called with after a panic. The peer of a function
// that has panicked was sent close code 1011, if it took it within five seconds.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // of the goroutine, as debug.Stack formats it
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("websocket: panic while a connection was served: %v", e.Value)
}

// Unwrap returns Value, if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// ServeHTTP implements http.Handler. It returns when the connection was handed over to
// a goroutine, or the request refused.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if w == nil || r == nil {
		return // there is nobody to answer
	}
	if s == nil {
		s = new(Server)
	}
	u := s.Upgrader
	if u == nil {
		u = &Upgrader{}
	}
	client, admitted, handedOver := "", false, false
	defer func() {
		if handedOver {
			return
		}
		if r.ProtoMajor <= 1 { // a middleware may answer for a hook that has panicked
			w.Header().Set("Connection", "close")
		}
		s.conns.countRefusal()
		if admitted {
			s.conns.leave(nil, client)
		}
	}()
	key, no := u.judge(r)
	if no == nil {
		client, no = s.admit(r)
	}
	if no != nil {
		_ = u.refuse(w, r, no)
		return
	}
	admitted = true
	accepting := &acceptWriter{ResponseWriter: w}
	serve := s.Accept(accepting, r)
	switch {
	case accepting.wrote:
		return
	case serve == nil:
		_ = u.refuse(w, r, refuse(http.StatusForbidden, "websocket: Server.Accept refused the request"))
		return
	}
	c, err := u.upgrade(w, r, key, w.Header())
	if err != nil {
		if c != nil && s.OnError != nil {
			s.OnError(c, err)
		}
		return
	}
	switch s.conns.add(c) {
	case serverLeaving:
		c.startClose(CloseGoingAway, "")
	case serverClosed:
		c.cut()
	}
	handedOver = true
	go s.serve(c, client, serve)
}

// admit has a request count as a connection, unless there is a reason to refuse it.
func (s *Server) admit(r *http.Request) (client string, no *refusal) {
	if s.Accept == nil {
		return "", refuse(http.StatusInternalServerError, "websocket: a Server without Accept")
	}
	if s.MaxConnsPerClient > 0 {
		client = clientHost(r)
		if s.ClientAddress != nil {
			client = s.ClientAddress(r)
		}
	}
	return client, s.conns.enter(client, s.MaxConns, s.MaxConnsPerClient)
}

func clientHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// An acceptWriter is the ResponseWriter of Server.Accept. It sees whether a response is
// written, and has that end the connection: see [Upgrader.refuse].
type acceptWriter struct {
	http.ResponseWriter
	wrote bool
}

func (w *acceptWriter) refuse() {
	w.wrote = true
	w.Header().Set("Connection", "close") // HTTP/2 does not come here
}

func (w *acceptWriter) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols { // others are followed by the response
		w.refuse()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *acceptWriter) Write(p []byte) (int, error) {
	w.refuse()
	return w.ResponseWriter.Write(p)
}

// FlushError is what an http.ResponseController calls, and sends the header.
func (w *acceptWriter) FlushError() error {
	w.refuse()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *acceptWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// serve is the goroutine of a connection. What it has on its stack an idle connection
// has.
func (s *Server) serve(c *Conn, client string, serve func(*Conn)) {
	returned := false
	defer s.end(c, client, &returned)
	if s.OnOpen != nil {
		s.OnOpen(c)
	}
	serve(c)
	returned = true
}

// end is deferred by serve. If that did not return, a panic is under way, which goes on
// if nobody is to hear of it, or runtime.Goexit.
func (s *Server) end(c *Conn, client string, returned *bool) {
	code, failure := CloseNormalClosure, error(nil)
	if !*returned {
		code = CloseInternalServerErr
		if s.OnError != nil {
			if v := recover(); v != nil {
				failure = &PanicError{Value: v, Stack: debug.Stack()}
			}
		}
	}
	defer s.conns.leave(c, client)
	if s.OnClose != nil {
		defer func() { s.OnClose(c, c.Stats()) }() // whatever OnError does
	}
	if panicked := s.sayGoodbye(c, code); failure == nil {
		failure = panicked
	}
	if failure != nil {
		s.OnError(c, failure)
	}
}

// sayGoodbye closes a connection. If its transport panics, and somebody is to hear of
// that, it is returned.
func (s *Server) sayGoodbye(c *Conn, code int) (failure error) {
	if s.OnError != nil {
		defer func() {
			if v := recover(); v != nil {
				failure = &PanicError{Value: v, Stack: debug.Stack()}
				defer ignorePanic() // which may be another one
				_ = c.Close()
			}
		}()
	}
	if c.is(isSilent) { // the peer is gone, or sleeps: it shall not wake up to a close frame that says all is well
		_ = c.Close()
		return nil
	}
	_ = c.closeContext(context.Background(), code, "", false) // for closeWait at most
	return nil
}
