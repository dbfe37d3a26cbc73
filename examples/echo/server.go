package main

import (
	"bytes"
	"context"
	_ "embed" // for page.html
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

//go:embed page.html
var page []byte

// serve runs the server until ctx is done and then shuts it down: every open
// WebSocket connection is closed with 1001 (going away), and serve returns nil
// once all of them have ended, which takes closeWait at most.
func serve(
	ctx context.Context, addr string, compression *websocket.Compression,
	stdout io.Writer, logger *log.Logger,
) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}

	endpoint := newEndpoint(compression, logger)
	mux := http.NewServeMux()
	mux.Handle("/ws", endpoint)
	mux.HandleFunc("GET /{$}", servePage)
	srv := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          logger,
	}

	fmt.Fprintf(stdout, "echo: serving http://%s/\n", ln.Addr())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()

	select {
	case err = <-served: // the listener failed; end what it had accepted, too
	case <-ctx.Done():
	}

	// Shutdown closes the listener and waits for plain HTTP requests. It gives
	// unused connections, which browsers open ahead of need, seconds to send
	// a request; they may be cut off instead. It knows nothing of connections
	// that became WebSockets: an upgrade takes a connection out of net/http's
	// hands. They are told at the same time, and waited for after.
	grace, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	srv.RegisterOnShutdown(func() { _ = endpoint.Shutdown(grace) })
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	if endpoint.Shutdown(grace) != nil {
		// Who did not answer in time was cut off, so that echo returns.
		_ = endpoint.Shutdown(context.Background())
	}
	return err
}

func servePage(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "page.html", time.Time{}, bytes.NewReader(page))
}

// newEndpoint returns what sends each message back to where it came from.
//
// But for compression, which is off unless asked for, the zero Upgrader has the
// defaults to start from: it refuses browsers that show a page of another origin,
// and its connections refuse messages above 1 MiB, decompressed ones too, and give
// up on a peer that stops reading.
func newEndpoint(compression *websocket.Compression, logger *log.Logger) *websocket.Server {
	report := func(peer string, err error) {
		logger.Printf("%s: %s", peer, printable(websocket.TextMessage, []byte(err.Error())))
	}
	return &websocket.Server{
		Upgrader: &websocket.Upgrader{
			Compression: compression,
			Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
				report(r.RemoteAddr, reason)
				http.Error(w, http.StatusText(status), status)
			},
		},
		Accept: func(http.ResponseWriter, *http.Request) func(*websocket.Conn) {
			return func(conn *websocket.Conn) {
				err := echo(conn)
				// 1000, 1001 (a browser leaves the page) and a close frame without a
				// code are the ways of a normal end, and so is 1001 in answer to the
				// one of Shutdown.
				if !websocket.IsCloseError(err, websocket.CloseNormalClosure,
					websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
					report(conn.RemoteAddr().String(), err)
				}
			}
		},
		OnError: func(conn *websocket.Conn, err error) { report(conn.RemoteAddr().String(), err) },
	}
}

// echo returns messages until the connection ends and tells why it ended. Pings
// and the peer's close frame need no code here: reading answers them.
func echo(conn *websocket.Conn) error {
	for {
		messageType, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		err = conn.WriteMessage(messageType, message)
		// After a close frame was sent there is no answering any more, but there
		// is reading: the peer's close frame comes after what it had sent before.
		if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
			return err
		}
	}
}
