package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"net/url"
	"slices"

	"golang.org/x/net/http/httpguts"
)

var (
	errNoNetConn = errors.New("websocket: the dial function returned neither a connection nor an error")
	errTLSEnd    = &DialError{DialCut, fmt.Errorf("websocket: the server closed the connection during the TLS handshake: %w", io.ErrUnexpectedEOF)}
	errALPN      = &DialError{DialProtocol, errors.New("websocket: TLS was negotiated for HTTP/2, which has no upgrade: NetDialTLSContext must not offer h2")}
)

// What failed, as a [DialError] has it.
const (
	// DialRequest: the URL, a header or an option is not one that can be sent.
	// Nothing was dialed. What url.Parse cannot read is its own *url.Error.
	DialRequest = "request"

	// DialProxy: the proxy's URL cannot be used, or the proxy's answer to
	// CONNECT cannot be read. A refusal that can is a *[ProxyError].
	DialProxy = "proxy"

	// DialProtocol: what the server sent is no response of HTTP/1.1. It may
	// speak HTTP/2, or something else altogether.
	DialProtocol = "protocol"

	// DialTooLong: the header of the server's response is over 64 KiB.
	DialTooLong = "too long"

	// DialCut: the server's bytes ended before the header of its response
	// did. errors.Is(err, io.ErrUnexpectedEOF) is true.
	DialCut = "cut"

	// DialRedirect: the server's response, which comes beside the error, leads
	// to where [Dialer.MaxRedirects] does not go.
	DialRedirect = "redirect"
)

// A DialError is returned by the Dialer when the server's response does not say
// why the dial failed, nor does another type: *net.OpError, *[ProxyError], the
// errors of crypto/tls and context. It may be shared between dials and must not
// be changed.
type DialError struct {
	// Reason is one of the constants above: DialCut, for example.
	Reason string

	// Err has the details.
	Err error
}

func (e *DialError) Error() string {
	if e.Err == nil {
		return "websocket: dial: " + e.Reason
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *DialError) Unwrap() error { return e.Err }

// connect makes the connection that the handshake goes over.
func (d *Dialer) connect(ctx context.Context, hs *clientHandshake) (net.Conn, error) {
	network, address, err := hs.address()
	if err != nil {
		return nil, err
	}
	var through *url.URL
	if d.Proxy != nil && network != "unix" {
		if through, err = d.Proxy(hs.request); err != nil {
			return nil, err
		}
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(address)
	}
	overTLS := hs.request.URL.Scheme == "https"
	var conn net.Conn
	switch {
	case through != nil:
		conn, err = d.dialThrough(ctx, through, address)
	case overTLS && d.NetDialTLSContext != nil:
		conn, err = d.dialTLS(ctx, address)
		overTLS = false
	default:
		conn, err = dialed(d.dial(ctx, network, address))
	}
	if err == nil && overTLS {
		conn, err = startTLS(ctx, conn, d.tlsConfig(address), trace, errTLSEnd)
	}
	return conn, err
}

// address is where the server is, as the network wants it.
func (hs *clientHandshake) address() (network, address string, err error) {
	if hs.socket != "" {
		return "unix", hs.socket, nil
	}
	address, err = dialAddress(hs.request.URL)
	if err != nil {
		return "", "", &DialError{DialRequest, err}
	}
	return "tcp", address, nil
}

// dialAddress is the host and port of a URL, as the network wants them.
func dialAddress(u *url.URL) (string, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return httpguts.PunycodeHostPort(net.JoinHostPort(u.Hostname(), port))
}

func (d *Dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch {
	case d.NetDialContext != nil:
		return d.NetDialContext(ctx, network, address)
	case d.NetDial != nil:
		return dialWithout(ctx, d.NetDial, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// dialTLS has the program make a connection over TLS. A configuration that it
// shares with net/http may have offered HTTP/2.
func (d *Dialer) dialTLS(ctx context.Context, address string) (net.Conn, error) {
	conn, err := dialed(d.NetDialTLSContext(ctx, "tcp", address))
	if over, ok := conn.(*tls.Conn); ok && err == nil && over.ConnectionState().NegotiatedProtocol == "h2" {
		_ = belowTLS(conn).Close() // without a goodbye, which may take its time
		return nil, errALPN
	}
	return conn, err
}

// dialed is the result of a dial function, which may be the program's.
func dialed(conn net.Conn, err error) (net.Conn, error) {
	if err == nil && conn == nil {
		err = errNoNetConn
	}
	return conn, err
}

// dialWithout calls a dial function that knows no context, and does not wait
// for it longer than the context lasts.
func dialWithout(ctx context.Context, dial func(network, addr string) (net.Conn, error), network, address string) (net.Conn, error) {
	type result struct {
		conn     net.Conn
		err      error
		panicked any
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panicked = recover() // it is the caller's to see
			done <- r
		}()
		r.conn, r.err = dial(network, address)
	}()
	select {
	case r := <-done:
		if r.panicked != nil {
			panic(r.panicked)
		}
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			defer ignorePanic()
			if r := <-done; r.conn != nil {
				_ = r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// tlsConfig is the configuration for TLS to address.
func (d *Dialer) tlsConfig(address string) *tls.Config {
	config := &tls.Config{}
	if d.TLSClientConfig != nil {
		config = d.TLSClientConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address) // in ASCII, as in certificates
	}
	// A server that may choose HTTP/2 does, and that is no language for the
	// handshake of RFC 6455.
	config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(p string) bool { return p == "h2" })
	return config
}

// startTLS does the TLS handshake on conn, or closes it. ended is the error if the peer ends
// the stream, of which crypto/tls says no more than io.EOF.
func startTLS(ctx context.Context, conn net.Conn, config *tls.Config, trace *httptrace.ClientTrace, ended error) (net.Conn, error) {
	tlsConn := tls.Client(conn, config)
	stop := closeOnEnd(ctx, conn) // and on a panic of the program's hooks, which ends the context
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	err := tlsConn.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(tlsConn.ConnectionState(), err)
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = ended
	}
	if err != nil {
		_ = conn.Close() // no longer than the context lasts
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return tlsConn, nil
}
