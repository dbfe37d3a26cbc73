package websockettest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/websockettest"
)

// greet is what a program might do with a connection: it is tested over a pair.
func greet(c *websocket.Conn) error {
	_, name, err := c.ReadMessage()
	if err != nil {
		return err
	}
	return c.WriteMessage(websocket.TextMessage, append([]byte("Hello, "), name...))
}

// A function that is given a connection gets one end of a pair; the test has the other.
func TestGreeting(t *testing.T) {
	server, client := websockettest.Pipe(t, nil, nil)
	done := make(chan error)
	go func() { done <- greet(server) }()
	if err := client.WriteMessage(websocket.TextMessage, []byte("Ann")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := client.ReadMessage(); err != nil || string(got) != "Hello, Ann" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// clock is a handler that sends the time every minute.
func clock(w http.ResponseWriter, r *http.Request) {
	c, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for now := range ticker.C {
		if c.WriteMessage(websocket.TextMessage, []byte(now.UTC().Format(time.TimeOnly))) != nil {
			return
		}
	}
}

// A handler is dialed in memory. In a bubble of testing/synctest, whose clock begins at
// midnight, an hour takes no time.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _, err := websockettest.NewDialer(t, http.HandlerFunc(clock)).Dial("ws://clock.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		var now []byte
		for range 60 {
			if _, now, err = conn.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
		if string(now) != "01:00:00" {
			t.Errorf("after an hour it is %s", now)
		}
	})
}
