// Command server is the echo server that the Autobahn fuzzing client tests.
//
// It uses the library as it comes: what the suite finds right or wrong about
// UTF-8, control frames and the closing handshake is the library's doing.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/seed62ce5aa7/websocket"
)

// maxMessage is the largest message that the suite sends (cases 9.1.6 and
// 9.2.6), in bytes. A server's default read limit is below it.
const maxMessage = 16 << 20

// upgrader turns on the one feature that is off by default and that the suite
// tests, compression (sections 12 and 13).
var upgrader = websocket.Upgrader{EnableCompression: true}

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	flag.Parse()
	if err := serve(*addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// serve listens on addr, writes the URL it can be reached at to out, as one
// line, and serves until the listener fails.
func serve(addr string, out io.Writer) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer ln.Close()
	if _, err := fmt.Fprintf(out, "ws://%s\n", ln.Addr()); err != nil {
		return err
	}
	return http.Serve(ln, http.HandlerFunc(echo))
}

// echo sends every message back with the type it came with, until the first
// error. The library has answered pings, close frames and protocol errors by
// the time a read returns, so there is nothing to say after one.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has sent the refusal.
	}
	defer conn.Close()
	conn.SetReadLimit(maxMessage)
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
