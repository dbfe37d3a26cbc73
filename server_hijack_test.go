package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// An hsHijacker is a ResponseWriter of which nothing but the connection counts.
type hsHijacker struct {
	http.ResponseWriter
	conn net.Conn
	brw  *bufio.ReadWriter
	err  error
}

func (h hsHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, h.brw, h.err }

// Wrappers of a ResponseWriter, as middlewares have them.
type (
	hsUnwrapper struct{ http.ResponseWriter }
	hsOpaque    struct{ http.ResponseWriter }
	hsNowhere   struct{ http.ResponseWriter }
)

func (w hsUnwrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w hsNowhere) Unwrap() http.ResponseWriter   { return nil }

// hsUpgradeOver upgrades what a Hijack returned, and returns both ends. The
// answer was read off the client's.
func hsUpgradeOver(t *testing.T, brw func(server net.Conn) *bufio.ReadWriter) (client *testnet.Conn, ws *Conn) {
	t.Helper()
	client, server := testnet.Pipe()
	ws, err := (&Upgrader{}).Upgrade(hsHijacker{conn: server, brw: brw(server)}, hsParse(t, hsRequest("")), nil)
	require.NoError(t, err)
	require.Same(t, server, ws.NetConn())
	t.Cleanup(func() { _, _ = client.Close(), ws.Close() })
	want := appendResponse(nil, hsKey, "", "", nil)
	got := make([]byte, len(want))
	_, err = io.ReadFull(client, got)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	return client, ws
}

func hsExpect(t *testing.T, ws *Conn, text string) {
	t.Helper()
	_, p, err := ws.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, text, string(p))
}

// A Hijack may return less than net/http's does.
func TestHijackWithoutBuffers(t *testing.T) {
	for name, brw := range map[string]func(net.Conn) *bufio.ReadWriter{
		"no ReadWriter":       func(net.Conn) *bufio.ReadWriter { return nil },
		"an empty ReadWriter": func(net.Conn) *bufio.ReadWriter { return &bufio.ReadWriter{} },
		"no Writer":           func(c net.Conn) *bufio.ReadWriter { return bufio.NewReadWriter(bufio.NewReader(c), nil) },
		"no Reader":           func(c net.Conn) *bufio.ReadWriter { return bufio.NewReadWriter(nil, bufio.NewWriter(c)) },
		"zero buffers":        func(net.Conn) *bufio.ReadWriter { return bufio.NewReadWriter(&bufio.Reader{}, &bufio.Writer{}) },
	} {
		t.Run(name, func(t *testing.T) {
			checkBuffers(t)
			client, ws := hsUpgradeOver(t, brw)
			_, err := client.Write(hsFrame("hello"))
			require.NoError(t, err)
			hsExpect(t, ws, "hello")
		})
	}
}

// Bytes in a reader that does not read from the connection are not lost,
// whatever its size; and the reader is not read from.
func TestHijackWithForeignReader(t *testing.T) {
	for _, frames := range []int{0, 1, 2, 4 << 10, 8 << 10} {
		checkBuffers(t)
		var early bytes.Buffer
		for range frames {
			early.Write(hsFrame("early"))
		}
		size := early.Len()
		br := bufio.NewReaderSize(io.MultiReader(&early, hsNoReader{t}), max(16, size))
		if size > 0 {
			_, err := br.Peek(size)
			require.NoError(t, err)
		}
		client, ws := hsUpgradeOver(t, func(net.Conn) *bufio.ReadWriter { return bufio.NewReadWriter(br, nil) })
		_, err := client.Write(hsFrame("late"))
		require.NoError(t, err)
		for range frames {
			hsExpect(t, ws, "early")
		}
		hsExpect(t, ws, "late")
	}
}

type hsNoReader struct{ testing.TB }

func (r hsNoReader) Read([]byte) (int, error) {
	r.Error("the hijacked reader was read from")
	return 0, io.EOF
}

// The pair that net/http allocates for each connection lives as long as the
// handler may, so it is emptied.
func TestHijackedBuffersAreLetGo(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		conn, _ := realPair(t, network)
		br, bw := bufio.NewReader(strings.NewReader("bytes")), bufio.NewWriter(io.Discard)
		_, err := br.Peek(5)
		require.NoError(t, err)
		_, buffered, err := hijack(hsHijacker{conn: conn, brw: bufio.NewReadWriter(br, bw)})
		require.NoError(t, err)
		require.Equal(t, "bytes", string(buffered))
		require.Zero(t, br.Size())
		require.Zero(t, bw.Size())
	}
}

// A connection of a middleware's may read through the pair, so that one is left
// in working order, less the bytes that were taken out.
func TestHijackedBuffersOfAForeignConnAreLeftAlone(t *testing.T) {
	conn, _ := testnet.Pipe()
	br, bw := bufio.NewReaderSize(strings.NewReader("bytes in hand, and more"), 16), bufio.NewWriter(io.Discard)
	_, err := br.Peek(1)
	require.NoError(t, err)
	_, buffered, err := hijack(hsHijacker{conn: conn, brw: bufio.NewReadWriter(br, bw)})
	require.NoError(t, err)
	rest, err := io.ReadAll(br)
	require.NoError(t, err)
	require.Equal(t, "bytes in hand, and more", string(buffered)+string(rest))
	require.Len(t, buffered, 16)
	require.NotZero(t, bw.Size())
}

// A middleware's wrapper is seen through if it has Unwrap, however deep.
func TestHijackThroughWrappers(t *testing.T) {
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"none":       func(w http.ResponseWriter) http.ResponseWriter { return w },
		"one":        func(w http.ResponseWriter) http.ResponseWriter { return hsUnwrapper{w} },
		"three deep": func(w http.ResponseWriter) http.ResponseWriter { return hsUnwrapper{&hsUnwrapper{hsUnwrapper{w}}} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conns := make(chan *Conn, 1)
				conn := hsServe(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c, err := (&Upgrader{}).Upgrade(wrap(w), r, nil)
					if err != nil {
						t.Error(err)
					}
					conns <- c
				})}).dial(t)
				_, err := conn.Write(append([]byte(hsRequest("")), hsFrame("hello")...))
				require.NoError(t, err)
				ws := <-conns
				defer func() { _ = ws.Close() }()
				hsExpect(t, ws, "hello")
			})
		})
	}
}

// Where there is nothing to hijack, the error names what stands in the way.
func TestHijackImpossible(t *testing.T) {
	for _, c := range []struct {
		wrap func(http.ResponseWriter) http.ResponseWriter
		want string
	}{
		{func(w http.ResponseWriter) http.ResponseWriter { return w }, "*httptest.ResponseRecorder"},
		{func(w http.ResponseWriter) http.ResponseWriter { return hsUnwrapper{hsUnwrapper{w}} }, "*httptest.ResponseRecorder"},
		{func(w http.ResponseWriter) http.ResponseWriter { return hsUnwrapper{hsOpaque{w}} }, "websocket.hsOpaque"},
		{func(w http.ResponseWriter) http.ResponseWriter { return hsNowhere{w} }, "<nil>"},
		{func(w http.ResponseWriter) http.ResponseWriter {
			return hsUnwrapper{hsHijacker{ResponseWriter: w, err: http.ErrNotSupported}}
		}, "websocket.hsHijacker"},
	} {
		t.Run(c.want, func(t *testing.T) {
			w := httptest.NewRecorder()
			_, err := (&Upgrader{}).Upgrade(c.wrap(w), hsParse(t, hsRequest("")), nil)
			require.EqualError(t, err, "websocket: "+c.want+" does not implement http.Hijacker")
			require.IsType(t, HandshakeError{}, err)
			require.Equal(t, http.StatusInternalServerError, w.Code)
			require.Equal(t, "Internal Server Error\n", w.Body.String())
			require.Equal(t, "close", w.Header().Get("Connection"))
		})
	}
}

// http.TimeoutHandler has no way through, which its users find out the hard way.
func TestHijackBehindTimeoutHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := (&Upgrader{}).Upgrade(w, r, nil)
			failed <- err
		})
		conn := hsServe(t, &http.Server{Handler: http.TimeoutHandler(handler, time.Minute, "")}).dial(t)
		_, err := io.WriteString(conn, hsRequest("")+hsAdmin)
		require.NoError(t, err)
		all, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(all), "HTTP/1.1 500 "))
		require.Equal(t, 1, strings.Count(string(all), "HTTP/1.1"))
		require.ErrorContains(t, <-failed, "*http.timeoutWriter")
	})
}

// A Hijack that fails, or lies, is a 500 and an error that says so.
func TestHijackFails(t *testing.T) {
	fault := errors.New("no sockets today")
	w := httptest.NewRecorder()
	_, err := (&Upgrader{}).Upgrade(hsHijacker{ResponseWriter: w, err: fault}, hsParse(t, hsRequest("")), nil)
	require.ErrorContains(t, err, fault.Error())
	require.Equal(t, http.StatusInternalServerError, w.Code)

	w = httptest.NewRecorder()
	_, err = (&Upgrader{}).Upgrade(hsHijacker{ResponseWriter: w}, hsParse(t, hsRequest("")), nil)
	require.ErrorContains(t, err, "websocket.hsHijacker returned no connection")
	require.Equal(t, http.StatusInternalServerError, w.Code)
}

// A response that cannot be written ends the connection; the error is the
// transport's.
func TestResponseCannotBeWritten(t *testing.T) {
	fault := errors.New("cable cut")
	for _, after := range []int{0, 1, 100} {
		client, server := testnet.Pipe()
		server.Out().FailWritesAfter(after, fault)
		ws, err := (&Upgrader{}).Upgrade(hsHijacker{conn: server}, hsParse(t, hsRequest("")), nil)
		require.Nil(t, ws)
		require.ErrorIs(t, err, fault)
		require.True(t, server.Closed())
		require.NoError(t, client.Close())
	}
}

// Deadlines that a Hijack left on the connection are cleared, and so is the one
// of HandshakeTimeout: of the transport itself, which the program may use.
func TestHijackedDeadlinesAreCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, ws := hsUpgradeOver(t, func(server net.Conn) *bufio.ReadWriter {
			require.NoError(t, server.SetDeadline(time.Now().Add(time.Second)))
			return nil
		})
		time.Sleep(time.Hour) // of the bubble
		_, err := ws.NetConn().Write([]byte("x"))
		require.NoError(t, err)
		_, err = client.Write([]byte("y"))
		require.NoError(t, err)
		_, err = ws.NetConn().Read(make([]byte, 1))
		require.NoError(t, err)
	})
}

// An hsTimeless is a connection that has no deadlines, as the channels of SSH
// have none.
type hsTimeless struct{ net.Conn }

var errTimeless = errors.New("deadlines are not supported")

func (hsTimeless) SetDeadline(time.Time) error      { return errTimeless }
func (hsTimeless) SetReadDeadline(time.Time) error  { return errTimeless }
func (hsTimeless) SetWriteDeadline(time.Time) error { return errTimeless }

// A transport without deadlines does without, as it does in later writes.
func TestUpgradeWithoutDeadlines(t *testing.T) {
	client, server := testnet.Pipe()
	defer func() { _ = client.Close() }()
	ws, err := (&Upgrader{HandshakeTimeout: time.Second}).Upgrade(hsHijacker{conn: hsTimeless{server}}, hsParse(t, hsRequest("")), nil)
	require.NoError(t, err)
	require.NoError(t, ws.WriteMessage(TextMessage, []byte("hello")))
	_, err = client.Write(hsFrame("hello"))
	require.NoError(t, err)
	hsExpect(t, ws, "hello")
	require.NoError(t, ws.Close())
}

// A transport that panics while the handshake is sent is closed, and nothing keeps the connection.
func TestUpgradeOverATransportThatPanics(t *testing.T) {
	checkBuffers(t)
	client, server := testnet.Pipe()
	defer func() { _ = client.Close() }()
	k := &Keepalive{}
	u := &Upgrader{Keepalive: k}
	w := hsHijacker{conn: &panickingConn{Conn: server, armed: true}}
	require.PanicsWithValue(t, "transport", func() { _, _ = u.Upgrade(w, hsParse(t, hsRequest("")), nil) })
	require.True(t, server.Closed())
	k.mu.Lock()
	defer k.mu.Unlock()
	require.Zero(t, k.conns)
}
