// Command reconnect is a WebSocket client that stays connected: it prints the
// messages that a server sends, and dials again when the connection is lost.
//
//	go run ./examples/reconnect -say hello ws://localhost:8080/ws
//
// reconnect.go is what there is to take along; this file is a program around it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/seed62ce5aa7/websocket"
)

func main() {
	say := flag.String("say", "", "send this `text` first, on each connection")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: reconnect [-say text] URL")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once

	dialer := *websocket.DefaultDialer
	dialer.Keepalive = &websocket.Keepalive{} // finds out that a server is gone that did not say so

	// What people want to know goes to stderr, messages alone to stdout.
	logger := log.New(os.Stderr, "reconnect: ", 0)
	err := follow(ctx, &dialer, flag.Arg(0), *say, os.Stdout, logger)
	if err != nil && ctx.Err() == nil {
		logger.Fatal(printable(err))
	}
}

// follow prints what the server at url sends, until the context ends or the
// server does not want us.
func follow(ctx context.Context, dialer *websocket.Dialer, url, say string, stdout io.Writer, logger *log.Logger) error {
	r := Reconnect{
		Dial: func(ctx context.Context) (*websocket.Conn, *http.Response, error) {
			return dialer.DialContext(ctx, url, nil)
		},
		Serve: func(ctx context.Context, conn *websocket.Conn) error {
			logger.Printf("connected to %s", url)
			return receive(ctx, conn, say, stdout)
		},
		Note: func(err error, wait time.Duration) {
			logger.Printf("%s; trying again in %v", printable(err), wait.Round(time.Millisecond))
		},
	}
	return r.Run(ctx)
}

// printable is the text of an error, in which a server may have a say, without what
// a terminal would obey.
func printable(err error) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, err.Error())
}

// receive is the life of one connection: it says what there is to say, and prints
// messages, quoted, until the connection ends or the context does. A program that
// follows a stream of events would say here what it has seen last.
func receive(ctx context.Context, conn *websocket.Conn, say string, stdout io.Writer) error {
	if say != "" {
		if err := conn.WriteMessageContext(ctx, websocket.TextMessage, []byte(say)); err != nil {
			return err
		}
	}
	for {
		_, message, err := conn.ReadMessageContext(ctx)
		if ctx.Err() != nil {
			// The server has five seconds to answer.
			_ = conn.CloseContext(context.WithoutCancel(ctx), websocket.CloseNormalClosure, "")
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "%q\n", message); err != nil {
			return Stop{err} // no other connection would mend it
		}
	}
}
