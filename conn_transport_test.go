package websocket

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// The same core over real transports, of which synctest knows nothing.

// testCertificate is a server's for localhost, made for this run, and a pool
// that trusts it.
func testCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// realPair is the two ends of a connection of a network.
func realPair(t testing.TB, network string) (a, b net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(map[string]string{"tcp": "tcp", "tls": "tcp", "unix": "unix"}[network], address)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- conn
	}()
	a, err = net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	b = <-accepted
	require.NotNil(t, b)
	if network == "tls" {
		certificate, pool := testCertificate(t)
		b = tls.Server(b, &tls.Config{Certificates: []tls.Certificate{certificate}})
		a = tls.Client(a, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	}
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return a, b
}

func eachTransport(t *testing.T, f func(t *testing.T, client, server net.Conn)) {
	for _, network := range []string{"tcp", "unix", "tls"} {
		t.Run(network, func(t *testing.T) {
			if network == "unix" && runtime.GOOS == "windows" {
				t.Skip("the paths of temporary folders are too long for sockets there")
			}
			testnet.CheckGoroutines(t)
			checkBuffers(t)
			a, b := realPair(t, network)
			f(t, a, b)
		})
	}
}

// echo answers every message until the connection ends, and returns how.
func echo(c *Conn) error {
	var buf []byte
	for {
		messageType, p, err := c.AppendMessage(buf[:0])
		if err != nil {
			return err
		}
		if err := c.WriteMessage(messageType, p); err != nil {
			return err
		}
		buf = p
	}
}

func TestEchoOverRealTransports(t *testing.T) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		client, server := newConn(a, connOptions{}), newConn(b, connOptions{server: true})
		ended := make(chan error, 1)
		go func() { ended <- echo(server) }()
		require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Minute)))
		pongs := 0
		client.SetPongHandler(func(appData string) error {
			require.Equal(t, "are you there?", appData)
			pongs++
			return nil
		})
		for i, way := range readWays {
			for _, size := range messageSizes {
				if size > 70_000 && i == 3 {
					continue // a byte at a time takes long
				}
				require.NoError(t, client.WriteControl(PingMessage, []byte("are you there?"), time.Now().Add(time.Minute)))
				w, err := client.NextWriter(TextMessage)
				require.NoError(t, err)
				half := size / 2
				_, err = io.WriteString(w, ascii(size)[:half])
				require.NoError(t, err)
				_, err = io.WriteString(w, ascii(size)[half:])
				require.NoError(t, err)
				require.NoError(t, w.Close())
				messageType, got, err := way.read(client)
				require.NoError(t, err)
				require.Equal(t, TextMessage, messageType)
				require.True(t, ascii(size) == string(got), "%d bytes", size)
			}
		}
		require.NotZero(t, pongs)
		require.NoError(t, client.WriteControl(CloseMessage, FormatCloseMessage(1001, "bye"), time.Now().Add(time.Minute)))
		_, _, err := client.ReadMessage()
		require.Equal(t, &CloseError{Code: 1001}, err)
		require.Equal(t, &CloseError{Code: 1001, Text: "bye"}, <-ended)
		require.NoError(t, client.Close())
		require.NoError(t, server.Close())
	})
}

func TestDeadlineAndCloseOverRealTransports(t *testing.T) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		client, server := newConn(a, connOptions{}), newConn(b, connOptions{server: true})
		go func() { _ = client.WriteMessage(TextMessage, []byte("first")) }()
		_, _, err := server.ReadMessage()
		require.NoError(t, err)

		for range 3 {
			require.NoError(t, server.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			_, _, err = server.ReadMessage()
			wantTimeout(t, err)
		}
		require.NoError(t, server.SetReadDeadline(time.Time{}))
		require.NoError(t, client.WriteMessage(TextMessage, []byte("second")))
		_, got, err := server.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "second", string(got))

		ended := make(chan error, 1)
		go func() {
			_, _, err := server.ReadMessage()
			ended <- err
		}()
		require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Minute)))
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		_, _, err = client.ReadMessage()
		require.Equal(t, &CloseError{Code: 1006, Text: "unexpected EOF"}, err)
	})
}

func TestTimeoutsAndErrorsAreCalledReads(t *testing.T) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		c := newConn(b, connOptions{server: true})
		require.NoError(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
		_, _, err := c.ReadMessage()
		var e *net.OpError
		require.ErrorAs(t, err, &e)
		require.Equal(t, "read", e.Op)
		require.NoError(t, c.Close())
	})
}

// A xorConn changes every byte on its way. It has all the methods of the
// connection that it embeds, and whoever reaches past its own loses the change.
type xorConn struct{ *net.TCPConn }

func (c *xorConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	mask(p[:n], 0x5A5A5A5A)
	return n, err
}

func (c *xorConn) Write(p []byte) (int, error) {
	q := make([]byte, len(p))
	maskCopy(q, p, 0x5A5A5A5A)
	return c.TCPConn.Write(q)
}

func TestWrappersAreNotReachedThrough(t *testing.T) {
	a, b := realPair(t, "tcp")
	client := newConn(&xorConn{a.(*net.TCPConn)}, connOptions{})
	server := newConn(&xorConn{b.(*net.TCPConn)}, connOptions{server: true})
	require.IsType(t, &inlineSeam{}, server.transport.seam)
	go func() { _ = echo(server) }()
	require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Minute)))
	for _, size := range []int{5, 16 << 10, 17 << 10, 300_000} {
		require.NoError(t, client.WriteMessage(BinaryMessage, []byte(ascii(size))))
		_, got, err := client.ReadMessage()
		require.NoError(t, err)
		require.True(t, ascii(size) == string(got), "%d bytes", size)
	}
	require.Same(t, client.NetConn(), client.UnderlyingConn())
	require.NoError(t, client.Close())
	require.NoError(t, server.Close())
}

func TestSeamOfEachTransport(t *testing.T) {
	for network, raw := range map[string]bool{"tcp": true, "unix": true, "tls": false} {
		a, _ := realPair(t, network)
		_, inline := newConn(a, connOptions{}).transport.seam.(*inlineSeam)
		require.Equal(t, raw && rawSeams, !inline, network)
	}
}

// An echo over a socket does not allocate either.
func TestEchoAllocationsOverSockets(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pool at random")
	}
	for _, o := range []*Compression{nil, &noTakeover, &takeover12} {
		eachTransport(t, func(t *testing.T, a, b net.Conn) {
			if _, ok := a.(*tls.Conn); ok {
				return // crypto/tls allocates
			}
			c := newConn(b, connOptions{server: true, compression: o})
			p, z := &peer{masks: true}, &flatePeer{t: t}
			frame := p.frame(finText, similar(1, 300))
			if o != nil {
				frame = p.frame(zText, z.compress(similar(1, 300)))
			}
			buf, answer := make([]byte, 0, 1024), make([]byte, 1024)
			got := testing.AllocsPerRun(200, func() {
				if _, err := a.Write(frame); err != nil {
					t.Fatal(err)
				}
				messageType, m, err := c.AppendMessage(buf)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.WriteMessage(messageType, m); err != nil {
					t.Fatal(err)
				}
				if _, err := a.Read(answer); err != nil {
					t.Fatal(err)
				}
			})
			require.Zero(t, got, "allocations for an echo")
		})
	}
}
