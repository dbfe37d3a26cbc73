package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// An hsStall is a step of the dial at which nothing goes on. It prepares the
// Dialer, and returns the URL and the connection that must not outlive the
// dial, nil if there is none.
type hsStall struct {
	name  string
	setUp func(t *testing.T, d *Dialer) (url string, conn *testnet.Conn)
}

// hsStallAfter is a peer that sends something and then no more.
func hsStallAfter(raw string) func(*testing.T, *Dialer) (string, *testnet.Conn) {
	return func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		return hsURL, hsMeet(t, d, hsSends(raw)).client
	}
}

var hsStalls = []hsStall{
	{"NetDialContext", func(_ *testing.T, d *Dialer) (string, *testnet.Conn) {
		d.NetDialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, errors.New("gave up")
		}
		return hsURL, nil
	}},
	{"NetDialTLSContext", func(_ *testing.T, d *Dialer) (string, *testnet.Conn) {
		d.NetDialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return "wss://server.example/", nil
	}},
	{"NetDial", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		conn, _ := testnet.Pipe()
		release := make(chan struct{})
		dialed := false
		d.NetDial = func(string, string) (net.Conn, error) {
			dialed = true
			<-release
			return conn, nil
		}
		t.Cleanup(func() {
			require.False(t, conn.Closed())
			close(release)
			synctest.Wait()
			require.Equal(t, dialed, conn.Closed(), "the late connection is left open")
		})
		return hsURL, nil
	}},
	{"NetDial that fails late", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		release := make(chan struct{})
		d.NetDial = func(string, string) (net.Conn, error) {
			<-release
			return nil, io.EOF
		}
		t.Cleanup(func() { close(release) })
		return hsURL, nil
	}},
	{"a dial that ignores the context and comes late", func(_ *testing.T, d *Dialer) (string, *testnet.Conn) {
		conn, _ := testnet.Pipe()
		d.NetDialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return conn, nil
		}
		return hsURL, conn
	}},
	{"the TLS handshake", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		p := hsMeet(t, d, nil)
		return "wss://server.example/", p.client
	}},
	{"the TLS handshake, nothing read", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		p := hsMeet(t, d, nil)
		p.client.Out().SetBuffer(0)
		return "wss://server.example/", p.client
	}},
	{"the request, nothing read", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		p := hsMeet(t, d, nil)
		p.client.Out().SetBuffer(0)
		return hsURL, p.client
	}},
	{"the response", hsStallAfter("")},
	{"the status line", hsStallAfter("HTTP/1.1 101 Swit")},
	{"the header", hsStallAfter(hsGood[:len(hsGood)-1])},
	{"the response behind an informational one", hsStallAfter("HTTP/1.1 100 Continue\r\n\r\n")},
	{"a response that trickles", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		p := hsMeet(t, d, hsSends("HTTP/1.1 101 x\r\nX: "+strings.Repeat("a", 60<<10)))
		p.server.Out().LimitWrites(testnet.AtMost(1))
		p.server.Out().SetGap(time.Second)
		return hsURL, p.client
	}},
	{"a refusal's body", hsStallAfter("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nbbb")},
	{"the response over TLS", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		return hsStallOverTLS(t, d, -1)
	}},
	{"the response over TLS, the goodbye not read", func(t *testing.T, d *Dialer) (string, *testnet.Conn) {
		return hsStallOverTLS(t, d, 0)
	}},
}

// hsStallOverTLS is a server that does its part of the TLS handshake and then
// has nothing to say. The buffer towards it is then set, unless negative.
func hsStallOverTLS(t *testing.T, d *Dialer, buffer int) (string, *testnet.Conn) {
	cert, roots := hsCertificate(t, "server.example")
	d.TLSClientConfig = &tls.Config{RootCAs: roots}
	client, server := testnet.Pipe()
	var served sync.WaitGroup
	d.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
		served.Go(func() {
			s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
			_, _ = s.Read(make([]byte, 1<<10)) // the request
			if buffer >= 0 {
				client.Out().SetBuffer(buffer)
			}
		})
		return client, nil
	}
	t.Cleanup(func() {
		_ = server.Close()
		served.Wait()
	})
	return "wss://server.example/", client
}

// The context and HandshakeTimeout are heeded at every step of the dial, to the
// instant, and leave nothing behind: a bubble fails the test if a goroutine
// stays.
func TestDialEndsInTime(t *testing.T) {
	const wait = 7 * time.Second
	for _, how := range []struct {
		name    string
		timeout time.Duration // HandshakeTimeout
		context func() (context.Context, context.CancelFunc)
		want    error
		after   time.Duration
	}{
		{"HandshakeTimeout", wait, func() (context.Context, context.CancelFunc) {
			return context.WithCancel(context.Background())
		}, context.DeadlineExceeded, wait},
		{"default timeout", 0, func() (context.Context, context.CancelFunc) {
			return context.WithCancel(context.Background())
		}, context.DeadlineExceeded, 45 * time.Second},
		{"deadline", time.Hour, func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), wait)
		}, context.DeadlineExceeded, wait},
		{"cancel", time.Hour, func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(wait, cancel)
			return ctx, cancel
		}, context.Canceled, wait},
		{"canceled before", time.Hour, func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return ctx, cancel
		}, context.Canceled, 0},
	} {
		for _, stall := range hsStalls {
			t.Run(how.name+"/"+stall.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := &Dialer{HandshakeTimeout: how.timeout}
					u, conn := stall.setUp(t, d)
					ctx, cancel := how.context()
					defer cancel()
					start := time.Now()
					ws, response, err := d.DialContext(ctx, u, nil)
					require.Equal(t, how.after, time.Since(start))
					require.Nil(t, ws)
					require.ErrorIs(t, err, how.want)
					var timeout net.Error
					require.Equal(t, how.want == context.DeadlineExceeded, errors.As(err, &timeout) && timeout.Timeout())
					if stall.name == "a refusal's body" && how.after > 0 {
						require.NotNil(t, response, "what is known of the refusal")
						require.Equal(t, "403 Forbidden", response.Status)
						body, err := io.ReadAll(response.Body)
						require.NoError(t, err)
						require.Equal(t, "bbb", string(body))
					} else {
						require.Nil(t, response)
					}
					synctest.Wait()
					if conn != nil && how.after > 0 {
						require.True(t, conn.Closed(), "the connection is left open")
					} else if conn != nil {
						require.Zero(t, conn.Stats(), "a dial that had ended already began")
					}
				})
			})
		}
	}
}

// An hsDeaf connection ignores its deadlines, without saying so.
type hsDeaf struct{ net.Conn }

func (hsDeaf) SetDeadline(time.Time) error      { return nil }
func (hsDeaf) SetReadDeadline(time.Time) error  { return nil }
func (hsDeaf) SetWriteDeadline(time.Time) error { return nil }

// The dial ends in time over a transport that has no deadlines.
func TestDialEndsInTimeWithoutDeadlines(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"refuses them": func(c net.Conn) net.Conn { return hsTimeless{c} },
		"ignores them": func(c net.Conn) net.Conn { return hsDeaf{c} },
	} {
		for _, raw := range []string{"", "HTTP/1.1 101", "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nbbb"} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := &Dialer{HandshakeTimeout: time.Second}
					p := hsMeet(t, d, hsSends(raw))
					meet := d.NetDialContext
					d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
						c, err := meet(ctx, network, addr)
						return wrap(c), err
					}
					start := time.Now()
					_, _, err := d.Dial(hsURL, nil)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Equal(t, time.Second, time.Since(start))
					synctest.Wait()
					require.True(t, p.client.Closed())
				})
			})
		}
	}
}

// An hsExplosive connection panics where it is told of a deadline.
type hsExplosive struct{ net.Conn }

func (hsExplosive) SetDeadline(time.Time) error { panic(errHandler) }

// A transport that panics in a goroutine that the program knows nothing of does not end the
// process, and the dial ends in time.
func TestDialEndsInTimeOverTransportsThatPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{HandshakeTimeout: time.Second}
		p := hsMeet(t, d, nil)
		meet := d.NetDialContext
		d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := meet(ctx, network, addr)
			return hsExplosive{c}, err
		}
		start := time.Now()
		_, _, err := d.Dial(hsURL, nil)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, time.Second, time.Since(start))
		synctest.Wait()
		require.True(t, p.client.Closed())
	})
	synctest.Test(t, func(t *testing.T) { // a connection that comes too late
		client, server := testnet.Pipe()
		defer func() { _ = server.Close() }()
		d := &Dialer{HandshakeTimeout: time.Second, NetDial: func(string, string) (net.Conn, error) {
			time.Sleep(time.Minute) // of the bubble
			return unclosableConn{client}, nil
		}}
		_, _, err := d.Dial(hsURL, nil)
		require.Equal(t, context.DeadlineExceeded, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.True(t, client.Closed())
	})
}

// Once the dial has returned, neither its context nor HandshakeTimeout, nor a
// deadline that the dial function left, has a say.
func TestContextEndsWithTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{HandshakeTimeout: time.Second}
		p := hsMeet(t, d, hsSends(hsGood))
		meet := d.NetDialContext
		d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := meet(ctx, network, addr)
			require.NoError(t, c.SetDeadline(time.Now().Add(2*time.Second)))
			return c, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		ws, _, err := d.DialContext(ctx, hsURL, nil)
		require.NoError(t, err)
		defer func() { _ = ws.Close() }()
		cancel()
		time.Sleep(time.Hour) // of the bubble
		require.False(t, p.client.Closed())
		_, err = io.WriteString(p.server, "\x81\x05hello")
		require.NoError(t, err)
		hsExpect(t, ws, "hello")
		require.NoError(t, ws.WriteMessage(TextMessage, []byte("hello")))
	})
}

// An hsEnder ends a context when its first bytes were read.
type hsEnder struct {
	*testnet.Conn
	end context.CancelFunc
}

func (c hsEnder) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.end()
	return n, err
}

// A context that ends while the last bytes of a good response are judged gives
// an error, and neither a connection that is closed already nor a buffer that
// stays on loan.
func TestContextEndsBesideTheDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkBuffers(t)
		ctx, cancel := context.WithCancel(t.Context())
		d := &Dialer{}
		p := hsMeet(t, d, hsSends(hsGood+"\x81\x05hello"))
		meet := d.NetDialContext
		d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, err := meet(ctx, network, addr)
			return hsEnder{p.client, cancel}, err
		}
		ws, response, err := d.DialContext(ctx, hsURL, nil)
		require.Equal(t, context.Canceled, err)
		require.Nil(t, ws)
		require.Nil(t, response)
		synctest.Wait()
		require.True(t, p.client.Closed())
	})
}

// An hsLate context has a deadline that has passed, and has not noticed.
type hsLate struct{ context.Context }

func (hsLate) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

// A socket notices a deadline by a clock of its own; the error is the
// context's all the same.
func TestTransportNoticesTheDeadlineFirst(t *testing.T) {
	d := &Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrDeadlineExceeded }}
	_, _, err := d.DialContext(hsLate{t.Context()}, hsURL, nil)
	require.Equal(t, context.DeadlineExceeded, err)
	_, _, err = d.DialContext(t.Context(), hsURL, nil)
	require.Equal(t, os.ErrDeadlineExceeded, err, "somebody else's deadline")
}

// The same over a socket, which nobody accepts from and which refuses.
func TestDialEndsInTimeOverSockets(t *testing.T) {
	testnet.CheckGoroutines(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = c.Read(make([]byte, 16)) // the dial has come to the handshake
		}
		if err != nil {
			t.Error(err)
		}
		cancel()
		accepted <- c
	}()
	d := &Dialer{}
	_, _, err = d.DialContext(ctx, "ws://"+l.Addr().String(), nil)
	require.Equal(t, context.Canceled, err)
	c := <-accepted
	_, err = io.Copy(io.Discard, c)
	require.NoError(t, err, "the end of the stream was to be seen")
	require.NoError(t, c.Close())

	require.NoError(t, l.Close())
	_, _, err = d.Dial("ws://"+l.Addr().String(), nil)
	var refused *net.OpError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "dial", refused.Op)
}
