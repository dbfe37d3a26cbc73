package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// Messages until the context ends or the peer closes.
func ExampleConn_Messages() {
	dialTo(func(conn *websocket.Conn) {
		for _, word := range []string{"one", "two"} {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(word))
		}
		_ = conn.CloseContext(context.Background(), websocket.CloseNormalClosure, "")
	}, func(conn *websocket.Conn) {
		for message, err := range conn.Messages(context.Background()) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(string(message.Data))
		}
		fmt.Println("closed")
	})
	// Output:
	// one
	// two
	// closed
}

// A read that a context ends; the connection survives it.
func ExampleConn_ReadMessageContext() {
	dialTo(func(conn *websocket.Conn) {
		_, _, _ = conn.ReadMessage()
		_ = conn.WriteMessage(websocket.TextMessage, []byte("the answer"))
		_, _, _ = conn.ReadMessage()
	}, func(conn *websocket.Conn) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_, _, err := conn.ReadMessageContext(ctx)
		fmt.Println(errors.Is(err, context.DeadlineExceeded))
		_ = conn.WriteMessage(websocket.TextMessage, []byte("the question"))
		_, message, err := conn.ReadMessageContext(context.Background())
		fmt.Println(string(message), err)
	})
	// Output:
	// true
	// the answer <nil>
}

// The closing handshake, with a second to do it in.
func ExampleConn_CloseContext() {
	dialTo(func(conn *websocket.Conn) {
		_, _, err := conn.ReadMessage() // answers the close frame
		fmt.Println(err)
	}, func(conn *websocket.Conn) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := conn.CloseContext(ctx, websocket.CloseGoingAway, "see you"); err != nil {
			fmt.Println(err)
		}
	})
	// Output: websocket: close 1001 (going away): see you
}

// A server that finds out about peers that are gone without a word, and counts what it does.
func ExampleKeepalive() {
	upgrader := websocket.Upgrader{
		Keepalive:    &websocket.Keepalive{Interval: 30 * time.Second, Timeout: 10 * time.Second},
		CollectStats: true,
	}
	closed := make(chan websocket.Stats)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for _, err = range conn.Messages(context.Background()) {
			if errors.Is(err, websocket.ErrKeepaliveTimeout) {
				fmt.Println("the peer is gone")
			}
		}
		closed <- conn.Stats()
	}))
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	_ = conn.WriteMessage(websocket.TextMessage, []byte("hello"))
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Time{})
	stats := <-closed
	fmt.Println(stats.Received.Messages, "message,", stats.Received.PayloadBytes, "bytes, close code", stats.CloseCode)
	// Output: 1 message, 5 bytes, close code 1000
}

// How far away a peer is. Somebody has to be reading.
func ExampleConn_Ping() {
	dialTo(func(conn *websocket.Conn) {
		_, _, _ = conn.ReadMessage() // answers the ping
	}, func(conn *websocket.Conn) {
		go func() { _, _, _ = conn.ReadMessage() }()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		roundTrip, err := conn.Ping(ctx)
		fmt.Println(roundTrip > 0, err)
	})
	// Output: true <nil>
}
