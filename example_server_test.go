package websocket_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// A server with limits and names, and an end in good order.
func ExampleServer() {
	endpoint := &websocket.Server{
		MaxConns:          10_000,
		MaxConnsPerClient: 10,
		Accept: func(w http.ResponseWriter, r *http.Request) func(*websocket.Conn) {
			name := r.URL.Query().Get("name")
			if name == "" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return nil
			}
			return func(conn *websocket.Conn) {
				if conn.WriteMessage(websocket.TextMessage, []byte("Hello, "+name)) != nil {
					return
				}
				for { // reading is what finds the end
					if _, _, err := conn.ReadMessage(); err != nil {
						return
					}
				}
			}
		},
	}
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: endpoint, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)

	url := "ws://" + listener.Addr().String() + "/"
	if _, response, err := websocket.DefaultDialer.Dial(url, nil); err != nil {
		fmt.Println(err, response.StatusCode)
	}
	conn, _, err := websocket.DefaultDialer.Dial(url+"?name=Ann", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	_, message, err := conn.ReadMessage()
	fmt.Println(string(message), err)

	ended := make(chan error)
	go func() {
		_, _, err := conn.ReadMessage()
		ended <- err
	}()
	// At SIGTERM, for example.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	server.RegisterOnShutdown(func() { _ = endpoint.Shutdown(ctx) })
	err = errors.Join(server.Shutdown(ctx), endpoint.Shutdown(ctx))
	fmt.Println(<-ended, err)
	// Output:
	// websocket: bad handshake 401
	// Hello, Ann <nil>
	// websocket: close 1001 (going away) <nil>
}

// Logs and metrics, of whatever library.
func ExampleServer_Stats() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	endpoint := &websocket.Server{
		Upgrader: &websocket.Upgrader{
			CollectStats: true,
			Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
				logger.Warn("refused", "client", r.RemoteAddr, "status", status, "reason", reason)
				http.Error(w, http.StatusText(status), status)
			},
		},
		Accept: func(http.ResponseWriter, *http.Request) func(*websocket.Conn) { return echo },
		OnOpen: func(conn *websocket.Conn) {
			logger.Info("open", "client", conn.RemoteAddr())
		},
		OnClose: func(conn *websocket.Conn, stats websocket.Stats) {
			logger.Info("closed", "client", conn.RemoteAddr(), "code", stats.CloseCode)
		},
		OnError: func(conn *websocket.Conn, err error) {
			logger.Error("failed", "client", conn.RemoteAddr(), "error", err)
		},
	}
	expvar.Publish("websocket", expvar.Func(func() any { return endpoint.Stats() }))
	fmt.Println(expvar.Get("websocket"))
	// Output: {"Open":0,"Accepted":0,"Refused":0,"Received":{"Messages":0,"PayloadBytes":0,"WireBytes":0},"Sent":{"Messages":0,"PayloadBytes":0,"WireBytes":0},"PingsReceived":0,"PingsSent":0,"QueuedMessages":0,"QueuedBytes":0,"DroppedMessages":0}
}

// echo serves a connection until its end.
func echo(conn *websocket.Conn) {
	for {
		messageType, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(messageType, message) != nil {
			return
		}
	}
}
