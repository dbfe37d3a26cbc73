package websocket

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Programs that hand over nothing where something is wanted, and functions that panic.

func TestNothingWhereSomethingIsWanted(t *testing.T) {
	r, w := hsParse(t, hsRequest("")), httptest.NewRecorder()
	for name, upgrade := range map[string]func() (*Conn, error){
		"no writer":             func() (*Conn, error) { return new(Upgrader).Upgrade(nil, r, nil) },
		"no request":            func() (*Conn, error) { return new(Upgrader).Upgrade(w, nil, nil) },
		"nothing":               func() (*Conn, error) { return Upgrade(nil, nil, nil, 0, 0) },
		"an empty request":      func() (*Conn, error) { return new(Upgrader).Upgrade(w, new(http.Request), nil) },
		"no Upgrader":           func() (*Conn, error) { var u *Upgrader; return u.Upgrade(w, r, nil) },
		"no Upgrader, anything": func() (*Conn, error) { var u *Upgrader; return u.Upgrade(nil, nil, nil) },
	} {
		c, err := upgrade()
		require.Nil(t, c, name)
		require.IsType(t, HandshakeError{}, err, name)
	}
	require.False(t, IsWebSocketUpgrade(nil))
	require.False(t, IsWebSocketUpgrade(new(http.Request)))
	require.Nil(t, Subprotocols(nil))
	require.Nil(t, Subprotocols(new(http.Request)))

	var none context.Context
	var nobody *Dialer
	for _, d := range []*Dialer{nobody, {}} {
		_, _, err := d.DialContext(none, hsURL, nil)
		require.Equal(t, errNoContext, err)
		_, _, err = d.Dial("", nil)
		require.Equal(t, errMalformedURL, err)
	}
	u, err := url.Parse(hsURL)
	require.NoError(t, err)
	_, _, err = NewClient(nil, u, nil, 0, 0)
	require.Equal(t, errNoNetConn, err)
	_, _, err = NewClient(nil, nil, nil, 0, 0)
	require.Equal(t, errMalformedURL, err)

	_, err = NewPreparedMessage(0, nil)
	require.Equal(t, errBadMessageType, err)
	require.False(t, IsCloseError(nil, 1000))
	require.False(t, IsUnexpectedCloseError(nil))
	require.Error(t, checkCloseToSend(FormatCloseMessage(-1, "")))
}

// A panic of the program's passes through Upgrade, which has taken nothing yet.
func TestProgramsPanicThroughUpgrade(t *testing.T) {
	for name, u := range map[string]*Upgrader{
		"CheckOrigin": {CheckOrigin: func(*http.Request) bool { panic(errHandler) }},
		"Error": {
			CheckOrigin: func(*http.Request) bool { return false },
			Error:       func(http.ResponseWriter, *http.Request, int, error) { panic(errHandler) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			checkBuffers(t)
			client, server := testnet.Pipe()
			w := hsHijacker{ResponseWriter: httptest.NewRecorder(), conn: server}
			require.PanicsWithValue(t, errHandler, func() { _, _ = u.Upgrade(w, hsParse(t, hsRequest("")), nil) })
			require.Zero(t, client.Buffered())
			require.False(t, server.Closed())
			_, _ = client.Close(), server.Close()
		})
	}
}

// panickingJar is a CookieJar that panics when it is asked, or when it is told.
type panickingJar struct{ told bool }

func (j panickingJar) Cookies(*url.URL) []*http.Cookie {
	if !j.told {
		panic(errHandler)
	}
	return nil
}

func (j panickingJar) SetCookies(*url.URL, []*http.Cookie) { panic(errHandler) }

// A panic of the program's passes through the dial, which leaves no connection and no
// goroutine behind.
func TestProgramsPanicThroughTheDial(t *testing.T) {
	boom := func() { panic(errHandler) }
	trace := func(d *Dialer, hooks *httptrace.ClientTrace, address string) {
		_, _, _ = d.DialContext(httptrace.WithClientTrace(context.Background(), hooks), address, nil)
	}
	const wss = "wss://server.example/"
	for name, dial := range map[string]func(d *Dialer){
		"NetDialContext": func(d *Dialer) {
			d.NetDialContext = func(context.Context, string, string) (net.Conn, error) { panic(errHandler) }
			_, _, _ = d.Dial(hsURL, nil)
		},
		"NetDialTLSContext": func(d *Dialer) {
			d.NetDialTLSContext = func(context.Context, string, string) (net.Conn, error) { panic(errHandler) }
			_, _, _ = d.Dial(wss, nil)
		},
		"NetDial": func(d *Dialer) {
			d.NetDialContext, d.NetDial = nil, func(string, string) (net.Conn, error) { panic(errHandler) }
			_, _, _ = d.Dial(hsURL, nil)
		},
		"Proxy": func(d *Dialer) {
			d.Proxy = func(*http.Request) (*url.URL, error) { panic(errHandler) }
			_, _, _ = d.Dial(hsURL, nil)
		},
		"Jar.Cookies":    func(d *Dialer) { d.Jar = panickingJar{}; _, _, _ = d.Dial(hsURL, nil) },
		"Jar.SetCookies": func(d *Dialer) { d.Jar = panickingJar{told: true}; _, _, _ = d.Dial(hsURL, nil) },
		"GetConn":        func(d *Dialer) { trace(d, &httptrace.ClientTrace{GetConn: func(string) { boom() }}, hsURL) },
		"GotConn": func(d *Dialer) {
			trace(d, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { boom() }}, hsURL)
		},
		"GotFirstResponseByte": func(d *Dialer) { trace(d, &httptrace.ClientTrace{GotFirstResponseByte: boom}, hsURL) },
		"TLSHandshakeStart":    func(d *Dialer) { trace(d, &httptrace.ClientTrace{TLSHandshakeStart: boom}, wss) },
		"TLSHandshakeDone": func(d *Dialer) {
			trace(d, &httptrace.ClientTrace{TLSHandshakeDone: func(tls.ConnectionState, error) { boom() }}, wss)
		},
		"VerifyConnection": func(d *Dialer) {
			d.TLSClientConfig.VerifyConnection = func(tls.ConnectionState) error { panic(errHandler) }
			_, _, _ = d.Dial(wss, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				cert, roots := hsCertificate(t, "server.example")
				d := &Dialer{TLSClientConfig: &tls.Config{RootCAs: roots}}
				hsMeet(t, d, hsSends(hsResponse{lines: []string{"Set-Cookie: a=b"}}.raw()))
				if strings.Contains(name, "TLSHandshake") || name == "VerifyConnection" {
					d.NetDialContext = func(context.Context, string, string) (net.Conn, error) {
						client, server := testnet.Pipe()
						go func() {
							overTLS := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
							_, _ = io.Copy(io.Discard, overTLS)
							_ = server.Close()
						}()
						return client, nil
					}
				}
				var conns []*testnet.Conn
				meet := d.NetDialContext
				d.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := meet(ctx, network, address)
					conns = append(conns, conn.(*testnet.Conn))
					return conn, err
				}
				require.PanicsWithValue(t, errHandler, func() { dial(d) })
				synctest.Wait()
				for _, conn := range conns {
					require.True(t, conn.Closed(), "a connection that nobody has")
				}
			})
		})
	}
}
