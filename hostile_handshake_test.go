package websocket

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Requests and responses that WebSocket libraries and programs have been broken by, beyond
// those of handshake_test.go, server_test.go and client_response_test.go; docs/hostile.md
// has the list.

// RFC 9112 §9.6, CWE-444: a refusal ends the connection, also where the client, or a proxy
// before it, asks to keep it, and the request behind is not answered, whether it comes as
// one or as the refused one's body. https://github.com/kemalcr/kemal/pull/767
func TestHostilePipelinedRequests(t *testing.T) {
	refused := map[string]struct {
		u      *Upgrader
		header http.Header
		lines  []string
		remove string
		status int
	}{
		"foreign origin":     {&Upgrader{}, nil, []string{"Origin: http://evil.example"}, "", 403},
		"no key":             {&Upgrader{}, nil, nil, "Sec-WebSocket-Key", 400},
		"older version":      {&Upgrader{}, nil, []string{"Sec-WebSocket-Version: 8"}, "Sec-WebSocket-Version", 426},
		"no upgrade":         {&Upgrader{}, nil, nil, "Upgrade", 426},
		"our own mistake":    {&Upgrader{}, http.Header{"X": {"\r\n"}}, nil, "", 500},
		"body with requests": {&Upgrader{}, nil, []string{fmt.Sprintf("Content-Length: %d", len(hsAdmin)/2)}, "", 400},
		"the program's answer": {&Upgrader{Error: func(w http.ResponseWriter, _ *http.Request, _ int, _ error) {
			w.WriteHeader(http.StatusTeapot)
		}}, nil, nil, "Upgrade", 418},
	}
	for name, c := range refused {
		for _, keep := range [][]string{
			{"Connection: keep-alive, Upgrade"},
			{"Connection: Upgrade, keep-alive", "Keep-Alive: timeout=5, max=1000"},
			{"Connection: Upgrade", "Connection: keep-alive", "Proxy-Connection: keep-alive"},
		} {
			t.Run(name+"/"+keep[0], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var fields []string
					for _, line := range hsRequestLines {
						if n, _, _ := strings.Cut(line, ":"); n != c.remove && n != "Connection" {
							fields = append(fields, line)
						}
					}
					raw := hsHead("GET /chat HTTP/1.1", fields, "", slices.Concat(keep, c.lines)...)
					response, _, err := hsRefuse(t, c.u, c.header, raw)
					require.Error(t, err)
					require.Equal(t, c.status, response.StatusCode)
				})
			})
		}
	}
}

// Behind an upgrade there is no HTTP: "G" is the first byte of a frame with RSV1 and opcode
// 7, which RFC 6455 §5.2 has fail the connection.
func TestHostileRequestBehindTheUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkBuffers(t)
		l, conns := hsUpgrades(t, &Upgrader{}, nil)
		conn := l.dial(t)
		_, err := io.WriteString(conn, hsRequest("Connection", "Connection: keep-alive, Upgrade")+hsAdmin)
		require.NoError(t, err)
		ws := <-conns
		_, _, err = ws.ReadMessage()
		require.Equal(t, errReservedBits, err)
		require.NoError(t, ws.Close())
		_, br := hsReadHead(t, conn)
		rest, err := io.ReadAll(br)
		require.NoError(t, err)
		require.Equal(t, wireFrame(finClose, false, closePayload(1002, errReservedBits.Rule)), rest, "the close frame, and nothing else")
	})
}

// RFC 6455 §4.2.1: the handshake's headers are found among any number of others, and where
// one is missing among those it is a refusal. CVE-2024-37890.
func TestHostileManyHeaders(t *testing.T) {
	const others = 5000
	for _, without := range append(slices.Clone(hsRequestLines), "") {
		name, _, _ := strings.Cut(without, ":")
		r := hsParse(t, hsRequest(""))
		for i := range others {
			r.Header[fmt.Sprintf("X-%d", i)] = []string{"y"}
		}
		if name == "Host" {
			r.Host = ""
		}
		for field := range r.Header {
			if strings.EqualFold(field, name) {
				delete(r.Header, field)
			}
		}
		key, no := checkRequest(r)
		if name == "" {
			require.Nil(t, no)
			require.Equal(t, hsKey, key)
			continue
		}
		require.NotNil(t, no, name)
		require.Equal(t, 4, no.status/100, name)
	}
}

// RFC 6455 §4.1 and §11.3.4: a subprotocol is what was offered, byte for byte. What is no
// ASCII is no reason to panic, on either side.
func TestHostileSubprotocols(t *testing.T) {
	for _, offer := range []string{"\xff\xfe", "caf\u00e9", "\u202echat", "chat\u00a0", "\xc0\xaf", strings.Repeat("\xf0", 8000)} {
		synctest.Test(t, func(t *testing.T) {
			for _, u := range []*Upgrader{{}, {Subprotocols: hsOffered}, {Subprotocols: []string{offer}}} {
				l, conns := hsUpgrades(t, u, http.Header{"Sec-Websocket-Protocol": {"chat"}})
				conn := l.dial(t)
				_, err := io.WriteString(conn, hsRequest("", "Sec-WebSocket-Protocol: "+offer+", superchat"))
				require.NoError(t, err)
				ws := <-conns
				want := ""
				if u.Subprotocols != nil {
					want = u.Subprotocols[len(u.Subprotocols)-1]
				}
				require.Equal(t, want, ws.Subprotocol())
				require.NoError(t, ws.Close())
			}
		})
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{Subprotocols: hsOffered}
			hsMeet(t, d, hsSends(hsResponse{lines: []string{"Sec-WebSocket-Protocol: " + offer}}.raw()))
			ws, _, err := d.Dial(hsURL, nil)
			require.Equal(t, ErrBadHandshake, err)
			require.Nil(t, ws)
		})
	}
}

// RFC 6455 §4.1 lets a client follow redirects; this one leaves it to the program, so that
// nobody else is sent what was meant for the first server.
// https://github.com/websockets/ws/blob/master/doc/ws.md#event-redirect
func TestHostileRedirects(t *testing.T) {
	for _, status := range []string{"301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"} {
		for _, location := range []string{"ws://evil.example/", "wss://server.example/", "http://server.example/chat", "/chat", "//evil.example"} {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{}
				p := hsMeet(t, d, hsSendsAll(hsResponse{status: status, lines: []string{"Location: " + location, "Content-Length: 0"}}.raw()))
				dials, dial := 0, d.NetDialContext
				d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if dials++; dials > 1 {
						return nil, net.ErrClosed
					}
					return dial(ctx, network, addr)
				}
				_, response, err := d.Dial(hsURL, http.Header{"Authorization": {"Basic secret"}, "Cookie": {"a=secret"}})
				require.Equal(t, ErrBadHandshake, err)
				require.Equal(t, location, response.Header.Get("Location"))
				require.Equal(t, 1, dials)
				require.Equal(t, 1, strings.Count(p.request, "Basic secret"))
				require.True(t, p.client.Closed())
			})
		}
	}
}
