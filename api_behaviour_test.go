package websocket

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// The package-level Upgrade leaves the Origin and the response to a refused
// request to its caller.
func TestPackageLevelUpgrade(t *testing.T) {
	testnet.CheckGoroutines(t)
	failed := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, http.Header{"X-More": {"yes"}}, 1024, 1024)
		if err != nil {
			failed <- err
			http.Error(w, "mine", http.StatusTeapot)
			return
		}
		defer func() { _ = c.Close() }()
		_ = echo(c)
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")

	c, response, err := new(Dialer).Dial("ws://"+address, http.Header{"Origin": {"https://somewhere.else"}})
	require.NoError(t, err)
	require.Equal(t, "yes", response.Header.Get("X-More"))
	require.NoError(t, c.Close())

	plain, err := http.Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, plain.Body.Close())
	require.Equal(t, http.StatusTeapot, plain.StatusCode, "the response is the caller's")
	require.IsType(t, HandshakeError{}, <-failed)
}

func TestNewClient(t *testing.T) {
	testnet.CheckGoroutines(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := new(Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_ = echo(c)
	}))
	defer server.Close()
	u, err := url.Parse("ws" + strings.TrimPrefix(server.URL, "http") + "/path")
	require.NoError(t, err)
	conn, err := (&Dialer{}).dial(t.Context(), "tcp", u.Host)
	require.NoError(t, err)
	c, response, err := NewClient(conn, u, nil, 1024, 1024)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.Same(t, conn, c.NetConn())
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	require.NoError(t, c.WriteMessage(TextMessage, []byte("hello")))
	_, got, err := c.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	require.NoError(t, c.Close())
}

// NewClient has been given its connection, and closes it whatever it fails by.
func TestNewClientClosesItsConnection(t *testing.T) {
	for _, bad := range []string{"http://server.example/", "ws://", "ws://u:p@server.example/"} {
		u, err := url.Parse(bad)
		require.NoError(t, err)
		client, server := testnet.Pipe()
		_, _, err = NewClient(client, u, nil, 0, 0)
		require.Equal(t, errMalformedURL, err)
		require.True(t, client.Closed())
		require.NoError(t, server.Close())
	}
	client, server := testnet.Pipe()
	_, _, err := NewClient(client, nil, nil, 0, 0)
	require.Equal(t, errMalformedURL, err)
	require.True(t, client.Closed())
	require.NoError(t, server.Close())
}
