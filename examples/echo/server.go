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
	"sync"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

//go:embed page.html
var page []byte

// serve runs the server until ctx is done and then shuts it down: every open
// WebSocket connection is closed with 1001 (going away), and serve returns nil
// once all of them have ended, which takes a few closeWait at most.
func serve(
	ctx context.Context, addr string, compression *websocket.Compression,
	stdout io.Writer, logger *log.Logger,
) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}

	echo := &echoHandler{upgrader: websocket.Upgrader{Compression: compression}, log: logger}
	mux := http.NewServeMux()
	mux.Handle("/ws", echo)
	mux.HandleFunc("GET /{$}", servePage)

	// With this context as their base, requests learn of the shutdown from
	// their own r.Context().
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler:           mux,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          logger,
	}

	fmt.Fprintf(stdout, "echo: serving http://%s/\n", ln.Addr())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()

	select {
	case err = <-served: // the listener failed; end what it had accepted, too
		cancel()
	case <-ctx.Done():
	}

	// Shutdown closes the listener and waits for plain HTTP requests. It gives
	// unused connections, which browsers open ahead of need, seconds to send
	// a request; they may be cut off instead.
	grace, cancelGrace := context.WithTimeout(context.Background(), closeWait)
	defer cancelGrace()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	// Shutdown knows nothing of connections that became WebSockets: an upgrade
	// takes the connection out of net/http's hands.
	echo.running.Wait()
	return err
}

func servePage(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "page.html", time.Time{}, bytes.NewReader(page))
}

// echoHandler sends each message back to where it came from.
//
// But for compression, which is off unless asked for, the zero Upgrader has the
// defaults to start from: it refuses browsers that show a page of another origin,
// and its connections refuse messages above 1 MiB, decompressed ones too, and give
// up on a peer that stops reading.
type echoHandler struct {
	upgrader websocket.Upgrader
	log      *log.Logger
	running  sync.WaitGroup // counts handlers; see serve
}

func (h *echoHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.running.Add(1)
	defer h.running.Done()

	conn, err := h.upgrader.Upgrade(w, r, nil)
	if err != nil { // and Upgrade has answered the request
		h.log.Printf("%s: %s", r.RemoteAddr, printable(websocket.TextMessage, []byte(err.Error())))
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(r.Context(), func() { goAway(conn) })
	defer stop()

	err = echo(conn)
	// 1000, 1001 (a browser leaves the page) and a close frame without a code
	// are the ways of a normal end, and so is 1001 in answer to goAway's.
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure,
		websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
		h.log.Printf("%s: %s", r.RemoteAddr, printable(websocket.TextMessage, []byte(err.Error())))
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
		// After goAway there is no answering any more, but there is reading:
		// the peer's close frame comes after what it had sent before.
		if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
			return err
		}
	}
}

// goAway starts the closing handshake while echo goes on reading, and sees to it
// that echo returns soon, with the peer's answer or without. What fails here makes
// echo's next read or write fail, too, and that is reported.
func goAway(conn *websocket.Conn) {
	deadline := time.Now().Add(closeWait)
	_ = conn.SetReadDeadline(deadline)
	_ = conn.SetWriteDeadline(deadline)
	farewell := websocket.FormatCloseMessage(websocket.CloseGoingAway, "server shutting down")
	_ = conn.WriteControl(websocket.CloseMessage, farewell, deadline)
}
