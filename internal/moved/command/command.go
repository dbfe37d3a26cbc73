// Package command joins a WebSocket connection to the standard input and output
// of a command: each message is a line of input, each line of output a message.
package command

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// A Bridge is an http.Handler that runs a command for each connection.
type Bridge struct {
	Command func() *exec.Cmd

	PingEvery time.Duration
	WriteWait time.Duration
	CloseWait time.Duration // for the client's close frame, after ours
	MaxLine   int           // of input and of output, in bytes

	// Done, if not nil, is told how a connection ended.
	Done func(Result)
}

// A Result is how it went.
type Result struct {
	Input  error // of the connection, on which input comes; never nil
	Output error // of the connection, to which output goes
	Exit   error // of the command

	Closed     bool // the client took its leave, by whatever code
	OutputLate bool // there was output after the close frame
}

var upgrader = websocket.Upgrader{}

// ServeHTTP runs the command until it ends or the client goes away.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cmd := b.Command()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := cmd.Start(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil { // the client was told
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
		return
	}

	var result Result
	input := make(chan error, 1)
	go func() { input <- b.pumpInput(conn, stdin) }()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		b.pingLoop(conn, stop)
	}()
	result.Output = b.pumpOutput(conn, stdout)
	_, _ = io.Copy(io.Discard, stdout) // so that the command can end
	result.Exit = cmd.Wait()
	close(stop)
	<-stopped
	b.sayGoodbye(conn, result.Exit)
	result.Input = <-input
	_ = conn.Close()
	_, result.Closed = result.Input.(*websocket.CloseError)
	if websocket.IsCloseError(result.Input, websocket.CloseAbnormalClosure) {
		result.Closed = false // it just went
	}
	result.OutputLate = result.Output == websocket.ErrCloseSent
	if b.Done != nil {
		b.Done(result)
	}
}

// pumpInput gives the command what comes, until the connection ends. If the
// command ends first, what comes is dropped up to the close frame.
func (b *Bridge) pumpInput(conn *websocket.Conn, stdin io.WriteCloser) error {
	defer stdin.Close()
	conn.SetReadLimit(int64(b.MaxLine))
	in := &failing{r: websocket.JoinMessages(conn, "\n")}
	if _, err := io.Copy(stdin, in); err != nil && in.err == nil {
		_, _ = io.Copy(io.Discard, in)
	}
	return in.err
}

// A failing reader remembers its error, to tell it from that of a writer.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.err = err
	return n, err
}

// pumpOutput sends what the command prints, until its end.
func (b *Bridge) pumpOutput(conn *websocket.Conn, stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, b.MaxLine)
	for lines.Scan() {
		_ = conn.SetWriteDeadline(time.Now().Add(b.WriteWait))
		if err := conn.WriteMessage(websocket.TextMessage, lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// pingLoop pings beside the output, which WriteControl allows.
func (b *Bridge) pingLoop(conn *websocket.Conn, stop <-chan struct{}) {
	ticker := time.NewTicker(b.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			err := conn.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(b.WriteWait))
			if err != nil {
				return
			}
		}
	}
}

// sayGoodbye begins the closing handshake, unless the client did, and bounds
// the wait for its end.
func (b *Bridge) sayGoodbye(conn *websocket.Conn, exit error) {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if e := (*exec.ExitError)(nil); errors.As(exit, &e) {
		goodbye = websocket.FormatCloseMessage(websocket.CloseInternalServerErr, e.Error())
	}
	err := conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(b.WriteWait))
	if err != nil && err != websocket.ErrCloseSent {
		_ = conn.Close()
	}
	_ = conn.SetReadDeadline(time.Now().Add(b.CloseWait))
}
