package websocket

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// An rdSite is an HTTP server that redirects where its table says so, and
// upgrades what else it is asked for.
type rdSite struct {
	*httptest.Server
	status    int               // of redirects, 302 if zero
	locations map[string]string // by path and query
	cookies   map[string]string // by path

	mu       sync.Mutex
	requests []*http.Request
}

func rdServe(t testing.TB, overTLS bool, locations map[string]string) *rdSite {
	t.Helper()
	s := &rdSite{status: http.StatusFound, locations: locations}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail on purpose
	if overTLS {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *rdSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	n := len(s.requests)
	s.mu.Unlock()
	if cookie := s.cookies[r.URL.Path]; cookie != "" {
		w.Header().Set("Set-Cookie", cookie)
	}
	if location, ok := s.locations[r.RequestURI]; ok {
		w.Header().Set("Location", location)
		w.Header().Set("X-Count", fmt.Sprint(n))
		w.WriteHeader(s.status)
		return
	}
	header := http.Header{}
	if cookie := s.cookies[r.URL.Path]; cookie != "" {
		header.Set("Set-Cookie", cookie)
	}
	c, err := new(Upgrader).Upgrade(w, r, header)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_ = c.WriteMessage(TextMessage, []byte(r.RequestURI))
	_, _, _ = c.ReadMessage()
}

// asked are the paths of the requests that came.
func (s *rdSite) asked() (paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		paths = append(paths, r.RequestURI)
	}
	return paths
}

// request is the one that came for a path.
func (s *rdSite) request(t testing.TB, path string) *http.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*http.Request
	for _, r := range s.requests {
		if r.RequestURI == path {
			found = append(found, r)
		}
	}
	require.Len(t, found, 1, path)
	return found[0]
}

// ws is the URL of a path as a WebSocket client has it.
func (s *rdSite) ws(path string) string { return "ws" + strings.TrimPrefix(s.URL, "http") + path }

// rdNames lets d find sites by names that no resolver knows.
func rdNames(d *Dialer, sites map[string]*rdSite) {
	d.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		site := sites[address]
		if site == nil {
			return nil, fmt.Errorf("no site at %s", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, site.Listener.Addr().String())
	}
}

// rdArrive dials and expects to be upgraded at a path.
func rdArrive(t testing.TB, d *Dialer, u string, header http.Header, path string) {
	t.Helper()
	ws, response, err := d.Dial(u, header)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.Equal(t, path, response.Request.URL.RequestURI())
	_, p, err := ws.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, path, string(p))
	require.NoError(t, ws.Close())
}

// rdRefused dials and expects a redirect to be where it ends.
func rdRefused(t testing.TB, d *Dialer, u string) (*http.Response, error) {
	t.Helper()
	ws, response, err := d.Dial(u, nil)
	require.Nil(t, ws)
	require.NotNil(t, response)
	require.Equal(t, http.StatusFound, response.StatusCode)
	return response, err
}

// RFC 9110 §15.4: the statuses that say "ask the same elsewhere", and what
// elsewhere may look like (§10.2.2).
func TestRedirectsAreFollowed(t *testing.T) {
	testnet.CheckGoroutines(t)
	site := rdServe(t, false, nil)
	other := rdServe(t, false, nil)
	over := rdServe(t, true, nil)
	otherTLS := rdServe(t, true, nil)
	d := &Dialer{MaxRedirects: 1, TLSClientConfig: over.Client().Transport.(*http.Transport).TLSClientConfig}
	for _, status := range []int{301, 302, 303, 307, 308} {
		site.status, site.locations = status, map[string]string{"/a/b": "/chat"}
		rdArrive(t, d, site.ws("/a/b"), nil, "/chat")
	}
	host, otherHost := strings.TrimPrefix(site.URL, "http://"), strings.TrimPrefix(other.URL, "http://")
	for location, path := range map[string]string{
		"chat": "/a/chat", "./chat?x=y": "/a/chat?x=y", "../chat": "/chat", "/chat?x=%20&y": "/chat?x=%20&y", "?x=y": "/a/b?x=y",
		"/a%2Fb": "/a%2Fb", "/chat#part": "/chat", "/%0d%0aX:%20y": "/%0d%0aX:%20y", "/" + strings.Repeat("a", 8191): "/" + strings.Repeat("a", 8191),
		"//" + host + "/chat": "/chat", "ws://" + host + "/chat": "/chat", "http://" + host + "/chat": "/chat", "HTTP://" + host: "/",
		"//" + otherHost + "/chat": "/chat", "ws://" + otherHost + "/chat": "/chat", "http://" + otherHost + "/chat": "/chat",
		"wss" + strings.TrimPrefix(over.URL, "https") + "/chat": "/chat", over.URL + "/chat": "/chat",
	} {
		site.locations = map[string]string{"/a/b": location}
		rdArrive(t, d, site.ws("/a/b"), nil, path)
	}
	for _, location := range []string{
		"/chat", "//" + strings.TrimPrefix(over.URL, "https://") + "/chat", otherTLS.ws("/chat"), otherTLS.URL + "/chat",
	} {
		over.locations = map[string]string{"/": location}
		rdArrive(t, d, over.ws("/"), nil, "/chat")
	}
}

// Other statuses, and those without a Location, are answers like any other.
func TestWhatIsNoRedirect(t *testing.T) {
	site := rdServe(t, false, map[string]string{"/": "/chat", "/nowhere": ""})
	d := &Dialer{MaxRedirects: 10}
	for _, status := range []int{200, 201, 300, 304, 305, 306, 309, 399, 401, 403, 503} {
		site.status = status
		_, response, err := d.Dial(site.ws("/"), nil)
		require.True(t, err == ErrBadHandshake, "%v", err)
		require.Equal(t, status, response.StatusCode)
	}
	site.status = http.StatusFound
	_, err := rdRefused(t, d, site.ws("/nowhere"))
	require.True(t, err == ErrBadHandshake, "%v", err)
	require.Equal(t, append(slices.Repeat([]string{"/"}, 11), "/nowhere"), site.asked())

	u := "ws+unix://" + strings.ReplaceAll(unixServer(t, "s"), ":", "%3A") + ":/away"
	_, err = rdRefused(t, d, u)
	require.True(t, err == ErrBadHandshake, "%v", err)
}

// Nothing is followed unless the program asks for it.
func TestNoRedirectsByDefault(t *testing.T) {
	site := rdServe(t, false, map[string]string{"/": "/chat"})
	for _, d := range []*Dialer{nil, {}, {MaxRedirects: -1}} {
		response, err := rdRefused(t, d, site.ws("/"))
		require.True(t, err == ErrBadHandshake, "%v", err)
		require.Equal(t, "/chat", response.Header.Get("Location"))
	}
	require.Equal(t, []string{"/", "/", "/"}, site.asked())
}

// A loop ends by the bound, with the last response.
func TestRedirectsAreBounded(t *testing.T) {
	site := rdServe(t, false, map[string]string{"/a": "/b", "/b": "/a"})
	response, err := rdRefused(t, &Dialer{MaxRedirects: 3}, site.ws("/a"))
	require.True(t, err == ErrBadHandshake, "%v", err)
	require.Equal(t, "4", response.Header.Get("X-Count"))
	require.Equal(t, []string{"/a", "/b", "/a", "/b"}, site.asked())
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Empty(t, body)

	site.locations = map[string]string{"/1": "/2", "/2": "/3", "/3": "/4"}
	rdArrive(t, &Dialer{MaxRedirects: 3}, site.ws("/1"), nil, "/4")
	_, err = rdRefused(t, &Dialer{MaxRedirects: 2}, site.ws("/1"))
	require.True(t, err == ErrBadHandshake, "%v", err)
}

// What the program tells one host, no other learns: not by another port, not as
// a subdomain, and not later on the way either. The same host goes on being
// told.
func TestSecretsStayWithTheirHost(t *testing.T) {
	secrets := []string{"Authorization", "Cookie", "Cookie2", "Proxy-Authorization", "Www-Authenticate"}
	header := http.Header{
		"authorization": {"Bearer secret"}, "COOKIE": {"a=secret"}, "Cookie2": {"secret"}, "Proxy-Authorization": {"secret"},
		"WWW-Authenticate": {"secret"}, "host": {"virtual.example"}, "X-Key": {"for everybody"},
	}
	before := header.Clone()
	for _, elsewhere := range []string{"chat.example:8080", "a.chat.example", "chat.example.", "example", "evilchat.example", "chat.example:443"} {
		t.Run(elsewhere, func(t *testing.T) {
			first := rdServe(t, false, map[string]string{"/1": "/2", "/2": "http://CHAT.example:80/3", "/3": "//" + elsewhere + "/4", "/6": "/7"})
			second := rdServe(t, false, map[string]string{"/4": "/5", "/5": "ws://chat.example/6"})
			d := &Dialer{MaxRedirects: 6}
			address := elsewhere
			if !strings.Contains(address, ":") {
				address += ":80"
			}
			rdNames(d, map[string]*rdSite{"chat.example:80": first, "CHAT.example:80": first, address: second})
			rdArrive(t, d, "ws://chat.example/1", header, "/7")
			require.Equal(t, before, header, "the program's own")
			for _, path := range []string{"/1", "/2", "/3"} {
				r := first.request(t, path)
				for _, name := range secrets {
					require.Contains(t, r.Header.Get(name), "secret", "%s at %s", name, path)
				}
				require.Equal(t, "virtual.example", r.Host)
			}
			for _, path := range []string{"/4", "/5", "/6", "/7"} {
				site, host := second, strings.TrimSuffix(elsewhere, ".")
				if path > "/5" {
					site, host = first, "chat.example"
				}
				r := site.request(t, path)
				for _, name := range secrets {
					require.NotContains(t, r.Header, name, path)
				}
				require.Equal(t, host, strings.TrimSuffix(r.Host, "."))
				require.Equal(t, "for everybody", r.Header.Get("X-Key"))
			}
		})
	}
}

// The same address is the same host, whatever the scheme; the default ports of
// two schemes are not the same.
func TestSameAddress(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"http://server.example/a", "http://SERVER.example:80/b", true},
		{"https://server.example", "https://server.example:443", true},
		{"http://server.example:8443", "https://server.example:8443", true},
		{"http://server.example", "https://server.example", false},
		{"http://server.example", "http://server.example:8080", false},
		{"http://b\u00fccher.example", "http://xn--bcher-kva.example", true},
		{"http://[2001:db8::1]", "http://[2001:DB8::1]:80", true},
		{"http://[2001:db8::1]", "http://[2001:db8::2]", false},
		{"http://kelvin.example", "http://\u212aelvin.example", false}, // only Unicode folds these
		{"http://server.example", "http://xn--\u00fc.example", false},
		{"http://xn--\u00fc.example", "http://xn--\u00fc.example", false},
	} {
		a, err := url.Parse(c.a)
		require.NoError(t, err)
		b, err := url.Parse(c.b)
		require.NoError(t, err)
		require.Equal(t, c.same, sameAddress(a, b), "%s %s", c.a, c.b)
		require.Equal(t, c.same, sameAddress(b, a), "%s %s", c.b, c.a)
	}
}

// The Jar is asked for each URL and told of each response. A Cookie header
// replaces it as long as the header is sent.
func TestJarAndRedirects(t *testing.T) {
	first := rdServe(t, false, map[string]string{"/1": "/2", "/2": "http://b.example/3"})
	second := rdServe(t, false, map[string]string{"/3": "/4"})
	first.cookies = map[string]string{"/1": "a=one"}
	second.cookies = map[string]string{"/3": "b=three", "/4": "b=four"}
	inner, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar := &hsJar{Jar: inner}
	d := &Dialer{MaxRedirects: 3, Jar: jar}
	rdNames(d, map[string]*rdSite{"a.example:80": first, "b.example:80": second})
	rdArrive(t, d, "ws://a.example/1", nil, "/4")
	require.Equal(t, []string{"http://a.example/1", "http://a.example/2", "http://b.example/3", "http://b.example/4"}, jar.asked)
	require.Equal(t, []string{"http://a.example/1", "http://b.example/3", "http://b.example/4"}, jar.stored)
	require.Equal(t, "", first.request(t, "/1").Header.Get("Cookie"))
	require.Equal(t, "a=one", first.request(t, "/2").Header.Get("Cookie"))
	require.Equal(t, "", second.request(t, "/3").Header.Get("Cookie"))
	require.Equal(t, "b=three", second.request(t, "/4").Header.Get("Cookie"))

	jar.asked, first.requests, second.requests = nil, nil, nil
	rdArrive(t, d, "ws://a.example/1", http.Header{"Cookie": {"c=mine"}}, "/4")
	require.Equal(t, []string{"http://b.example/3", "http://b.example/4"}, jar.asked)
	require.Equal(t, "c=mine", first.request(t, "/2").Header.Get("Cookie"))
	require.Equal(t, "b=four", second.request(t, "/3").Header.Get("Cookie"))
}

// What was encrypted does not go on in the clear.
func TestNoRedirectFromTLSToPlain(t *testing.T) {
	over, plain := rdServe(t, true, nil), rdServe(t, false, nil)
	plain.locations = map[string]string{"/up": over.URL + "/"}
	d := &Dialer{MaxRedirects: 9, TLSClientConfig: over.Client().Transport.(*http.Transport).TLSClientConfig}
	for _, location := range []string{plain.ws("/chat"), plain.URL + "/chat", "ws://" + strings.TrimPrefix(over.URL, "https://") + "/chat"} {
		over.locations = map[string]string{"/": location}
		for _, u := range []string{over.ws("/"), plain.ws("/up")} {
			response, err := rdRefused(t, d, u)
			requireDialError(t, DialRedirect, err)
			require.ErrorContains(t, err, "from TLS to plain text")
			require.Equal(t, location, response.Header.Get("Location"))
		}
	}
	require.NotContains(t, plain.asked(), "/chat")
}

// rdMeet lets d meet one peer after another, each with the next answer, and all
// that follow with the last.
func rdMeet(t testing.TB, d *Dialer, answers ...func(*hsPeer)) *[]*hsPeer {
	t.Helper()
	met := &[]*hsPeer{}
	d.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		one := &Dialer{}
		*met = append(*met, hsMeet(t, one, answers[min(len(*met), len(answers)-1)]))
		return one.NetDialContext(ctx, network, address)
	}
	return met
}

func rdFound(location string) string {
	return "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + "\r\n\r\n"
}

// Each place is asked anew, with a key of its own, over a connection that is
// closed if it is not the one.
func TestRefusedConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkBuffers(t)
		d := &Dialer{MaxRedirects: 3, Subprotocols: hsOffered}
		met := rdMeet(t, d, hsSends(rdFound("/b")), hsSends(rdFound("//other.example:81/c")), hsSends(hsGood))
		ws, _, err := d.Dial(hsURL, http.Header{"Origin": {"http://page.example"}})
		require.NoError(t, err)
		require.Len(t, *met, 3)
		keys := map[string]bool{}
		for i, p := range *met {
			require.Equal(t, i < 2, p.client.Closed())
			require.Contains(t, p.request, "\r\nSec-WebSocket-Protocol: chat, superchat\r\n")
			require.Contains(t, p.request, "\r\nOrigin: http://page.example\r\n")
			require.Contains(t, p.request, []string{"GET /chat ", "GET /b ", "GET /c "}[i])
			require.Equal(t, []string{"server.example:80", "server.example:80", "other.example:81"}[i], p.addr)
			keys[p.key] = true
		}
		require.Len(t, keys, 3)
		require.Same(t, (*met)[2].client, ws.NetConn())
		require.NoError(t, ws.Close())

		met = rdMeet(t, d, hsSends(rdFound("/b")))
		_, _, err = d.Dial(hsURL, nil)
		require.Equal(t, ErrBadHandshake, err)
		require.Len(t, *met, 4)
		for _, p := range *met {
			require.True(t, p.client.Closed())
		}
	})
}

// HandshakeTimeout and the context are for all places together.
func TestRedirectsEndInTime(t *testing.T) {
	slowly := func(p *hsPeer) {
		time.Sleep(3 * time.Second) // of the bubble
		p.send(rdFound("/again"))
	}
	for _, timeout := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			checkBuffers(t)
			d := &Dialer{MaxRedirects: 100}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			want := context.Canceled
			if timeout {
				d.HandshakeTimeout, want = 7*time.Second, context.DeadlineExceeded
			} else {
				time.AfterFunc(7*time.Second, cancel)
			}
			met := rdMeet(t, d, slowly)
			start := time.Now()
			ws, response, err := d.DialContext(ctx, hsURL, nil)
			require.Equal(t, want, err)
			require.Nil(t, ws)
			require.Nil(t, response)
			require.Equal(t, 7*time.Second, time.Since(start))
			require.Len(t, *met, 3)
			synctest.Wait()
			for _, p := range *met {
				require.True(t, p.client.Closed())
			}
		})
	}
}

// The proxy is asked for each place.
func TestProxyAndRedirects(t *testing.T) {
	testnet.CheckGoroutines(t)
	site := rdServe(t, false, map[string]string{"/": "ws://behind.example/chat"})
	p := &pxProxy{scheme: "http"}
	through := p.listen(t)
	var asked []string
	d := &Dialer{MaxRedirects: 1, Proxy: func(r *http.Request) (*url.URL, error) {
		asked = append(asked, r.URL.String())
		if r.URL.Host == "behind.example" {
			return through, nil
		}
		return nil, nil
	}}
	ws, _, err := d.Dial(site.ws("/"), nil)
	require.NoError(t, err)
	pxExchange(t, ws)
	require.NoError(t, ws.Close())
	require.Equal(t, []string{site.URL + "/", "http://behind.example/chat"}, asked)
	require.Equal(t, []string{"asked for behind.example:80"}, p.noted())
}

// The hooks of httptrace are called for each place.
func TestTraceOfRedirects(t *testing.T) {
	testnet.CheckGoroutines(t)
	over := rdServe(t, true, nil)
	site := rdServe(t, false, map[string]string{"/": over.URL + "/chat"})
	d := &Dialer{MaxRedirects: 1, TLSClientConfig: over.Client().Transport.(*http.Transport).TLSClientConfig}
	var calls []string
	ws, _, err := d.DialContext(hsTrace(&calls), site.ws("/"), nil)
	require.NoError(t, err)
	require.NoError(t, ws.Close())
	a, b := site.Listener.Addr().String(), over.Listener.Addr().String()
	require.Equal(t, []string{
		"GetConn " + a, "GotConn " + a, "GotFirstResponseByte",
		"GetConn " + b, "TLSHandshakeStart", "TLSHandshakeDone ", "GotConn " + b, "GotFirstResponseByte",
	}, calls)
}

// A Location that is no place to go to ends the dial, and nothing is dialed for
// it; the response is there to be looked at.
func TestHostileLocations(t *testing.T) {
	for _, location := range []string{
		"ws://user:pw@evil.example/", "http://user@evil.example/", "//user:pw@evil.example/", "https://@evil.example/",
		"ftp://evil.example/", "file:///etc/passwd", "javascript:alert(1)", "data:text/plain,x", "unix:///s", "ws+unix:///run/s.sock:/", "ws+unix:/s",
		"wsx://evil.example/", "ws:evil.example", "http:evil", "ws:///chat", "http://", "ws://:80/", "ws://evil.example:port/", "ws://evil.example:-1/",
		"ws://[::1/", "ws://::1]/", "%zz", "/%", "ws://evil example/", "ws://evil%0d%0a.example/", "ws://[fe80::1%25%0d%0aX]/", "ws://evil.example\\@server.example/",
		"ws://evil\t.example/", "ws://xn--\u00fc.example/", "/\tx", "http://evil.example%2f@server.example/",
		"ftp://" + strings.Repeat("a", 8000), "%zz" + strings.Repeat("a", 8000), "/" + strings.Repeat("a", 8192), "ws://" + strings.Repeat("a.", 30_000) + "example/", strings.Repeat("../", 20_000),
	} {
		t.Run(location[:min(len(location), 40)], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{MaxRedirects: 5}
				met := rdMeet(t, d, hsSends(rdFound(location)), hsSends(hsGood))
				ws, response, err := d.Dial(hsURL, nil)
				requireDialError(t, DialRedirect, err)
				require.Less(t, len(err.Error()), 400)
				require.NotContains(t, err.Error(), "\t")
				require.Nil(t, ws)
				require.Equal(t, location, response.Header.Get("Location"))
				require.Len(t, *met, 1)
				require.True(t, (*met)[0].client.Closed())
			})
		})
	}
	for _, location := range []string{"/\rX: y", "/\nX: y", "/\x00", "/\x7f", "ws://evil.example/\x01", "/a\r\n\r\nHTTP/1.1 101 x"} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{MaxRedirects: 1}
			met := rdMeet(t, d, hsSends(rdFound(location)), hsSends(hsGood))
			ws, _, err := d.Dial(hsURL, nil)
			if err == nil { // the line's end was one
				require.Contains(t, location, "\n")
				require.NoError(t, ws.Close())
				require.Contains(t, []string{"GET / ", "GET /a "}, (*met)[1].request[:strings.Index((*met)[1].request, "HTTP")])
				require.NotContains(t, (*met)[1].request, "X: y")
				return
			}
			require.IsType(t, &DialError{}, err, "%q", location)
			require.Len(t, *met, 1, "%q", location)
		})
	}
}

// A redirect that leads nowhere leaves the error of the place that it led to.
func TestErrorBehindARedirect(t *testing.T) {
	over := rdServe(t, true, nil)
	site := rdServe(t, false, map[string]string{"/": over.URL + "/chat"})
	_, response, err := (&Dialer{MaxRedirects: 1}).Dial(site.ws("/"), nil)
	var untrusted *tls.CertificateVerificationError
	require.ErrorAs(t, err, &untrusted)
	require.Nil(t, response)
}
