package websocket

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The key of RFC 6455 §1.3 and the answer to it.
const (
	hsKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	hsAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// hsRequestLines are the opening handshake that every test starts from, RFC
// 6455 §1.2.
var hsRequestLines = []string{
	"Host: server.example",
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Key: " + hsKey,
	"Sec-WebSocket-Version: 13",
}

// hsRequest is an opening handshake in which the lines of a header are replaced
// by others, or by none.
func hsRequest(name string, lines ...string) string {
	return hsHead("GET /chat HTTP/1.1", hsRequestLines, name, lines...)
}

func hsHead(first string, fields []string, name string, lines ...string) string {
	all := []string{first}
	for _, f := range fields {
		if n, _, _ := strings.Cut(f, ":"); n != name {
			all = append(all, f)
		}
	}
	return strings.Join(append(all, lines...), "\r\n") + "\r\n\r\n"
}

func hsParse(t testing.TB, raw string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	require.NoError(t, err)
	return r
}

// An hsRefusal is a request that must not be upgraded.
type hsRefusal struct {
	name   string
	raw    string
	status int
	reason string // part of the error
	first  bool   // net/http answers it before any handler
}

// hsRefusals are the rules of RFC 6455 §4.2.1, each broken by one request.
func hsRefusals() []hsRefusal {
	const bad, upgrade, tooLarge = http.StatusBadRequest, http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge
	line := func(first string) string { return hsHead(first, hsRequestLines, "") }
	refusals := []hsRefusal{
		{"a method other than GET", line("POST /chat HTTP/1.1"), 405, "method", false},
		{"HEAD", line("HEAD /chat HTTP/1.1"), 405, "method", false},
		{"the method is case-sensitive", line("get /chat HTTP/1.1"), 405, "method", false},
		{"HTTP/1.0", line("GET /chat HTTP/1.0"), bad, "HTTP/1.0", false},
		{"HTTP/0.9", line("GET /chat HTTP/0.9"), bad, "HTTP/0.9", true},
		{"HTTP/2.0 in text", line("GET /chat HTTP/2.0"), bad, "HTTP/2.0", true},

		{"no Host", hsRequest("Host"), bad, "Host", true},
		{"empty Host", hsRequest("Host", "Host:"), bad, "Host", false},

		{"no Connection", hsRequest("Connection"), bad, "Connection", false},
		{"empty Connection", hsRequest("Connection", "Connection:"), bad, "Connection", false},
		{"Connection without the token", hsRequest("Connection", "Connection: keep-alive"), bad, "Connection", false},
		{"Connection with a longer token", hsRequest("Connection", "Connection: upgrades"), bad, "Connection", false},
		{"Connection with the token in quotes", hsRequest("Connection", `Connection: "Upgrade"`), bad, "Connection", false},
		{"Connection with the Kelvin sign's like", hsRequest("Connection", "Connection: upgrad\u0435"), bad, "Connection", false},

		{"no Upgrade", hsRequest("Upgrade"), upgrade, "Upgrade", false},
		{"empty Upgrade", hsRequest("Upgrade", "Upgrade:"), upgrade, "Upgrade", false},
		{"Upgrade to something else", hsRequest("Upgrade", "Upgrade: h2c"), upgrade, "Upgrade", false},
		{"Upgrade to a version of websocket", hsRequest("Upgrade", "Upgrade: websocket/13"), upgrade, "Upgrade", false},
		{"Upgrade with the token folded by Unicode", hsRequest("Upgrade", "Upgrade: web\u017focket"), upgrade, "Upgrade", false},

		{"no version", hsRequest("Sec-WebSocket-Version"), upgrade, "version", false},
		{"empty version", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version:"), upgrade, "version", false},
		{"older version", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), upgrade, "version", false},
		{"newer version", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: 14"), upgrade, "version", false},
		{"version with a leading zero", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013"), upgrade, "version", false},
		{"version with a sign", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: +13"), upgrade, "version", false},
		{"version behind a no-break space", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: \u00a013"), upgrade, "version", false},
		{"a list of versions", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"), upgrade, "version", false},
		{"doubled version", hsRequest("", "Sec-WebSocket-Version: 13"), bad, "Version", false},

		{"no key", hsRequest("Sec-WebSocket-Key"), bad, "Key", false},
		{"empty key", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key:"), bad, "Key", false},
		{"doubled key", hsRequest("", "Sec-WebSocket-Key: "+hsKey), bad, "Key", false},
		{"a list of keys", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+hsKey+","+hsKey), bad, "Key", false},
		{"key of 15 bytes", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), bad, "Key", false},
		{"key of 17 bytes", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="), bad, "Key", false},
		{"key of 18 bytes", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"), bad, "Key", false},
		{"key without padding", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA"), bad, "Key", false},
		{"key in base64url", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: __________-_____-_____w="), bad, "Key", false},
		{"key with a space in it", hsRequest("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAA AAAAAAAAAAA=="), bad, "Key", false},

		{"too many subprotocols", hsRequest("", "Sec-WebSocket-Protocol: "+strings.Repeat("a,", 257)), bad, "Protocol", false},
		{"malformed extensions", hsRequest("", "Sec-WebSocket-Extensions: permessage-deflate; =1"), bad, "Extensions", false},
		{"doubled Origin", hsRequest("", "Origin: http://server.example", "Origin: http://server.example"), bad, "Origin", false},

		{"a body", hsRequest("", "Content-Length: 5") + "hello", bad, "body", false},
		{"a body in chunks", hsRequest("", "Transfer-Encoding: chunked") + "0\r\n\r\n", bad, "body", false},
	}
	for name, fill := range hsFills(64 << 10) {
		for _, field := range []string{"Host", "Connection", "Upgrade", "Origin", "Sec-WebSocket-Version",
			"Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
			refusals = append(refusals, hsRefusal{
				name: fmt.Sprintf("64 KiB of %s in %s", name, field),
				raw:  hsRequest(field, field+": x"+fill+"x"), status: tooLarge, reason: field,
				first: field == "Host" && name != "letters" && name != "commas" && name != "semicolons",
			}, hsRefusal{
				name: fmt.Sprintf("64 KiB of %s behind what is right in %s", name, field),
				raw:  hsRequest(field, field+": "+hsValueOf(field)+","+fill+"x"), status: tooLarge, reason: field,
				first: field == "Host" && name != "letters" && name != "commas" && name != "semicolons",
			})
		}
	}
	many := slices.Repeat([]string{"Connection: keep-alive"}, 6000)
	refusals = append(refusals, hsRefusal{"64 KiB of lines of Connection", hsRequest("", many...), tooLarge, "Connection", false})
	return refusals
}

func hsFills(n int) map[string]string {
	return map[string]string{
		"letters": strings.Repeat("a", n), "spaces": strings.Repeat(" ", n), "commas": strings.Repeat(",", n),
		"quotes": strings.Repeat(`"`, n), "semicolons": strings.Repeat(";", n), "backslashes": strings.Repeat(`\`, n),
	}
}

func hsValueOf(field string) string {
	for _, line := range hsRequestLines {
		if name, value, _ := strings.Cut(line, ": "); name == field {
			return value
		}
	}
	return "http://server.example"
}

// RFC 6455 §4.2.1: what a server must find in a request.
func TestRequestIsRefused(t *testing.T) {
	for _, c := range hsRefusals() {
		t.Run(c.name, func(t *testing.T) {
			key, no := checkRequest(hsParse(t, c.raw))
			require.NotNil(t, no)
			require.Empty(t, key)
			require.Equal(t, c.status, no.status)
			require.Contains(t, strings.ToLower(no.reason), strings.ToLower(c.reason))
			require.Less(t, len(no.reason), 200, "the reason repeats what the client sent")
		})
	}
}

// RFC 6455 §4.2.1 and RFC 9110 §5.3: several lines of a list are one list, and
// tokens of the two are compared without case.
func TestRequestIsAccepted(t *testing.T) {
	for _, c := range []struct{ name, raw string }{
		{"as in the RFC", hsRequest("")},
		{"names in lower case", strings.NewReplacer("Upgrade:", "upgrade:", "Connection:", "connection:", "Sec-WebSocket", "sec-websocket").
			Replace(hsRequest(""))},
		{"Connection as a list", hsRequest("Connection", "Connection: keep-alive, Upgrade")},
		{"Connection in two lines", hsRequest("Connection", "Connection: keep-alive", "Connection: uPGRADE")},
		{"Connection with empty elements", hsRequest("Connection", "Connection: ,\t,upgrade ,,")},
		{"Upgrade as a list", hsRequest("Upgrade", "Upgrade: h2c , WebSocket")},
		{"Upgrade in two lines", hsRequest("Upgrade", "Upgrade: h2c", "Upgrade: WEBSOCKET")},
		{"white space around the version", hsRequest("Sec-WebSocket-Version", "Sec-WebSocket-Version: \t13 \t")},
		{"names without case", hsRequest("Sec-WebSocket-Version", "sec-websocket-VERSION: 13")},
		{"a subprotocol that is no token", hsRequest("", `Sec-WebSocket-Protocol: v1, Bearer x/y==`)},
		{"empty lists", hsRequest("", "Sec-WebSocket-Protocol:", "Sec-WebSocket-Extensions: ,")},
		{"extensions that nobody knows", hsRequest("", `Sec-WebSocket-Extensions: x-foo; a="b", y`)},
		{"later HTTP/1", hsHead("GET / HTTP/1.2", hsRequestLines, "")},
		{"absolute URI", hsHead("GET http://server.example/chat HTTP/1.1", hsRequestLines, "Host", "Host:")},
		{"an empty body", hsRequest("", "Content-Length: 0")},
		{"8 KiB of cookies and more", hsRequest("", "Cookie: "+strings.Repeat("a", 64<<10))},
		{"8 KiB of Connection", hsRequest("Connection", "Connection: "+strings.Repeat("a", 8<<10-9)+", Upgrade")},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, no := checkRequest(hsParse(t, c.raw))
			require.Nil(t, no, "%+v", no)
			require.Equal(t, hsKey, key)
		})
	}
}

// A request made by hand, as tests of handlers do, need not name its protocol.
func TestRequestWithoutProtocolIsAccepted(t *testing.T) {
	r := hsParse(t, hsRequest(""))
	r.Proto, r.ProtoMajor, r.ProtoMinor = "", 0, 0
	_, no := checkRequest(r)
	require.Nil(t, no)
	_, no = checkRequest(&http.Request{})
	require.NotNil(t, no)
}

// A server other than net/http's may say in one of two ways that there is a
// body.
func TestRequestWithBodyIsRefused(t *testing.T) {
	for _, body := range []func(*http.Request){
		func(r *http.Request) { r.ContentLength = -1 },
		func(r *http.Request) { r.ContentLength = 1 },
		func(r *http.Request) { r.TransferEncoding = []string{"chunked"} },
	} {
		r := hsParse(t, hsRequest(""))
		body(r)
		_, no := checkRequest(r)
		require.NotNil(t, no)
		require.Contains(t, no.reason, "body")
	}
}

// HTTP/2 and HTTP/3 have no Upgrade header (RFC 9113 §8.6), so the error says
// which protocol it was rather than that a header is missing.
func TestRequestOverHTTP2And3NamesTheProtocol(t *testing.T) {
	for _, major := range []int{2, 3} {
		r := hsParse(t, hsRequest("Upgrade"))
		r.Proto, r.ProtoMajor, r.ProtoMinor = fmt.Sprintf("HTTP/%d.0", major), major, 0
		_, no := checkRequest(r)
		require.NotNil(t, no)
		require.Equal(t, http.StatusBadRequest, no.status)
		require.Contains(t, no.reason, r.Proto)
	}
}

// Sixteen times the bytes may take sixteen times as long, not 256 times. Eight
// times that is allowed, and a millisecond, so that a busy machine, or one that is
// emulated, does not fail the test.
func TestRequestIsJudgedInLinearTime(t *testing.T) {
	fastest := func(field, fill string) time.Duration {
		r := hsParse(t, hsRequest(field, field+": "+fill))
		best := time.Duration(1<<63 - 1)
		for range 5 {
			start := time.Now()
			_, _ = checkRequest(r)
			_ = IsWebSocketUpgrade(r)
			_ = Subprotocols(r)
			_ = checkSameOrigin(r)
			best = min(best, time.Since(start))
		}
		return best
	}
	small, large := hsFills(4<<10), hsFills(64<<10)
	for name := range small {
		for _, field := range requestFields {
			a, b := fastest(field, small[name]), fastest(field, large[name])
			require.LessOrEqual(t, b, 128*a+time.Millisecond, "%s of %s", field, name)
		}
	}
}

// RFC 6455 §1.3 has the sample.
func TestAcceptKey(t *testing.T) {
	require.Equal(t, hsAccept, acceptKey(hsKey))
}

// RFC 6454 §4 and §6: an origin is a scheme, a host and a port.
func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		name, origin, host string
		plain, overTLS     bool // whether it passes
	}{
		{"same host", "https://server.example", "server.example", true, true},
		{"http page", "http://server.example", "server.example", true, false},
		{"other host", "https://evil.example", "server.example", false, false},
		{"subdomain", "https://a.server.example", "server.example", false, false},
		{"parent domain", "https://example", "server.example", false, false},
		{"suffix", "https://evilserver.example", "server.example", false, false},
		{"prefix", "https://server.example.evil.example", "server.example", false, false},
		{"trailing dot in the origin", "https://server.example.", "server.example", false, false},
		{"trailing dot in the host", "https://server.example", "server.example.", false, false},
		{"trailing dot in both", "https://server.example.", "server.example.", true, true},
		{"case", "HTTPS://Server.EXAMPLE", "sERVER.example", true, true},
		{"letters that only Unicode folds", "https://\u212aelvin.example", "kelvin.example", false, false},

		{"same port", "https://server.example:8443", "server.example:8443", true, true},
		{"same port, http", "http://server.example:8080", "server.example:8080", true, false},
		{"other port", "https://server.example:8443", "server.example:8444", false, false},
		{"a port in the origin only", "https://server.example:8443", "server.example", false, false},
		{"a port in the host only", "https://server.example", "server.example:8443", false, false},
		{"https port in the host", "https://server.example", "server.example:443", true, true},
		{"https port in the origin", "https://server.example:443", "server.example", true, true},
		{"http port in the host", "http://server.example", "server.example:80", true, false},
		{"http port in the origin", "http://server.example:80", "server.example", true, false},
		{"http port of an https page", "https://server.example", "server.example:80", false, false},
		{"https port of an http page", "http://server.example", "server.example:443", false, false},
		{"a port that ends like the default one", "https://server.example:8443", "server.example:8", false, false},
		{"a port in digits that differ", "https://server.example:0443", "server.example", false, false},

		{"IPv4", "https://192.0.2.1", "192.0.2.1", true, true},
		{"IPv6", "https://[2001:db8::1]", "[2001:db8::1]", true, true},
		{"IPv6 and default port", "https://[2001:db8::1]", "[2001:db8::1]:443", true, true},
		{"IPv6 and port", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443", true, true},
		{"IPv6 that ends like a port", "https://[2001:db8::443]", "[2001:db8:]", false, false},
		{"another IPv6", "https://[2001:db8::2]", "[2001:db8::1]", false, false},

		{"null", "null", "null", false, false},
		{"empty", "", "server.example", false, false},
		{"nothing at all", "", "", false, false},
		{"no host", "https://", "", false, false},
		{"only a port", "https://:443", ":443", false, false},
		{"userinfo", "https://server.example@evil.example", "server.example", false, false},
		{"userinfo of the right host", "https://evil@server.example", "server.example", false, false},
		{"userinfo in both", "https://evil@server.example", "evil@server.example", false, false},
		{"no scheme", "server.example", "server.example", false, false},
		{"no scheme but slashes", "//server.example", "server.example", false, false},
		{"the scheme of an app", "app://localhost", "localhost", true, true},
		{"the scheme of an app and a port", "app://localhost", "localhost:443", false, false},
		{"opaque", "https:server.example", "server.example", false, false},
		{"query", "https://server.example?", "evil.example", false, false},
		{"query behind the host", "https://server.example?a", "server.example", false, false},
		{"fragment behind the host", "https://server.example#a", "server.example", false, false},
		{"two origins, RFC 6454 §7.1", "https://server.example https://evil.example", "server.example", false, false},
		{"two origins with a comma", "https://server.example, https://evil.example", "server.example", false, false},
		{"backslash", `https://evil.example\@server.example`, "server.example", false, false},
		{"percent", "https://server%2eexample", "server.example", false, false},
		{"a page of an extension", "chrome-extension://abcdef", "server.example", false, false},
		{"white space", " https://server.example", "server.example", false, false},
		{"control character", "https://server.example\x00", "server.example", false, false},
		{"brackets", "https://[", "[", false, false},
		{"bad port", "https://server.example:x", "server.example:x", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.plain, sameOrigin(c.origin, c.host, false), "plain")
			require.Equal(t, c.overTLS, sameOrigin(c.origin, c.host, true), "over TLS")
		})
	}
}

// RFC 6455 §4.2.2: the server picks one of those offered, by its own order.
func TestSubprotocolIsSelected(t *testing.T) {
	header := func(name string, values ...string) http.Header { return http.Header{name: values} }
	for _, c := range []struct {
		name            string
		server, offered []string
		response        http.Header
		want            string
	}{
		{"the server's order wins", []string{"b", "a"}, []string{"a", "b"}, nil, "b"},
		{"the only common one", []string{"x", "b"}, []string{"a", "b"}, nil, "b"},
		{"none in common", []string{"x"}, []string{"a"}, nil, ""},
		{"case is part of it", []string{"A"}, []string{"a"}, nil, ""},
		{"none offered", []string{"a"}, nil, nil, ""},
		{"no list", nil, []string{"a"}, nil, ""},
		{"no list takes the response header's", nil, []string{"a", "b"}, header("Sec-Websocket-Protocol", "b"), "b"},
		{"in any spelling", nil, []string{"a", "b"}, header("Sec-WebSocket-Protocol", "b"), "b"},
		{"but not what was not offered", nil, []string{"a"}, header("Sec-Websocket-Protocol", "b"), ""},
		{"only the first of the response header's", nil, []string{"a"}, header("Sec-Websocket-Protocol", "b", "a"), ""},
		{"an empty one in the response header", nil, []string{"a"}, header("Sec-Websocket-Protocol"), ""},
		{"an empty list takes none", []string{}, []string{"a"}, header("Sec-Websocket-Protocol", "a"), ""},
		{"a list wins over the response header", []string{"a"}, []string{"a", "b"}, header("Sec-Websocket-Protocol", "b"), "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, selectSubprotocol(c.server, c.offered, c.response))
		})
	}
}

// RFC 6455 §11.3.4: several Sec-WebSocket-Protocol lines of a request are one.
func TestSubprotocolsOfSeveralLines(t *testing.T) {
	r := hsParse(t, hsRequest("", "Sec-WebSocket-Protocol: b, a", "sec-websocket-protocol: c"))
	require.Equal(t, []string{"b", "a", "c"}, Subprotocols(r))
	require.Nil(t, Subprotocols(hsParse(t, hsRequest(""))))
	// Credentials, which are no tokens, travel as subprotocols too.
	require.Equal(t, []string{"v1", "dXNlcjpwYXNz=="}, Subprotocols(hsParse(t, hsRequest("", "Sec-WebSocket-Protocol: v1, dXNlcjpwYXNz=="))))
}

func TestIsWebSocketUpgrade(t *testing.T) {
	require.True(t, IsWebSocketUpgrade(hsParse(t, hsRequest(""))))
	require.True(t, IsWebSocketUpgrade(hsParse(t, hsRequest("Sec-WebSocket-Key"))), "only the two headers count")
	require.False(t, IsWebSocketUpgrade(hsParse(t, hsRequest("Upgrade"))))
	require.False(t, IsWebSocketUpgrade(hsParse(t, hsRequest("Connection"))))
	require.False(t, IsWebSocketUpgrade(&http.Request{}))
}

// RFC 9110 §5.5: what would end a line early must not get into a header.
func TestResponseHeaderIsJudged(t *testing.T) {
	for _, h := range []http.Header{
		{"X": {"a\r\nSet-Cookie: b"}}, {"X": {"a\rb"}}, {"X": {"a\nb"}}, {"X": {"ok", "a\x00"}}, {"X": {"\x7f"}},
		{"X: y\r\nZ": {"a"}}, {"X Y": {"a"}}, {"": {"a"}}, {"X:": {"a"}}, {"X\n": nil}, {"\u00e9": {"a"}},
		{"Sec-Websocket-Extensions": {"permessage-deflate"}}, {"Sec-WebSocket-Extensions": {"a"}},
		{"sec-websocket-extensions": nil}, {"Sec-Websocket-Protocol": {"a\r\nX: b"}}, {"Upgrade": {"\r\n"}},
	} {
		require.Error(t, checkResponseHeader(h), "%q", h)
	}
	for _, h := range []http.Header{nil, {}, {"Set-Cookie": {"a=b; Path=/", "c=d"}}, {"X": {"", "\u00e9\ttab"}}, {"x-lower": {"a"}}} {
		require.NoError(t, checkResponseHeader(h), "%q", h)
	}
}

// RFC 6455 §4.2.2, step 5: the response, whole.
func TestResponseBytes(t *testing.T) {
	require.Equal(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "+hsAccept+"\r\n\r\n", string(appendResponse(nil, hsKey, "", "", nil)))
	require.Equal(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "+hsAccept+"\r\nSec-WebSocket-Protocol: chat\r\n"+
		"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
		string(appendResponse(nil, hsKey, "chat", "", http.Header{
			"Set-Cookie": {"a=b", "c=d"}, "upgrade": {"h2c"}, "Connection": {"close"}, "Sec-WebSocket-Accept": {"x"},
			"Sec-Websocket-Protocol": {"other"}, "sec-websocket-protocol": {"third"},
		})), "the handshake's own headers are there once")
}

// hsResponseLines are the right answer to hsKey, RFC 6455 §1.3.
var hsResponseLines = []string{
	"Upgrade: websocket",
	"Connection: Upgrade",
	"Sec-WebSocket-Accept: " + hsAccept,
}

// An hsResponse is a response that the client must judge, of a server that was
// offered the subprotocols "chat" and "superchat".
type hsResponse struct {
	name   string
	status string
	remove string
	lines  []string
}

func (r hsResponse) raw() string {
	if r.status == "" {
		r.status = "101 Switching Protocols"
	}
	return hsHead("HTTP/1.1 "+r.status, hsResponseLines, r.remove, r.lines...)
}

// hsBadResponses break one rule of RFC 6455 §4.1 each.
func hsBadResponses() []hsResponse {
	const up, conn, accept, proto = "Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"
	long := strings.Repeat("a", 32<<10)
	return []hsResponse{
		{"200", "200 OK", "", nil},
		{"a redirect", "302 Found", "", []string{"Location: /"}},
		{"no right to", "401 Unauthorized", "", nil},
		{"426", "426 Upgrade Required", "", nil},
		{"500", "500 Internal Server Error", "", nil},

		{"no Upgrade", "", up, nil},
		{"empty Upgrade", "", up, []string{"Upgrade:"}},
		{"wrong Upgrade", "", up, []string{"Upgrade: h2c"}},
		{"longer Upgrade", "", up, []string{"Upgrade: websockets"}},
		{"Upgrade to more", "", up, []string{"Upgrade: websocket, h2c"}},
		{"doubled Upgrade", "", "", []string{"Upgrade: websocket"}},
		{"long Upgrade", "", up, []string{"Upgrade: " + long}},

		{"no Connection", "", conn, nil},
		{"empty Connection", "", conn, []string{"Connection:"}},
		{"wrong Connection", "", conn, []string{"Connection: close"}},
		{"long Connection", "", conn, []string{"Connection: " + long}},

		{"no accept", "", accept, nil},
		{"empty accept", "", accept, []string{"Sec-WebSocket-Accept:"}},
		{"doubled accept", "", "", []string{"Sec-WebSocket-Accept: " + hsAccept}},
		{"accept of another key", "", accept, []string{"Sec-WebSocket-Accept: " + acceptKey("x")}},
		{"accept that is the key", "", accept, []string{"Sec-WebSocket-Accept: " + hsKey}},
		{"accept in another case", "", accept, []string{"Sec-WebSocket-Accept: " + strings.ToLower(hsAccept)}},
		{"accept and more", "", accept, []string{"Sec-WebSocket-Accept: " + hsAccept + ", " + hsAccept}},
		{"accept behind a no-break space", "", accept, []string{"Sec-WebSocket-Accept: \u00a0" + hsAccept}},
		{"long accept", "", accept, []string{"Sec-WebSocket-Accept: " + hsAccept + long}},

		{"an extension", "", "", []string{"Sec-WebSocket-Extensions: permessage-deflate"}},
		{"a malformed extension", "", "", []string{"Sec-WebSocket-Extensions: ;"}},
		{"a long extension", "", "", []string{"Sec-WebSocket-Extensions: " + long}},

		{"a subprotocol that was not offered", "", "", []string{proto + ": other"}},
		{"a subprotocol in another case", "", "", []string{proto + ": Chat"}},
		{"an empty subprotocol", "", "", []string{proto + ":"}},
		{"two subprotocols in one line", "", "", []string{proto + ": chat, superchat"}},
		{"two subprotocols in two lines", "", "", []string{proto + ": chat", proto + ": superchat"}},
		{"one subprotocol twice", "", "", []string{proto + ": chat", proto + ": chat"}},
		{"a long subprotocol", "", "", []string{proto + ": " + long}},
	}
}

// hsGoodResponses follow the rules; want is the subprotocol.
var hsGoodResponses = []struct {
	hsResponse
	want string
}{
	{hsResponse{name: "as in the RFC"}, ""},
	{hsResponse{name: "another reason", status: "101 Web Socket Protocol Handshake"}, ""},
	{hsResponse{name: "no reason", status: "101"}, ""},
	{hsResponse{"any case", "", "Upgrade", []string{"upgrade: WebSocket"}}, ""},
	{hsResponse{"Connection as a list", "", "Connection", []string{"Connection: keep-alive, upgrade"}}, ""},
	{hsResponse{"Connection in two lines", "", "Connection", []string{"Connection: keep-alive", "Connection: upgrade"}}, ""},
	{hsResponse{"white space", "", "Sec-WebSocket-Accept", []string{"Sec-WebSocket-Accept: \t" + hsAccept + " \t"}}, ""},
	{hsResponse{"an empty list of extensions", "", "", []string{"Sec-WebSocket-Extensions:"}}, ""},
	{hsResponse{"the first subprotocol", "", "", []string{"Sec-WebSocket-Protocol: chat"}}, "chat"},
	{hsResponse{"the second subprotocol", "", "", []string{"sec-websocket-protocol:\tsuperchat "}}, "superchat"},
	{hsResponse{"a length that a 101 cannot have", "", "", []string{"Content-Length: 100"}}, ""},
	{hsResponse{"chunks that a 101 cannot have", "", "", []string{"Transfer-Encoding: chunked"}}, ""},
}

var hsOffered = []string{"chat", "superchat"}

// RFC 6455 §4.1: what a client must find in a response.
func TestResponseIsJudged(t *testing.T) {
	read := func(t *testing.T, c hsResponse) (string, error) {
		r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(c.raw())), nil)
		require.NoError(t, err)
		subprotocol, agreed, err := checkResponse(r.StatusCode, r.Header, hsKey, hsOffered, nil)
		require.Nil(t, agreed)
		return subprotocol, err
	}
	for _, c := range hsBadResponses() {
		t.Run(c.name, func(t *testing.T) {
			subprotocol, err := read(t, c)
			require.Error(t, err)
			require.Empty(t, subprotocol)
		})
	}
	for _, c := range hsGoodResponses {
		t.Run(c.name, func(t *testing.T) {
			subprotocol, err := read(t, c.hsResponse)
			require.NoError(t, err)
			require.Equal(t, c.want, subprotocol)
		})
	}
}

// What the handshake of each side says is what the other one asks for.
func TestResponseSuitsRequest(t *testing.T) {
	for _, offered := range [][]string{nil, {"chat"}, hsOffered} {
		d := &Dialer{Subprotocols: offered}
		hs, err := d.newHandshake("ws://server.example/chat?a=b", http.Header{"X": {"y"}})
		require.NoError(t, err)
		var raw strings.Builder
		require.NoError(t, hs.request.Write(&raw))
		key, no := checkRequest(hsParse(t, raw.String()))
		require.Nil(t, no)
		require.Equal(t, hs.key, key)

		chosen := selectSubprotocol([]string{"superchat", "chat"}, Subprotocols(hsParse(t, raw.String())), nil)
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(appendResponse(nil, key, chosen, "", nil)))), hs.request)
		require.NoError(t, err)
		got, _, err := checkResponse(response.StatusCode, response.Header, hs.key, hs.offered, hs.compression)
		require.NoError(t, err)
		require.Equal(t, chosen, got)
	}
}

// The key is a nonce, RFC 6455 §4.1.
func TestKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		hs, err := (&Dialer{}).newHandshake("ws://server.example", nil)
		require.NoError(t, err)
		require.True(t, validKey(hs.key))
		seen[hs.key] = true
	}
	require.Len(t, slices.Collect(maps.Keys(seen)), 100)
}

func acceptKey(key string) string { return string(appendAccept(nil, key)) }
