package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// errMessage is that of a message that is not the one that was due.
var errMessage = errors.New("not the message that was due")

// inFlight is how many messages of a connection have not come back at most.
const inFlight = 64

// An ending is how a connection ended.
type ending int

const (
	finished ending = iota // after the messages that it was made for, by a closing handshake
	left                   // cut by the client
	killed                 // cut by the server
	sentAway               // by a server that was replaced
	endings                // how many there are
)

func (e ending) String() string {
	return [...]string{
		finished: "closed by the client after its last message had come back",
		left:     "cut by the client",
		killed:   "cut by the server",
		sentAway: "closed by a server that was replaced, with 1001",
	}[e]
}

// A life is one connection's.
type life struct {
	conn     *websocket.Conn
	id       uint64
	messages uint64 // to be sent
	leaves   bool   // it is cut by the client behind the last of them
	slow     bool   // it stops reading now and then
	pause    time.Duration
	lull     *lull
	room     chan struct{} // for messages in flight
	sent     atomic.Uint64
	came     uint64
	cut      atomic.Bool
}

// open connects. It is again tried where the server was just replaced.
func open(ctx context.Context, address func() string, id uint64, pause time.Duration, lull *lull) (*life, error) {
	for {
		c, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+address(), nil)
		if err == nil {
			return &life{
				conn: c, id: id, pause: pause, lull: lull,
				messages: 1 + uint64(rand.ExpFloat64()*100),
				leaves:   rand.IntN(10) == 0,
				slow:     rand.IntN(20) == 0,
				room:     make(chan struct{}, inFlight),
			}, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond): // its listener may be closed already
		}
	}
}

// run sends and compares until the connection ends, which ctx makes it do early, by a closing
// handshake. An error is what must not happen.
func (l *life) run(ctx context.Context) (ending, error) {
	defer l.conn.Close()
	var writer sync.WaitGroup
	writer.Go(func() { l.write(ctx) })
	err := l.read()
	l.conn.Close() // the writer sees that
	writer.Wait()
	sent := l.sent.Load()
	l.lull.underWay.Add(int64(l.came) - int64(sent)) // what is lost is not awaited
	switch {
	case errors.Is(err, errMessage):
		return 0, err
	case l.cut.Load():
		return left, nil
	case websocket.IsCloseError(err, websocket.CloseNormalClosure) && l.came == sent:
		return finished, nil
	case websocket.IsCloseError(err, websocket.CloseGoingAway):
		return sentAway, nil
	// A reset is what the system makes of a connection that is cut with messages unread.
	case websocket.IsCloseError(err, websocket.CloseAbnormalClosure), errors.Is(err, syscall.ECONNRESET):
		return killed, nil
	}
	return 0, fmt.Errorf("connection %d: %d of %d messages came back: %w", l.id, l.came, sent, err)
}

// write sends the messages, and then ends the connection. What keeps it from that is for
// read to judge, which sees the end too.
func (l *life) write(ctx context.Context) {
	var p []byte
	for number := uint64(1); number <= l.messages && ctx.Err() == nil; number++ {
		select {
		case l.room <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		p = message(again(p), l.id, number)
		// Counted before, so that it is never less than what came.
		l.sent.Add(1)
		if l.lull.send(func() error { return l.conn.WriteMessage(websocket.BinaryMessage, p) }) != nil {
			return
		}
		select {
		case <-time.After(time.Duration(rand.ExpFloat64() * float64(l.pause))):
		case <-ctx.Done():
		}
	}
	if l.leaves {
		l.cut.Store(true)
		_ = l.conn.NetConn().(*net.TCPConn).SetLinger(0) // a reset, unless the server was quicker
		l.conn.Close()
		return
	}
	// The server answers what came before, and echoes this last.
	_ = l.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Minute))
}

// read compares what comes back, until the connection ends.
func (l *life) read() error {
	var p []byte
	for {
		if l.slow && rand.IntN(20) == 0 {
			time.Sleep(time.Duration(rand.IntN(int(3 * l.pause))))
		}
		_, m, err := l.conn.AppendMessage(again(p))
		if err != nil {
			return err
		}
		p = m
		l.came++
		l.lull.underWay.Add(-1)
		if err := check(m, l.id, l.came); err != nil {
			return err
		}
		<-l.room
	}
}
