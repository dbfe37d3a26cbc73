package websocket

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// hsCertificate makes a certificate for a host, and the roots to trust it by.
func hsCertificate(t testing.TB, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, roots
}

// hsMeetTLS lets d meet a server over TLS, that upgrades what it gets. The
// states of its handshakes, and their errors, come by the channel.
func hsMeetTLS(t testing.TB, d *Dialer, config *tls.Config) (conn *testnet.Conn, states <-chan hsTLSState) {
	t.Helper()
	client, server := testnet.Pipe()
	done := make(chan hsTLSState, 1)
	d.NetDialContext = func(_ context.Context, network, addr string) (net.Conn, error) {
		go func() {
			s := tls.Server(server, config)
			err := s.Handshake()
			done <- hsTLSState{s.ConnectionState(), addr, err}
			if err != nil {
				_ = server.Close()
				return
			}
			p := &hsPeer{}
			b := make([]byte, 4<<10)
			n, _ := s.Read(b)
			p.key = hsParse(t, string(b[:n])).Header.Get("Sec-Websocket-Key")
			_, _ = s.Write(appendResponse(nil, p.key, "", "", nil))
			_, _ = io.WriteString(s, "\x81\x05hello")
		}()
		return client, nil
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, done
}

type hsTLSState struct {
	tls.ConnectionState
	addr string
	err  error
}

// The server's name comes from the URL, and its certificate is checked against
// that; a host that is not ASCII is in both as it is in the DNS.
func TestWSS(t *testing.T) {
	for _, c := range []struct{ url, host, sni, addr string }{
		{"wss://server.example/", "server.example", "server.example", "server.example:443"},
		{"wss://server.example:8443/", "server.example", "server.example", "server.example:8443"},
		{"wss://b\u00fccher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example:443"},
		{"wss://192.0.2.1/", "192.0.2.1", "", "192.0.2.1:443"},
		{"wss://[2001:db8::1]/", "2001:db8::1", "", "[2001:db8::1]:443"},
	} {
		t.Run(c.url, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cert, roots := hsCertificate(t, c.host)
				d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
				conn, states := hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}})
				ws, _, err := d.Dial(c.url, nil)
				require.NoError(t, err)
				state := <-states
				require.Equal(t, c.sni, state.ServerName)
				require.Equal(t, c.addr, state.addr)
				require.IsType(t, &tls.Conn{}, ws.NetConn())
				require.Same(t, conn, ws.NetConn().(*tls.Conn).NetConn())
				hsExpect(t, ws, "hello")
				require.NoError(t, ws.Close())
			})
		})
	}
}

// A certificate for another host, or of nobody we trust, fails the dial and
// ends the connection.
func TestWSSWithBadCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, roots := hsCertificate(t, "other.example")
		d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
		conn, states := hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}})
		ws, response, err := d.Dial("wss://server.example/", nil)
		var host x509.HostnameError
		require.ErrorAs(t, err, &host)
		require.Equal(t, "server.example", host.Host)
		require.Nil(t, ws)
		require.Nil(t, response)
		require.True(t, conn.Closed())
		require.Error(t, (<-states).err)

		d = &Dialer{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
		conn, states = hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}})
		_, _, err = d.Dial("wss://other.example/", nil)
		var unknown x509.UnknownAuthorityError
		require.ErrorAs(t, err, &unknown)
		require.True(t, conn.Closed())
		require.Error(t, (<-states).err)
	})
}

// A ServerName of the caller's is kept, HTTP/2 is not offered (RFC 6455 is
// written for HTTP/1.1), and the caller's configuration is left as it was.
func TestTLSClientConfigIsCloned(t *testing.T) {
	for _, c := range []struct {
		protos    []string
		preferred []string // of the server
		want      string
	}{
		{[]string{"h2", "http/1.1"}, []string{"h2", "http/1.1"}, "http/1.1"},
		{[]string{"http/1.1", "h2", "x"}, []string{"x"}, "x"},
		{[]string{"h2"}, []string{"h2"}, ""},
		{nil, []string{"h2"}, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			cert, roots := hsCertificate(t, "inner.example")
			protos := append([]string(nil), c.protos...)
			config := &tls.Config{RootCAs: roots, NextProtos: protos, ServerName: "inner.example"}
			d := &Dialer{TLSClientConfig: config}
			_, states := hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: c.preferred})
			ws, _, err := d.Dial("wss://server.example/", nil)
			require.NoError(t, err)
			require.NoError(t, ws.Close())
			state := <-states
			require.Equal(t, "inner.example", state.ServerName)
			require.Equal(t, c.want, state.NegotiatedProtocol)
			require.Equal(t, c.protos, config.NextProtos)
			require.Equal(t, c.protos, protos)

			config.ServerName = ""
			_, states = hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}})
			_, _, err = d.Dial("wss://server.example/", nil)
			require.Error(t, err)
			require.Equal(t, "server.example", (<-states).ServerName)
			require.Empty(t, config.ServerName)
		})
	}
}

// NetDialTLSContext has done TLS, and is for wss URLs only.
func TestNetDialTLSContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{}
		p := hsMeet(t, d, hsSends(hsGood))
		plain := d.NetDialContext
		d.NetDialTLSContext = plain
		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("plain") }
		d.NetDial = func(string, string) (net.Conn, error) { return nil, errors.New("older") }
		ws, _, err := d.Dial("wss://server.example/", nil)
		require.NoError(t, err)
		require.Same(t, p.client, ws.NetConn())
		require.Equal(t, "tcp server.example:443", p.network+" "+p.addr)
		require.NoError(t, ws.Close())
		_, _, err = d.Dial(hsURL, nil)
		require.EqualError(t, err, "plain")
	})
}

// hsTrace notes the hooks that are called, in their order.
func hsTrace(calls *[]string) context.Context {
	note := func(s string) { *calls = append(*calls, s) }
	return httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GetConn:              func(hostPort string) { note("GetConn " + hostPort) },
		GotConn:              func(info httptrace.GotConnInfo) { note("GotConn " + info.Conn.RemoteAddr().String()) },
		TLSHandshakeStart:    func() { note("TLSHandshakeStart") },
		GotFirstResponseByte: func() { note("GotFirstResponseByte") },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err != nil {
				note("TLSHandshakeDone with an error")
			} else {
				note("TLSHandshakeDone " + state.ServerName)
			}
		},
	})
}

// The hooks of httptrace are called as net/http calls them.
func TestTraceHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		d := &Dialer{}
		hsMeet(t, d, hsSends(hsGood))
		ws, _, err := d.DialContext(hsTrace(&calls), hsURL, nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
		require.Equal(t, []string{"GetConn server.example:80", "GotConn b.testnet:2", "GotFirstResponseByte"}, calls)

		calls = nil
		cert, roots := hsCertificate(t, "server.example")
		d = &Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
		_, _ = hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}})
		ws, _, err = d.DialContext(hsTrace(&calls), "wss://server.example/", nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
		require.Equal(t, []string{"GetConn server.example:443", "TLSHandshakeStart", "TLSHandshakeDone server.example",
			"GotConn b.testnet:2", "GotFirstResponseByte"}, calls)

		calls = nil
		_, _ = hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}})
		_, _, err = d.DialContext(hsTrace(&calls), "wss://other.example/", nil)
		require.Error(t, err)
		require.Equal(t, []string{"GetConn other.example:443", "TLSHandshakeStart", "TLSHandshakeDone with an error"}, calls)

		calls = nil
		d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
		_, _, err = d.DialContext(hsTrace(&calls), hsURL, nil)
		require.Equal(t, io.EOF, err)
		require.Equal(t, []string{"GetConn server.example:80"}, calls)

		calls = nil
		hsMeet(t, d, hsSendsAll(""))
		_, _, err = d.DialContext(hsTrace(&calls), hsURL, nil)
		require.Error(t, err)
		require.Equal(t, []string{"GetConn server.example:80", "GotConn b.testnet:2"}, calls, "there was no byte")
	})
}

// A trace without any hook is one that wants to know nothing.
func TestTraceWithoutHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, roots := hsCertificate(t, "server.example")
		d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
		_, _ = hsMeetTLS(t, d, &tls.Config{Certificates: []tls.Certificate{cert}})
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{})
		ws, _, err := d.DialContext(ctx, "wss://server.example/", nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
	})
}
