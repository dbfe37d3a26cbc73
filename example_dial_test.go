package websocket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed62ce5aa7/websocket"
)

// A dial that failed: if there is a response, it says why; if there is none, the
// error does.
func ExampleDialError() {
	dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
		conn, server := net.Pipe()
		go func() {
			_, _ = http.ReadRequest(bufio.NewReader(server))
			_, _ = io.WriteString(server, "SSH-2.0-OpenSSH_9.9\r\n")
		}()
		return conn, nil
	}}
	conn, response, err := dialer.Dial("ws://server.example/", nil)
	var failed *websocket.DialError
	switch {
	case err == nil:
		_ = conn.Close()
	case response != nil:
		fmt.Println("we are not wanted:", response.Status)
	case errors.As(err, &failed) && failed.Reason == websocket.DialProtocol:
		fmt.Println("this is no WebSocket server:", err)
	default:
		fmt.Println("to be tried again:", err)
	}
	// Output:
	// this is no WebSocket server: websocket: malformed response: malformed HTTP response "SSH-2.0-OpenSSH_9.9"
}

// A server that has moved.
func ExampleDialer_redirects() {
	mux := http.NewServeMux()
	mux.Handle("/old", http.RedirectHandler("/new", http.StatusPermanentRedirect))
	mux.HandleFunc("/new", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err == nil {
			_ = conn.Close()
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	dialer := websocket.Dialer{MaxRedirects: 3}
	conn, response, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/old", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println("connected to", response.Request.URL.Path)
	// Output: connected to /new
}

// A server on a Unix socket of this machine.
func ExampleDialer_unixSocket() {
	conn, _, err := websocket.DefaultDialer.Dial("ws+unix:///run/chat.sock:/rooms?id=1", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
}
