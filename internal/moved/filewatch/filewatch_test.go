package filewatch_test

import (
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/moved/filewatch"
	"github.com/stretchr/testify/require"
)

// patience is how long something may take that is bound to happen.
const patience = 20 * time.Second

// A desk is a file that is watched, and the hands that move its clocks.
type desk struct {
	file    string
	version int
	url     string
	ticks   map[filewatch.Purpose]chan time.Time
	stopped chan filewatch.Purpose
	ended   chan end
}

type end struct{ reading, writing error }

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{
		file: filepath.Join(t.TempDir(), "notes.txt"),
		ticks: map[filewatch.Purpose]chan time.Time{
			filewatch.Poll: make(chan time.Time), filewatch.Ping: make(chan time.Time),
		},
		stopped: make(chan filewatch.Purpose, 2),
		ended:   make(chan end, 1),
	}
	server := httptest.NewServer(&filewatch.Watcher{
		File: d.file,
		NewTicker: func(p filewatch.Purpose) (<-chan time.Time, func()) {
			return d.ticks[p], func() { d.stopped <- p }
		},
		Done: func(reading, writing error) { d.ended <- end{reading, writing} },
	})
	t.Cleanup(server.Close)
	d.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return d
}

func (d *desk) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(d.url, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		d.end(t)
	})
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	return conn
}

// write changes the file, at a time that differs from the last one whatever the
// file system thinks of it.
func (d *desk) write(t *testing.T, content string) {
	t.Helper()
	d.version++
	fresh := d.file + ".new"
	require.NoError(t, os.WriteFile(fresh, []byte(content), 0o600))
	at := time.Unix(1_000_000_000+int64(d.version)*60, 0)
	require.NoError(t, os.Chtimes(fresh, at, at))
	require.NoError(t, os.Rename(fresh, d.file))
}

func (d *desk) tick(t *testing.T, p filewatch.Purpose) {
	t.Helper()
	select {
	case d.ticks[p] <- time.Now():
	case <-time.After(patience):
		require.FailNow(t, "nobody takes the tick")
	}
}

// end is how the connection ended; it may be asked again.
func (d *desk) end(t *testing.T) end {
	t.Helper()
	select {
	case e := <-d.ended:
		d.ended <- e
		return e
	case <-time.After(patience):
		require.FailNow(t, "the connection did not end")
		return end{}
	}
}

func requireShown(t *testing.T, conn *websocket.Conn, content string) {
	t.Helper()
	kind, message, err := conn.ReadMessage()
	require.NoError(t, err)
	require.Equal(t, websocket.TextMessage, kind)
	require.Equal(t, content, string(message))
}

func TestAFileIsShownWhenItHasChanged(t *testing.T) {
	d := newDesk(t)
	d.write(t, "first")
	conn := d.dial(t)
	requireShown(t, conn, "first")
	d.tick(t, filewatch.Poll) // nothing is new
	d.tick(t, filewatch.Poll)
	d.write(t, "second")
	d.tick(t, filewatch.Poll)
	requireShown(t, conn, "second")
	d.write(t, "")
	d.tick(t, filewatch.Poll)
	requireShown(t, conn, "")
}

func TestAFileThatIsNotThereIsWaitedFor(t *testing.T) {
	d := newDesk(t)
	conn := d.dial(t)
	d.tick(t, filewatch.Poll)
	d.write(t, "here it is")
	d.tick(t, filewatch.Poll)
	requireShown(t, conn, "here it is")
	require.NoError(t, os.Remove(d.file))
	d.tick(t, filewatch.Poll)
	d.write(t, "and again")
	d.tick(t, filewatch.Poll)
	requireShown(t, conn, "and again")
}

// A message above every buffer, read a piece at a time.
func TestALargeFile(t *testing.T) {
	d := newDesk(t)
	content := strings.Repeat("all work and no play … ", 40_000)
	d.write(t, content)
	conn := d.dial(t)
	_, r, err := conn.NextReader()
	require.NoError(t, err)
	var got strings.Builder
	_, err = io.CopyBuffer(struct{ io.Writer }{&got}, r, make([]byte, 777))
	require.NoError(t, err)
	require.True(t, content == got.String())
	n, err := r.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err, "and it stays at its end")
}

// NextReader passes over what was not read of the message before.
func TestAClientThatReadsTheBeginningOnly(t *testing.T) {
	d := newDesk(t)
	d.write(t, "long "+strings.Repeat("story ", 10_000))
	conn := d.dial(t)
	_, long, err := conn.NextReader()
	require.NoError(t, err)
	head := make([]byte, 5)
	_, err = io.ReadFull(long, head)
	require.NoError(t, err)
	require.Equal(t, "long ", string(head))
	d.write(t, "short")
	d.tick(t, filewatch.Poll)
	requireShown(t, conn, "short")
	n, err := long.Read(head)
	require.Zero(t, n)
	require.Equal(t, io.EOF, err, "its time is over")
}

func TestPings(t *testing.T) {
	d := newDesk(t)
	conn := d.dial(t)
	pings := make(chan string, 2)
	answer := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		pings <- data
		return answer(data)
	})
	d.tick(t, filewatch.Ping)
	d.tick(t, filewatch.Ping)
	d.write(t, "read, or no ping is seen")
	d.tick(t, filewatch.Poll)
	requireShown(t, conn, "read, or no ping is seen")
	require.Len(t, pings, 2)
	require.Empty(t, <-pings)
}

func TestAClientThatSaysGoodbye(t *testing.T) {
	d := newDesk(t)
	conn := d.dial(t)
	require.NoError(t, conn.WriteMessage(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, "seen enough")))
	e := d.end(t)
	require.EqualError(t, e.reading, "websocket: close 1000 (normal): seen enough")
	require.NoError(t, e.writing)
	require.ElementsMatch(t, []filewatch.Purpose{filewatch.Poll, filewatch.Ping},
		[]filewatch.Purpose{<-d.stopped, <-d.stopped})
	_, _, err := conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: websocket.CloseNormalClosure}, err, "the code comes back without the text")
}

func TestAClientThatTalksIsIgnoredUpToALimit(t *testing.T) {
	d := newDesk(t)
	conn := d.dial(t)
	require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte("I have an idea!")))
	require.NoError(t, conn.WriteMessage(websocket.BinaryMessage, make([]byte, 512)))
	d.write(t, "nobody listens")
	d.tick(t, filewatch.Poll)
	requireShown(t, conn, "nobody listens")
	require.NoError(t, conn.WriteMessage(websocket.BinaryMessage, make([]byte, 513)))
	_, _, err := conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
	require.EqualError(t, d.end(t).reading, "websocket: read limit exceeded")
}

// A reset is an error of the transport and not the end of a stream.
func TestAConnectionThatIsCut(t *testing.T) {
	d := newDesk(t)
	conn := d.dial(t)
	tcp, ok := conn.NetConn().(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetLinger(0))
	require.NoError(t, tcp.Close())
	e := d.end(t)
	require.Error(t, e.reading)
	require.NotContains(t, e.reading.Error(), "websocket: close")
	_, _, err := conn.ReadMessage()
	require.ErrorIs(t, err, net.ErrClosed)
}
