package websocket

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
)

// redirect is the handshake at the place that the server of hs names in place of
// an upgrade (RFC 9110 §15.4). If it names none, the error is ErrBadHandshake; if
// it names one that must not be gone to, a *DialError.
func (d *Dialer) redirect(hs *clientHandshake, response *http.Response) (*clientHandshake, error) {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, ErrBadHandshake
	}
	location := response.Header.Get("Location")
	if location == "" || hs.socket != "" {
		return nil, ErrBadHandshake
	}
	to, err := locate(hs.request.URL, location)
	if err != nil {
		return nil, err
	}
	header := hs.header
	if !sameAddress(hs.request.URL, to) {
		header = maps.Clone(header)
		maps.DeleteFunc(header, func(name string, _ []string) bool {
			return slices.Contains(ofOneHost, textproto.CanonicalMIMEHeaderKey(name))
		})
	}
	next, err := d.handshakeAt(to, "", header)
	if err != nil {
		return nil, badRedirect("%.200s", err.Error())
	}
	return next, nil
}

// ofOneHost are the headers of the program's that only the host gets for which
// they were written.
var ofOneHost = []string{"Authorization", "Cookie", "Cookie2", "Host", "Proxy-Authorization", "Www-Authenticate"}

// locate is where a Location leads, with the scheme that HTTP knows.
func locate(from *url.URL, location string) (*url.URL, error) {
	if len(location) > maxHandshakeField {
		return nil, badRedirect("the Location is over %d bytes", maxHandshakeField)
	}
	to, err := from.Parse(location)
	if err != nil {
		return nil, badRedirect("the Location is no URL: %.200q", location)
	}
	switch to.Scheme {
	case "http":
		to.Scheme = "ws"
	case "https":
		to.Scheme = "wss"
	}
	if to.Scheme == "ws" && from.Scheme == "https" {
		return nil, badRedirect("it leads from TLS to plain text: %.200q", location)
	}
	u, socket, err := parseURL(to.String())
	if err != nil || socket != "" {
		return nil, badRedirect("the Location is no ws or wss URL: %.200q", location)
	}
	return u, nil
}

// sameAddress reports whether a and b have the same host and port.
func sameAddress(a, b *url.URL) bool {
	ofA, err := dialAddress(a)
	if err != nil {
		return false
	}
	ofB, err := dialAddress(b)
	return err == nil && equalFoldASCII(ofA, ofB)
}

func badRedirect(format string, args ...any) *DialError {
	return &DialError{DialRedirect, fmt.Errorf("websocket: redirect not followed: "+format, args...)}
}
