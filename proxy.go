package websocket

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"

	"golang.org/x/net/proxy"
)

var (
	errProxyHost = proxyError("the proxy's URL has no host")
	errProxyHead = proxyError("the proxy's response header is over 64 KiB")
	errProxyEnd  = proxyError("the proxy closed the connection before it answered: %w", io.ErrUnexpectedEOF)
)

func proxyError(format string, args ...any) *DialError {
	return &DialError{DialProxy, fmt.Errorf("websocket: "+format, args...)}
}

// A ProxyError is returned by the Dialer when an HTTP proxy refuses to connect
// it to the server.
type ProxyError struct {
	// StatusCode is the code of the proxy's answer to CONNECT, for example 407.
	StatusCode int

	// Status is the code and its text, as the proxy has it.
	Status string
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf("websocket: the proxy refused to connect: %.200s", e.Status)
}

// dialThrough makes a connection to address that leads through a proxy: by
// CONNECT to an HTTP proxy, in the clear (http) or over TLS (https), or by
// SOCKS5 (socks5, socks5h), for which the proxy looks up the name.
func (d *Dialer) dialThrough(ctx context.Context, through *url.URL, address string) (net.Conn, error) {
	address = withoutZone(address)
	var ask func(conn net.Conn) error
	switch through.Scheme {
	case "http", "https":
		ask = func(conn net.Conn) error { return connectThrough(conn, through.User, address) }
	case "socks5", "socks5h":
		ask = func(conn net.Conn) error { return socksThrough(ctx, conn, through, address) }
	default:
		return nil, proxyError("a proxy with the scheme %q is not supported", through.Scheme)
	}
	conn, err := d.dialProxy(ctx, through)
	if err != nil {
		return nil, err
	}
	stop := closeOnEnd(ctx, conn)
	err = ask(conn)
	if err != nil {
		_ = conn.Close() // no longer than the context lasts
	}
	if !stop() {
		return nil, orContext(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// withoutZone takes the zone out of an IPv6 address: it means something on this
// machine only, so a proxy must not get it (RFC 6874 §4).
func withoutZone(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() != "" {
		return net.JoinHostPort(ip.WithZone("").String(), port)
	}
	return address
}

// dialProxy makes the connection to the proxy itself.
func (d *Dialer) dialProxy(ctx context.Context, through *url.URL) (net.Conn, error) {
	if through.Hostname() == "" {
		return nil, errProxyHost // it would be this machine
	}
	address, err := dialAddress(through)
	if err != nil {
		return nil, proxyError("%w", err)
	}
	if through.Scheme != "https" {
		return dialed(d.dial(ctx, "tcp", address))
	}
	if d.NetDialTLSContext != nil {
		return d.dialTLS(ctx, address)
	}
	conn, err := dialed(d.dial(ctx, "tcp", address))
	if err != nil {
		return nil, err
	}
	config := d.tlsConfig(address)
	config.ServerName, _, _ = net.SplitHostPort(address) // the user's is the server's
	config.EncryptedClientHelloConfigList = nil          // so are these keys
	config.NextProtos = nil
	return startTLS(ctx, conn, config, nil, errProxyEnd)
}

// connectThrough asks an HTTP proxy for a tunnel, RFC 9110 §9.3.6.
func connectThrough(conn net.Conn, user *url.Userinfo, address string) error {
	request := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Opaque: address},
		Host:   address,
		Header: http.Header{},
	}
	if user != nil {
		password, _ := user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		request.Header.Set("Proxy-Authorization", "Basic "+credentials) // RFC 7617
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	for left := maxResponseHead; ; {
		head, err := readHead(conn, left)
		if err != nil {
			return err
		}
		left -= len(head)
		code, status, err := parseHead(head)
		switch {
		case err != nil:
			return proxyError("malformed response of the proxy: %.200s", err.Error())
		case code/100 == 2:
			return nil
		case code/100 != 1 || code == http.StatusSwitchingProtocols: // others of 1xx are informational
			return &ProxyError{StatusCode: code, Status: status}
		}
	}
}

// readHead reads up to the empty line that ends a response's header, and not a
// byte more, since what follows is the tunnel's.
func readHead(r io.Reader, limit int) ([]byte, error) {
	head := make([]byte, 0, 512)
	for !bytes.HasSuffix(head, []byte("\n\r\n")) && !bytes.HasSuffix(head, []byte("\n\n")) {
		if len(head) == limit {
			return nil, errProxyHead
		}
		head = append(head, 0)
		switch _, err := readAtLeastOnce(r, head[len(head)-1:]); {
		case err == io.EOF:
			return nil, errProxyEnd
		case err != nil:
			return nil, err
		}
	}
	return head, nil
}

// parseHead takes a response's status out of its header. What is said there of
// a body is ignored, as RFC 9110 §9.3.6 asks.
func parseHead(head []byte) (code int, status string, err error) {
	line, fields, _ := bytes.Cut(head, []byte("\n"))
	response, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(line), strings.NewReader("\n\n"))), nil)
	if err != nil {
		return 0, "", err
	}
	if response.StatusCode < 100 { // net/http takes signs and leading zeros for digits
		return 0, "", fmt.Errorf("malformed HTTP status code %q", response.Status)
	}
	if _, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(fields))).ReadMIMEHeader(); err != nil {
		return 0, "", err
	}
	return response.StatusCode, response.Status, nil
}

// socksThrough asks a SOCKS5 proxy for a connection, RFC 1928 and 1929.
func socksThrough(ctx context.Context, conn net.Conn, through *url.URL, address string) error {
	var auth *proxy.Auth
	if through.User != nil {
		password, _ := through.User.Password()
		auth = &proxy.Auth{User: through.User.Username(), Password: password}
	}
	proxyAddress, err := dialAddress(through) // for the text of errors
	if err != nil {
		return err
	}
	dialer, err := proxy.SOCKS5("tcp", proxyAddress, auth, nil)
	if err != nil {
		return err
	}
	// Over the connection that is there already, so that it is the very one
	// that the program gets from NetConn.
	over, ok := dialer.(interface {
		DialWithConn(ctx context.Context, conn net.Conn, network, address string) (net.Addr, error)
	})
	if !ok {
		return errors.New("websocket: golang.org/x/net/proxy has no DialWithConn")
	}
	_, err = over.DialWithConn(ctx, conn, "tcp", address)
	return err
}
