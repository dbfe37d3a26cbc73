// Command echo is a WebSocket echo server with a page to try it from, and a
// WebSocket client for the terminal.
//
//	go run ./examples/echo                                       # the server and its page
//	go run ./examples/echo -connect ws://localhost:8080/ws       # the client
//
// With -compress either of them compresses messages, if its peer does, too.
//
// server.go is the server, client.go is the client; this file only reads the
// command line and turns Ctrl-C into a cancelled context.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// closeWait bounds the closing handshake: who has sent a close frame gives the
// peer this long to answer it, and then goes without the answer.
const closeWait = 3 * time.Second

func main() {
	addr := flag.String("addr", "localhost:8080", "serve on this `address`; port 0 takes a free port")
	url := flag.String("connect", "", "be a client of the WebSocket endpoint at this `URL` instead of a server")
	compress := flag.Bool("compress", false, "compress messages, if the peer can")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(flag.CommandLine.Output(), "unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}

	// Messages for people go to stderr, so that stdout holds results alone: the
	// server's address, or what the client received.
	logger := log.New(os.Stderr, "echo: ", 0)
	if err := run(*addr, *url, compression(*compress), logger); err != nil {
		logger.Print(err)
		os.Exit(1)
	}
}

// compression is how messages are compressed, or nil. What people type, and what
// programs tell each other, is often much like what went before, so that it pays
// to let messages refer to earlier ones, for some memory per connection.
func compression(on bool) *websocket.Compression {
	if !on {
		return nil
	}
	return &websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true}
}

// run is main with its deferred calls, which os.Exit would skip.
func run(addr, url string, compression *websocket.Compression, logger *log.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end. From then on signals have their
	// default effect again, so a second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)

	if url != "" {
		return connect(ctx, url, compression, os.Stdin, os.Stdout, logger)
	}
	return serve(ctx, addr, compression, os.Stdout, logger)
}
