package websocket_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

var upgrader websocket.Upgrader

func serveEcho(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been answered
	}
	defer conn.Close()
	for {
		messageType, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(messageType, message); err != nil {
			return
		}
	}
}

func ask(url, question string) (string, error) {
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(question)); err != nil {
		return "", err
	}
	_, answer, err := conn.ReadMessage()
	return string(answer), err
}

func Example() {
	server := httptest.NewServer(http.HandlerFunc(serveEcho))
	defer server.Close()
	answer, err := ask("ws"+strings.TrimPrefix(server.URL, "http"), "Is anybody there?")
	fmt.Println(answer, err)
	// Output: Is anybody there? <nil>
}

// A goodbye: send a close frame, then read until the peer's arrives.
func ExampleConn_WriteControl() {
	server := httptest.NewServer(http.HandlerFunc(serveEcho))
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	deadline := time.Now().Add(10 * time.Second)
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "done")
	if err := conn.WriteControl(websocket.CloseMessage, goodbye, deadline); err != nil {
		fmt.Println(err)
		return
	}
	_ = conn.SetReadDeadline(deadline)
	for {
		_, _, err := conn.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			fmt.Println("the peer closed with", closed.Code)
			return
		} else if err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output: the peer closed with 1000
}

// Reading without an allocation a message: the memory is used again.
func ExampleConn_AppendMessage() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		var message []byte
		for {
			var messageType int
			messageType, message, err = conn.AppendMessage(message[:0])
			if err != nil {
				return
			}
			if err := conn.WriteMessage(messageType, message); err != nil {
				return
			}
		}
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	defer server.Close()
	answer, err := ask("ws"+strings.TrimPrefix(server.URL, "http"), "Again?")
	fmt.Println(answer, err)
	// Output: Again? <nil>
}
