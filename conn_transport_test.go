package websocket

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, &key.PublicKey, key)
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
			checkBuffers(t)
			testnet.CheckGoroutines(t)
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

// A countingConn counts what is written by its own Write, and how large the largest
// piece was.
type countingConn struct {
	*net.TCPConn
	bytes, largest atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	c.largest.Store(max(c.largest.Load(), int64(len(p))))
	return c.TCPConn.Write(p)
}

// A wrapper sees every byte, of small frames, large ones, corked ones and those of
// batches.
func TestWrappersSeeEveryByte(t *testing.T) {
	testnet.CheckGoroutines(t)
	checkBuffers(t)
	a, b := realPair(t, "tcp")
	counting := &countingConn{TCPConn: b.(*net.TCPConn)}
	c := newConn(counting, connOptions{server: true})
	want := 0
	for _, size := range []int{1, 1000, smallFrame, smallFrame + 1, 100_000, 1 << 20} {
		want += len(wireFrame(finBinary, false, ascii(size)))
		go func() { _, _ = io.CopyN(io.Discard, a, int64(len(wireFrame(finBinary, false, ascii(size))))) }()
		require.NoError(t, c.WriteMessage(BinaryMessage, []byte(ascii(size))))
	}
	require.EqualValues(t, want, counting.bytes.Load())
	require.EqualValues(t, writeStep, counting.largest.Load())
	_, frames := (&peer{masks: true}).pipelined(50)
	for _, f := range frames {
		want += len(f) - 4
	}
	_, err := a.Write(slices.Concat(frames...))
	require.NoError(t, err)
	require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Minute)))
	for range frames {
		require.NoError(t, echoWays[0].echo(c))
	}
	require.NoError(t, c.WriteControl(PingMessage, nil, time.Now().Add(time.Minute))) // which sends the rest first
	require.EqualValues(t, want+2, counting.bytes.Load())
	require.NoError(t, c.Close())
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

// fullSocket runs f with a socket that has no room, as its peer does not read, and on
// which a deadline has passed. It is no TCP, which finds a few bytes of room now and then.
func fullSocket(t *testing.T, f func(t *testing.T, client, server net.Conn)) {
	eachSocket(t, func(t *testing.T, a, b net.Conn) {
		if _, ok := b.(*net.UnixConn); !ok {
			return
		}
		for _, size := range []int{1 << 20, 1} {
			for n := 1; n > 0; {
				require.NoError(t, b.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
				var err error
				if n, err = b.Write(make([]byte, size)); err != nil {
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				}
			}
		}
		f(t, a, b)
	})
}

// eachSocket is eachTransport without TLS, of which a Write that timed out is the end.
func eachSocket(t *testing.T, f func(t *testing.T, client, server net.Conn)) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		if _, ok := a.(*tls.Conn); !ok {
			f(t, a, b)
		}
	})
}

// A socket with no room is waited for until the write deadline, whatever the frame.
func TestWriteDeadlineOfAFullSocket(t *testing.T) {
	fullSocket(t, func(t *testing.T, a, b net.Conn) {
		c := newConn(b, connOptions{server: true})
		for _, size := range []int{1, 1000, smallFrame + 1, 1 << 20} {
			start := time.Now()
			require.NoError(t, c.SetWriteDeadline(start.Add(20*time.Millisecond)))
			wantTimeout(t, c.WriteMessage(BinaryMessage, []byte(ascii(size))))
			require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
		}
		start := time.Now()
		wantTimeout(t, c.WriteControl(PingMessage, nil, start.Add(20*time.Millisecond)))
		require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)

		// None of that has harmed the connection; nor does the deadline that has passed.
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		go func() { _, _ = io.Copy(io.Discard, a) }()
		for _, size := range []int{1, 1000, smallFrame + 1, 1 << 20} {
			require.NoError(t, c.WriteMessage(BinaryMessage, []byte(ascii(size))))
		}
		require.NoError(t, c.Close())
		require.NoError(t, a.Close())
	})
}

// Part of a message went out: that is the end, at the deadline or when it is moved.
func TestWriteDeadlineOfASocketThatFills(t *testing.T) {
	eachSocket(t, func(t *testing.T, _, b net.Conn) {
		c := newConn(b, connOptions{server: true})
		large := make([]byte, 64<<20)
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start.Add(50*time.Millisecond)))
		err := c.WriteMessage(BinaryMessage, large)
		wantTimeout(t, err)
		require.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.Same(t, err, c.WriteMessage(BinaryMessage, nil))
		require.NoError(t, c.Close())
	})
	eachSocket(t, func(t *testing.T, a, b net.Conn) {
		c := newConn(b, connOptions{server: true})
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		blocked := make(chan error)
		go func() { blocked <- c.WriteMessage(BinaryMessage, make([]byte, 64<<20)) }()
		_, err := io.ReadFull(a, make([]byte, 100_000)) // so it has begun
		require.NoError(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Now()))
		wantTimeout(t, <-blocked)
		require.NoError(t, c.Close())
	})
}

// A deadline that a slow write has left on the socket, and that has passed, is none for
// later writes of any kind.
func TestOldDeadlineOnASocket(t *testing.T) {
	writes := map[string]func(c *Conn) error{
		"small":   func(c *Conn) error { return c.WriteMessage(TextMessage, []byte("x")) },
		"large":   func(c *Conn) error { return c.WriteMessage(TextMessage, []byte(ascii(20_000))) },
		"control": func(c *Conn) error { return c.WriteControl(PingMessage, nil, time.Time{}) },
		"corked": func(c *Conn) error {
			c.in.more.Store(true)
			err := c.WriteMessage(TextMessage, []byte("x"))
			c.in.more.Store(false)
			return errors.Join(err, c.WriteMessage(TextMessage, []byte("x")))
		},
		"corked, then Close": func(c *Conn) error {
			c.in.more.Store(true)
			return errors.Join(c.WriteMessage(TextMessage, []byte("x")), c.Close())
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			eachSocket(t, func(t *testing.T, a, b net.Conn) {
				require.NoError(t, b.SetWriteDeadline(time.Now().Add(-time.Second)))
				c := newConn(b, connOptions{server: true})
				require.NoError(t, write(c))
				require.NoError(t, c.Close())
				got, err := io.ReadAll(a)
				require.NoError(t, err)
				require.NotEmpty(t, got)
			})
		})
	}
}

func TestSetWriteDeadlineInterruptsAFullSocket(t *testing.T) {
	fullSocket(t, func(t *testing.T, _, b net.Conn) {
		for _, size := range []int{1, smallFrame + 1, 1 << 20} {
			c := newConn(b, connOptions{server: true})
			blocked := make(chan error, 3)
			for range cap(blocked) {
				go func() { blocked <- c.WriteMessage(BinaryMessage, []byte(ascii(size))) }()
			}
			for leads := false; !leads; runtime.Gosched() {
				c.out.mu.Lock()
				leads = c.out.armed > 0 && c.out.waiters.first != nil
				c.out.mu.Unlock()
			}
			require.Empty(t, blocked)
			require.NoError(t, c.SetWriteDeadline(time.Now()))
			for range cap(blocked) {
				wantTimeout(t, <-blocked)
			}
		}
	})
}

// Large frames go out with their header by writev, which a socket takes in parts.
func TestLargeFramesInParts(t *testing.T) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		if tcp, ok := b.(*net.TCPConn); ok {
			require.NoError(t, tcp.SetWriteBuffer(4<<10))
		}
		client, server := newConn(a, connOptions{}), newConn(b, connOptions{server: true})
		sizes := []int{smallFrame + 1, 65_535, 65_536, writeStep - 1, writeStep, writeStep + 1, 3*writeStep + 7}
		written := make(chan error, 1)
		go func() {
			for _, size := range sizes {
				if err := server.WriteMessage(BinaryMessage, []byte(ascii(size))); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Minute)))
		for _, size := range sizes {
			_, r, err := client.NextReader()
			require.NoError(t, err)
			got, err := io.ReadAll(bufio.NewReaderSize(r, 777)) // slowly
			require.NoError(t, err)
			require.True(t, ascii(size) == string(got), "%d bytes", size)
		}
		require.NoError(t, <-written)
		require.NoError(t, client.Close())
		require.NoError(t, server.Close())
	})
}

// pipelineEcho sends n numbered messages through client, whose peer echoes, at most
// ahead of them without an answer, while other goroutines of either side write too, and
// checks all that comes back.
func pipelineEcho(t *testing.T, client, server *Conn, r *rand.Rand, n int) {
	before := onLoan.Load()
	ahead := make(chan struct{}, 1+r.IntN(64))
	sizes := []int{0, 1, 20, 100, 500, 5000, 20_000, 100_000}
	most := 2 + r.IntN(len(sizes)-1)
	body := func(writer, i int) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(writer))
		b = binary.BigEndian.AppendUint32(b, uint32(i))
		return append(b, ascii(sizes[(writer*31+i*7)%most])...)
	}
	var all sync.WaitGroup
	run := func(f func() error) {
		all.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	const writers = 3 // of the server, besides its echo; the client's are numbered behind
	ways := r.Perm(3)
	run(func() error {
		for i := 0; ; i++ {
			if err := echoWays[ways[i%3]].echo(server); err != nil {
				if !IsCloseError(err, CloseNormalClosure) {
					return err
				}
				return nil
			}
		}
	})
	var others sync.WaitGroup
	for w := range writers {
		others.Add(1)
		run(func() error {
			defer others.Done()
			for i := range n / 4 {
				if err := server.WriteMessage(BinaryMessage, body(w, i)); err != nil {
					return err
				}
				if i%5 == 0 {
					if err := server.WriteControl(PingMessage, nil, time.Now().Add(time.Minute)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	for w := writers; w < writers+2; w++ {
		others.Add(1)
		run(func() error {
			defer others.Done()
			for i := range n / 2 {
				ahead <- struct{}{}
				if err := client.WriteMessage(BinaryMessage, body(w, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	next := make([]int, writers+2)
	for range writers*(n/4) + 2*(n/2) {
		_, m, err := client.ReadMessage()
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(m), 8)
		w, i := int(binary.BigEndian.Uint32(m)), int(binary.BigEndian.Uint32(m[4:]))
		require.Equal(t, next[w], i, "writer %d", w)
		require.True(t, string(body(w, i)) == string(m), "message %d of writer %d", i, w)
		next[w]++
		if w >= writers {
			<-ahead
		}
	}
	others.Wait()
	require.NoError(t, client.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), time.Now().Add(time.Minute)))
	_, _, err := client.ReadMessage()
	require.Equal(t, &CloseError{Code: CloseNormalClosure}, err)
	all.Wait()
	require.NoError(t, client.Close())
	require.NoError(t, server.Close())
	// Those who still owe a pong see the end in their own time.
	require.Eventually(t, func() bool { return onLoan.Load() == before }, 5*time.Second, time.Millisecond, "buffers come back")
}

// Pipelined messages, answers, other messages, pings and their pongs at once: each
// writer's come once, whole and in order.
func TestPipelinesOverRealTransports(t *testing.T) {
	for _, o := range []*Compression{nil, &noTakeover, &takeover12} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(o != nil, seed), func(t *testing.T) {
				eachTransport(t, func(t *testing.T, a, b net.Conn) {
					client, server := newConn(a, connOptions{compression: o}), newConn(b, connOptions{server: true, compression: o})
					require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Minute)))
					pipelineEcho(t, client, server, rand.New(rand.NewPCG(seed, 7)), 100)
				})
			})
		}
	}
}
