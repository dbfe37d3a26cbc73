package websocket

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/seed62ce5aa7/websocket/internal/httpfield"
	"golang.org/x/net/http/httpguts"
)

var errMalformedURL = badRequest("malformed ws or wss URL")

// badRequest is a request that is not sent.
func badRequest(format string, args ...any) *DialError {
	return &DialError{DialRequest, fmt.Errorf("websocket: "+format, args...)}
}

// A clientHandshake is what the client says in its opening handshake and what
// it must remember of that to judge the answer.
type clientHandshake struct {
	request *http.Request
	header  http.Header // the program's part of the request's
	socket  string      // the path of a Unix socket, or "" for TCP
	key     string
	offered []string // subprotocols

	compression *Compression // nil if it is not offered
}

// reservedRequestHeaders are the ones of the client's opening handshake that
// are the library's to write.
var reservedRequestHeaders = []string{
	"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions",
}

// framingHeaders tell of a body, which the request does not have. net/http leaves them out in
// their usual spelling; in others they would have the first frames taken for one.
var framingHeaders = []string{"Content-Length", "Transfer-Encoding", "Trailer"}

func (d *Dialer) newHandshake(urlStr string, header http.Header) (*clientHandshake, error) {
	u, socket, err := parseURL(urlStr)
	if err != nil {
		return nil, err
	}
	return d.handshakeAt(u, socket, header)
}

// handshakeAt is what the client says to the server at u.
func (d *Dialer) handshakeAt(u *url.URL, socket string, header http.Header) (*clientHandshake, error) {
	compression, err := d.Compression.withDefaults(d.EnableCompression)
	if err != nil {
		return nil, &DialError{DialRequest, err}
	}
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails; it ends the program instead
	hs := &clientHandshake{
		header: header, socket: socket,
		key: base64.StdEncoding.EncodeToString(nonce[:]), offered: d.Subprotocols, compression: compression,
	}
	hs.request = &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Upgrade":               {"websocket"},
			"Connection":            {"Upgrade"},
			"Sec-WebSocket-Key":     {hs.key},
			"Sec-WebSocket-Version": {"13"},
		},
	}
	if len(d.Subprotocols) > 0 {
		hs.request.Header["Sec-WebSocket-Protocol"] = []string{strings.Join(d.Subprotocols, ", ")}
	}
	if compression != nil {
		hs.request.Header["Sec-WebSocket-Extensions"] = []string{compression.offerField()}
	}
	hasCookie, err := hs.add(header)
	if err != nil {
		return nil, err
	}
	if d.Jar != nil && !hasCookie && socket == "" {
		for _, cookie := range d.Jar.Cookies(u) {
			hs.request.AddCookie(cookie)
		}
	}
	return hs, nil
}

// add takes the caller's headers into the request. It tells whether there is a
// Cookie among them.
func (hs *clientHandshake) add(header http.Header) (hasCookie bool, err error) {
	fields := hs.request.Header
	for name, values := range header {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case canonical == "Host":
			if len(values) > 0 {
				hs.request.Host = values[0]
			}
			continue
		case slices.Contains(reservedRequestHeaders, canonical),
			canonical == "Sec-Websocket-Protocol" && len(hs.offered) > 0:
			return false, badRequest("duplicate header not allowed: %s", name)
		case slices.Contains(framingHeaders, canonical):
			continue
		case canonical == "User-Agent" && name != canonical:
			fields[canonical] = []string{""} // or net/http sends its own beside it
		case canonical == "Sec-Websocket-Protocol":
			name = "Sec-WebSocket-Protocol"
		case canonical == "Cookie":
			hasCookie = true
		}
		fields[name] = values
	}
	for name, values := range fields {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(strings.Join(values, "")) {
			return false, badRequest("invalid request header %q", name)
		}
	}
	// net/http would send an empty Host in place of one that is none.
	if host, err := httpguts.PunycodeHostPort(hs.request.Host); err != nil || !httpguts.ValidHostHeader(host) {
		return false, badRequest("invalid host %q", hs.request.Host)
	}
	offered, ok := httpfield.Elements(fields["Sec-WebSocket-Protocol"])
	if !ok || len(hs.offered) > 0 && !slices.Equal(offered, hs.offered) {
		return false, badRequest("a subprotocol is empty, or has a comma, a control character or white space at an end")
	}
	hs.offered = offered
	return hasCookie, nil
}

// parseURL reads a ws or wss URL (RFC 6455 §3) and gives it the scheme that
// HTTP knows; or a ws+unix one, which has a socket instead of a host.
func parseURL(s string) (u *url.URL, socket string, err error) {
	if u, err = url.Parse(s); err != nil {
		return nil, "", err
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "ws+unix":
		return parseUnixURL(u)
	default:
		return nil, "", errMalformedURL
	}
	if u.User != nil || u.Hostname() == "" {
		return nil, "", errMalformedURL
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // an empty port, RFC 3986 §3.2.3
	return u, "", nil
}

// parseUnixURL takes the path of a ws+unix URL apart: up to the first colon, with
// its escapes undone, it is the socket's, and behind that the request's.
func parseUnixURL(u *url.URL) (request *url.URL, socket string, err error) {
	written := u.RawPath
	if written == "" {
		written = u.EscapedPath()
	}
	socket, path, _ := strings.Cut(written, ":")
	socket, _ = url.PathUnescape(socket) // url.Parse has read the escapes
	request = &url.URL{Scheme: "http", Host: "localhost", RawPath: path, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	request.Path, _ = url.PathUnescape(path)
	if u.User != nil || u.Host != "" || !strings.HasPrefix(socket, "/") || strings.Contains(socket, "\x00") ||
		path != "" && path[0] != '/' {
		return nil, "", errMalformedURL
	}
	return request, socket, nil
}
