package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// An hsPeer is the server that a Dialer under test meets, in memory: it reads
// the request and does what the test says.
type hsPeer struct {
	client, server *testnet.Conn
	network, addr  string // what was dialed
	request        string // up to the end of its header
	key            string
}

// hsMeet lets d meet a peer that answers by the given function, which runs on
// a goroutine of its own, and which may be nil.
func hsMeet(t testing.TB, d *Dialer, answer func(*hsPeer)) *hsPeer {
	t.Helper()
	p := &hsPeer{}
	p.client, p.server = testnet.Pipe()
	p.server.Out().SetBuffer(1 << 20)
	done := make(chan struct{})
	d.NetDialContext = func(_ context.Context, network, addr string) (net.Conn, error) {
		p.network, p.addr = network, addr
		go func() {
			defer close(done)
			b := make([]byte, 1)
			for !strings.HasSuffix(p.request, "\r\n\r\n") {
				if _, err := p.server.Read(b); err != nil {
					return
				}
				p.request += string(b)
			}
			p.key = hsParse(t, p.request).Header.Get("Sec-Websocket-Key")
			if answer != nil {
				answer(p)
			}
		}()
		return p.client, nil
	}
	t.Cleanup(func() {
		_, _ = p.client.Close(), p.server.Close()
		if p.addr != "" {
			<-done
		}
	})
	return p
}

// send writes a response that was written for hsKey.
func (p *hsPeer) send(raw string) {
	_, _ = io.WriteString(p.server, strings.ReplaceAll(raw, hsAccept, acceptKey(p.key)))
}

// hsSends is an answer in one piece.
func hsSends(raw string) func(*hsPeer) { return func(p *hsPeer) { p.send(raw) } }

// hsSendsAll is an answer with the end of the stream behind it.
func hsSendsAll(raw string) func(*hsPeer) {
	return func(p *hsPeer) {
		p.send(raw)
		_ = p.server.CloseWrite()
	}
}

var hsGood = hsResponse{}.raw()

const hsURL = "ws://server.example/chat"

// RFC 6455 §3: a URL says what to dial and what to ask for.
func TestURLForms(t *testing.T) {
	for _, c := range []struct{ url, addr, uri, host string }{
		{"ws://server.example", "server.example:80", "/", "server.example"},
		{"ws://server.example/", "server.example:80", "/", "server.example"},
		{"WS://Server.Example/", "Server.Example:80", "/", "Server.Example"},
		{"ws://server.example:8080/chat", "server.example:8080", "/chat", "server.example:8080"},
		{"ws://server.example:/chat", "server.example:80", "/chat", "server.example"},
		{"ws://server.example:80/", "server.example:80", "/", "server.example:80"},
		{"ws://server.example/a%2Fb/%c3%a9?x=y&z=%20#part", "server.example:80", "/a%2Fb/%c3%a9?x=y&z=%20", "server.example"},
		{"ws://server.example?x=y", "server.example:80", "/?x=y", "server.example"},
		{"ws://server.example/?", "server.example:80", "/?", "server.example"},
		{"ws://server.example//evil.example/", "server.example:80", "//evil.example/", "server.example"},
		{"ws://server.example/a b", "server.example:80", "/a%20b", "server.example"},
		{"ws://192.0.2.1:1/", "192.0.2.1:1", "/", "192.0.2.1:1"},
		{"ws://[2001:db8::1]/", "[2001:db8::1]:80", "/", "[2001:db8::1]"},
		{"ws://[2001:db8::1]:8080/", "[2001:db8::1]:8080", "/", "[2001:db8::1]:8080"},
		{"ws://[fe80::1%25eth0]:8080/", "[fe80::1%eth0]:8080", "/", "[fe80::1]:8080"},
		{"ws://b\u00fccher.example/", "xn--bcher-kva.example:80", "/", "xn--bcher-kva.example"},
		{"ws://b\u00fccher.example:8080/", "xn--bcher-kva.example:8080", "/", "xn--bcher-kva.example:8080"},
	} {
		t.Run(c.url, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{}
				p := hsMeet(t, d, hsSends(hsGood))
				ws, response, err := d.Dial(c.url, nil)
				require.NoError(t, err)
				require.NoError(t, ws.Close())
				require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
				require.Equal(t, "tcp", p.network)
				require.Equal(t, c.addr, p.addr)
				require.True(t, strings.HasPrefix(p.request, "GET "+c.uri+" HTTP/1.1\r\nHost: "+c.host+"\r\n"), p.request)
			})
		})
	}
}

// What is no ws or wss URL is refused before anything is dialed.
func TestBadURLs(t *testing.T) {
	for _, u := range []string{
		"", "server.example", "/chat", "//server.example/", "http://server.example/", "https://server.example/", "wsx://server.example/",
		"ws:server.example", "ws:///chat", "ws://", "ws://:80/", "ws://user@server.example/", "ws://user:pw@server.example/", "ws://@server.example/",
		"ws://server.example:port/", "ws://[::1/", "ws://server.example/\r\nX: y", "ws://server.example\r\n/", "ws://server.example/%zz",
		"ws://server.example /", "ws://server.example/\x00",
	} {
		t.Run(u, func(t *testing.T) { hsFailsBeforeDialing(t, &Dialer{}, u, nil) })
	}
}

func hsFailsBeforeDialing(t *testing.T, d *Dialer, u string, header http.Header) error {
	t.Helper()
	d.NetDial = func(string, string) (net.Conn, error) {
		t.Error("dialed")
		return nil, io.EOF
	}
	ws, response, err := d.Dial(u, header)
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	var malformed *url.Error
	if d.Proxy == nil && !errors.As(err, &malformed) {
		requireDialError(t, DialRequest, err)
	}
	require.Nil(t, ws)
	require.Nil(t, response)
	return err
}

// The request as it goes out, RFC 6455 §4.1, with headers as they are spelled.
func TestRequestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{Subprotocols: hsOffered}
		p := hsMeet(t, d, hsSends(hsGood))
		ws, _, err := d.Dial(hsURL, http.Header{
			"x-lower": {"a"}, "X-UPPER": {"b", "c"}, "ORIGIN": {"http://server.example"}, "User-Agent": {"test"}, "Empty": {""},
		})
		require.NoError(t, err)
		defer func() { _ = ws.Close() }()
		lines := strings.Split(strings.TrimSuffix(p.request, "\r\n\r\n"), "\r\n")
		require.Equal(t, "GET /chat HTTP/1.1", lines[0])
		require.ElementsMatch(t, []string{
			"Host: server.example", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Key: " + p.key, "Sec-WebSocket-Protocol: chat, superchat",
			"x-lower: a", "X-UPPER: b", "X-UPPER: c", "ORIGIN: http://server.example", "User-Agent: test", "Empty: ",
		}, lines[1:])
	})
}

// The headers of the handshake are the library's, in every spelling.
func TestReservedHeaders(t *testing.T) {
	for _, name := range []string{
		"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions",
		"upgrade", "CONNECTION", "Sec-WebSocket-Key", "sec-websocket-version", "Sec-WebSocket-Extensions",
	} {
		err := hsFailsBeforeDialing(t, &Dialer{}, hsURL, http.Header{name: {"x"}})
		require.EqualError(t, err, "websocket: duplicate header not allowed: "+name)
	}
	for _, name := range []string{"Sec-Websocket-Protocol", "Sec-WebSocket-Protocol"} {
		err := hsFailsBeforeDialing(t, &Dialer{Subprotocols: []string{"chat"}}, hsURL, http.Header{name: {"chat"}})
		require.EqualError(t, err, "websocket: duplicate header not allowed: "+name)
	}
}

// RFC 9112 §6: a request without a body does not announce one, in whatever spelling; and there is one
// User-Agent.
func TestFramingHeaders(t *testing.T) {
	for _, spell := range []func(string) string{func(s string) string { return s }, strings.ToLower, strings.ToUpper} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			p := hsMeet(t, d, hsSends(hsGood))
			ws, _, err := d.Dial(hsURL, http.Header{
				spell("Content-Length"): {"6"}, spell("Transfer-Encoding"): {"chunked"}, spell("Trailer"): {"X"}, spell("User-Agent"): {"test"},
			})
			require.NoError(t, err)
			require.NoError(t, ws.Close())
			r := hsParse(t, p.request)
			require.Zero(t, r.ContentLength)
			require.Empty(t, r.TransferEncoding)
			require.Empty(t, r.Trailer)
			require.Equal(t, []string{"test"}, r.Header["User-Agent"])
			require.Contains(t, p.request, "\r\n"+spell("User-Agent")+": test\r\n")
		})
	}
}

// Without Subprotocols the caller may offer some in the header, and one of them
// may be chosen.
func TestSubprotocolsInTheRequestHeader(t *testing.T) {
	for _, name := range []string{"Sec-Websocket-Protocol", "Sec-WebSocket-Protocol", "sec-websocket-protocol"} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			p := hsMeet(t, d, hsSends(hsResponse{lines: []string{"Sec-WebSocket-Protocol: b"}}.raw()))
			ws, _, err := d.Dial(hsURL, http.Header{name: {"a, b", "c"}})
			require.NoError(t, err)
			require.Equal(t, "b", ws.Subprotocol())
			require.NoError(t, ws.Close())
			require.Contains(t, p.request, "\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n")
		})
	}
}

// Host names the virtual host, not the address.
func TestHostHeader(t *testing.T) {
	for name, want := range map[string]string{"other.example:1": "other.example:1", "b\u00fccher.example": "xn--bcher-kva.example", "": "server.example"} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			p := hsMeet(t, d, hsSends(hsGood))
			ws, _, err := d.Dial(hsURL, http.Header{"Host": {name}})
			require.NoError(t, err)
			require.NoError(t, ws.Close())
			require.Equal(t, "server.example:80", p.addr)
			require.True(t, strings.HasPrefix(p.request, "GET /chat HTTP/1.1\r\nHost: "+want+"\r\n"), p.request)
			require.Equal(t, 1, strings.Count(p.request, "Host:"))
		})
	}
}

// RFC 9110 §5.5: what would end a line early is refused before anything is
// dialed, as is a subprotocol that the server would see as another.
func TestBadRequestHeaders(t *testing.T) {
	for _, h := range []http.Header{
		{"X": {"a\r\nY: b"}}, {"X": {"a\nb"}}, {"X": {"a\rb"}}, {"X": {"ok", "a\x00"}}, {"X\r\nY": {"a"}}, {"X Y": {"a"}}, {"": {"a"}}, {"X:": {"a"}},
		{"Host": {"a\r\nX: y"}}, {"host": {"a\n"}}, {"Host": {"a b"}}, {"Host": {"a/b"}},
		{"Cookie": {"a=b\r\nX: y"}}, {"Origin": {"\r\n\r\nGET /admin HTTP/1.1"}},
		{"Sec-Websocket-Protocol": {"a\r\nX: y"}}, {"sec-websocket-protocol": {"a\x00"}},
	} {
		hsFailsBeforeDialing(t, &Dialer{}, hsURL, h)
	}
	// The Host header does not make another host of what is dialed.
	hsFailsBeforeDialing(t, &Dialer{}, "ws://xn--\u00fc.example/", http.Header{"Host": {"server.example"}})
	for _, s := range [][]string{{"a\r\nX: y"}, {""}, {"a", ""}, {"a,b"}, {"a\x7f"}, {" a"}, {"a\t"}} {
		hsFailsBeforeDialing(t, &Dialer{Subprotocols: s}, hsURL, nil)
	}
}

// An hsJar notes what it is asked.
type hsJar struct {
	*cookiejar.Jar
	asked, stored []string
}

func (j *hsJar) Cookies(u *url.URL) []*http.Cookie {
	j.asked = append(j.asked, u.String())
	return j.Jar.Cookies(u)
}

func (j *hsJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.stored = append(j.stored, u.String())
	j.Jar.SetCookies(u, cookies)
}

// A Jar knows http and https URLs only. It gets the cookies of refusals too.
func TestJar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, err := cookiejar.New(nil)
		require.NoError(t, err)
		jar := &hsJar{Jar: inner}
		dial := func(header http.Header, answer string) string {
			d := &Dialer{Jar: jar}
			p := hsMeet(t, d, hsSendsAll(answer))
			ws, _, err := d.Dial(hsURL, header)
			if err == nil {
				require.NoError(t, ws.Close())
			} else {
				require.Equal(t, ErrBadHandshake, err)
			}
			return p.request
		}
		require.NotContains(t, dial(nil, "HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=refused\r\n\r\n"), "Cookie")
		require.Equal(t, []string{"http://server.example/chat"}, jar.asked)
		require.Equal(t, jar.asked, jar.stored)
		require.Contains(t, dial(nil, hsResponse{lines: []string{"Set-Cookie: b=accepted; Secure"}}.raw()), "\r\nCookie: a=refused\r\n")
		require.Contains(t, dial(nil, hsGood), "\r\nCookie: a=refused\r\n", "a secure cookie does not go over ws")
		require.Len(t, jar.stored, 2, "nothing to store")
		for _, name := range []string{"Cookie", "cookie"} {
			request := dial(http.Header{name: {"c=mine"}}, hsGood)
			require.Contains(t, request, "\r\n"+name+": c=mine\r\n")
			require.NotContains(t, request, "a=refused", "the header replaces the jar's")
		}
		u, err := url.Parse("https://server.example/")
		require.NoError(t, err)
		require.Len(t, inner.Cookies(u), 2)
	})
}

// A wss URL is an https one to the Jar.
func TestJarOfWSS(t *testing.T) {
	inner, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar := &hsJar{Jar: inner}
	u, err := url.Parse("https://server.example/")
	require.NoError(t, err)
	inner.SetCookies(u, []*http.Cookie{{Name: "s", Value: "1", Secure: true}})
	hs, err := (&Dialer{Jar: jar}).newHandshake("wss://server.example/chat", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"https://server.example/chat"}, jar.asked)
	require.Equal(t, "s=1", hs.request.Header.Get("Cookie"))
}

// RFC 6455 §4.1: a response that breaks a rule fails the dial, with
// ErrBadHandshake itself and the response, and ends the connection.
func TestBadResponses(t *testing.T) {
	for _, c := range hsBadResponses() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{Subprotocols: hsOffered}
				p := hsMeet(t, d, hsSendsAll(c.raw()))
				ws, response, err := d.Dial(hsURL, nil)
				require.Nil(t, ws)
				require.True(t, err == ErrBadHandshake, "%v", err)
				require.NotNil(t, response)
				require.NotNil(t, response.Body)
				_, err = io.ReadAll(response.Body)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				require.True(t, p.client.Closed())
			})
		})
	}
}

// A header line of 64 KiB fails the dial, whichever it is.
func TestLongResponseHeader(t *testing.T) {
	for _, name := range []string{"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "X"} {
		for what, fill := range hsFills(64 << 10) {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{Subprotocols: hsOffered}
				p := hsMeet(t, d, hsSends(hsResponse{remove: name, lines: []string{name + ": x" + fill}}.raw()))
				ws, _, err := d.Dial(hsURL, nil)
				require.Nil(t, ws)
				require.Equal(t, errResponseHead, err, "%s of %s", name, what)
				require.True(t, p.client.Closed())
			})
		}
	}
}

// What came in one piece with a good response are frames like any other.
func TestGoodResponses(t *testing.T) {
	for _, c := range hsGoodResponses {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				checkBuffers(t)
				d := &Dialer{Subprotocols: hsOffered}
				p := hsMeet(t, d, hsSends(c.raw()+"\x81\x05early\x81\x04bi"))
				ws, response, err := d.Dial(hsURL, nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.Empty(t, body)
				require.Equal(t, c.want, ws.Subprotocol())
				require.Same(t, p.client, ws.NetConn())
				hsExpect(t, ws, "early")
				_, err = io.WriteString(p.server, "rd")
				require.NoError(t, err)
				hsExpect(t, ws, "bird")
				require.NoError(t, ws.Close())
			})
		})
	}
}

// More than the reader of the response holds may come behind it.
func TestManyFramesBehindTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkBuffers(t)
		const n = 10000
		d := &Dialer{}
		hsMeet(t, d, hsSends(hsGood+strings.Repeat("\x81\x05early", n)))
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		for range n {
			hsExpect(t, ws, "early")
		}
		require.NoError(t, ws.Close())
	})
}

// A nil Dialer is DefaultDialer.
func TestNilDialer(t *testing.T) {
	var d *Dialer
	ws, response, err := d.Dial("http://server.example/", nil)
	require.Equal(t, errMalformedURL, err)
	require.Nil(t, ws)
	require.Nil(t, response)

	saved := DefaultDialer
	defer func() { DefaultDialer = saved }()
	DefaultDialer = &Dialer{}
	synctest.Test(t, func(t *testing.T) {
		hsMeet(t, DefaultDialer, hsSends(hsGood))
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
	})
}

// NetDial dials where NetDialContext does not.
func TestNetDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{}
		p := hsMeet(t, d, hsSends(hsGood))
		meet := d.NetDialContext
		d.NetDialContext = nil
		d.NetDial = func(network, addr string) (net.Conn, error) { return meet(context.Background(), network, addr) }
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
		require.Equal(t, "tcp server.example:80", p.network+" "+p.addr)

		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrNoProgress }
		_, _, err = d.Dial(hsURL, nil)
		require.Equal(t, io.ErrNoProgress, err, "NetDialContext goes first, and its error is the dial's")
	})
}

// A dial function that returns nothing at all is an error, not a panic.
func TestDialReturnsNothing(t *testing.T) {
	nothing := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	for _, d := range []*Dialer{
		{NetDialContext: nothing}, {NetDialTLSContext: nothing},
		{NetDial: func(string, string) (net.Conn, error) { return nil, nil }},
	} {
		for _, u := range []string{"ws://192.0.2.1/", "wss://192.0.2.1/"} {
			if d.NetDialTLSContext != nil && u[:3] != "wss" {
				continue
			}
			_, _, err := d.Dial(u, nil)
			require.Equal(t, errNoNetConn, err)
		}
	}
}

// A request that cannot be written ends the connection.
func TestRequestCannotBeWritten(t *testing.T) {
	fault := errors.New("cable cut")
	for _, after := range []int{0, 1, 100} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			p := hsMeet(t, d, nil)
			p.client.Out().FailWritesAfter(after, fault)
			ws, response, err := d.Dial(hsURL, nil)
			require.ErrorIs(t, err, fault)
			require.Nil(t, ws)
			require.Nil(t, response)
			require.True(t, p.client.Closed())
		})
	}
}

// A transport without deadlines does without, as it does in later writes.
func TestDialWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{}
		hsMeet(t, d, hsSends(hsGood+"\x81\x05hello"))
		meet := d.NetDialContext
		d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := meet(ctx, network, addr)
			return hsTimeless{c}, err
		}
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		hsExpect(t, ws, "hello")
		require.NoError(t, ws.WriteMessage(TextMessage, nil))
		require.NoError(t, ws.Close())
	})
}

// A dial function that panics does so in the goroutine of its caller, who may
// recover.
func TestNetDialThatPanics(t *testing.T) {
	d := &Dialer{NetDial: func(string, string) (net.Conn, error) { panic("dial") }}
	require.PanicsWithValue(t, "dial", func() { _, _, _ = d.Dial(hsURL, nil) })
}
