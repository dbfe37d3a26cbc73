package command_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/moved/command"
	"github.com/stretchr/testify/require"
)

const (
	// patience is how long something may take that is bound to happen.
	patience = 20 * time.Second

	// asCommand has the test's own program be the command.
	asCommand = "MOVED_AS_COMMAND"

	maxLine = 1 << 20
)

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(shout())
	}
	os.Exit(m.Run())
}

// shout is the command: it says everything louder.
func shout() int {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "quit":
			fmt.Println("as you wish")
			return 0
		case "fail":
			return 3
		default:
			fmt.Println(strings.ToUpper(line))
		}
	}
	fmt.Println("nothing more?")
	return 0
}

type stage struct {
	url     string
	results chan command.Result
}

func newStage(t *testing.T, change func(*command.Bridge)) *stage {
	t.Helper()
	s := &stage{results: make(chan command.Result, 1)}
	bridge := &command.Bridge{
		Command: func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			// With the race detector a program would wait a second before it ends.
			cmd.Env = append(os.Environ(), asCommand+"=1", "GORACE=atexit_sleep_ms=0")
			return cmd
		},
		PingEvery: time.Hour, WriteWait: patience, CloseWait: patience, MaxLine: maxLine,
		Done: func(r command.Result) { s.results <- r },
	}
	if change != nil {
		change(bridge)
	}
	server := httptest.NewServer(bridge)
	t.Cleanup(server.Close)
	s.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return s
}

func (s *stage) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{WriteBufferSize: 256}
	conn, _, err := dialer.Dial(s.url, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		s.result(t)
	})
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	return conn
}

// result is how the connection ended; it may be asked again.
func (s *stage) result(t *testing.T) command.Result {
	t.Helper()
	select {
	case r := <-s.results:
		s.results <- r
		return r
	case <-time.After(patience):
		require.FailNow(t, "the connection did not end")
		return command.Result{}
	}
}

func write(t *testing.T, conn *websocket.Conn, line string) {
	t.Helper()
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte(line)))
}

func requireLine(t *testing.T, conn *websocket.Conn, want string) {
	t.Helper()
	kind, line, err := conn.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, websocket.TextMessage, kind)
	require.Equal(t, want, string(line))
}

func TestALineForALine(t *testing.T) {
	conn := newStage(t, nil).dial(t)
	for _, line := range []string{"hello", "", "world", strings.Repeat("ä", 100_000)} {
		write(t, conn, line)
		requireLine(t, conn, strings.ToUpper(line))
	}
}

// A message that is written in pieces, in more than one frame for its length
// and the size of the buffer, is one line.
func TestALineInPieces(t *testing.T) {
	conn := newStage(t, nil).dial(t)
	w, err := conn.NextWriter(websocket.TextMessage)
	require.NoError(t, err)
	var all strings.Builder
	for i := range 5_000 {
		piece := fmt.Sprintf("piece %d ", i)
		all.WriteString(piece)
		n, err := w.Write([]byte(piece))
		require.NoError(t, err)
		require.Len(t, piece, n)
	}
	require.NoError(t, w.Close())
	requireLine(t, conn, strings.ToUpper(all.String()))

	_, err = w.Write([]byte("too late"))
	require.Error(t, err)
	require.Error(t, w.Close())
	write(t, conn, "and on")
	requireLine(t, conn, "AND ON")
}

// A writer that was left open is finished by the next one.
func TestALineThatWasNotFinished(t *testing.T) {
	conn := newStage(t, nil).dial(t)
	w, err := conn.NextWriter(websocket.TextMessage)
	require.NoError(t, err)
	_, err = w.Write([]byte("unfinished"))
	require.NoError(t, err)
	next, err := conn.NextWriter(websocket.TextMessage)
	require.NoError(t, err)
	_, err = w.Write([]byte("more"))
	require.Error(t, err)
	_, err = next.Write([]byte("finished"))
	require.NoError(t, err)
	require.NoError(t, next.Close())
	requireLine(t, conn, "UNFINISHED")
	requireLine(t, conn, "FINISHED")
}

func TestTheCommandEnds(t *testing.T) {
	s := newStage(t, nil)
	conn := s.dial(t)
	write(t, conn, "quit")
	requireLine(t, conn, "as you wish")
	_, _, err := conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.CloseNormalClosure}, err)
	r := s.result(t)
	require.NoError(t, r.Exit)
	require.NoError(t, r.Output)
	require.True(t, r.Closed, "by the answer to our close frame")
	require.EqualError(t, r.Input, "websocket: close 1000 (normal)")
}

func TestTheCommandFails(t *testing.T) {
	s := newStage(t, nil)
	conn := s.dial(t)
	write(t, conn, "fail")
	_, _, err := conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.CloseInternalServerErr, Text: "exit status 3"}, err)
	require.EqualError(t, s.result(t).Exit, "exit status 3")
}

// The client's close frame is answered while it is read; what the command has
// to say about the end of its input comes too late.
func TestTheClientEnds(t *testing.T) {
	s := newStage(t, nil)
	conn := s.dial(t)
	write(t, conn, "hello")
	requireLine(t, conn, "HELLO")
	require.NoError(t, conn.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, "done"), time.Now().Add(patience)))
	require.Same(t, websocket.ErrCloseSent, conn.WriteMessage(websocket.TextMessage, []byte("one more")))
	_, err := conn.NextWriter(websocket.TextMessage)
	require.Same(t, websocket.ErrCloseSent, err)
	_, _, err = conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.CloseNormalClosure}, err)
	r := s.result(t)
	require.NoError(t, r.Exit)
	require.True(t, r.Closed)
	require.True(t, r.OutputLate, "%v", r.Output)
}

func TestTheClientVanishes(t *testing.T) {
	s := newStage(t, nil)
	require.NoError(t, s.dial(t).Close())
	r := s.result(t)
	require.NoError(t, r.Exit)
	require.False(t, r.Closed, "%v", r.Input)
}

// The wait for the client's close frame is bounded.
func TestTheClientDoesNotAnswerTheGoodbye(t *testing.T) {
	s := newStage(t, func(b *command.Bridge) { b.CloseWait = 10 * time.Millisecond })
	conn := s.dial(t)
	write(t, conn, "quit")
	r := s.result(t)
	require.NoError(t, r.Exit)
	require.False(t, r.Closed)
	timeout, ok := r.Input.(net.Error)
	require.True(t, ok, "%v", r.Input)
	require.True(t, timeout.Timeout())
	requireLine(t, conn, "as you wish")
}

func TestALineThatIsTooLong(t *testing.T) {
	s := newStage(t, func(b *command.Bridge) { b.MaxLine = 1024 })
	conn := s.dial(t)
	write(t, conn, strings.Repeat("a", 1024-1))
	requireLine(t, conn, strings.Repeat("A", 1024-1))
	write(t, conn, strings.Repeat("a", 1025))
	_, _, err := conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
	require.EqualError(t, s.result(t).Input, "websocket: read limit exceeded")
}

func TestPingsPassBesideTheOutput(t *testing.T) {
	s := newStage(t, func(b *command.Bridge) { b.PingEvery = time.Millisecond })
	conn := s.dial(t)
	pings, answer := 0, conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		require.Equal(t, "there?", data)
		pings++
		return answer(data)
	})
	for round := 0; pings < 20; round++ {
		line := fmt.Sprint("round ", round)
		write(t, conn, line)
		requireLine(t, conn, strings.ToUpper(line))
	}
	write(t, conn, "quit")
	requireLine(t, conn, "as you wish")
	_, _, err := conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure), "%v", err)
}
