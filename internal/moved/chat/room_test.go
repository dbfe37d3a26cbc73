package chat_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/moved/chat"
	"github.com/seed62ce5aa7/websocket/internal/moved/pipenet"
	"github.com/stretchr/testify/require"
)

// patience is how long something may take that is bound to happen.
const patience = 20 * time.Second

// A hall is a room that is open.
type hall struct {
	url    string
	dialer websocket.Dialer
	left   chan chat.Departure
	close  context.CancelFunc // sends everybody away
	closed chan struct{}
}

func config() chat.Config {
	return chat.Config{
		PingEvery: 9 * time.Second, PongWait: 10 * time.Second, WriteWait: 5 * time.Second,
		MaxMessage: 512, History: 3, Backlog: 64,
	}
}

// open opens a room over TCP or, if there is one, over the listener.
func open(t *testing.T, config chat.Config, l *pipenet.Listener) *hall {
	t.Helper()
	h := &hall{left: make(chan chat.Departure, 16), closed: make(chan struct{})}
	config.Left = func(d chat.Departure) { h.left <- d }
	room := chat.NewRoom(config)
	var ctx context.Context
	ctx, h.close = context.WithCancel(context.Background())
	go func() {
		defer close(h.closed)
		room.Run(ctx)
	}()

	server := httptest.NewUnstartedServer(room)
	if l != nil {
		_ = server.Listener.Close()
		server.Listener = l
		h.dialer.NetDialContext = l.DialContext
	}
	server.Start()
	h.url = "ws" + strings.TrimPrefix(server.URL, "http")
	t.Cleanup(func() {
		h.close()
		<-h.closed
		server.Close()
	})
	return h
}

// enter connects a guest.
func (h *hall) enter(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, response, err := h.dialer.Dial(h.url, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	t.Cleanup(func() { _ = conn.Close() })
	if h.dialer.NetDialContext == nil { // else the bubble notices
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	}
	return conn
}

func (h *hall) departure(t *testing.T) chat.Departure {
	t.Helper()
	select {
	case d := <-h.left:
		return d
	case <-time.After(patience):
		require.FailNow(t, "nobody left")
		return chat.Departure{}
	}
}

func say(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte(message)))
}

// hear reads messages until it has as many lines as it wants.
func hear(t *testing.T, conn *websocket.Conn, want ...string) {
	t.Helper()
	var lines []string
	for len(lines) < len(want) {
		kind, message, err := conn.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, websocket.TextMessage, kind)
		lines = append(lines, strings.Split(string(message), "\n")...)
	}
	require.Equal(t, want, lines)
}

func TestAllHearAll(t *testing.T) {
	h := open(t, config(), nil)
	ann, bob := h.enter(t), h.enter(t)
	say(t, ann, "hello\nthere")
	hear(t, ann, "hello there")
	hear(t, bob, "hello there")
	var flood []string
	for i := range 50 {
		flood = append(flood, fmt.Sprint("line ", i))
		say(t, bob, flood[i])
	}
	hear(t, ann, flood...)
	hear(t, bob, flood...)
}

func TestANewcomerHearsTheHistoryAtOnce(t *testing.T) {
	h := open(t, config(), nil)
	ann := h.enter(t)
	for _, m := range []string{"one", "two", "three", "four"} {
		say(t, ann, m)
	}
	hear(t, ann, "one", "two", "three", "four")
	_, message, err := h.enter(t).ReadMessage()
	require.NoError(t, err)
	require.Equal(t, "two\nthree\nfour", string(message))
}

func TestLeaving(t *testing.T) {
	h := open(t, config(), nil)
	conn := h.enter(t)
	say(t, conn, "/leave")
	_, _, err := conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.CloseNoStatusReceived}, err)
	d := h.departure(t)
	require.Equal(t, websocket.CloseNoStatusReceived, d.Code)
	require.False(t, d.Unexpected)

	_, _, again := conn.ReadMessage()
	require.Same(t, err, again, "the error stays")
	require.Same(t, websocket.ErrCloseSent, conn.WriteMessage(websocket.TextMessage, nil), "the answer went out")
}

func TestClosingTheBrowser(t *testing.T) {
	h := open(t, config(), nil)
	conn := h.enter(t)
	goodbye := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
	require.NoError(t, conn.WriteMessage(websocket.CloseMessage, goodbye))
	_, _, err := conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseGoingAway), "%v", err)
	d := h.departure(t)
	require.Equal(t, websocket.CloseGoingAway, d.Code)
	require.False(t, d.Unexpected)
}

func TestClosingWithAnError(t *testing.T) {
	h := open(t, config(), nil)
	conn := h.enter(t)
	why := websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "on fire")
	require.NoError(t, conn.WriteControl(websocket.CloseMessage, why, time.Now().Add(patience)))
	d := h.departure(t)
	require.True(t, d.Unexpected)
	require.EqualError(t, d.Err, "websocket: close 1011 (internal server error): on fire")
}

func TestVanishing(t *testing.T) {
	h := open(t, config(), nil)
	require.NoError(t, h.enter(t).Close())
	d := h.departure(t)
	require.True(t, d.Unexpected)
	require.Equal(t, websocket.CloseAbnormalClosure, d.Code)
	require.EqualError(t, d.Err, "websocket: close 1006 (abnormal closure): unexpected EOF")
}

func TestTalkingTooLong(t *testing.T) {
	h := open(t, config(), nil)
	conn := h.enter(t)
	say(t, conn, strings.Repeat("a", 512))
	hear(t, conn, strings.Repeat("a", 512))
	say(t, conn, strings.Repeat("a", 513))
	_, _, err := conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
	require.True(t, h.departure(t).TooLong)
}

func TestClosingTime(t *testing.T) {
	h := open(t, config(), nil)
	guests := []*websocket.Conn{h.enter(t), h.enter(t), h.enter(t)}
	say(t, guests[0], "we are all here")
	for _, conn := range guests {
		hear(t, conn, "we are all here")
	}
	h.close()
	for _, conn := range guests {
		_, _, err := conn.ReadMessage()
		require.Equal(t, &websocket.CloseError{Code: websocket.CloseGoingAway, Text: "closing time"}, err)
		require.False(t, h.departure(t).Unexpected)
	}
	<-h.closed
}

// In a bubble the times are exact.

func TestAnswersToPingsKeepAGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, config(), pipenet.Listen())
		conn := h.enter(t)
		pings, answer := 0, conn.PingHandler()
		enough := make(chan struct{})
		conn.SetPingHandler(func(data string) error {
			if pings++; pings == 20 {
				close(enough)
			}
			return answer(data)
		})
		heard := make(chan string, 1)
		go func() {
			_, message, _ := conn.ReadMessage()
			heard <- string(message)
		}()
		begin := time.Now()
		<-enough
		require.Equal(t, 20*9*time.Second, time.Since(begin))
		synctest.Wait() // the last answer has gone out
		say(t, conn, "still here")
		require.Equal(t, "still here", <-heard)
	})
}

func TestASilentGuestIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, config(), pipenet.Listen())
		conn := h.enter(t)
		conn.SetPingHandler(func(string) error { return nil })
		begin := time.Now()
		ended := make(chan error, 1)
		go func() {
			_, _, err := conn.ReadMessage()
			ended <- err
		}()
		d := <-h.left
		require.Equal(t, 10*time.Second, time.Since(begin))
		require.True(t, d.Timeout, "%v", d.Err)
		require.True(t, websocket.IsCloseError(<-ended, websocket.CloseAbnormalClosure))
	})
}

func TestAGuestThatTakesNothingIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, config(), pipenet.Listen())
		h.enter(t) // and never read from
		conn := h.enter(t)
		begin := time.Now()
		go say(t, conn, "hello?")
		hear(t, conn, "hello?")
		require.Zero(t, time.Since(begin), "nobody waits for the other")
		d := <-h.left
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Error(t, d.Err)
		require.False(t, d.Timeout, "it is the write that had a deadline of 5 s")
	})
}
