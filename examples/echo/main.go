// Command echo is a WebSocket echo server with a page to try it from, and a
// WebSocket client for the terminal.
//
//	go run ./examples/echo                                       # the server and its page
//	go run ./examples/echo -connect ws://localhost:8080/ws       # the client
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
)

// closeWait bounds the closing handshake: who has sent a close frame gives the
// peer this long to answer it, and then goes without the answer.
const closeWait = 3 * time.Second

func main() {
	addr := flag.String("addr", "localhost:8080", "serve on this `address`; port 0 takes a free port")
	url := flag.String("connect", "", "be a client of the WebSocket endpoint at this `URL` instead of a server")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(flag.CommandLine.Output(), "unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}

	// Messages for people go to stderr, so that stdout holds results alone: the
	// server's address, or what the client received.
	logger := log.New(os.Stderr, "echo: ", 0)
	if err := run(*addr, *url, logger); err != nil {
		logger.Print(err)
		os.Exit(1)
	}
}

// run is main with its deferred calls, which os.Exit would skip.
func run(addr, url string, logger *log.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end. From then on signals have their
	// default effect again, so a second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)

	if url != "" {
		return connect(ctx, url, os.Stdin, os.Stdout, logger)
	}
	return serve(ctx, addr, os.Stdout, logger)
}
