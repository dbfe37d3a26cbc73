// Package httpfield parses the header field lists of the opening handshake. Its functions
// take the lines of one field, which together are one list in the order of the lines
// (RFC 9110 §5.3), look at each byte a fixed number of times, and bound what they build,
// so that a hostile header of any size costs time linear in it and little memory.
package httpfield

import (
	"strings"

	"golang.org/x/net/http/httpguts"
)

// What is beyond these is refused as malformed. No handshake comes near them; they keep
// a header of a megabyte, which net/http lets through, from becoming many times that.
const (
	maxElements   = 256 // in one list
	maxExtensions = 32  // in one list
	maxParams     = 256 // of all extensions of a list together
)

// Elements parses a comma-separated list (RFC 9110 §5.6.1) of any texts without control
// characters, as in Sec-WebSocket-Protocol. RFC 6455 §4.1 has tokens there; programs also
// put credentials there, which are none, and no harm comes of them. Spaces and tabs around
// an element and empty elements are skipped; no lines at all, and a list of nothing but
// empty elements, give no elements and true. They are returned as spelled, duplicates
// included. It is false, with no elements, if there is a control character in one or there
// are more than 256.
func Elements(values []string) (elements []string, ok bool) {
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			element = strings.Trim(element, " \t")
			if element == "" {
				continue
			}
			if !httpguts.ValidHeaderFieldValue(element) || len(elements) == maxElements {
				return nil, false
			}
			elements = append(elements, element)
		}
	}
	return elements, true
}

// Extension is one element of Sec-WebSocket-Extensions, with its parameters in order.
type Extension struct {
	Name   string
	Params []Param
}

// Param is a parameter of an Extension. HasValue tells "name=value" from a bare "name".
// Value is what a quoted string stands for, without quotes and backslashes.
type Param struct {
	Name, Value string
	HasValue    bool
}

// ParseExtensions parses Sec-WebSocket-Extensions (RFC 6455 §9.1):
//
//	extension-list  = 1#extension
//	extension       = token *( ";" extension-param )
//	extension-param = token [ "=" (token | quoted-string) ]
//
// where the content of a quoted string must, once unescaped, be a token too. Spaces and
// tabs are allowed between any two of these, around "=" as well: the grammar is written
// under the implied *LWS rule of RFC 2616 §2.1. Empty elements of the list are skipped
// (RFC 9110 §5.6.1), and no lines or nothing but empty elements give no extensions and
// true; an empty parameter is malformed. Order, spelling and duplicates are kept: what
// they mean is up to each extension.
//
// It is false, with no extensions, for anything malformed, upon which the handshake must
// fail, and for more than 32 extensions or 256 parameters in all.
func ParseExtensions(values []string) (extensions []Extension, ok bool) {
	params := 0
	for _, v := range values {
		for s := trimLeft(v); s != ""; {
			if s[0] == ',' {
				s = trimLeft(s[1:])
				continue
			}
			var e Extension
			if e, s, ok = cutExtension(s, maxParams-params); !ok || len(extensions) == maxExtensions {
				return nil, false
			}
			params += len(e.Params)
			extensions = append(extensions, e)
		}
	}
	return extensions, true
}

// cutExtension parses the extension that s starts with, of up to limit parameters. What
// follows it is returned in rest: nothing, or a comma and more.
func cutExtension(s string, limit int) (e Extension, rest string, ok bool) {
	if e.Name, s = cutToken(s); e.Name == "" {
		return Extension{}, "", false
	}
	for s != "" && s[0] != ',' {
		var p Param
		if p, s, ok = cutParam(s); !ok || len(e.Params) == limit {
			return Extension{}, "", false
		}
		e.Params = append(e.Params, p)
	}
	return e, s, true
}

// cutParam parses the parameter that s starts with, its semicolon included.
func cutParam(s string) (p Param, rest string, ok bool) {
	if s[0] != ';' {
		return Param{}, "", false
	}
	if p.Name, s = cutToken(trimLeft(s[1:])); p.Name == "" {
		return Param{}, "", false
	}
	if s == "" || s[0] != '=' {
		return p, s, true
	}
	p.HasValue = true
	s = trimLeft(s[1:])
	if s != "" && s[0] == '"' {
		p.Value, rest = cutQuoted(s)
	} else {
		p.Value, rest = cutToken(s)
	}
	return p, rest, p.Value != ""
}

// cutToken cuts the token that s starts with, and the spaces and tabs after it. The token
// is empty if s starts with none.
func cutToken(s string) (token, rest string) {
	n := 0
	for n < len(s) && isTokenByte(s[n]) {
		n++
	}
	return s[:n], trimLeft(s[n:])
}

// cutQuoted does what cutToken does for a quoted string, whose opening quote s starts
// with, and whose content is to be a token: anything that cannot be part of one, as it is
// or behind a backslash, ends it as malformed, which an empty value tells.
func cutQuoted(s string) (value, rest string) {
	escaped := false
	for n := 1; n < len(s); n++ {
		switch c := s[n]; {
		case c == '\\' && n+1 < len(s) && isTokenByte(s[n+1]):
			escaped = true
			n++
		case c == '"':
			value = s[1:n]
			if escaped {
				// A token has no backslash, so each of them here is an escape.
				value = strings.ReplaceAll(value, `\`, "")
			}
			return value, trimLeft(s[n+1:])
		case !isTokenByte(c):
			return "", ""
		}
	}
	return "", ""
}

func isTokenByte(c byte) bool { return httpguts.IsTokenRune(rune(c)) }

// trimLeft skips optional white space (RFC 9110 §5.6.3).
func trimLeft(s string) string { return strings.TrimLeft(s, " \t") }
