package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed62ce5aa7/websocket"
)

// connect sends the lines of stdin as messages to the endpoint at url and prints
// the messages that come back. The end of stdin, or of ctx, starts the closing
// handshake. A closure with code 1000 returns nil.
//
// There is a goroutine for each direction, since either may wait for ever; what
// is common to both, the end, is decided here.
func connect(
	ctx context.Context, url string, compression *websocket.Compression,
	stdin io.Reader, stdout io.Writer, logger *log.Logger,
) error {
	dialer := *websocket.DefaultDialer
	dialer.Compression = compression
	conn, resp, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		if resp != nil { // an HTTP server that answered with something else
			return fmt.Errorf("%w: %s", err, resp.Status)
		}
		return err
	}
	defer conn.Close()
	compressed := ""
	if _, ok := conn.Compression(); ok { // the server may have declined
		compressed = ", with compression"
	}
	logger.Printf("connected to %s%s; Ctrl-D or Ctrl-C ends", url, compressed)

	received := make(chan error, 1)
	go func() { received <- receive(conn, stdout) }()
	// No portable call interrupts a read of a terminal, so this goroutine may
	// still be waiting for a line when the program exits.
	sent := make(chan error, 1)
	go func() { sent <- send(conn, stdin) }()

	select {
	case err := <-received: // the peer ended it
		return closure(err, logger)
	case err := <-sent:
		if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
			return err
		}
	case <-ctx.Done():
	}

	// Answers to the last messages come before the answer to the close frame,
	// and receive prints them.
	deadline := time.Now().Add(closeWait)
	if err := conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	err = conn.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return err
	}
	err = <-received
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the server did not answer the close frame within %v", closeWait)
	}
	return closure(err, logger)
}

// send writes each line of r as a message, without the line's end, and returns
// nil at the end of r.
func send(conn *websocket.Conn, r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err == nil || line != "" { // the last line may have no line end
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			messageType := websocket.TextMessage
			if !utf8.ValidString(line) {
				messageType = websocket.BinaryMessage // text must be UTF-8
			}
			if err := conn.WriteMessage(messageType, []byte(line)); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// receive prints messages, a line each, until the connection ends, and returns
// why it ended.
func receive(conn *websocket.Conn, w io.Writer) error {
	for {
		messageType, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, printable(messageType, message)); err != nil {
			return err
		}
	}
}

// printable is a message as the terminal should show it: binary data in hex, and
// text as it is, unless it has characters with which a peer could drive the
// terminal.
func printable(messageType int, message []byte) string {
	text := string(message)
	switch {
	case messageType == websocket.BinaryMessage:
		return fmt.Sprintf("binary [% x]", message)
	case strings.ContainsFunc(text, isTerminalControl):
		return fmt.Sprintf("%q", text)
	default:
		return text
	}
}

func isTerminalControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t'
}

// closure reports how the connection ended and reduces err, which says so, to
// nil if it was a normal end. Code 1005 stands for a close frame without a code.
func closure(err error, logger *log.Logger) error {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		return err
	}
	if closed.Code != websocket.CloseNormalClosure && closed.Code != websocket.CloseNoStatusReceived {
		return fmt.Errorf("connection closed: %s", printable(websocket.TextMessage, []byte(err.Error())))
	}
	logger.Printf("connection closed: %d", closed.Code)
	return nil
}
