package interop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A reverseProxy is one that people run in front of their servers.
type reverseProxy struct {
	name, debian string // of the program and its package
	config       string // the template of its configuration
	args         func(config, dir string) []string
}

var reverseProxies = []reverseProxy{
	{"nginx", "nginx-light", "nginx.conf", func(config, dir string) []string { return []string{"-e", "stderr", "-p", dir, "-c", config} }},
	{"haproxy", "haproxy", "haproxy.cfg", func(config, _ string) []string { return []string{"-db", "-f", config} }},
}

// A site is our server behind a proxy.
type site struct {
	*weServer
	backend *httptest.Server
	url     url.URL // of the proxy
	dialer  websocket.Dialer
}

// eachSite runs a test behind each proxy: without TLS, with TLS to the proxy, and
// with TLS to the proxy and from there to our server.
func eachSite(t *testing.T, test func(t *testing.T, s *site)) {
	for _, p := range reverseProxies {
		for _, m := range []struct {
			name        string
			front, back bool
		}{
			{"plain", false, false},
			{"TLS to the proxy", true, false},
			{"TLS to our server, too", true, true},
		} {
			t.Run(p.name+"/"+m.name, func(t *testing.T) {
				testnet.CheckGoroutines(t)
				test(t, p.start(t, m.front, m.back))
			})
		}
	}
}

func (p reverseProxy) start(t *testing.T, front, back bool) *site {
	t.Helper()
	s := &site{weServer: newServer()}
	s.backend = httptest.NewUnstartedServer(s.weServer)
	t.Cleanup(s.backend.Close)
	certificate, key, pair := newCertificate(t)
	if back {
		s.backend.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		s.backend.StartTLS()
	} else {
		s.backend.Start()
	}
	configure := func(t *testing.T, dir, port string) []string {
		for name, content := range map[string][]byte{
			"certificate.pem": certificate, "key.pem": key, "both.pem": append(bytes.Clone(certificate), key...),
		} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		}
		text, err := template.ParseFiles(filepath.Join("testdata", p.config))
		require.NoError(t, err)
		config, err := os.Create(filepath.Join(dir, p.config))
		require.NoError(t, err)
		defer config.Close()
		require.NoError(t, text.Execute(config, map[string]any{
			"Dir": dir, "Port": port, "Backend": s.backend.Listener.Addr().String(), "Front": front, "Back": back,
		}))
		return p.args(config.Name(), dir)
	}
	s.url = url.URL{Scheme: "ws", Host: testnet.Program{Name: p.name, Debian: p.debian, Configure: configure}.Start(t), Path: "/chat"}
	s.dialer.HandshakeTimeout = patience
	if front {
		s.url.Scheme = "wss"
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM(certificate))
		s.dialer.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return s
}

// newCertificate is one for this machine, which signs itself.
func newCertificate(t *testing.T) (certificate, key []byte, pair tls.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	der, err = x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	pair, err = tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	return certificate, key, pair
}

// compress has both sides want c.
func (s *site) compress(c *websocket.Compression) {
	s.upgrader.Store(&websocket.Upgrader{Compression: c})
	s.dialer.Compression = c
}

// accept is the next connection of our server.
func (s *site) accept(t *testing.T) accepted {
	t.Helper()
	select {
	case a := <-s.conns:
		return a
	case <-time.After(patience):
		require.FailNow(t, "nobody comes through the proxy")
	}
	return accepted{}
}

// connect makes a connection through the proxy, on which no read waits for ever.
func (s *site) connect(t *testing.T, header http.Header) (client *websocket.Conn, server accepted) {
	t.Helper()
	client, _, err := s.dialer.Dial(s.url.String(), header)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	server = s.accept(t)
	require.NoError(t, server.err)
	t.Cleanup(func() { server.conn.Close() })
	require.NoError(t, client.SetReadDeadline(time.Now().Add(patience)))
	require.NoError(t, server.conn.SetReadDeadline(time.Now().Add(patience)))
	return client, server
}

// An echo is what came of a connection of our server that sent messages back.
type echo struct {
	messages, pings, pongs int
	err                    error // that ended it
}

// serve sends messages back, with a ping before every tenth, until the client
// closes.
func serve(conn *websocket.Conn, ended chan<- echo) {
	var e echo
	defer conn.Close()
	conn.SetPongHandler(func(payload string) error {
		e.pongs++ // one may answer several pings (RFC 6455 §5.5.3)
		n, err := strconv.Atoi(payload)
		if err == nil && (n < 1 || n > e.pings) {
			err = fmt.Errorf("pong %d of %d for ping %d", e.pongs, e.pings, n)
		}
		return err
	})
	for e.err == nil {
		var typ int
		var p []byte
		if typ, p, e.err = conn.ReadMessage(); e.err != nil {
			break
		}
		e.messages++
		if e.messages%10 == 0 {
			e.pings++
			e.err = conn.WriteControl(websocket.PingMessage, []byte(strconv.Itoa(e.pings)), time.Time{})
		}
		e.err = errors.Join(e.err, conn.WriteMessage(typ, p))
	}
	ended <- e
}

// sized are messages around the sizes at which something changes.
func sized() (all []message) {
	for _, n := range []int{0, 1, 125, 126, 127, 4095, 4096, 16<<10 - 1, 16 << 10, 65535, 65536, 1 << 20} {
		all = append(all, message{kind: "sized", typ: websocket.TextMessage, payload: bytes.Repeat([]byte("proxies "), n/8+1)[:n]})
		noisy := bytes.Repeat(noise, n/len(noise)+1)[:n]
		all = append(all, message{kind: "sized", typ: websocket.BinaryMessage, payload: noisy})
	}
	return all
}

// Messages of all sizes come through and back, pings and their pongs beside them
// in both directions, plain and compressed with takeover of the context.
func TestReverseProxyEcho(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, c := range []*websocket.Compression{nil, {SendContextTakeover: true, ReceiveContextTakeover: true}} {
			s.compress(c)
			client, server := s.connect(t, nil)
			agreed, compressed := client.Compression()
			require.Equal(t, c != nil, compressed)
			require.Equal(t, compressed, agreed.SendContextTakeover && agreed.ReceiveContextTakeover)

			ended := make(chan echo, 1)
			go serve(server.conn, ended)
			closing := websocket.CloseError{Code: websocket.CloseNormalClosure}
			k := &talk{
				conn: client, bits: 12, messages: 100, first: sized(), seed: 3,
				closing: websocket.FormatCloseMessage(closing.Code, "enough"), end: closing,
			}
			err := k.run()
			e := <-ended
			require.NoError(t, err, "our server: %v", e.err)
			require.Equal(t, k.pinged, k.hit)
			require.Equal(t, &websocket.CloseError{Code: closing.Code, Text: "enough"}, e.err)
			require.Equal(t, k.messages, e.messages)
			require.Equal(t, k.messages/10, e.pings)
			require.NotZero(t, e.pongs)
		}
	})
}

// The subprotocol is negotiated through the proxy, and our server learns from its
// headers who the client is and what it asked for.
func TestReverseProxyHeaders(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		s.dialer.Subprotocols = []string{"chat.v3", "chat.v2", "chat.v1"}
		s.upgrader.Store(&websocket.Upgrader{Subprotocols: []string{"chat.v1", "chat.v2"}})
		client, server := s.connect(t, http.Header{"X-Forwarded-For": {"192.0.2.7"}, "Authorization": {"Bearer secret"}})
		require.Equal(t, "chat.v1", client.Subprotocol())
		require.Equal(t, "chat.v1", server.conn.Subprotocol())
		h := server.request.Header
		require.Equal(t, "192.0.2.7, 127.0.0.1", strings.Join(h.Values("X-Forwarded-For"), ", "))
		require.Equal(t, []string{map[string]string{"ws": "http", "wss": "https"}[s.url.Scheme]}, h.Values("X-Forwarded-Proto"))
		require.Equal(t, []string{s.url.Host}, h.Values("X-Forwarded-Host"))
		require.Equal(t, []string{"Bearer secret"}, h.Values("Authorization"))
		require.Equal(t, s.url.Host, server.request.Host)
		require.Equal(t, "/chat", server.request.URL.Path)
		require.Equal(t, s.backend.TLS != nil, server.request.TLS != nil)
	})
}

// The code and the reason of the side that closes reach the other one, and the
// code comes back.
func TestReverseProxyCloseCodes(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, end := range []websocket.CloseError{
			{Code: websocket.CloseGoingAway},
			{Code: 4999, Text: "größer été 東京 🙂"},
			{Code: websocket.CloseNoStatusReceived},
		} {
			for _, serverCloses := range []bool{false, true} {
				client, server := s.connect(t, nil)
				from, to := client, server.conn
				if serverCloses {
					from, to = to, from
				}
				require.NoError(t, from.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(end.Code, end.Text), time.Time{}))
				_, _, err := to.ReadMessage()
				require.Equal(t, &end, err)
				_, _, err = from.ReadMessage()
				require.Equal(t, &websocket.CloseError{Code: end.Code}, err)
				require.NoError(t, server.conn.Close())
				require.NoError(t, client.Close())
			}
		}
	})
}

// A client whose server dies, in the middle of a message, gets an error and not
// the half; and a dial when there is no server fails with the status of the proxy.
func TestReverseProxyDeadServer(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		for _, linger := range []int{-1, 0} { // the end of the stream, and a reset
			client, server := s.connect(t, nil)
			require.NoError(t, server.conn.WriteMessage(websocket.TextMessage, []byte("whole")))
			w, err := server.conn.NextWriter(websocket.BinaryMessage)
			require.NoError(t, err)
			_, err = w.Write(noise[:100_000])
			require.NoError(t, err)
			_, p, err := client.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, "whole", string(p))

			conn := server.conn.NetConn()
			if over, ok := conn.(*tls.Conn); ok {
				conn = over.NetConn()
			}
			require.NoError(t, conn.(*net.TCPConn).SetLinger(linger))
			require.NoError(t, conn.Close())
			_, p, err = client.ReadMessage()
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Empty(t, p)
		}
		s.backend.Close()
		_, response, err := s.dialer.Dial(s.url.String(), nil)
		require.ErrorIs(t, err, websocket.ErrBadHandshake)
		require.Contains(t, []int{http.StatusBadGateway, http.StatusServiceUnavailable}, response.StatusCode)
	})
}

// A client that does not read holds up the server's writes, whatever the proxy has
// room for; and when it reads, it finds everything in order.
func TestReverseProxySlowReader(t *testing.T) {
	const size, count = 1 << 20, 40
	payload := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, size) }
	eachSite(t, func(t *testing.T, s *site) {
		client, server := s.connect(t, nil)
		sent := make(chan error, count)
		go func() {
			defer close(sent)
			for i := range count {
				err := server.conn.WriteMessage(websocket.BinaryMessage, payload(i))
				sent <- err
				if err != nil {
					return
				}
			}
		}()
		written := 0
		for moves := true; moves; {
			select {
			case err := <-sent:
				require.NoError(t, err)
				written++
				require.Less(t, written, count, "nothing holds up the server")
			case <-time.After(300 * time.Millisecond):
				moves = false
			}
		}
		t.Logf("the server stands still after %d of %d MiB", written, count)
		for i := range count {
			_, p, err := client.ReadMessage()
			require.NoError(t, err)
			require.True(t, bytes.Equal(payload(i), p), "message %d", i)
		}
		for err := range sent {
			require.NoError(t, err)
		}
	})
}

// A hundred clients talk at the same time.
func TestReverseProxyHundredClients(t *testing.T) {
	const clients, messages = 100, 20
	eachSite(t, func(t *testing.T, s *site) {
		c := &websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true}
		s.compress(c)
		closing := websocket.CloseError{Code: websocket.CloseNormalClosure}
		var here sync.WaitGroup
		here.Add(clients)
		talked := make(chan error, clients)
		for i := range clients {
			go func() {
				conn, _, err := s.dialer.Dial(s.url.String(), nil)
				here.Done()
				if err == nil {
					here.Wait()
					k := &talk{
						conn: conn, bits: 12, messages: messages, seed: uint64(i), alike: true,
						closing: websocket.FormatCloseMessage(closing.Code, ""), end: closing,
					}
					err = k.run()
				}
				talked <- err
			}()
		}
		ended := make(chan echo, clients)
		for range clients {
			a := s.accept(t)
			require.NoError(t, a.err)
			go serve(a.conn, ended)
		}
		for range clients {
			require.NoError(t, <-talked)
			require.Equal(t, messages, (<-ended).messages)
		}
	})
}

// The default check of the Origin needs the Host that the browser sent, with its
// port. Behind a proxy that sends another, CheckOrigin has to know the site's.
func TestReverseProxyOrigin(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		own := "http" + strings.TrimPrefix(s.url.Scheme, "ws") + "://" + s.url.Host
		for _, c := range []struct {
			path, origin string
			check        func(*http.Request) bool
			want         int
		}{
			{path: "/chat", origin: own, want: http.StatusSwitchingProtocols},
			{path: "/chat", origin: "https://elsewhere.example", want: http.StatusForbidden},
			{path: "/portless", origin: own, want: http.StatusForbidden},
			{path: "/rewritten", origin: own, want: http.StatusForbidden},
			{path: "/rewritten", origin: s.backend.URL, want: http.StatusSwitchingProtocols},
			{path: "/rewritten", origin: own, check: func(r *http.Request) bool { return r.Header.Get("Origin") == own }, want: http.StatusSwitchingProtocols},
		} {
			s.upgrader.Store(&websocket.Upgrader{CheckOrigin: c.check})
			s.url.Path = c.path
			conn, response, err := s.dialer.Dial(s.url.String(), http.Header{"Origin": {c.origin}})
			require.NotNil(t, response, "%v", err)
			require.Equal(t, c.want, response.StatusCode, "%s of %s", c.path, c.origin)
			a := s.accept(t)
			require.Equal(t, conn == nil, a.conn == nil)
			if conn != nil {
				require.NoError(t, a.conn.Close())
				require.NoError(t, conn.Close())
			}
		}
	})
}
