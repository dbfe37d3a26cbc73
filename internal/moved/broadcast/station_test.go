package broadcast_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/moved/broadcast"
	"github.com/stretchr/testify/require"
)

// patience is how long something may take that is bound to happen.
const patience = 20 * time.Second

// A studio is a station on the air, at / and as it was at /legacy.
type studio struct {
	*broadcast.Station
	web, ws string
	events  map[string]chan broadcast.Event // by kind
}

func newStudio(t *testing.T, station *broadcast.Station) *studio {
	t.Helper()
	s := &studio{Station: station, events: map[string]chan broadcast.Event{}}
	for _, kind := range []string{"ping", "close", "end"} {
		s.events[kind] = make(chan broadcast.Event, 100)
	}
	station.On = func(e broadcast.Event) { s.events[e.Kind] <- e }
	mux := http.NewServeMux()
	mux.Handle("/", station)
	mux.HandleFunc("/legacy", station.Legacy)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.web, s.ws = server.URL+"/", "ws"+strings.TrimPrefix(server.URL, "http")+"/"
	return s
}

// event waits for the next event of a kind.
func (s *studio) event(t *testing.T, kind string) broadcast.Event {
	t.Helper()
	select {
	case e := <-s.events[kind]:
		return e
	case <-time.After(patience):
		require.FailNow(t, "no event", kind)
		return broadcast.Event{}
	}
}

// listen connects a listener, and makes sure that the station knows it.
func (s *studio) listen(t *testing.T, dialer *websocket.Dialer, path string) *websocket.Conn {
	t.Helper()
	conn, response, err := dialer.Dial(s.ws+path, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	s.settle(t, conn)
	return conn
}

func (s *studio) settle(t *testing.T, conn *websocket.Conn) {
	t.Helper()
	t.Cleanup(func() {
		_ = conn.Close()
		s.event(t, "end")
	})
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	order(t, conn, broadcast.Order{})
}

// order has it obeyed.
func order(t *testing.T, conn *websocket.Conn, o broadcast.Order) {
	t.Helper()
	require.NoError(t, conn.WriteJSON(o))
	done := broadcast.Order{Mute: !o.Mute}
	require.NoError(t, conn.ReadJSON(&done))
	require.Equal(t, o, done)
}

func requireHeard(t *testing.T, conn *websocket.Conn, wantKind int, want []byte) {
	t.Helper()
	kind, message, err := conn.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, wantKind, kind)
	require.True(t, bytes.Equal(want, message), "%d bytes and not %d, or others", len(message), len(want))
}

// dialers are of all sorts, with and without compression.
func dialers() []*websocket.Dialer {
	return []*websocket.Dialer{
		nil,
		websocket.DefaultDialer,
		{EnableCompression: true},
		{EnableCompression: true, ReadBufferSize: 300, WriteBufferSize: 300},
		{NetDial: net.Dial, HandshakeTimeout: patience},
	}
}

func TestAllHearTheSame(t *testing.T) {
	for _, compression := range []int{0, 1, 9, -2} {
		t.Run(fmt.Sprint("compression ", compression), func(t *testing.T) {
			s := newStudio(t, &broadcast.Station{Compression: compression})
			var listeners []*websocket.Conn
			for i := range 20 {
				all := dialers()
				listeners = append(listeners, s.listen(t, all[i%len(all)], ""))
			}
			require.Equal(t, 20, s.Listeners())
			song := []byte(`{"la":"` + strings.Repeat("la ", 40_000) + `"}`)
			for _, message := range [][]byte{[]byte(`"la"`), song, {0, 1, 2, 0xff}, {}} {
				heard, closing, err := s.Play(message)
				require.NoError(t, err)
				require.Equal(t, []int{20, 0}, []int{heard, closing})
				kind := websocket.BinaryMessage
				if json.Valid(message) {
					kind = websocket.TextMessage
				}
				for _, conn := range listeners {
					requireHeard(t, conn, kind, message)
				}
			}
		})
	}
}

func TestMute(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	loud, muted := s.listen(t, nil, ""), s.listen(t, nil, "")
	order(t, muted, broadcast.Order{Mute: true})
	heard, _, err := s.Play([]byte("1"))
	require.NoError(t, err)
	require.Equal(t, 1, heard)
	requireHeard(t, loud, websocket.TextMessage, []byte("1"))
	order(t, muted, broadcast.Order{})
	heard, _, err = s.Play([]byte("2"))
	require.NoError(t, err)
	require.Equal(t, 2, heard)
	requireHeard(t, loud, websocket.TextMessage, []byte("2"))
	requireHeard(t, muted, websocket.TextMessage, []byte("2"))
}

// A prepared message may be a close frame, and nothing is sent after it.
func TestSignOff(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	listeners := []*websocket.Conn{s.listen(t, nil, ""), s.listen(t, nil, "legacy")}
	heard, _, err := s.SignOff("good night")
	require.NoError(t, err)
	require.Equal(t, 2, heard)
	heard, closing, err := s.Play([]byte("too late"))
	require.NoError(t, err)
	require.Equal(t, []int{0, 2}, []int{heard, closing})
	for _, conn := range listeners {
		_, _, err := conn.ReadMessage()
		require.Equal(t, &websocket.CloseError{Code: websocket.CloseGoingAway, Text: "good night"}, err)
		require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway))
		require.False(t, websocket.IsUnexpectedCloseError(err, websocket.CloseGoingAway))
		require.True(t, websocket.IsUnexpectedCloseError(err))
		e := s.event(t, "close")
		require.Equal(t, []any{websocket.CloseGoingAway, ""}, []any{e.Code, e.Text})
	}
}

func TestASignOffThatIsTooLong(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	conn := s.listen(t, nil, "")
	_, _, err := s.SignOff(strings.Repeat("good night ", 12))
	require.Error(t, err)
	heard, _, err := s.SignOff(strings.Repeat("z", 123))
	require.NoError(t, err)
	require.Equal(t, 1, heard)
	_, _, err = conn.ReadMessage()
	require.EqualError(t, err, "websocket: close 1001 (going away): "+strings.Repeat("z", 123))
}

func TestHandlersThatWrapTheDefaults(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	conn := s.listen(t, nil, "")
	pongs := make(chan string, 1)
	conn.SetPongHandler(func(data string) error {
		pongs <- data
		return nil
	})
	require.NoError(t, conn.WriteControl(websocket.PingMessage, []byte("anybody there?"), time.Time{}))
	order(t, conn, broadcast.Order{}) // reads the pong before the answer
	require.Equal(t, "anybody there?", <-pongs)
	require.Equal(t, "anybody there?", s.event(t, "ping").Text)

	require.NoError(t, conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "bored")))
	_, _, err := conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: 4001}, err)
	e := s.event(t, "close")
	require.Equal(t, []any{4001, "bored"}, []any{e.Code, e.Text})
}

func TestACloseHandlersOwnAnswerAndError(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	conn, _, err := websocket.DefaultDialer.Dial(s.ws, nil)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "rubbish!")))
	_, _, err = conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.ClosePolicyViolation, Text: "so are you"}, err)
	require.Same(t, broadcast.ErrBanned, s.event(t, "end").Err)
}

// A handler's error is the read's.
func TestAHandlersError(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	conn := s.listen(t, nil, "")
	enough := fmt.Errorf("enough")
	conn.SetPongHandler(func(string) error { return enough })
	require.NoError(t, conn.WriteMessage(websocket.PingMessage, nil))
	_, _, err := conn.ReadMessage()
	require.Same(t, enough, err)
	_, _, err = conn.NextReader()
	require.Same(t, enough, err, "for ever")
	conn.SetPongHandler(nil)
	require.NoError(t, conn.PongHandler()("the default one"))
}

// A countingPool is a pool that knows what is out.
type countingPool struct {
	values    chan any
	gets, out atomic.Int64
}

func (p *countingPool) Get() any {
	p.gets.Add(1)
	p.out.Add(1)
	select {
	case v := <-p.values:
		return v
	default:
		return nil
	}
}

func (p *countingPool) Put(v any) {
	p.out.Add(-1)
	select {
	case p.values <- v:
	default:
	}
}

func TestNoBufferIsOutWhileIdle(t *testing.T) {
	pool := &countingPool{values: make(chan any, 4)}
	s := newStudio(t, &broadcast.Station{Buffers: pool})
	listeners := []*websocket.Conn{s.listen(t, nil, ""), s.listen(t, nil, ""), s.listen(t, nil, "")}
	show := bytes.Repeat([]byte("talk "), 20_000)
	for range 3 {
		require.Equal(t, 3, s.Relay(bytes.NewReader(show)))
		require.Zero(t, pool.out.Load())
		for _, conn := range listeners {
			requireHeard(t, conn, websocket.BinaryMessage, show)
			order(t, conn, broadcast.Order{})
		}
		_, _, err := s.Play([]byte("1"))
		require.NoError(t, err)
		for _, conn := range listeners {
			requireHeard(t, conn, websocket.TextMessage, []byte("1"))
		}
		require.Zero(t, pool.out.Load())
	}
	require.NotZero(t, pool.gets.Load())
}

func TestBuffersComeBackAfterFailedWrites(t *testing.T) {
	pool := &countingPool{values: make(chan any, 4)}
	s := newStudio(t, &broadcast.Station{})
	conn := s.listen(t, &websocket.Dialer{WriteBufferPool: pool, WriteBufferSize: 1024}, "")
	w, err := conn.NextWriter(websocket.BinaryMessage)
	require.NoError(t, err)
	require.EqualValues(t, 1, pool.out.Load())
	_, err = w.Write(make([]byte, 100))
	require.NoError(t, err)
	require.NoError(t, conn.NetConn().Close())
	require.ErrorIs(t, w.Close(), net.ErrClosed)
	require.Zero(t, pool.out.Load())
	require.ErrorIs(t, conn.WriteMessage(websocket.TextMessage, nil), net.ErrClosed)
	_, err = conn.NextWriter(websocket.TextMessage)
	require.ErrorIs(t, err, net.ErrClosed)
	require.Zero(t, pool.out.Load())
	_ = conn.Close()
}

func TestTheConnectionBelow(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	below, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimSuffix(s.ws, "/"), "ws://"))
	require.NoError(t, err)
	u, err := url.Parse(s.ws)
	require.NoError(t, err)
	conn, response, err := websocket.NewClient(below, u, http.Header{"User-Agent": {"old radio"}}, 512, 512)
	require.NoError(t, err)
	s.settle(t, conn)
	require.Equal(t, "Radio Socket", response.Header.Get("X-Station"))
	require.Same(t, below, conn.NetConn())
	require.Same(t, below, conn.UnderlyingConn())
	require.Equal(t, below.LocalAddr(), conn.LocalAddr())
	require.Equal(t, below.RemoteAddr(), conn.RemoteAddr())
	require.NoError(t, conn.SetCompressionLevel(9))
	require.NoError(t, conn.SetCompressionLevel(-2))
	require.Error(t, conn.SetCompressionLevel(10))
	require.Error(t, conn.SetCompressionLevel(-3))
}

func TestALevelThatThereIsNot(t *testing.T) {
	s := newStudio(t, &broadcast.Station{Compression: 10})
	conn, _, err := websocket.DefaultDialer.Dial(s.ws, nil)
	require.NoError(t, err)
	defer conn.Close()
	_, _, err = conn.ReadMessage()
	require.ErrorContains(t, err, "websocket: close 1011 (internal server error): websocket: invalid compression level")
}

func TestTheChannelIsTheStationsChoice(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	for _, c := range []struct {
		offered []string
		want    string
	}{
		{nil, ""},
		{[]string{"telephone"}, ""},
		{[]string{"telephone", "channel.two", "channel.one"}, "channel.two"},
	} {
		conn, response, err := (&websocket.Dialer{Subprotocols: c.offered}).Dial(s.ws, nil)
		require.NoError(t, err)
		s.settle(t, conn)
		require.Equal(t, c.want, conn.Subprotocol())
		require.Equal(t, c.want, response.Header.Get("Sec-WebSocket-Protocol"))
	}
	// By a header, where the dialer has none of its own.
	header := http.Header{"Sec-Websocket-Protocol": {"channel.three"}}
	conn, _, err := websocket.DefaultDialer.Dial(s.ws, header)
	require.NoError(t, err)
	s.settle(t, conn)
	require.Equal(t, "channel.three", conn.Subprotocol())
	_, _, err = (&websocket.Dialer{Subprotocols: []string{"channel.one"}}).Dial(s.ws, header)
	require.ErrorContains(t, err, "duplicate header not allowed")
}

func TestOrigins(t *testing.T) {
	s := newStudio(t, &broadcast.Station{Origins: []string{"friend.example"}})
	own := strings.TrimSuffix(s.web, "/")
	for _, path := range []string{"", "legacy"} {
		for _, origin := range []string{"", own, "http://friend.example"} {
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			conn, _, err := websocket.DefaultDialer.Dial(s.ws+path, header)
			require.NoError(t, err, "%q", origin)
			s.settle(t, conn)
		}
	}
	evil := http.Header{"Origin": {"http://evil.example"}}
	conn, response, err := websocket.DefaultDialer.Dial(s.ws, evil)
	require.Nil(t, conn)
	require.Same(t, websocket.ErrBadHandshake, err)
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	var refusal struct {
		Status    int
		Handshake bool
		Reason    string
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&refusal))
	require.Equal(t, http.StatusForbidden, refusal.Status)
	require.True(t, refusal.Handshake)
	require.Equal(t, "websocket: request origin not allowed by Upgrader.CheckOrigin", refusal.Reason)

	_, response, err = websocket.DefaultDialer.Dial(s.ws+"legacy", evil)
	require.Same(t, websocket.ErrBadHandshake, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "this is not for you\n", string(body))
}

// request sends a handshake by HTTP, changed to be none.
func (s *studio) request(t *testing.T, method, path string, change func(http.Header)) (status int, header http.Header, body string) {
	t.Helper()
	r, err := http.NewRequest(method, s.web+path, nil)
	require.NoError(t, err)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "bG9vbG9vbG9vbG9vbG9vbA==")
	change(r.Header)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, string(text)
}

func TestRequestsThatAreNotForTheUpgrader(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	s.listen(t, nil, "")
	status, _, body := s.request(t, http.MethodGet, "", func(h http.Header) {
		h.Del("Connection")
		h.Del("Upgrade")
	})
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "1 listeners\n", body)

	status, _, body = s.request(t, http.MethodPost, "", func(http.Header) {})
	require.Equal(t, http.StatusMethodNotAllowed, status)
	require.Contains(t, body, `"handshake":true`)
	status, _, body = s.request(t, http.MethodGet, "", func(h http.Header) { h.Set("Sec-WebSocket-Key", "short") })
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, `"status":400`)

	// The package's own function leaves the answer to the program.
	status, _, body = s.request(t, http.MethodGet, "legacy", func(h http.Header) { h.Del("Upgrade") })
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, "this is for WebSockets\n", body)
	http.DefaultClient.CloseIdleConnections()
}

// An Upgrader of whom nothing is wanted: its own check of the origin, and its
// own words.
func TestTheDefaults(t *testing.T) {
	results := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var upgrader websocket.Upgrader
		var header http.Header
		if r.URL.Path == "/extension" {
			header = http.Header{"Sec-Websocket-Extensions": {"x-mine"}}
		}
		conn, err := upgrader.Upgrade(w, r, header)
		if err == nil {
			err = conn.Close()
		}
		results <- err
	}))
	defer server.Close()
	ws := "ws" + strings.TrimPrefix(server.URL, "http")

	_, response, err := websocket.DefaultDialer.Dial(ws, http.Header{"Origin": {"http://other.example"}})
	require.Same(t, websocket.ErrBadHandshake, err)
	require.Equal(t, http.StatusForbidden, response.StatusCode)
	require.Equal(t, "13", response.Header.Get("Sec-Websocket-Version"))
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "Forbidden\n", string(body))
	_, ok := (<-results).(websocket.HandshakeError)
	require.True(t, ok)

	_, response, err = websocket.DefaultDialer.Dial(ws+"/extension", nil)
	require.Same(t, websocket.ErrBadHandshake, err)
	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
	_, ok = (<-results).(websocket.HandshakeError)
	require.True(t, ok)

	conn, _, err := websocket.DefaultDialer.Dial(ws, http.Header{"Origin": {server.URL}})
	require.NoError(t, err)
	require.NoError(t, <-results)
	_, _, err = conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.CloseAbnormalClosure, Text: "unexpected EOF"}, err)
	require.NoError(t, conn.Close())

	for _, bad := range []string{"http://h/", "ws://user:word@h/", ":"} {
		_, response, err := websocket.DefaultDialer.Dial(bad, nil)
		require.Error(t, err, bad)
		require.Nil(t, response, bad)
	}
	for _, name := range []string{
		"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions",
	} {
		_, _, err := websocket.DefaultDialer.Dial(ws, http.Header{name: {"x"}})
		require.ErrorContains(t, err, "duplicate header not allowed", name)
	}
}

// Mistakes that are errors and harm nothing.
func TestMistakes(t *testing.T) {
	s := newStudio(t, &broadcast.Station{})
	conn := s.listen(t, nil, "")
	require.Error(t, conn.WriteMessage(3, nil))
	require.Error(t, conn.WriteMessage(websocket.PingMessage, make([]byte, 126)))
	require.Error(t, conn.WriteControl(websocket.TextMessage, nil, time.Time{}))
	require.Error(t, conn.WriteControl(websocket.PingMessage, make([]byte, 126), time.Time{}))
	err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(-time.Hour))
	timeout, ok := err.(net.Error)
	require.True(t, ok, "%v", err)
	require.True(t, timeout.Timeout())
	_, err = conn.NextWriter(17)
	require.Error(t, err)
	_, err = websocket.NewPreparedMessage(-1, nil)
	require.Error(t, err)
	order(t, conn, broadcast.Order{Mute: true})

	require.NoError(t, conn.WriteMessage(websocket.CloseMessage, nil))
	require.Error(t, conn.WriteMessage(3, nil))
	require.NotEqual(t, websocket.ErrCloseSent, conn.WriteMessage(3, nil), "the mistake comes first")
	require.Same(t, websocket.ErrCloseSent, conn.WriteJSON(1))
	require.Same(t, websocket.ErrCloseSent, conn.WriteControl(websocket.PingMessage, nil, time.Time{}))
	_, _, err = conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.CloseNoStatusReceived}, err)
	require.Empty(t, websocket.FormatCloseMessage(websocket.CloseNoStatusReceived, "gone"))
	require.NotNil(t, websocket.FormatCloseMessage(websocket.CloseNoStatusReceived, "gone"))
}
