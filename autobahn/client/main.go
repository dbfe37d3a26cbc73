// Command client is the echo client that the Autobahn fuzzing server tests.
//
// It asks the suite how many cases there are, connects once for each, echoes
// whatever comes until the connection ends, and has the suite write its
// report. It uses the library as it comes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"

	"github.com/seed62ce5aa7/websocket"
)

// dialer turns on the one feature that is off by default and that the suite
// tests, compression (sections 12 and 13).
var dialer = websocket.Dialer{EnableCompression: true}

func main() {
	base := flag.String("url", "ws://127.0.0.1:9001", "where the fuzzing server listens")
	agent := flag.String("agent", "websocket-client", "the name in the report")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := runCases(ctx, *base, *agent); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

// runCases runs every case that the fuzzing server at base offers, in order,
// and returns when the report is written.
func runCases(ctx context.Context, base, agent string) error {
	count, err := caseCount(ctx, base)
	if err != nil {
		return fmt.Errorf("asking for the number of cases: %w", err)
	}
	for n := 1; n <= count && ctx.Err() == nil; n++ {
		query := url.Values{"case": {strconv.Itoa(n)}, "agent": {agent}}
		if err := echo(ctx, base+"/runCase?"+query.Encode()); err != nil {
			// The report has the case as failed, or lacks it.
			fmt.Fprintf(os.Stderr, "case number %d of %d: %v\n", n, count, err)
		}
	}
	// The suite closes this connection once the report is on disk.
	query := url.Values{"agent": {agent}}
	if err := echo(ctx, base+"/updateReports?"+query.Encode()); err != nil {
		return fmt.Errorf("asking for the report: %w", err)
	}
	return nil
}

func caseCount(ctx context.Context, base string) (int, error) {
	conn, _, err := dialer.DialContext(ctx, base+"/getCaseCount", nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the context is the dial's only
	defer stop()
	_, message, err := conn.ReadMessage()
	if err != nil {
		return 0, err
	}
	count, err := strconv.Atoi(string(message))
	if err != nil {
		return 0, err
	}
	if count < 1 {
		return 0, errors.New("the suite has no case to run")
	}
	return count, nil
}

// echo connects to rawURL and sends every message back with the type it came
// with, until the connection ends. How it ends is for the suite to judge, so
// only a failure to connect is an error.
func echo(ctx context.Context, rawURL string) error {
	conn, _, err := dialer.DialContext(ctx, rawURL, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	for {
		messageType, message, err := conn.ReadMessage()
		if err != nil {
			return nil
		}
		if err := conn.WriteMessage(messageType, message); err != nil {
			return nil
		}
	}
}
