package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// requireDialError looks for a *DialError itself, with a reason that programs
// may ask for and a text that people can read.
func requireDialError(t testing.TB, reason string, err error) {
	t.Helper()
	require.IsType(t, &DialError{}, err)
	require.Equal(t, reason, err.(*DialError).Reason)
	require.True(t, strings.HasPrefix(err.Error(), "websocket: ") || strings.HasPrefix(err.Error(), "idna: "), err.Error())
}

// settingsHTTP2 is what a server of HTTP/2 says first, whatever it is asked: a
// SETTINGS frame, RFC 9113 §3.4 and §6.5, here with one setting.
const settingsHTTP2 = "\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x03\x00\x00\x00\x64"

// A dial that gets no response says why in a type.
func TestDialErrors(t *testing.T) {
	for _, c := range []struct{ name, raw, reason, text string }{
		{"another protocol", "SSH-2.0-OpenSSH_9.9\r\n", DialProtocol, `malformed HTTP response "SSH-2.0-OpenSSH_9.9"`},
		{"an alert of TLS", "\x15\x03\x03\x00\x02\x02\x46\n", DialProtocol, "malformed HTTP response"},
		{"HTTP/0.9", "<html></html>\n", DialProtocol, "malformed HTTP response"},
		{"a status that is none", "HTTP/1.1 abc x\r\n\r\n", DialProtocol, "malformed HTTP status code"},
		{"a header line that is none", "HTTP/1.1 101 x\r\nno colon\r\n\r\n", DialProtocol, "no colon"},
		{"HTTP/2", settingsHTTP2, DialProtocol, "the server speaks HTTP/2"},
		{"HTTP/2 and a line's end", settingsHTTP2 + "\n", DialProtocol, "the server speaks HTTP/2"},
		{"HTTP/2, cut", settingsHTTP2[:8], DialCut, "before the end of its response"},
		{"another frame of HTTP/2", "\x00\x00\x06\x07" + settingsHTTP2[4:], DialCut, "before the end of its response"},
		{"a stream of HTTP/2", settingsHTTP2[:8] + "\x01" + settingsHTTP2[9:] + "\n", DialProtocol, "malformed HTTP response"},
		{"nothing", "", DialCut, "before the end of its response"},
		{"part of a status line", "HTTP/1.1 101 Swit", DialCut, "before the end of its response"},
		{"part of a header", hsGood[:len(hsGood)-1], DialCut, "before the end of its response"},
		{"an informational response", "HTTP/1.1 100 Continue\r\n\r\n", DialCut, "before the end of its response"},
		{"a long header", "HTTP/1.1 101 x\r\nX: " + strings.Repeat("a", 64<<10), DialTooLong, "over 64 KiB"},
	} {
		for _, piece := range []int{1, 1 << 20} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := &Dialer{}
					p := hsMeet(t, d, hsSendsAll(c.raw))
					p.client.In().LimitReads(testnet.AtMost(piece))
					ws, response, err := d.Dial(hsURL, nil)
					requireDialError(t, c.reason, err)
					require.ErrorContains(t, err, c.text)
					require.Equal(t, c.reason == DialCut, errors.Is(err, io.ErrUnexpectedEOF))
					require.Nil(t, ws)
					require.Nil(t, response)
					require.True(t, p.client.Closed())
				})
			})
		}
	}
}

// The bytes of the server, or of the proxy, may end while TLS begins.
func TestDialErrorsOfTLS(t *testing.T) {
	for _, raw := range []string{"", "\x16\x03\x03\x00", "\x16\x03\x03\x00\x10\x02\x00"} {
		for through, reason := range map[string]string{"": DialCut, "https://proxy.example": DialProxy} {
			synctest.Test(t, func(t *testing.T) {
				client, server := testnet.Pipe()
				d := &Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
					_, err := io.WriteString(server, raw)
					require.NoError(t, err)
					require.NoError(t, server.CloseWrite())
					return client, nil
				}}
				if through != "" {
					d.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(through) }
				}
				_, response, err := d.Dial("wss://server.example/", nil)
				requireDialError(t, reason, err)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				require.Nil(t, response)
				require.True(t, client.Closed())
				require.NoError(t, server.Close())
			})
		}
	}
}

// A server of HTTP/2 may have nothing to say behind its first frame, and no
// line's end in it.
func TestHTTP2IsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{}
		hsMeet(t, d, hsSends(settingsHTTP2))
		start := time.Now()
		_, _, err := d.Dial(hsURL, nil)
		require.Equal(t, errHTTP2, err)
		require.Zero(t, time.Since(start))
	})
}

// A dial function that has negotiated HTTP/2 fails the dial before anything is
// sent. A protocol of the program's own is its own affair.
func TestNetDialTLSContextThatNegotiatesHTTP2(t *testing.T) {
	testnet.CheckGoroutines(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request") }))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the connection ends early
	server.StartTLS()
	defer server.Close()
	var conns []net.Conn
	d := &Dialer{NetDialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
		conns = append(conns, conn)
		return conn, err
	}}
	ws, response, err := d.Dial("wss"+strings.TrimPrefix(server.URL, "https"), nil)
	requireDialError(t, DialProtocol, err)
	require.ErrorContains(t, err, "HTTP/2")
	require.Nil(t, ws)
	require.Nil(t, response)
	require.Len(t, conns, 1)
	_, err = conns[0].Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}

// A DialError that a program makes, with nothing in it, has a text.
func TestZeroDialError(t *testing.T) {
	require.EqualError(t, &DialError{}, "websocket: dial: ")
	require.EqualError(t, &DialError{Reason: DialCut}, "websocket: dial: cut")
	require.NoError(t, (&DialError{}).Unwrap())
}
