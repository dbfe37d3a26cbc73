package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

const (
	// maxResponseHead is how many bytes a server's response may take up to the
	// end of its header, informational responses before it included; and how
	// many a refusal's body may.
	maxResponseHead = 64 << 10

	// keptBody is how much of a refusal's body the caller gets to see.
	keptBody = 1024
)

var (
	errResponseHead = &DialError{DialTooLong, errors.New("websocket: the server's response header is over 64 KiB")}
	errResponseEnd  = &DialError{DialCut, fmt.Errorf("websocket: the server closed the connection before the end of its response: %w", io.ErrUnexpectedEOF)}
	errHTTP2        = &DialError{DialProtocol, errors.New("websocket: the server speaks HTTP/2, and was asked in HTTP/1.1")}
)

// A Dialer makes WebSocket connections to servers. Its fields must not be
// changed while it is in use; its methods may be called from any number of
// goroutines. The zero Dialer and a nil *Dialer are ready to use.
type Dialer struct {
	// NetDial makes the connection, if NetDialContext is nil. It cannot be told
	// that the context has ended: then its connection is closed as soon as it
	// is there.
	NetDial func(network, addr string) (net.Conn, error)

	// NetDialContext makes the connection: the network is "tcp", or "unix" with
	// the socket's path as the address. If it and NetDial are nil, a net.Dialer
	// does.
	NetDialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// NetDialTLSContext makes the connection for wss URLs, or to an https
	// proxy, the TLS handshake included; TLSClientConfig is not used then. If
	// it is nil, the connection is made as for ws URLs and TLS is done on top,
	// as it is inside of a proxy's tunnel.
	NetDialTLSContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// Proxy returns the proxy for a request, whose URL has the scheme http for
	// ws and https for wss. If it is nil or returns nil, there is none. The
	// schemes are http and https (by CONNECT), socks5 and socks5h; a user and
	// password in the URL are given to the proxy. A refusal of an HTTP proxy
	// is a *[ProxyError]. DefaultDialer asks the environment, by
	// http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)

	// TLSClientConfig is the configuration for wss URLs; nil is the default
	// one. It is cloned. An empty ServerName is set to the URL's host, and
	// "h2" is taken out of NextProtos.
	TLSClientConfig *tls.Config

	// HandshakeTimeout is how long the dial may take in all, from the first
	// look-up to the end of the opening handshake. Zero means 45 seconds.
	HandshakeTimeout time.Duration

	// ReadBufferSize is accepted and not used, see [Upgrader.ReadBufferSize].
	ReadBufferSize int

	// WriteBufferSize is as in [Upgrader].
	WriteBufferSize int

	// WriteBufferPool is as in [Upgrader].
	WriteBufferPool BufferPool

	// Subprotocols are offered to the server, in order of preference. The
	// dial fails if the server chooses another.
	Subprotocols []string

	// EnableCompression offers the server to have messages compressed, by
	// permessage-deflate (RFC 7692), each by itself. The default is not to.
	EnableCompression bool

	// Compression says more about compression, and turns it on, if it is not
	// nil.
	Compression *Compression

	// Jar holds the cookies that are sent, and stores the ones that come
	// back, from a refusal too. A Cookie header in the request replaces them.
	Jar http.CookieJar

	// MaxRedirects is how many redirects the dial follows: responses with
	// status 301, 302, 303, 307 or 308 and a Location. Zero means none, as
	// browsers have it. The one too many is returned as any response that is
	// no upgrade, with ErrBadHandshake. HandshakeTimeout is for all together.
	//
	// A Location may be relative, and may have the scheme http for ws and https
	// for wss. From wss to ws, to other schemes, or to a URL with a user is not
	// gone: the error is a *[DialError], and the response comes beside it. A
	// server on a Unix socket cannot redirect.
	//
	// Proxy and Jar are asked for each URL. Where the host or the port is
	// another one, the Authorization, Cookie, Cookie2, Host, Proxy-Authorization
	// and Www-Authenticate headers of the request are left out, and stay so for
	// the rest of the way; all others go along. A subdomain is another host: it
	// may be somebody else's, who is not to learn what the program tells the one
	// that it has named.
	MaxRedirects int

	// InsecureSkipUTF8Check is as in [Upgrader].
	InsecureSkipUTF8Check bool

	// WriteTimeout, Keepalive and CollectStats are as in [Upgrader].
	WriteTimeout time.Duration
	Keepalive    *Keepalive
	CollectStats bool
}

// DefaultDialer is a Dialer with all fields at their defaults.
var DefaultDialer = &Dialer{
	Proxy:            http.ProxyFromEnvironment,
	HandshakeTimeout: defaultHandshakeTimeout,
}

// NewClient does the opening handshake for u over netConn, by TLS for a wss URL.
// It uses no proxy, and closes netConn if it fails.
//
// Deprecated: use [Dialer.DialContext] with NetDialContext.
func NewClient(netConn net.Conn, u *url.URL, requestHeader http.Header, readBufSize, writeBufSize int) (c *Conn, response *http.Response, err error) {
	d := Dialer{
		ReadBufferSize:  readBufSize,
		WriteBufferSize: writeBufSize,
		NetDialContext:  func(context.Context, string, string) (net.Conn, error) { return netConn, nil },
	}
	if u == nil {
		u = &url.URL{}
	}
	c, response, err = d.Dial(u.String(), requestHeader)
	if err != nil && netConn != nil {
		_ = netConn.Close() // what failed before netConn was asked for did not
	}
	return c, response, err
}

// Dial is [Dialer.DialContext] with the background context.
func (d *Dialer) Dial(urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	return d.DialContext(context.Background(), urlStr, requestHeader)
}

// DialContext connects to the server at a ws or wss URL. The request header
// may hold what is to be sent beside the handshake's own headers, such as
// Origin and Cookie; its names go out as they are spelled, and Host replaces
// the URL's host.
//
// A server on a Unix socket has a URL as ws+unix:///run/chat.sock:/room?id=1: the
// path of the socket up to the first colon, in which a colon is written %3A, and
// then what is asked for, / if nothing is. The Host header is localhost. There is
// no TLS, and neither Proxy nor Jar is asked.
//
// The context and HandshakeTimeout bound every step of the dial. Once it has
// returned, the context has no influence on the connection.
//
// If the server answers, but not as RFC 6455 §4.1 asks, the error is
// [ErrBadHandshake] itself, and the response comes with the first 1,024 bytes
// of its body, which need not be closed. If the context ended while that body
// was awaited, the error is the context's, and the response comes with what
// there is of it.
//
// If there is no response, the error is a *[DialError], or one of the types
// that it names.
func (d *Dialer) DialContext(ctx context.Context, urlStr string, requestHeader http.Header) (*Conn, *http.Response, error) {
	if d == nil {
		d = DefaultDialer
	}
	if ctx == nil {
		return nil, nil, errNoContext
	}
	hs, err := d.newHandshake(urlStr, requestHeader)
	if err != nil {
		return nil, nil, err
	}
	timeout := d.HandshakeTimeout
	if timeout <= 0 {
		timeout = defaultHandshakeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for left := d.MaxRedirects; ; left-- {
		c, response, err := d.attempt(ctx, hs)
		if err != ErrBadHandshake || left <= 0 {
			return c, response, err
		}
		if hs, err = d.redirect(hs, response); err != nil {
			return nil, response, err
		}
	}
}

// attempt connects to one server and does the handshake with it.
func (d *Dialer) attempt(ctx context.Context, hs *clientHandshake) (*Conn, *http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err // not every dial function looks
	}
	hs.request = hs.request.WithContext(ctx)

	netConn, err := d.connect(ctx, hs)
	if err != nil {
		return nil, nil, orContext(ctx, err)
	}
	stop := closeOnEnd(ctx, netConn)
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: netConn})
	}
	c, response, err := d.upgrade(netConn, hs)
	if err != nil {
		_ = netConn.Close() // no longer than the context lasts
	}
	if !stop() {
		if err == nil { // just too late
			_ = c.Close()
			response = nil
		}
		return nil, response, orContext(ctx, err)
	}
	if err != nil {
		return nil, response, err
	}
	// A deadline that the dial function left is none of the connection's. A
	// transport that has no deadlines does without.
	_ = netConn.SetDeadline(time.Time{})
	return c, response, nil
}

// closeOnEnd has the end of the context end what is done over conn, by closing
// it, which no net.Conn can ignore. Below TLS, whose Close says goodbye first
// and takes its time for that.
func closeOnEnd(ctx context.Context, conn net.Conn) (stop func() bool) {
	lowest := belowTLS(conn)
	return context.AfterFunc(ctx, func() {
		defer ignorePanic()
		defer func() { _ = lowest.Close() }()
		_ = lowest.SetDeadline(aLongTimeAgo)
	})
}

// orContext is the reason for a failure: the end of the context, if it ended.
// A transport that was told the context's deadline may notice it first.
func orContext(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return err
}

// upgrade does the opening handshake over netConn.
func (d *Dialer) upgrade(netConn net.Conn, hs *clientHandshake) (*Conn, *http.Response, error) {
	if err := hs.request.Write(netConn); err != nil {
		return nil, nil, err
	}
	head := &headReader{r: netConn, left: maxResponseHead}
	br := bufio.NewReader(head)
	if trace := httptrace.ContextClientTrace(hs.request.Context()); trace != nil && trace.GotFirstResponseByte != nil {
		if _, err := br.Peek(1); err == nil {
			trace.GotFirstResponseByte()
		}
	}
	response, err := readResponse(br, hs.request)
	if err != nil {
		return nil, nil, head.explain(err)
	}
	if d.Jar != nil && hs.socket == "" {
		if cookies := response.Cookies(); len(cookies) > 0 {
			d.Jar.SetCookies(hs.request.URL, cookies)
		}
	}
	subprotocol, compression, err := checkResponse(response.StatusCode, response.Header, hs.key, hs.offered, hs.compression)
	if err != nil {
		head.left = maxResponseHead // the body is in chunks, of one byte at worst
		body := make([]byte, keptBody)
		n, _ := io.ReadFull(response.Body, body)
		response.Body = io.NopCloser(bytes.NewReader(body[:n]))
		return nil, response, ErrBadHandshake
	}
	response.Body = http.NoBody
	buffered, _ := br.Peek(br.Buffered())
	return newConn(netConn, connOptions{
		skipUTF8:     d.InsecureSkipUTF8Check,
		subprotocol:  subprotocol,
		writeOptions: newWriteOptions(d.WriteBufferSize, d.WriteBufferPool, compression),
		compression:  compression,
		buffered:     buffered,
		writeTimeout: d.WriteTimeout,
		keepalive:    d.Keepalive,
		collectStats: d.CollectStats,
	}), response, nil
}

// readResponse reads the server's response, past informational ones (RFC 9110
// §15.2).
func readResponse(br *bufio.Reader, r *http.Request) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(br, r)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
}

// A headReader reads no more than left bytes: as many as a response's header
// may have, and the bytes that a bufio.Reader takes beyond it.
type headReader struct {
	r     io.Reader
	left  int64
	err   error                // the last one that Read returned
	first [frameHeadHTTP2]byte // what came first
	seen  int                  // how much of that
}

func (h *headReader) Read(p []byte) (n int, err error) {
	if h.left <= 0 {
		h.err = errResponseHead
		return 0, h.err
	}
	n, h.err = h.r.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	if h.seen < len(h.first) {
		h.seen += copy(h.first[h.seen:], p[:n])
		if isSettings(h.first[:h.seen]) { // at once: there may never be a line's end
			n, h.err = 0, errHTTP2
		}
	}
	return n, h.err
}

// frameHeadHTTP2 is the length of a frame's header in HTTP/2, RFC 9113 §4.1.
const frameHeadHTTP2 = 9

// isSettings reports whether a server has begun with HTTP/2's SETTINGS frame, as
// it must (RFC 9113 §3.4): of less than 64 KiB, the type 4, on stream 0. A response
// of HTTP/1 begins with a letter.
func isSettings(b []byte) bool {
	return len(b) == frameHeadHTTP2 && b[0] == 0 && b[3] == 4 && string(b[5:]) == "\x00\x00\x00\x00"
}

// explain is why no response could be read, of which parsing made err. If the
// bytes ended too early, that is the reason, and not what their last line looks
// like. Otherwise err quotes the server, of which a little is enough.
func (h *headReader) explain(err error) error {
	switch h.err {
	case nil:
		return &DialError{DialProtocol, fmt.Errorf("websocket: malformed response: %.200s", err.Error())}
	case io.EOF:
		return errResponseEnd
	}
	return h.err
}
