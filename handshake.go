package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/seed62ce5aa7/websocket/internal/httpfield"
	"golang.org/x/net/http/httpguts"
)

// keyLength is that of 16 bytes in base64.
const keyLength = 24

// keyGUID is what RFC 6455 §1.3 appends to a key before it is hashed.
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// appendAccept appends the answer to a client's Sec-WebSocket-Key, RFC 6455 §4.2.2.
func appendAccept(dst []byte, key string) []byte {
	text := append(append(make([]byte, 0, keyLength+len(keyGUID)), key...), keyGUID...)
	sum := sha1.Sum(text)
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// A refusal is the answer to a request that cannot be upgraded.
type refusal struct {
	status int // of HTTP
	reason string
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// maxHandshakeField is how many bytes each field of a request that the
// handshake looks at may have, over all its lines.
const maxHandshakeField = 8 << 10

// requestFields are the ones that the handshake looks at, beside Host.
var requestFields = []string{
	"Connection", "Upgrade", "Origin",
	"Sec-Websocket-Version", "Sec-Websocket-Key", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions",
}

// oversized returns the name of a field that is over maxHandshakeField, or "".
func oversized(r *http.Request) string {
	if len(r.Host) > maxHandshakeField {
		return "Host"
	}
	for _, name := range requestFields {
		size := 0
		for _, v := range r.Header[name] {
			size += len(v)
		}
		if size > maxHandshakeField {
			return name
		}
	}
	return ""
}

// checkRequest judges a client's opening handshake by RFC 6455 §4.2.1 and
// returns the key to answer. Whether the Origin may talk to us is not its
// affair.
func checkRequest(r *http.Request) (key string, no *refusal) {
	h := r.Header
	if name := oversized(r); name != "" {
		return "", refuse(http.StatusRequestHeaderFieldsTooLarge,
			"websocket: the request's %s header is over %d bytes", name, maxHandshakeField)
	}
	switch {
	case r.ProtoMajor > 1:
		return "", refuse(http.StatusBadRequest,
			"websocket: the request came over %s, which has no upgrade: serve WebSockets over HTTP/1.1", r.Proto)
	case !r.ProtoAtLeast(1, 1) && r.Proto != "": // a request made by hand need not say it
		return "", refuse(http.StatusBadRequest, "websocket: the request came over %s, which has no upgrade", r.Proto)
	case !httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade"):
		return "", refuse(http.StatusBadRequest, "websocket: not a websocket handshake: no 'upgrade' token in the Connection header")
	case !httpguts.HeaderValuesContainsToken(h["Upgrade"], "websocket"):
		return "", refuse(http.StatusUpgradeRequired, "websocket: not a websocket handshake: no 'websocket' token in the Upgrade header")
	case r.Method != http.MethodGet:
		return "", refuse(http.StatusMethodNotAllowed, "websocket: not a websocket handshake: the method is not GET")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "", refuse(http.StatusBadRequest, "websocket: the handshake has a body, which would be read as frames")
	}
	switch version := h["Sec-Websocket-Version"]; {
	case len(version) > 1:
		return "", refuse(http.StatusBadRequest, "websocket: more than one Sec-WebSocket-Version header")
	case len(version) == 0 || trimSpace(version[0]) != "13":
		return "", refuse(http.StatusUpgradeRequired, "websocket: unsupported version: 13 is the only Sec-WebSocket-Version")
	}
	keys := h["Sec-Websocket-Key"]
	if len(keys) != 1 || !validKey(keys[0]) {
		return "", refuse(http.StatusBadRequest, "websocket: the Sec-WebSocket-Key header must be there once and hold 16 bytes in base64")
	}
	if _, ok := httpfield.Elements(h["Sec-Websocket-Protocol"]); !ok {
		return "", refuse(http.StatusBadRequest, "websocket: malformed Sec-WebSocket-Protocol header")
	}
	if _, ok := httpfield.ParseExtensions(h["Sec-Websocket-Extensions"]); !ok {
		return "", refuse(http.StatusBadRequest, "websocket: malformed Sec-WebSocket-Extensions header")
	}
	if len(h["Origin"]) > 1 {
		return "", refuse(http.StatusBadRequest, "websocket: more than one Origin header")
	}
	if r.Host == "" {
		return "", refuse(http.StatusBadRequest, "websocket: no Host header")
	}
	return keys[0], nil
}

// trimSpace cuts off the white space that may surround a field's value, RFC 9110
// §5.6.3.
func trimSpace(value string) string { return strings.Trim(value, " \t") }

// validKey reports whether key is 16 bytes in base64, RFC 6455 §4.1.
func validKey(key string) bool {
	if len(key) != keyLength {
		return false
	}
	var raw [18]byte
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == 16
}

// sameOrigin reports whether a page of the given Origin (RFC 6454) may talk to
// the host that the request names: host and port are equal, default ports left
// out. An http page must not talk to a TLS server; an https page may talk to a
// plain one, behind the proxy that ended its TLS.
func sameOrigin(origin, host string, overTLS bool) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	port := ""
	switch u.Scheme {
	case "http":
		port = "80"
		if overTLS {
			return false
		}
	case "https":
		port = "443"
	}
	return equalFoldASCII(withoutPort(u.Host, port), withoutPort(host, port))
}

// withoutPort returns host without the given port, if it names that one.
func withoutPort(host, port string) string {
	if port == "" {
		return host
	}
	return strings.TrimSuffix(host, ":"+port)
}

// equalFoldASCII reports whether a and b are equal but for the case of ASCII
// letters. Unicode's folding would make some other names equal.
func equalFoldASCII(a, b string) bool {
	lower := func(c byte) byte {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// selectSubprotocol picks the first of the server's subprotocols that the
// client offers, RFC 6455 §4.2.2. A server without a list has named its choice,
// if any, in the response header; it counts only if it was offered.
func selectSubprotocol(server, offered []string, response http.Header) string {
	if server == nil {
		for name, values := range response {
			if textproto.CanonicalMIMEHeaderKey(name) == "Sec-Websocket-Protocol" {
				server = values[:min(len(values), 1)]
			}
		}
	}
	for _, p := range server {
		if slices.Contains(offered, p) {
			return p
		}
	}
	return ""
}

// ownResponseHeaders are the ones of the server's opening handshake that are
// the library's to write, or that must not be there: a 101 has no body (RFC 9110 §8.6, RFC 9112 §6.1).
var ownResponseHeaders = []string{
	"Upgrade", "Connection", "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Content-Length", "Transfer-Encoding",
}

// checkResponseHeader judges what the program wants to add to the server's
// opening handshake.
func checkResponseHeader(h http.Header) error {
	for name, values := range h {
		if textproto.CanonicalMIMEHeaderKey(name) == "Sec-Websocket-Extensions" {
			return errors.New("websocket: application specific 'Sec-WebSocket-Extensions' headers are unsupported")
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("websocket: invalid name of a response header: %q", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("websocket: invalid value of the response header %s: %q", name, v)
			}
		}
	}
	return nil
}

// appendResponse appends the server's opening handshake, RFC 6455 §4.2.2. h
// was judged by checkResponseHeader; the library's own headers in it are left
// out.
func appendResponse(dst []byte, key, subprotocol, extensions string, h http.Header) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"...)
	dst = append(appendAccept(append(dst, "Sec-WebSocket-Accept: "...), key), "\r\n"...)
	if subprotocol != "" {
		dst = appendField(dst, "Sec-WebSocket-Protocol", subprotocol)
	}
	if extensions != "" {
		dst = appendField(dst, "Sec-WebSocket-Extensions", extensions)
	}
	for name, values := range h {
		if slices.Contains(ownResponseHeaders, textproto.CanonicalMIMEHeaderKey(name)) {
			continue
		}
		for _, v := range values {
			dst = appendField(dst, name, v)
		}
	}
	return append(dst, "\r\n"...)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// checkResponse judges a server's opening handshake by RFC 6455 §4.1 and
// returns what it chose of the subprotocols and the compression that were
// offered.
func checkResponse(status int, h http.Header, key string, offered []string, o *Compression) (subprotocol string, agreed *Compression, err error) {
	upgrade, accept := h["Upgrade"], h["Sec-Websocket-Accept"]
	switch {
	case status != http.StatusSwitchingProtocols:
		return "", nil, fmt.Errorf("websocket: the server answered with status %d, not 101", status)
	case len(upgrade) != 1 || !equalFoldASCII(trimSpace(upgrade[0]), "websocket"):
		return "", nil, errors.New("websocket: the response's Upgrade header is not 'websocket'")
	case !httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade"):
		return "", nil, errors.New("websocket: no 'upgrade' token in the response's Connection header")
	case len(accept) != 1 || trimSpace(accept[0]) != string(appendAccept(nil, key)):
		return "", nil, errors.New("websocket: the response's Sec-WebSocket-Accept header does not answer the key")
	}
	switch protocols := h["Sec-Websocket-Protocol"]; {
	case len(protocols) > 1:
		return "", nil, errors.New("websocket: the server chose more than one subprotocol")
	case len(protocols) == 1:
		if subprotocol = trimSpace(protocols[0]); !slices.Contains(offered, subprotocol) {
			return "", nil, errors.New("websocket: the server chose a subprotocol that was not offered")
		}
	}
	agreed, err = o.judgeAnswer(h["Sec-Websocket-Extensions"])
	if err != nil {
		return "", nil, err
	}
	return subprotocol, agreed, nil
}

// IsWebSocketUpgrade reports whether the request asks for an upgrade to the
// WebSocket protocol, by its Connection and Upgrade headers.
func IsWebSocketUpgrade(r *http.Request) bool {
	return r != nil && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") &&
		httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket")
}

// Subprotocols returns the subprotocols that the client offers, in its order of
// preference.
func Subprotocols(r *http.Request) []string {
	if r == nil {
		return nil
	}
	protocols, _ := httpfield.Elements(r.Header["Sec-Websocket-Protocol"])
	return protocols
}
