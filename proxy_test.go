package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A pxProxy is a proxy in this process, and the server behind it, which is
// whatever was asked for.
type pxProxy struct {
	scheme         string
	user, password string // without a user, everybody may
	proxyTLS       *tls.Config
	targetTLS      *tls.Config

	mu     sync.Mutex
	events []string // dialed, TLS names, what was asked for
	wg     sync.WaitGroup
}

func (p *pxProxy) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, fmt.Sprintf(format, args...))
}

func (p *pxProxy) noted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.events...)
}

// certificates gives the proxy a certificate for "proxy.example" and the
// server one for a host, and returns the roots to trust both by.
func (p *pxProxy) certificates(t testing.TB, host string) *x509.CertPool {
	t.Helper()
	proxyCert, roots := hsCertificate(t, "proxy.example")
	targetCert, _ := hsCertificate(t, host)
	roots.AddCert(targetCert.Leaf)
	config := func(who string, cert tls.Certificate) *tls.Config {
		return &tls.Config{
			Certificates: []tls.Certificate{cert},
			NextProtos:   []string{"h2", "http/1.1"},
			GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				p.note("%s TLS to %q, %q", who, hello.ServerName, hello.SupportedProtos)
				return nil, nil
			},
		}
	}
	p.proxyTLS, p.targetTLS = config("proxy", proxyCert), config("target", targetCert)
	return roots
}

// serve is the proxy's side of one connection.
func (p *pxProxy) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if p.scheme == "https" {
		conn = tls.Server(conn, p.proxyTLS)
	}
	br := bufio.NewReader(conn)
	address, err := "", error(nil)
	if strings.HasPrefix(p.scheme, "http") {
		address, err = p.acceptConnect(br, conn)
	} else {
		address, err = p.acceptSOCKS(br, conn)
	}
	if err != nil {
		return
	}
	p.note("asked for %s", address)
	near, far := testnet.Pipe()
	defer func() { _ = near.Close() }()
	p.wg.Go(func() { pxTarget(far, p.targetTLS) })
	p.wg.Go(func() {
		_, _ = io.Copy(conn, near)
		_ = conn.Close()
	})
	_, _ = io.Copy(near, br)
}

var errRefused = errors.New("refused")

func (p *pxProxy) acceptConnect(br *bufio.Reader, w io.Writer) (string, error) {
	r, err := http.ReadRequest(br)
	if err != nil {
		return "", err
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password))
	switch got := r.Header.Get("Proxy-Authorization"); {
	case r.Method != http.MethodConnect || r.Host != r.RequestURI:
		_, err = io.WriteString(w, "HTTP/1.1 405 Method Not Allowed\r\n\r\n")
	case p.user == "" && got != "", p.user != "" && got != want:
		_, err = io.WriteString(w, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno")
	default:
		_, err = io.WriteString(w, "HTTP/1.1 200 Connection established\r\n\r\n")
		return r.RequestURI, err
	}
	return "", errors.Join(err, errRefused)
}

// acceptSOCKS is RFC 1928 §3 to §6, and RFC 1929.
func (p *pxProxy) acceptSOCKS(br *bufio.Reader, w io.Writer) (string, error) {
	next := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(br, b)
		return b
	}
	head := next(2)
	methods, method := next(int(head[1])), byte(0)
	if p.user != "" {
		method = 2
	}
	if head[0] != 5 || bytes.IndexByte(methods, method) < 0 {
		_, _ = w.Write([]byte{5, 0xFF})
		return "", errRefused
	}
	_, _ = w.Write([]byte{5, method})
	if method == 2 {
		user := string(next(int(next(2)[1])))
		password := string(next(int(next(1)[0])))
		if user != p.user || password != p.password {
			_, _ = w.Write([]byte{1, 1})
			return "", errRefused
		}
		_, _ = w.Write([]byte{1, 0})
	}
	var host string
	switch request := next(4); request[3] {
	case 1:
		host = net.IP(next(4)).String()
	case 3:
		host = string(next(int(next(1)[0])))
	case 4:
		host = net.IP(next(16)).String()
	}
	port := next(2)
	_, err := w.Write([]byte{5, 0, 0, 1, 192, 0, 2, 1, 0, 80})
	return net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1]))), err
}

// pxTarget is a server that says what it gets.
func pxTarget(conn net.Conn, config *tls.Config) {
	defer func() { _ = conn.Close() }()
	br := bufio.NewReader(conn)
	if first, _ := br.Peek(1); len(first) == 1 && first[0] == 0x16 { // a TLS handshake record
		conn = tls.Server(hsBuffered{conn, br}, config)
		br = bufio.NewReader(conn)
	}
	r, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	if _, err := conn.Write(appendResponse(nil, r.Header.Get("Sec-Websocket-Key"), "", "", nil)); err == nil {
		_ = echo(newConn(conn, connOptions{server: true}))
	}
}

// An hsBuffered connection begins with what a reader has.
type hsBuffered struct {
	net.Conn
	br *bufio.Reader
}

func (c hsBuffered) Read(p []byte) (int, error) { return c.br.Read(p) }

// meet has d dial through p in memory, as proxy.example.
func (p *pxProxy) meet(t testing.TB, d *Dialer) *testnet.Conn {
	t.Helper()
	client, server := testnet.Pipe()
	u := &url.URL{Scheme: p.scheme, Host: "proxy.example"}
	if p.user != "" {
		u.User = url.UserPassword(p.user, p.password)
	}
	d.Proxy = http.ProxyURL(u)
	d.NetDialContext = func(_ context.Context, network, address string) (net.Conn, error) {
		p.note("dialed %s %s", network, address)
		p.wg.Go(func() { p.serve(server) })
		return client, nil
	}
	t.Cleanup(func() {
		_, _ = client.Close(), server.Close()
		p.wg.Wait()
	})
	return client
}

func pxExchange(t testing.TB, ws *Conn) {
	t.Helper()
	for _, size := range []int{0, 5, 70_000} {
		require.NoError(t, ws.WriteMessage(TextMessage, []byte(ascii(size))))
		_, p, err := ws.ReadMessage()
		require.NoError(t, err)
		require.True(t, ascii(size) == string(p))
	}
}

// pxClose closes a connection in memory. TLS inside of TLS says goodbye twice,
// and may complain that the first one has ended everything.
func pxClose(t testing.TB, ws *Conn) {
	t.Helper()
	_ = ws.Close()
	require.True(t, belowTLS(ws.NetConn()).(*testnet.Conn).Closed())
}

var pxPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// Through each kind of proxy, with and without a password, to servers with and
// without TLS, of all kinds of names: the proxy is asked for what the URL names,
// and the connection is the one that was dialed.
func TestDialThroughProxies(t *testing.T) {
	for scheme, port := range pxPorts {
		for _, user := range []string{"", "Aladdin"} {
			for _, c := range []struct{ url, host, asked string }{
				{"ws://server.example/", "server.example", "server.example:80"},
				{"ws://server.example:8080/", "server.example", "server.example:8080"},
				{"wss://server.example/", "server.example", "server.example:443"},
				{"wss://b\u00fccher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example:443"},
				{"wss://192.0.2.7/", "192.0.2.7", "192.0.2.7:443"},
				{"wss://[2001:db8::1]/", "2001:db8::1", "[2001:db8::1]:443"},
				{"ws://[fe80::1%25eth0]:1/", "fe80::1", "[fe80::1]:1"},
			} {
				t.Run(fmt.Sprintf("%s %q %s", scheme, user, c.url), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						checkBuffers(t)
						p := &pxProxy{scheme: scheme, user: user, password: "open: sesame\u00fc"}
						d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: p.certificates(t, c.host)}}
						conn := p.meet(t, d)
						ws, response, err := d.Dial(c.url, nil)
						require.NoError(t, err)
						require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
						pxExchange(t, ws)
						require.Same(t, conn, belowTLS(ws.NetConn()))
						want := []string{"dialed tcp proxy.example:" + port}
						if scheme == "https" {
							want = append(want, `proxy TLS to "proxy.example", []`)
						}
						want = append(want, "asked for "+c.asked)
						if strings.HasPrefix(c.url, "wss") {
							name := c.host
							if net.ParseIP(name) != nil {
								name = ""
							}
							want = append(want, fmt.Sprintf("target TLS to %q, []", name))
						} else if scheme != "https" {
							require.Same(t, conn, ws.NetConn())
						}
						require.Equal(t, want, p.noted())
						pxClose(t, ws)
					})
				})
			}
		}
	}
}

// What the TLS configuration says of the server is not said of the proxy, and
// stays as it is.
func TestTLSConfigOfProxies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pxProxy{scheme: "https"}
		config := &tls.Config{RootCAs: p.certificates(t, "inner.example"), ServerName: "inner.example", NextProtos: []string{"h2", "x", "http/1.1"}}
		d := &Dialer{TLSClientConfig: config}
		p.meet(t, d)
		ws, _, err := d.Dial("wss://server.example/", nil)
		require.NoError(t, err)
		require.Equal(t, []string{
			"dialed tcp proxy.example:443", `proxy TLS to "proxy.example", []`,
			"asked for server.example:443", `target TLS to "inner.example", ["x" "http/1.1"]`,
		}, p.noted())
		pxClose(t, ws)
		require.Equal(t, "inner.example", config.ServerName)
		require.Equal(t, []string{"h2", "x", "http/1.1"}, config.NextProtos)

		// These keys are none; only their server may notice.
		config.EncryptedClientHelloConfigList = []byte{0, 0}
		p.meet(t, d)
		ws, _, err = d.Dial("ws://server.example/", nil)
		require.NoError(t, err)
		pxClose(t, ws)
		conn := p.meet(t, d)
		_, _, err = d.Dial("wss://server.example/", nil)
		require.Error(t, err)
		require.True(t, conn.Closed())
	})
}

// A certificate for another host fails the dial, be it the proxy's, which is
// then asked for nothing, or the server's.
func TestBadCertificatesBehindProxies(t *testing.T) {
	for scheme := range pxPorts {
		synctest.Test(t, func(t *testing.T) {
			p := &pxProxy{scheme: scheme}
			d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: p.certificates(t, "other.example")}}
			conn := p.meet(t, d)
			_, _, err := d.Dial("wss://server.example/", nil)
			var host x509.HostnameError
			require.ErrorAs(t, err, &host)
			require.Equal(t, "server.example", host.Host)
			require.True(t, conn.Closed())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := &pxProxy{scheme: "https"}
		d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: p.certificates(t, "server.example")}}
		p.proxyTLS.Certificates = p.targetTLS.Certificates
		conn := p.meet(t, d)
		_, _, err := d.Dial("ws://server.example/", nil)
		var host x509.HostnameError
		require.ErrorAs(t, err, &host)
		require.Equal(t, "proxy.example", host.Host)
		require.True(t, conn.Closed())
		require.Equal(t, []string{"dialed tcp proxy.example:443", `proxy TLS to "proxy.example", []`}, p.noted())
	})
}

// Which dial function reaches which proxy.
func TestDialFunctionsOfProxies(t *testing.T) {
	for scheme, port := range pxPorts {
		synctest.Test(t, func(t *testing.T) {
			never := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("the wrong function") }
			p := &pxProxy{scheme: scheme}
			d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: p.certificates(t, "server.example")}}
			conn := p.meet(t, d)
			dial := d.NetDialContext
			d.NetDialTLSContext = never
			if scheme == "https" {
				d.NetDialContext, d.NetDialTLSContext = never, dial
				p.scheme = "http" // TLS is the function's affair
			}
			ws, _, err := d.Dial("wss://server.example/", nil)
			require.NoError(t, err)
			require.Same(t, conn, ws.NetConn().(*tls.Conn).NetConn())
			pxExchange(t, ws)
			pxClose(t, ws)

			conn = p.meet(t, d)
			dial, d.NetDialContext, d.NetDialTLSContext = d.NetDialContext, nil, nil
			d.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: "proxy.example"})
			p.scheme = scheme
			d.NetDial = func(network, address string) (net.Conn, error) { return dial(t.Context(), network, address) }
			ws, _, err = d.Dial("wss://server.example/", nil)
			require.NoError(t, err)
			require.Same(t, conn, belowTLS(ws.NetConn()))
			pxClose(t, ws)
			require.Contains(t, p.noted(), "dialed tcp proxy.example:"+port)
		})
	}
}

// What the Proxy function is asked and what becomes of its answer.
func TestProxyFunction(t *testing.T) {
	fault := errors.New("no idea")
	for _, c := range []struct {
		url  *url.URL
		err  error
		want string
	}{
		{nil, fault, "no idea"},
		{&url.URL{Scheme: "http", Host: "proxy.example"}, fault, "no idea"},
		{&url.URL{Scheme: "ftp", Host: "proxy.example"}, nil, `websocket: a proxy with the scheme "ftp" is not supported`},
		{&url.URL{Scheme: "socks4", Host: "proxy.example"}, nil, `websocket: a proxy with the scheme "socks4" is not supported`},
		{&url.URL{Host: "proxy.example"}, nil, `websocket: a proxy with the scheme "" is not supported`},
		{&url.URL{Scheme: "http"}, nil, errProxyHost.Error()},
		{&url.URL{Scheme: "https", Host: ":443"}, nil, errProxyHost.Error()},
		{&url.URL{Scheme: "socks5", Opaque: "proxy.example"}, nil, errProxyHost.Error()},
		{&url.URL{Scheme: "http", Host: "xn--\u00fc.example"}, nil, "idna: "},
	} {
		d := &Dialer{Proxy: func(*http.Request) (*url.URL, error) { return c.url, c.err }}
		err := hsFailsBeforeDialing(t, d, hsURL, nil)
		require.Contains(t, err.Error(), c.want)
		if c.err != nil {
			require.Equal(t, c.err, err)
		} else {
			requireDialError(t, DialProxy, err)
		}
	}
	for u, want := range map[string]string{
		"ws://server.example/chat?x=y": "http://server.example/chat?x=y", "wss://server.example:1/": "https://server.example:1/",
	} {
		type key struct{}
		var asked, value any
		d := &Dialer{Proxy: func(r *http.Request) (*url.URL, error) {
			asked, value = r.URL.String(), r.Context().Value(key{})
			return nil, fault
		}}
		_, _, err := d.DialContext(context.WithValue(t.Context(), key{}, 5), u, nil)
		require.Equal(t, fault, err)
		require.Equal(t, want, asked)
		require.Equal(t, 5, value)
	}
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}
		p := hsMeet(t, d, hsSends(hsGood))
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
		require.Equal(t, "server.example:80", p.addr)
	})
}

// listen makes p a proxy at an address of this machine.
func (p *pxProxy) listen(t testing.TB) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.wg.Wait()
	})
	u := &url.URL{Scheme: p.scheme, Host: l.Addr().String()}
	if p.user != "" {
		u.User = url.UserPassword(p.user, p.password)
	}
	return u
}

// Behind a proxy that does no TLS the connection is a socket as any other, and
// read as one; and after refusals nothing is left of it.
func TestSocketsThroughProxies(t *testing.T) {
	checkBuffers(t)
	testnet.CheckGoroutines(t)
	for _, scheme := range []string{"http", "socks5"} {
		p := &pxProxy{scheme: scheme, user: "u", password: "p"}
		u := p.listen(t)
		d := &Dialer{Proxy: http.ProxyURL(u)}
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		require.IsType(t, &net.TCPConn{}, ws.NetConn())
		_, inline := ws.transport.seam.(*inlineSeam)
		require.Equal(t, rawSeams, !inline)
		pxExchange(t, ws)
		require.NoError(t, ws.Close())

		u.User = url.UserPassword("u", "wrong")
		_, _, err = d.Dial(hsURL, nil)
		require.ErrorContains(t, err, map[string]string{
			"http": "the proxy refused to connect: 407", "socks5": u.Host + "->server.example:80: username/password authentication failed",
		}[scheme])
	}
}

// The DefaultDialer and a nil *Dialer take the proxy of the environment, which
// net/http reads once in a process; other Dialers do without.
func TestProxyFromEnvironment(t *testing.T) {
	const child = "WEBSOCKET_TEST_PROXY_CHILD"
	if os.Getenv(child) == "" {
		if testing.Short() {
			t.Skip("it starts itself, which an emulator of another processor does not")
		}
		p := &pxProxy{scheme: "http", user: "u", password: "p"}
		u := p.listen(t)
		self, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestProxyFromEnvironment$", "-test.count=1")
		cmd.Env = append(os.Environ(), child+"=1", "HTTP_PROXY="+u.String(), "http_proxy=", "NO_PROXY=", "no_proxy=", "REQUEST_METHOD=")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, []string{"asked for server.example:80", "asked for server.example:80"}, p.noted())
		return
	}
	for _, d := range []*Dialer{nil, DefaultDialer} {
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		pxExchange(t, ws)
		require.NoError(t, ws.Close())
	}
	dialed := ""
	d := &Dialer{NetDialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		dialed = address
		return nil, io.EOF
	}}
	_, _, err := d.Dial(hsURL, nil)
	require.Equal(t, io.EOF, err)
	require.Equal(t, "server.example:80", dialed)
}

// pxScript lets d meet a proxy that has said all it will say from the beginning,
// and then ends the stream.
func pxScript(t testing.TB, d *Dialer, proxyURL, raw string) *testnet.Conn {
	t.Helper()
	return pxScriptEnd(t, d, proxyURL, raw, io.EOF)
}

// pxScriptEnd is pxScript with an error at the end.
func pxScriptEnd(t testing.TB, d *Dialer, proxyURL, raw string, end error) *testnet.Conn {
	t.Helper()
	u, err := url.Parse(proxyURL)
	require.NoError(t, err)
	client, server := testnet.Pipe()
	server.Out().SetBuffer(1 << 20)
	_, err = io.WriteString(server, raw)
	require.NoError(t, err)
	server.Out().CutAfter(0, end)
	d.Proxy = http.ProxyURL(u)
	d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return client, nil }
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client
}

// pxAnswers are answers to CONNECT that open the tunnel.
var pxAnswers = []string{
	"HTTP/1.1 200 Connection established\r\n\r\n",
	"HTTP/1.0 200 OK\r\n\r\n",
	"HTTP/1.1 200\r\n\r\n",
	"HTTP/1.1 200 \r\n\r\n",
	"HTTP/1.1 200 Forbidden\r\n\r\n",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 299 x\r\nProxy-Agent: x\r\nVia: 1.1 a,\r\n 1.1 b\r\n\r\n",
	"HTTP/1.1 200 OK\n\n",
	"HTTP/1.1 200 OK\r\nA: b\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", // RFC 9110 9.3.6: ignored
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: x\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", // RFC 9110 15.2
	"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxResponseHead-len("HTTP/1.1 200 OK\r\nX: \r\n\r\n")) + "\r\n\r\n",
}

// What comes behind the answer is the tunnel's to the byte.
func TestTunnelBeginsBehindTheAnswer(t *testing.T) {
	check := func(proxyURL, raw string) {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			conn := pxScript(t, d, proxyURL, raw+"\r\n\x81\x05hello")
			u, err := url.Parse(proxyURL)
			require.NoError(t, err)
			got, err := d.dialThrough(t.Context(), u, "server.example:80")
			require.NoError(t, err, "%.100q", raw)
			require.Same(t, conn, got)
			rest, err := io.ReadAll(got)
			require.NoError(t, err)
			require.Equal(t, "\r\n\x81\x05hello", string(rest), "%.100q", raw)
		})
	}
	for _, raw := range pxAnswers {
		check("http://proxy.example", raw)
	}
	for _, bound := range []string{"\x01abcd", "\x03\x00", "\x03\x04host", "\x03\xff" + strings.Repeat("x", 255), "\x040123456789abcdef"} {
		check("socks5://proxy.example", "\x05\x00\x05\x00\x00"+bound+"\x00\x50")
		check("socks5h://u:p@proxy.example", "\x05\x00\x05\x00\x00"+bound+"\x00\x50")
		check("socks5://u:p@proxy.example", "\x05\x02\x01\x00\x05\x00\x00"+bound+"\x00\x50")
	}
}

// A refusal is a *ProxyError with what the proxy said, and the end of the
// connection; what it looks like in words is bounded.
func TestProxyRefuses(t *testing.T) {
	long := strings.Repeat("x", 60_000)
	for raw, want := range map[string]ProxyError{
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!": {403, "403 Forbidden"},
		"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n":     {407, "407 Proxy Authentication Required"},
		"HTTP/1.0 502\n\n": {502, "502"},
		"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: x\r\n\r\n": {503, "503 Service Unavailable"},
		"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n":     {302, "302 Found"},
		"HTTP/1.1 101 Switching Protocols\r\n\r\n":                         {101, "101 Switching Protocols"},
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 504 Late\r\n\r\n":           {504, "504 Late"},
		"HTTP/1.1 999 x\r\n\r\n":                                           {999, "999 x"},
		"HTTP/1.1 500 " + long + "\r\n\r\n":                                {500, "500 " + long},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			conn := pxScript(t, d, "http://u:p@proxy.example", raw)
			ws, response, err := d.Dial(hsURL, nil)
			var refusal *ProxyError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, want, *refusal)
			require.True(t, err == error(refusal))
			require.Contains(t, err.Error(), "the proxy refused to connect: "+want.Status[:min(20, len(want.Status))])
			require.Less(t, len(err.Error()), 300)
			require.Nil(t, ws)
			require.Nil(t, response)
			require.True(t, conn.Closed())
		})
	}
}

func TestMalformedAnswersOfProxies(t *testing.T) {
	for _, raw := range []string{
		"\r\n\r\n", "\n\n", "\r\nHTTP/1.1 200 OK\r\n\r\n", "x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 -20 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/11 200 OK\r\n\r\n", " HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: x\r\n\r\n", "HTTP/1.1 200 OK\r\n first: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("x", 60_000) + "\r\n\r\n", strings.Repeat("x", 60_000) + "\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n\r\n\r\n", "\x05\x00\x00\n\n", "\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			conn := pxScript(t, d, "http://proxy.example", raw)
			_, _, err := d.Dial(hsURL, nil)
			requireDialError(t, DialProxy, err)
			require.ErrorContains(t, err, "websocket: malformed response of the proxy: ", "%.100q", raw)
			require.Less(t, len(err.Error()), 300)
			require.True(t, conn.Closed())
		})
	}
}

// An answer that ends too early, at whichever byte, does not pass for a shorter
// one; nor does a fault of the connection.
func TestAnswersOfProxiesCutOff(t *testing.T) {
	cut := func(proxyURL, raw string, want func(t *testing.T, err error)) {
		for n := range raw {
			for _, fault := range []error{io.EOF, errors.New("cable cut")} {
				synctest.Test(t, func(t *testing.T) {
					d := &Dialer{}
					conn := pxScriptEnd(t, d, proxyURL, raw[:n], fault)
					_, _, err := d.Dial(hsURL, nil)
					if fault != io.EOF {
						require.ErrorIs(t, err, fault)
					} else {
						want(t, err)
					}
					require.True(t, conn.Closed())
				})
			}
		}
	}
	ended := func(t *testing.T, err error) {
		require.Equal(t, errProxyEnd, err)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	for _, raw := range pxAnswers[:len(pxAnswers)-1] {
		cut("http://proxy.example", raw, ended)
	}
	cut("http://proxy.example", "HTTP/1.1 407 x\r\n\r\n", ended)
	short := func(t *testing.T, err error) {
		require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
	}
	cut("socks5://proxy.example", "\x05\x00\x05\x00\x00\x01abcd\x00\x50", short)
	cut("socks5://u:p@proxy.example", "\x05\x02\x01\x00\x05\x00\x00\x03\x02ab\x00\x50", short)
}

// The answer is bounded, informational ones included.
func TestLongAnswersOfProxies(t *testing.T) {
	for _, raw := range []string{
		strings.Repeat("x", 1<<17),
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1<<14),
		"HTTP/1.1 407 x\r\nX: " + strings.Repeat("y", 1<<16) + "\r\n\r\n",
		pxAnswers[len(pxAnswers)-1][:maxResponseHead-4] + "a\r\n\r\n",
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1<<13),
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			conn := pxScript(t, d, "http://proxy.example", raw)
			_, _, err := d.Dial(hsURL, nil)
			require.Equal(t, errProxyHead, err)
			require.True(t, conn.Closed())
			require.EqualValues(t, maxResponseHead, conn.Stats().BytesRead)
		})
	}
}

// A proxy that cannot be asked.
func TestProxyCannotBeAsked(t *testing.T) {
	fault := errors.New("cable cut")
	for _, proxyURL := range []string{"http://proxy.example", "https://proxy.example", "socks5://proxy.example"} {
		for _, after := range []int{0, 1} {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{}
				conn := pxScript(t, d, proxyURL, "")
				conn.Out().FailWritesAfter(after, fault)
				_, _, err := d.Dial(hsURL, nil)
				require.ErrorIs(t, err, fault)
				require.True(t, conn.Closed())

				conn = pxScript(t, d, proxyURL, "")
				d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return nil, fault }
				_, _, err = d.Dial(hsURL, nil)
				require.Equal(t, fault, err)
				d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return nil, nil }
				_, _, err = d.Dial(hsURL, nil)
				require.Equal(t, errNoNetConn, err)
				require.Zero(t, conn.Stats())
			})
		}
	}
}

// RFC 1928 and 1929: whatever is not a yes is an error that says what was meant,
// with the names of both ends.
func TestSOCKSRefuses(t *testing.T) {
	const open, auth = "socks5://proxy.example", "socks5://u:p@proxy.example"
	const reply = "\x00\x01abcd\x00\x50"
	for _, c := range []struct{ name, proxyURL, raw, want string }{
		{"another version", open, "\x04\x00", "unexpected protocol version 4"},
		{"HTTP", open, "HTTP/1.1 400 Bad Request\r\n\r\n", "unexpected protocol version 72"},
		{"auth required, none given", open, "\x05\xff", "no acceptable authentication methods"},
		{"none of the methods", auth, "\x05\xff", "no acceptable authentication methods"},
		{"a method that was not offered", auth, "\x05\x01", "unsupported authentication method 1"},
		{"wrong auth", auth, "\x05\x02\x01\x01", "username/password authentication failed"},
		{"wrong auth, another code", auth, "\x05\x02\x01\xff", "username/password authentication failed"},
		{"version of auth", auth, "\x05\x02\x05\x00", "invalid username/password version"},
		{"long user", "socks5://" + strings.Repeat("u", 256) + ":p@proxy.example", "\x05\x02\x01\x00", "invalid username/password"},
		{"long password", "socks5://u:" + strings.Repeat("p", 256) + "@proxy.example", "\x05\x02\x01\x00", "invalid username/password"},
		{"no user", "socks5://:p@proxy.example", "\x05\x02\x01\x00", "invalid username/password"},
		{"failure", open, "\x05\x00\x05\x01" + reply, "general SOCKS server failure"},
		{"ruleset", open, "\x05\x00\x05\x02" + reply, "connection not allowed by ruleset"},
		{"network", open, "\x05\x00\x05\x03" + reply, "network unreachable"},
		{"host", open, "\x05\x00\x05\x04" + reply, "host unreachable"},
		{"refused", auth, "\x05\x02\x01\x00\x05\x05" + reply, "connection refused"},
		{"TTL", open, "\x05\x00\x05\x06" + reply, "TTL expired"},
		{"command", open, "\x05\x00\x05\x07" + reply, "command not supported"},
		{"address type", open, "\x05\x00\x05\x08" + reply, "address type not supported"},
		{"unassigned", open, "\x05\x00\x05\xff" + reply, "unknown code: 255"},
		{"version of the reply", open, "\x05\x00\x04\x00" + reply, "unexpected protocol version 4"},
		{"reserved", open, "\x05\x00\x05\x00\x01\x01abcd\x00\x50", "non-zero reserved field"},
		{"type of the bound address", open, "\x05\x00\x05\x00\x00\x02abcd\x00\x50", "unknown address type 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{}
				conn := pxScript(t, d, c.proxyURL, c.raw)
				ws, response, err := d.Dial(hsURL, nil)
				var e *net.OpError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "proxy.example:1080", e.Source.String())
				require.Equal(t, "server.example:80", e.Addr.String())
				require.ErrorContains(t, e.Err, c.want)
				require.Nil(t, ws)
				require.Nil(t, response)
				require.True(t, conn.Closed())
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		for u, want := range map[string]string{
			"ws://" + strings.Repeat("a", 256) + "/": "FQDN too long", "ws://server.example:0/": "port number out of range",
			"ws://server.example:65536/": "port number out of range",
		} {
			d := &Dialer{}
			conn := pxScript(t, d, open, "\x05\x00\x05\x00"+reply)
			_, _, err := d.Dial(u, nil)
			require.ErrorContains(t, err, want)
			require.True(t, conn.Closed())
		}
	})
}

// Wrong credentials, and none where some are needed, against a proxy that looks.
func TestWrongCredentials(t *testing.T) {
	for scheme := range pxPorts {
		for _, given := range []*url.Userinfo{nil, url.User("u"), url.UserPassword("u", "wrong"), url.UserPassword("v", "p")} {
			synctest.Test(t, func(t *testing.T) {
				p := &pxProxy{scheme: scheme, user: "u", password: "p"}
				d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: p.certificates(t, "server.example")}}
				conn := p.meet(t, d)
				d.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: "proxy.example", User: given})
				_, _, err := d.Dial("wss://server.example/", nil)
				switch {
				case scheme[0] == 'h':
					require.Equal(t, &ProxyError{407, "407 Proxy Authentication Required"}, err)
				case given == nil:
					require.ErrorContains(t, err, "no acceptable authentication methods")
				default:
					require.ErrorContains(t, err, "username/password authentication failed")
				}
				require.True(t, conn.Closed())
			})
		}
	}
}

// What CONNECT looks like on the wire, RFC 9110 section 9.3.6 and RFC 7617.
func TestConnectRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example:3128", User: url.UserPassword("Aladdin", "open sesame")})}
		p := hsMeet(t, d, hsSendsAll("HTTP/1.1 403 Forbidden\r\n\r\n"))
		_, _, err := d.Dial("wss://b\u00fccher.example/secret?token=1", http.Header{"Authorization": {"Bearer secret"}, "Cookie": {"secret=1"}, "Host": {"other.example"}})
		require.Equal(t, &ProxyError{403, "403 Forbidden"}, err)
		require.Equal(t, "proxy.example:3128", p.addr)
		require.True(t, strings.HasPrefix(p.request, "CONNECT xn--bcher-kva.example:443 HTTP/1.1\r\nHost: xn--bcher-kva.example:443\r\n"), p.request)
		require.Contains(t, p.request, "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n")
		require.NotContains(t, p.request, "ecret")
		require.NotContains(t, p.request, "other.example")
	})
}

// pxStall is a proxy that reads what it is sent, says what the script has, piece
// by piece after each piece that it gets, and nothing more.
func pxStall(proxyURL, target string, script ...string) hsStall {
	return hsStall{fmt.Sprintf("%s behind %q to %s", proxyURL, script, target), func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		u, err := url.Parse(proxyURL)
		require.NoError(t, err)
		d.Proxy = http.ProxyURL(u)
		client, server := testnet.Pipe()
		proxyTLS := (*tls.Config)(nil)
		if u.Scheme == "https" && len(script) > 0 {
			cert, roots := hsCertificate(t, "proxy.example")
			d.TLSClientConfig = &tls.Config{RootCAs: roots}
			proxyTLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		}
		var served sync.WaitGroup
		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
			served.Go(func() {
				conn := net.Conn(server)
				if proxyTLS != nil {
					conn = tls.Server(conn, proxyTLS)
				}
				for _, piece := range script {
					if _, err := conn.Read(make([]byte, 4<<10)); err != nil {
						return
					}
					if piece == pxDeaf {
						client.Out().SetBuffer(0)
					} else if _, err := io.WriteString(conn, piece); err != nil {
						return
					}
				}
			})
			return client, nil
		}
		t.Cleanup(func() {
			_ = server.Close()
			served.Wait()
		})
		return target, client
	}}
}

// pxDeaf is a step of a script from which nothing is read any more.
const pxDeaf = "deaf"

func pxStalls() []hsStall {
	const ws, wss, ok = "ws://server.example/", "wss://server.example/", "HTTP/1.1 200 OK\r\n\r\n"
	const httpProxy, httpsProxy, open, auth = "http://proxy.example", "https://proxy.example", "socks5://proxy.example", "socks5://u:p@proxy.example"
	const reply = "\x05\x00\x00\x01abcd\x00\x50"
	stalls := []hsStall{
		pxStall(httpProxy, ws),                            // the answer
		pxStall(httpProxy, ws, "HTTP/1.1 200 OK\r\n\r"),   // its end
		pxStall(httpProxy, ws, "HTTP/1.1 100 OK\r\n\r\n"), // the final one
		pxStall(httpProxy, ws, ok),                        // the server's response
		pxStall(httpProxy, wss, ok),                       // TLS with the server
		pxStall(httpProxy, wss, ok, "\x16\x03\x03"),
		pxStall(httpsProxy, ws),                   // TLS with the proxy
		pxStall(httpsProxy, ws, ""),               // the answer over TLS
		pxStall(httpsProxy, ws, pxDeaf),           // and nobody hears the goodbye
		pxStall(httpsProxy, ws, ok[:18]),          // the end of the answer
		pxStall(httpsProxy, wss, ok),              // TLS inside of TLS
		pxStall(httpsProxy, wss, ok, pxDeaf),      // and nobody hears the goodbye
		pxStall(httpsProxy, wss, ok, "\x16", ""),  //
		pxStall(open, ws),                         // the answer to the greeting
		pxStall(open, ws, "\x05"),                 //
		pxStall(open, ws, "\x05\x00"),             // the reply
		pxStall(open, ws, "\x05\x00", reply[:1]),  //
		pxStall(open, ws, "\x05\x00", reply[:6]),  //
		pxStall(open, ws, "\x05\x00", reply),      // the server's response
		pxStall(open, wss, "\x05\x00", reply),     // TLS with the server
		pxStall(open, wss, "\x05\x00", reply, ""), //
		pxStall(auth, ws, "\x05\x02"),             // the answer to the password
		pxStall(auth, ws, "\x05\x02", "\x01"),     //
		pxStall(auth, ws, "\x05\x02", "\x01\x00"), // the reply
		pxStall("socks5h://u:p@proxy.example", wss, "\x05\x02", "\x01\x00", reply),
		{"an answer that trickles", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
			p := hsMeet(t, d, hsSends("HTTP/1.1 200 x\r\nX: "+strings.Repeat("a", 60<<10)))
			d.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.example"})
			p.server.Out().LimitWrites(testnet.AtMost(1))
			p.server.Out().SetGap(time.Second)
			return hsURL, p.client
		}},
	}
	for _, proxyURL := range []string{httpProxy, httpsProxy, auth} {
		u := pxStall(proxyURL, ws)
		stalls = append(stalls, hsStall{"nothing is read by " + proxyURL, func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
			target, conn := u.setUp(t, d)
			conn.Out().SetBuffer(0)
			return target, conn
		}})
		// The dial functions are those of the dial without a proxy.
		for _, stall := range hsStalls[:5] {
			if stall.name == "NetDialTLSContext" && proxyURL != httpsProxy {
				continue
			}
			stalls = append(stalls, hsStall{stall.name + " to " + proxyURL, func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
				_, _ = u.setUp(t, d)
				d.NetDialContext = nil
				target, conn := stall.setUp(t, d)
				return target, conn
			}})
		}
	}
	return stalls
}

// The context and HandshakeTimeout are heeded at every step of the dial through
// a proxy, to the instant, and at that instant nothing is left: neither the
// connection nor, which a bubble sees to, a goroutine.
func TestDialThroughProxiesEndsInTime(t *testing.T) {
	const wait = 7 * time.Second
	for _, how := range []struct {
		name    string
		timeout time.Duration // HandshakeTimeout
		context func() (context.Context, context.CancelFunc)
		want    error
	}{
		{"HandshakeTimeout", wait, func() (context.Context, context.CancelFunc) {
			return context.WithCancel(context.Background())
		}, context.DeadlineExceeded},
		{"deadline", time.Hour, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), wait)
		}, context.DeadlineExceeded},
		{"cancel", time.Hour, func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(wait, cancel)
			return ctx, cancel
		}, context.Canceled},
	} {
		for _, stall := range pxStalls() {
			t.Run(how.name+"/"+stall.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := &Dialer{HandshakeTimeout: how.timeout}
					u, conn := stall.setUp(t, d)
					ctx, cancel := how.context()
					defer cancel()
					start := time.Now()
					ws, response, err := d.DialContext(ctx, u, nil)
					require.Equal(t, wait, time.Since(start))
					require.Equal(t, how.want, err)
					require.Nil(t, ws)
					require.Nil(t, response)
					synctest.Wait()
					require.Equal(t, wait, time.Since(start))
					if conn != nil {
						require.True(t, conn.Closed(), "the connection is left open")
					}
				})
			})
		}
	}
}

// The context has no say once the dial through a proxy has returned, nor has a
// deadline that was set for one of its steps.
func TestContextEndsWithTheDialThroughAProxy(t *testing.T) {
	for scheme := range pxPorts {
		synctest.Test(t, func(t *testing.T) {
			p := &pxProxy{scheme: scheme, user: "u", password: "p"}
			d := &Dialer{HandshakeTimeout: time.Second, TLSClientConfig: &tls.Config{RootCAs: p.certificates(t, "server.example")}}
			conn := p.meet(t, d)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			ws, _, err := d.DialContext(ctx, "wss://server.example/", nil)
			require.NoError(t, err)
			cancel()
			time.Sleep(time.Hour) // of the bubble
			require.False(t, conn.Closed())
			pxExchange(t, ws)
			pxClose(t, ws)
		})
	}
}

var (
	pxHeads = regexp.MustCompile(`\A(?:[^\n]+\n(?:[^\r\n][^\n]*\n|\r[^\n]+\n)*\r?\n)`)
	pxLine  = regexp.MustCompile(`\AHTTP/\d\.\d +([1-9]\d\d)(?: [^\n]*)?\r?\n`)
)

// FuzzProxyAnswer has a proxy answer anything: not a byte is read behind the
// answer's header, it is bounded, and only 2xx opens the tunnel. The oracle are
// two regular expressions.
func FuzzProxyAnswer(f *testing.F) {
	for _, raw := range pxAnswers[:len(pxAnswers)-1] {
		f.Add([]byte(raw + "\x81\x05hello"))
	}
	for _, raw := range []string{
		"", "\n\n", "HTTP/1.1 407 x\r\n\r\n", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 403 x\r\nA: b\r\n\r\nbody", "HTTP/1.1 101 x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA b\r\n\r\n", "HTTP/1.1 100 x\r\n\r\n\r\n", "HTTP/1.1 200 OK\r\r\n\r\n", "HTTP/1.1  200 x\n\n", "HTTP/1.1 +20 x\n\n",
		"HTTP/0.0 -00 \n00:\n\n", "HTTP/1.1 099 x\n\n",
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		tape := hsTape{left: bytes.NewReader(raw), piece: 1 << 20}
		err := connectThrough(tape, nil, "server.example:80")
		read := raw[:len(raw)-tape.left.Len()]
		require.LessOrEqual(t, len(read), maxResponseHead)

		codes, rest := []int{}, read
		for len(rest) > 0 {
			head := pxHeads.Find(rest)
			line := pxLine.FindSubmatch(head)
			if line == nil {
				break
			}
			code, err := strconv.Atoi(string(line[1]))
			require.NoError(t, err)
			codes = append(codes, code)
			rest = rest[len(head):]
		}
		var refusal *ProxyError
		switch refused := errors.As(err, &refusal); {
		case err == nil || refused:
			require.Empty(t, rest, "more was read than headers, or something else")
			for i, code := range codes {
				require.Equal(t, i < len(codes)-1, code/100 == 1 && code != 101)
			}
			last := codes[len(codes)-1]
			require.Equal(t, err == nil, last/100 == 2)
			if refused {
				require.Equal(t, last, refusal.StatusCode)
			}
		case err == errProxyEnd:
			require.Len(t, read, len(raw))
		case err == errProxyHead:
			require.Len(t, read, maxResponseHead)
		default:
			require.ErrorContains(t, err, "websocket: malformed response of the proxy: ")
			require.Less(t, len(err.Error()), 300)
		}
	})
}
