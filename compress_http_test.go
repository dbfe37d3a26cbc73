package websocket

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Both ends of a connection say what was agreed on, and the header says the same.
func TestCompressionIsNegotiatedOverHTTP(t *testing.T) {
	takeover := &Compression{SendContextTakeover: true, ReceiveContextTakeover: true}
	const no = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, c := range []struct {
		name             string
		u                Upgrader
		d                Dialer
		header           string
		serving, dialled *Compression
	}{
		{"neither", Upgrader{}, Dialer{}, "", nil, nil},
		{"the server alone", Upgrader{EnableCompression: true}, Dialer{}, "", nil, nil},
		{"the client alone", Upgrader{}, Dialer{Compression: takeover}, "", nil, nil},
		{"enabled", Upgrader{EnableCompression: true}, Dialer{EnableCompression: true}, no,
			&Compression{false, false, 15, 15, 128, -1}, &Compression{false, false, 15, 15, 128, -1}},
		{"takeover", Upgrader{Compression: takeover}, Dialer{Compression: takeover},
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
			&Compression{true, true, 12, 12, 32, -1}, &Compression{true, true, 12, 12, 32, -1}},
		{"takeover of the client's messages",
			Upgrader{Compression: &Compression{ReceiveContextTakeover: true, Level: 9, Threshold: 1000}},
			Dialer{Compression: &Compression{SendContextTakeover: true, SendWindowBits: 9, Threshold: 10, Level: 4}},
			"permessage-deflate; server_no_context_takeover; client_max_window_bits=9",
			&Compression{false, true, 15, 9, 1000, 9}, &Compression{true, false, 9, 15, 10, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkBuffers(t)
			testnet.CheckGoroutines(t)
			serving, served := make(chan *Conn, 1), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ws, err := c.u.Upgrade(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				serving <- ws
				_ = echo(ws)
				_ = ws.Close()
				close(served)
			}))
			defer server.Close()
			ws, response, err := c.d.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
			require.NoError(t, err)
			require.Equal(t, c.header, response.Header.Get("Sec-Websocket-Extensions"))
			for ws, want := range map[*Conn]*Compression{ws: c.dialled, <-serving: c.serving} {
				got, ok := ws.Compression()
				require.Equal(t, want != nil, ok)
				if ok {
					require.Equal(t, *want, got)
				}
			}
			for i := range 50 {
				require.NoError(t, ws.WriteMessage(TextMessage, []byte(similar(i, i*i*10))))
				_, p, err := ws.ReadMessage()
				require.NoError(t, err)
				require.Equal(t, similar(i, i*i*10), string(p))
			}
			require.NoError(t, ws.Close())
			<-served
		})
	}
}

// Options that cannot be had are the program's mistake, and said at once.
func TestBadCompressionOptions(t *testing.T) {
	bad := &Compression{SendWindowBits: 16}
	err := hsFailsBeforeDialing(t, &Dialer{Compression: bad}, hsURL, nil)
	require.ErrorContains(t, err, "window bits")
	recorder := httptest.NewRecorder()
	_, err = (&Upgrader{Compression: bad}).Upgrade(recorder, hsParse(t, hsRequest("")), nil)
	require.ErrorContains(t, err, "window bits")
	require.Equal(t, http.StatusInternalServerError, recorder.Code)
}

// RFC 7692 §5.1: an answer that fits no offer fails the dial, and one that fits
// is obeyed.
func TestDialJudgesTheCompressionAnswer(t *testing.T) {
	answered := func(extensions string) func(*hsPeer) {
		return hsSends(hsResponse{"", "", "", []string{"Sec-WebSocket-Extensions: " + extensions}}.raw())
	}
	for _, extensions := range []string{
		"foo", "permessage-deflate; foo", "permessage-deflate, permessage-deflate", "permessage-deflate; client_max_window_bits",
		"permessage-deflate; server_max_window_bits=7",
	} {
		d := &Dialer{EnableCompression: true}
		p := hsMeet(t, d, answered(extensions))
		_, response, err := d.Dial(hsURL, nil)
		require.True(t, err == ErrBadHandshake, extensions)
		require.NotNil(t, response)
		require.True(t, p.client.Closed())
		require.Contains(t, p.request, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "+
			"client_no_context_takeover; client_max_window_bits, permessage-deflate; client_max_window_bits\r\n")
	}
	d := &Dialer{EnableCompression: true}
	hsMeet(t, d, answered("permessage-deflate"))
	ws, _, err := d.Dial(hsURL, nil)
	require.NoError(t, err)
	got, ok := ws.Compression()
	require.True(t, ok)
	require.Equal(t, Compression{false, true, 15, 15, 128, -1}, got)
	require.NoError(t, ws.Close())
}
