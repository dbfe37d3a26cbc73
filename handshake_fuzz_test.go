package websocket

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/httpfield"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// hsHasToken is the oracle for lists: join the lines, split, trim, compare.
func hsHasToken(lines []string, token string) bool {
	for _, element := range strings.Split(strings.Join(lines, ","), ",") {
		if hsLower(strings.Trim(element, " \t")) == token {
			return true
		}
	}
	return false
}

func hsLower(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ", r) {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

var (
	hsKeyRE     = regexp.MustCompile(`^[A-Za-z0-9+/]{22}==$`)
	hsVersionRE = regexp.MustCompile(`^[ \t]*13[ \t]*$`)
	hsNoListRE  = regexp.MustCompile(`^[ \t,]*$`)
)

// hsMayUpgrade is RFC 6455 §4.2.1, the oracle for checkRequest. It leaves to
// httpfield, which is fuzzed by itself, what a well-formed list is.
func hsMayUpgrade(r *http.Request) bool {
	for _, name := range []string{"Connection", "Upgrade", "Origin", "Sec-WebSocket-Version", "Sec-WebSocket-Key",
		"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		if len(strings.Join(r.Header.Values(name), "")) > 8192 {
			return false
		}
	}
	version, key := r.Header.Values("Sec-WebSocket-Version"), r.Header.Values("Sec-WebSocket-Key")
	_, protocols := httpfield.Elements(r.Header.Values("Sec-WebSocket-Protocol"))
	_, extensions := httpfield.ParseExtensions(r.Header.Values("Sec-WebSocket-Extensions"))
	return r.Method == "GET" && r.ProtoMajor == 1 && r.ProtoMinor >= 1 &&
		len(r.Host) > 0 && len(r.Host) <= 8192 &&
		hsHasToken(r.Header.Values("Connection"), "upgrade") && hsHasToken(r.Header.Values("Upgrade"), "websocket") &&
		len(version) == 1 && hsVersionRE.MatchString(version[0]) &&
		len(key) == 1 && hsKeyRE.MatchString(key[0]) &&
		protocols && extensions && len(r.Header.Values("Origin")) <= 1 &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0
}

// Whatever bytes come as a request: it is upgraded if and only if it keeps
// every rule, and what it is then answered is what a client asks for.
func FuzzHandshakeRequest(f *testing.F) {
	for _, c := range hsRefusals() {
		if len(c.raw) < 4<<10 {
			f.Add([]byte(c.raw))
		}
	}
	f.Add([]byte(hsRequest("", "Sec-WebSocket-Protocol: superchat, chat", "Origin: http://server.example")))
	f.Add([]byte(hsRequest("Connection", "Connection: a,\tUPGRADE", "Sec-WebSocket-Extensions: a; b=\"c\", d")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		key, no := checkRequest(r)
		require.Equal(t, hsMayUpgrade(r), no == nil, "%+v", no)
		client, server := testnet.Pipe()
		defer func() { _, _ = client.Close(), server.Close() }()
		recorder := httptest.NewRecorder()
		u := &Upgrader{Subprotocols: hsOffered, CheckOrigin: func(*http.Request) bool { return true }}
		ws, err := u.Upgrade(hsHijacker{ResponseWriter: recorder, conn: server}, r, nil)
		if no != nil {
			require.Empty(t, key)
			require.True(t, no.status >= 400 && no.status < 500)
			require.Equal(t, HandshakeError{no.reason}, err)
			require.Equal(t, no.status, recorder.Code)
			require.Nil(t, ws)
			require.Zero(t, server.Stats().Writes)
			return
		}
		require.NoError(t, err)
		require.NoError(t, ws.Close())
		br := bufio.NewReader(client)
		response, err := http.ReadResponse(br, r)
		require.NoError(t, err)
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		require.Equal(t, []string{base64.StdEncoding.EncodeToString(sum[:])}, response.Header["Sec-Websocket-Accept"])
		chosen, _, err := checkResponse(response.StatusCode, response.Header, key, Subprotocols(r), nil)
		require.NoError(t, err)
		require.Equal(t, ws.Subprotocol(), chosen)
		require.Equal(t, slices.ContainsFunc(hsOffered, func(p string) bool { return slices.Contains(Subprotocols(r), p) }), chosen != "")
		rest, err := io.ReadAll(br)
		require.NoError(t, err)
		require.Empty(t, rest)
	})
}

// An hsTape is a connection on which everything has been said already. It gives
// away at most piece bytes at a time.
type hsTape struct {
	net.Conn
	left  *bytes.Reader
	piece int
}

func (c hsTape) Read(p []byte) (int, error)     { return c.left.Read(p[:min(len(p), c.piece)]) }
func (hsTape) Write(p []byte) (int, error)      { return len(p), nil }
func (hsTape) Close() error                     { return nil }
func (hsTape) SetDeadline(time.Time) error      { return nil }
func (hsTape) SetReadDeadline(time.Time) error  { return nil }
func (hsTape) SetWriteDeadline(time.Time) error { return nil }

// hsPlay takes raw for the response to a request with hsKey, and returns what
// is left of it behind an upgrade.
func hsPlay(t *testing.T, raw []byte, piece int) (chosen string, rest []byte, response *http.Response, err error) {
	d := &Dialer{Subprotocols: hsOffered}
	hs, err := d.newHandshake(hsURL, nil)
	require.NoError(t, err)
	hs.key = hsKey
	tape := hsTape{left: bytes.NewReader(raw), piece: piece}
	ws, response, err := d.upgrade(tape, hs)
	if err != nil {
		require.Nil(t, ws)
		return "", nil, response, err
	}
	rest = append(rest, ws.in.bytes()...)
	unread, rerr := io.ReadAll(tape.left)
	require.NoError(t, rerr)
	rest = append(rest, unread...)
	require.NoError(t, ws.Close())
	return ws.Subprotocol(), rest, response, nil
}

// hsOracleResponse reads the response with net/http alone and judges it by RFC
// 6455 §4.1.
func hsOracleResponse(raw []byte) (chosen string, rest []byte, ok bool) {
	if len(raw) > maxResponseHead {
		return "", nil, false
	}
	br := bufio.NewReader(bytes.NewReader(raw))
	r, err := http.ReadResponse(br, nil)
	for err == nil && r.StatusCode < 200 && r.StatusCode != 101 {
		r, err = http.ReadResponse(br, nil)
	}
	if err != nil {
		return "", nil, false
	}
	upgrade, accept := r.Header.Values("Upgrade"), r.Header.Values("Sec-WebSocket-Accept")
	protocol, extensions := r.Header.Values("Sec-WebSocket-Protocol"), r.Header.Values("Sec-WebSocket-Extensions")
	ok = r.StatusCode == 101 &&
		len(upgrade) == 1 && hsLower(upgrade[0]) == "websocket" && hsHasToken(r.Header.Values("Connection"), "upgrade") &&
		len(accept) == 1 && accept[0] == hsAccept &&
		hsNoListRE.MatchString(strings.Join(extensions, ","))
	switch {
	case len(protocol) == 1 && slices.Contains(hsOffered, protocol[0]):
		chosen = protocol[0]
	case len(protocol) > 0:
		ok = false
	}
	rest, _ = io.ReadAll(br)
	return chosen, rest, ok
}

// Whatever bytes come as a response, in whatever pieces: it upgrades if and
// only if it keeps every rule, and no byte behind it is lost.
func FuzzHandshakeResponse(f *testing.F) {
	for _, c := range hsBadResponses() {
		if raw := c.raw(); len(raw) < 4<<10 {
			f.Add([]byte(raw+"body"), byte(200))
		}
	}
	for _, c := range hsGoodResponses {
		f.Add([]byte(c.raw()+"\x81\x05hello"), byte(1))
	}
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\n"+hsGood+hsGood), byte(7))
	f.Add([]byte("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), byte(3))
	f.Fuzz(func(t *testing.T, raw []byte, piece byte) {
		if len(raw) > maxResponseHead {
			return // the cap counts the bytes that were read ahead too
		}
		chosen, rest, ok := hsOracleResponse(raw)
		got, gotRest, response, err := hsPlay(t, raw, 1+int(piece))
		require.Equal(t, ok, err == nil, "%v", err)
		switch {
		case ok:
			require.Equal(t, chosen, got)
			require.Equal(t, string(rest), string(gotRest))
			require.Equal(t, 101, response.StatusCode)
		case err == ErrBadHandshake:
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.LessOrEqual(t, len(body), 1024)
		default:
			require.Nil(t, response)
			require.Less(t, len(err.Error()), 300)
		}
	})
}

var (
	// The authority of an origin, up to what ends it (RFC 3986 §3.2).
	hsOriginRE = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)$`)
	hsHostRE   = regexp.MustCompile(`^[A-Za-z0-9.-]*[A-Za-z0-9](:[0-9]{1,5})?$`)
)

// hsAuthority is a host and port with the default port of a scheme left out.
func hsAuthority(scheme, s string) string {
	switch s = hsLower(s); scheme {
	case "http":
		return strings.TrimSuffix(s, ":80")
	case "https":
		return strings.TrimSuffix(s, ":443")
	}
	return s
}

// An Origin passes only if its authority, cut out by a pattern and not by a
// parser, is that of the Host; and it passes if there is nothing odd about it.
func FuzzSameOrigin(f *testing.F) {
	for _, origin := range []string{"https://server.example", "http://server.example:80", "null", "https://a@server.example", "https://[::1]:443",
		`https://evil.example\@server.example`, "https://server.example:0443", "app://localhost", "//server.example", "https://b%c3%bc.example"} {
		for _, host := range []string{"server.example", "server.example:443", "[::1]", "evil.example", "b\u00fc.example"} {
			f.Add(origin, host)
		}
	}
	f.Fuzz(func(t *testing.T, origin, host string) {
		plain, overTLS := sameOrigin(origin, host, false), sameOrigin(origin, host, true)
		require.True(t, plain || !overTLS, "TLS lets more pass")
		require.Equal(t, plain, sameOrigin(origin, hsLower(host), false))
		require.Equal(t, plain, sameOrigin(hsLower(origin), host, false))
		require.False(t, sameOrigin(origin, host+".evil.example", false) && plain)
		if plain {
			parts := hsOriginRE.FindStringSubmatch(origin)
			require.NotNil(t, parts)
			scheme, authority := hsLower(parts[1]), parts[2]
			require.NotContains(t, authority, "@")
			require.NotContains(t, authority, `\`)
			require.Equal(t, scheme != "http", overTLS)
			if !strings.Contains(authority, "%") { // which stands for another byte
				require.Equal(t, hsAuthority(scheme, authority), hsAuthority(scheme, host))
			}
		}
		if hsHostRE.MatchString(host) {
			for _, scheme := range []string{"http", "https", "HTTPS", "app"} {
				require.True(t, sameOrigin(scheme+"://"+host, host, false), "%s://%s", scheme, host)
				require.Equal(t, scheme != "http", sameOrigin(scheme+"://"+hsLower(host), host, true))
			}
		}
	})
}
