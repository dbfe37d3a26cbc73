// Package filewatch shows a file to whoever connects: at once, and again
// whenever it has changed. The client has nothing to say; what it sends is not
// listened to.
package filewatch

import (
	"net/http"
	"os"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

const (
	writeWait = 10 * time.Second
	pongWait  = 60 * time.Second

	// Clients only send control frames.
	maxMessage = 512
)

// A Watcher is an http.Handler for one file.
type Watcher struct {
	File string

	// NewTicker starts a ticker for a connection, by which the file is looked
	// at and the client pinged.
	NewTicker func(purpose Purpose) (ticks <-chan time.Time, stop func())

	// Done, if not nil, is told why a connection ended.
	Done func(reading, writing error)
}

// A Purpose is what a ticker is for.
type Purpose int

const (
	Poll Purpose = iota
	Ping
)

// Intervals are the times between the ticks of a Watcher in production.
var Intervals = map[Purpose]time.Duration{Poll: 10 * time.Second, Ping: pongWait * 9 / 10}

// RealTicker is a NewTicker by the clock.
func RealTicker(purpose Purpose) (<-chan time.Time, func()) {
	t := time.NewTicker(Intervals[purpose])
	return t.C, t.Stop
}

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

// ServeHTTP shows the file until the client goes away.
func (w *Watcher) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(rw, r, nil)
	if err != nil {
		return // the client was told
	}
	gone := make(chan error, 1)
	go func() { gone <- ignore(conn) }()
	writing, reading := w.show(conn, gone)
	_ = conn.Close()
	if reading == nil {
		reading = <-gone
	}
	if w.Done != nil {
		w.Done(reading, writing)
	}
}

// ignore reads until the connection ends, for the sake of control frames.
func ignore(conn *websocket.Conn) error {
	conn.SetReadLimit(maxMessage)
	if err := conn.SetReadDeadline(time.Now().Add(pongWait)); err != nil {
		return err
	}
	conn.SetPongHandler(func(string) error { return conn.SetReadDeadline(time.Now().Add(pongWait)) })
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return err
		}
	}
}

// show writes until it fails or the client is gone.
func (w *Watcher) show(conn *websocket.Conn, gone <-chan error) (writing, reading error) {
	polls, stop := w.NewTicker(Poll)
	defer stop()
	pings, stop := w.NewTicker(Ping)
	defer stop()
	var seen version
	for {
		if writing = w.showIfNew(conn, &seen); writing != nil {
			return writing, nil
		}
		select {
		case reading = <-gone:
			return nil, reading
		case <-polls:
		case <-pings:
			_ = conn.SetWriteDeadline(time.Now().Add(writeWait))
			if writing = conn.WriteMessage(websocket.PingMessage, nil); writing != nil {
				return writing, nil
			}
		}
	}
}

// A version is what tells one content of the file from the next.
type version struct {
	modified time.Time
	size     int64
}

// showIfNew sends the file if it is not the version that was seen. A file that
// is not there is waited for.
func (w *Watcher) showIfNew(conn *websocket.Conn, seen *version) error {
	info, err := os.Stat(w.File)
	if err != nil {
		return nil
	}
	v := version{info.ModTime(), info.Size()}
	if v == *seen {
		return nil
	}
	content, err := os.ReadFile(w.File)
	if err != nil {
		return nil
	}
	*seen = v
	_ = conn.SetWriteDeadline(time.Now().Add(writeWait))
	return conn.WriteMessage(websocket.TextMessage, content)
}
