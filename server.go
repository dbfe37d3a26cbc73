package websocket

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

// errNoRequest is a mistake of the caller.
var errNoRequest = HandshakeError{"websocket: Upgrade was called with nil: use the ResponseWriter and the Request of an http.Handler"}

// defaultHandshakeTimeout stands for a HandshakeTimeout of zero.
const defaultHandshakeTimeout = 45 * time.Second

// An Upgrader turns HTTP requests into WebSocket connections. Its fields must
// not be changed while it is in use; its methods may be called from any number
// of goroutines. The zero Upgrader and a nil *Upgrader are ready to use.
type Upgrader struct {
	// HandshakeTimeout is how long writing the response may take. Zero means
	// 45 seconds.
	HandshakeTimeout time.Duration

	// ReadBufferSize is accepted and not used: a connection reads into 16 KiB
	// that it holds only while bytes are in hand.
	ReadBufferSize int

	// WriteBufferSize is the number of payload bytes that a writer of
	// NextWriter gathers before it sends a fragment. Less than 16 KiB means
	// 16 KiB. WriteMessage does not depend on it.
	WriteBufferSize int

	// WriteBufferPool, if not nil, is where the writers of NextWriter get
	// their buffers from, each for as long as the writer is open, in place of
	// the library's own pool. Use one pool for each WriteBufferSize: a buffer
	// from a smaller one makes more fragments.
	WriteBufferPool BufferPool

	// Subprotocols are the server's, in order of preference: the first that
	// the client offers is chosen. If it is nil, the Sec-WebSocket-Protocol in
	// the response header given to Upgrade is sent, provided it was offered.
	Subprotocols []string

	// Error writes the response to a request that is not upgraded. If it is
	// nil, the status text is the body. On HTTP/1 the connection is closed
	// after the response, by the Connection header that is set already: what
	// the client has sent behind its request must not be taken for another
	// one, so an Error that calls WriteHeader must leave that header alone.
	// The reason is a HandshakeError.
	Error func(w http.ResponseWriter, r *http.Request, status int, reason error)

	// CheckOrigin reports whether the request's Origin header is acceptable.
	// If it is nil, a request is refused with status 403 if its Origin differs
	// from its Host in host or port, or is http where the request came by TLS.
	// A request without an Origin does not come from a browser and passes.
	CheckOrigin func(r *http.Request) bool

	// EnableCompression lets clients have messages compressed, by
	// permessage-deflate (RFC 7692), each by itself. The default is not to.
	EnableCompression bool

	// Compression says more about compression, and turns it on, if it is not
	// nil.
	Compression *Compression

	// InsecureSkipUTF8Check takes text messages as they are, valid UTF-8 or
	// not, against RFC 6455 §8.1.
	InsecureSkipUTF8Check bool

	// WriteTimeout is how long the next 256 KiB of a write (64 KiB on a client that does not
	// compress) may take, as long as [Conn.SetWriteDeadline] was not called. Zero means 30
	// seconds, less means that there is no limit.
	WriteTimeout time.Duration

	// Keepalive, if not nil, finds out whether the peers are still there.
	Keepalive *Keepalive

	// CollectStats has the traffic counted, for [Conn.Stats].
	CollectStats bool
}

// Upgrade answers the opening handshake in r and returns the connection. The
// response header may hold what is to be sent beside the handshake's own
// headers, such as Set-Cookie. Upgrade, Connection, Sec-WebSocket-Accept, Content-Length
// and Transfer-Encoding in it are left out; Sec-WebSocket-Extensions, or an invalid name or value, is refused
// with status 500.
//
// If the request cannot be upgraded, Upgrade writes a response with an HTTP
// error status and returns a [HandshakeError]. If writing the handshake fails,
// the transport's error is returned. Deadlines that the http.Server had set on
// the connection are cleared, and bytes that the client has sent already are
// not lost. The handler may return while the connection is in use; then it
// costs less memory, and the request's context ends. A request over HTTP/2 or HTTP/3
// (RFC 8441, RFC 9220) is refused.
func (u *Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header) (*Conn, error) {
	if w == nil || r == nil {
		return nil, errNoRequest
	}
	if u == nil {
		u = &Upgrader{}
	}
	key, no := u.judge(r)
	if no != nil {
		return nil, u.refuse(w, r, no)
	}
	c, err := u.upgrade(w, r, key, responseHeader)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// judge looks at what the client says, its opening handshake and Origin, and returns
// the key to answer.
func (u *Upgrader) judge(r *http.Request) (key string, no *refusal) {
	key, no = checkRequest(r)
	if no != nil {
		return "", no
	}
	checkOrigin := u.CheckOrigin
	if checkOrigin == nil {
		checkOrigin = checkSameOrigin
	}
	if !checkOrigin(r) {
		return "", refuse(http.StatusForbidden, "websocket: request origin not allowed by Upgrader.CheckOrigin")
	}
	return key, nil
}

// upgrade answers a request that was judged to be right. If the answer cannot be sent,
// the connection comes beside the error, closed.
func (u *Upgrader) upgrade(w http.ResponseWriter, r *http.Request, key string, responseHeader http.Header) (*Conn, error) {
	if err := checkResponseHeader(responseHeader); err != nil {
		return nil, u.refuse(w, r, &refusal{http.StatusInternalServerError, err.Error()})
	}
	compression, err := u.Compression.withDefaults(u.EnableCompression)
	if err != nil {
		return nil, u.refuse(w, r, &refusal{http.StatusInternalServerError, err.Error()})
	}
	conn, buffered, err := hijack(w)
	if err != nil {
		return nil, u.refuse(w, r, &refusal{http.StatusInternalServerError, err.Error()})
	}
	subprotocol := selectSubprotocol(u.Subprotocols, Subprotocols(r), responseHeader)
	extensions, compression := compression.acceptOffer(r.Header["Sec-Websocket-Extensions"])
	c := newConn(conn, connOptions{
		server:       true,
		skipUTF8:     u.InsecureSkipUTF8Check,
		subprotocol:  subprotocol,
		writeOptions: newWriteOptions(u.WriteBufferSize, u.WriteBufferPool, compression),
		compression:  compression,
		buffered:     buffered,
		writeTimeout: u.WriteTimeout,
		keepalive:    u.Keepalive,
		collectStats: u.CollectStats,
	})
	buf := bufpool.Get(bufpool.Size)
	defer bufpool.Put(buf)
	err = errTransportPanicked
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	err = u.respond(c.transport, appendResponse(buf.Data[:0], key, subprotocol, extensions, responseHeader))
	return c, err
}

// Upgrade is [Upgrader.Upgrade] without a check of the Origin, which is left to
// the caller, and without a response to a request that cannot be upgraded; the
// headers that such a response should have, Connection: close among them, are set
// on w.
//
// Deprecated: use an [Upgrader].
func Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header, readBufSize, writeBufSize int) (*Conn, error) {
	u := Upgrader{
		ReadBufferSize:  readBufSize,
		WriteBufferSize: writeBufSize,
		Error:           func(http.ResponseWriter, *http.Request, int, error) {},
		CheckOrigin:     func(*http.Request) bool { return true },
	}
	return u.Upgrade(w, r, responseHeader)
}

// respond sends the handshake and leaves no deadline behind.
func (u *Upgrader) respond(t transport, response []byte) error {
	// A transport that has no deadlines does without.
	_ = t.SetDeadline(time.Time{})
	n := t.seam.tryWrite(response)
	if n == len(response) {
		return nil
	}
	timeout := u.HandshakeTimeout
	if timeout <= 0 {
		timeout = defaultHandshakeTimeout
	}
	_ = t.SetWriteDeadline(time.Now().Add(timeout))
	_, err := t.Write(response[n:])
	_ = t.SetWriteDeadline(time.Time{})
	return err
}

// refuse answers a request that is not upgraded. What the client sends behind
// it must not be taken for another request, so the connection is closed, on
// HTTP/1 where that can be said.
func (u *Upgrader) refuse(w http.ResponseWriter, r *http.Request, no *refusal) error {
	err := HandshakeError{no.reason}
	h := w.Header()
	h.Set("Sec-Websocket-Version", "13")
	switch no.status {
	case http.StatusUpgradeRequired:
		h.Set("Upgrade", "websocket") // RFC 9110 §15.5.22
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet) // RFC 9110 §15.5.6
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "10") // seconds, RFC 9110 §10.2.3
	}
	closes := r.ProtoMajor <= 1
	if closes {
		h.Set("Connection", "close")
		defer h.Set("Connection", "close") // whatever Error made of it
	}
	if u.Error != nil {
		u.Error(w, r, no.status, err)
	} else {
		http.Error(w, http.StatusText(no.status), no.status)
	}
	return err
}

func checkSameOrigin(r *http.Request) bool {
	origin := r.Header["Origin"]
	return len(origin) == 0 || sameOrigin(origin[0], r.Host, r.TLS != nil)
}

// hijack takes the connection over from the HTTP server, through wrappers of
// the ResponseWriter that have an Unwrap method, together with the bytes that
// the client sent behind its request.
func hijack(w http.ResponseWriter) (conn net.Conn, buffered []byte, err error) {
	conn, brw, err := http.NewResponseController(w).Hijack()
	switch {
	case errors.Is(err, http.ErrNotSupported):
		return nil, nil, fmt.Errorf("websocket: %T does not implement http.Hijacker", innermost(w))
	case err != nil:
		return nil, nil, fmt.Errorf("websocket: hijacking the connection: %w", err)
	case conn == nil:
		return nil, nil, fmt.Errorf("websocket: Hijack of %T returned no connection", w)
	}
	if brw == nil {
		return conn, nil, nil
	}
	if brw.Reader != nil {
		buffered = make([]byte, brw.Reader.Buffered())
		_, _ = io.ReadFull(brw.Reader, buffered) // they are there
	}
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn, *tls.Conn:
		// Their memory is let go, even if the handler does not return. A
		// connection of the program's may read through them.
		if brw.Reader != nil {
			*brw.Reader = bufio.Reader{}
		}
		if brw.Writer != nil {
			*brw.Writer = bufio.Writer{}
		}
	}
	return conn, buffered, nil
}

// innermost is the ResponseWriter that the wrappers around it end in.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}
