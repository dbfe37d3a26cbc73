package websocket

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// unixServer listens on a socket in a folder of its own, whose name is short
// enough for every system, and sends what is asked for back as the first message.
func unixServer(t testing.TB, name string) (path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the path of a folder for temporary files begins with a drive letter, for which the URL has no place")
	}
	dir, err := os.MkdirTemp("", "ws")
	require.NoError(t, err)
	path = filepath.Join(dir, name)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		c, err := new(Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.WriteMessage(TextMessage, []byte(r.Host+" "+r.RequestURI))
		_, _, _ = c.ReadMessage()
	})}
	served := make(chan struct{})
	go func() {
		_ = server.Serve(l)
		close(served)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		_ = os.RemoveAll(dir)
	})
	return path
}

// A ws+unix URL leads to a server on a Unix socket, past the proxy.
func TestDialUnixSocket(t *testing.T) {
	testnet.CheckGoroutines(t)
	for _, c := range []struct{ name, behind, header, want string }{
		{"s", "", "", "localhost /"},
		{"s", ":", "", "localhost /"},
		{"s", ":/", "", "localhost /"},
		{"s", ":/chat?room=1&x=%20", "", "localhost /chat?room=1&x=%20"},
		{"s", "?room=1", "", "localhost /?room=1"},
		{"s", ":/a:b/c%3Ad%2Fe", "", "localhost /a:b/c%3Ad%2Fe"},
		{"s", ":/a b#part", "", "localhost /a%20b"},
		{"s", ":/", "chat.example", "chat.example /"},
		{"a b", ":/c%3Ad", "", "localhost /c%3Ad"},
		{"a:b%?", ":/c d", "", "localhost /c%20d"},
	} {
		path := unixServer(t, c.name)
		d := &Dialer{Proxy: func(*http.Request) (*url.URL, error) {
			t.Error("a proxy was asked for")
			return nil, nil
		}}
		escaped := strings.NewReplacer("%", "%25", ":", "%3A", "?", "%3F").Replace(filepath.ToSlash(path))
		header := http.Header{}
		if c.header != "" {
			header.Set("Host", c.header)
		}
		ws, response, err := d.Dial("ws+unix://"+escaped+c.behind, header)
		require.NoError(t, err, "%+v", c)
		require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
		require.IsType(t, &net.UnixConn{}, ws.NetConn())
		hsExpect(t, ws, c.want)
		require.NoError(t, ws.Close())
	}
}

// The dial functions get the socket's path; TLS has no part in it.
func TestDialUnixSocketByDialFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			t.Error("dialed by TLS")
			return nil, io.EOF
		}}
		p := hsMeet(t, d, hsSends(hsGood))
		var calls []string
		ws, _, err := d.DialContext(hsTrace(&calls), "ws+unix:/run/a%20b.sock:/chat", nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
		require.Equal(t, "unix /run/a b.sock", p.network+" "+p.addr)
		require.Equal(t, "GetConn /run/a b.sock", calls[0])
		require.True(t, strings.HasPrefix(p.request, "GET /chat HTTP/1.1\r\nHost: localhost\r\n"), p.request)

		p = hsMeet(t, d, hsSends(hsGood))
		meet := d.NetDialContext
		d.NetDialContext = nil
		d.NetDial = func(network, addr string) (net.Conn, error) { return meet(context.Background(), network, addr) }
		ws, _, err = d.Dial("WS+UNIX:///s", nil)
		require.NoError(t, err)
		require.NoError(t, ws.Close())
		require.Equal(t, "unix /s", p.network+" "+p.addr)
	})
}

// A cookie belongs to a host, and all sockets would be the one localhost.
func TestJarIsNotForUnixSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, err := cookiejar.New(nil)
		require.NoError(t, err)
		jar := &hsJar{Jar: inner}
		d := &Dialer{Jar: jar}
		for _, header := range []http.Header{nil, {"Cookie": {"c=mine"}}} {
			p := hsMeet(t, d, hsSends(hsResponse{lines: []string{"Set-Cookie: a=b"}}.raw()))
			ws, _, err := d.Dial("ws+unix:///s", header)
			require.NoError(t, err)
			require.NoError(t, ws.Close())
			require.Equal(t, header != nil, strings.Contains(p.request, "\r\nCookie: c=mine\r\n"))
		}
		require.Empty(t, jar.asked)
		require.Empty(t, jar.stored)
	})
}

// What is no path of a socket is refused before anything is dialed.
func TestBadUnixURLs(t *testing.T) {
	for _, u := range []string{
		"ws+unix:", "ws+unix://", "ws+unix:s", "ws+unix:s:/", "ws+unix://s", "ws+unix://host/s:/", "ws+unix://user@/s:/", "ws+unix:///s:chat",
		"ws+unix:///s%00t:/", "ws+unix:///s%zz:/", "ws+unix:///s:/%zz", "wss+unix:///s:/", "ws+unix:///s\r\n:/", "ws+unix:?x",
		"ws+unix://:80/s", "unix:///s:/",
	} {
		t.Run(u, func(t *testing.T) { hsFailsBeforeDialing(t, &Dialer{}, u, nil) })
	}
}

// A socket that is not there is an error of the network.
func TestNoUnixSocket(t *testing.T) {
	_, _, err := new(Dialer).Dial("ws+unix:///no/such/folder/s", nil)
	var refused *net.OpError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "unix", refused.Net)
}
