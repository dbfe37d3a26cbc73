package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// netConnMessage is the largest message that a NetConn sends, and how many bytes of
	// earlier ones may wait.
	netConnMessage = 64 << 10

	// netConnClose is how long the Close of a NetConn may take.
	netConnClose = 5 * time.Second
)

// Errors of a NetConn's own.
var (
	errOtherType    = errors.New("websocket: NetConn received a message of another type than its own")
	errNoStreamType = errors.New("websocket: NetConn of a message type that is neither TextMessage nor BinaryMessage")
)

const errReadTimeout = timeoutError("websocket: read timeout")

// NetConn returns a net.Conn whose bytes go as the payload of messages of one type,
// TextMessage or BinaryMessage. From then on it is the one that uses c. Messages are no more
// than the pieces that bytes come in: empty ones are passed over.
//
// Read returns io.EOF once the peer has sent a close frame with code 1000 or 1001, or without
// one, as it has ended the stream then; of any other end it returns the error of
// [Conn.ReadMessage], so a stream that is cut is no io.EOF. A message of the other type fails
// the connection with code 1003 (RFC 6455 §7.4.1). The read limit of c holds for each message.
//
// Write returns when all is queued, of which at most 64 KiB wait beside as much that is being
// sent; [SendQueue] says how. Each Write is a message, or several of 64 KiB. Text is not cut
// inside a character, but each Write must be UTF-8 by itself. Write waits for the peer without
// end unless there is a deadline: WriteTimeout of the Upgrader or Dialer does not hold. A
// [Keepalive] finds peers that are gone.
//
// Deadlines are those of a net.Conn: a call that ran into one returns an error that is
// os.ErrDeadlineExceeded, and may be repeated, since no message is cut by it. Any number of
// goroutines may call each method; several that read, or write, do so in turn.
//
// There is no half-close: WebSocket has none (RFC 6455 §5.5.1). Once the peer has sent a close frame,
// which Read answers, Write returns [ErrCloseSent].
//
// Close has calls that wait return net.ErrClosed, drops what comes in, sends what is queued,
// and does the closing handshake with code 1000. It takes five seconds at most, and as long as
// [Conn.Close] takes. It returns an error if not all that was written could be sent.
func NetConn(c *Conn, messageType int) net.Conn {
	if c == nil {
		c = new(Conn)
	}
	n := &netConn{
		c:           c,
		messageType: messageType,
		queue:       NewSendQueue(c, QueueLimits{Bytes: netConnMessage}),
		reading:     make(chan struct{}, 1),
		writing:     make(chan struct{}, 1),
		done:        make(chan struct{}),
	}
	n.writeTime, n.endWriteTime = until(time.Time{})
	if messageType != TextMessage && messageType != BinaryMessage {
		n.messageType, n.readErr = -1, errNoStreamType
	}
	_ = c.SetWriteDeadline(time.Time{}) // of a zero Conn each call is an error
	return n
}

// A netConn is what NetConn returns. It does not embed the Conn: a program that asks a net.Conn
// for more methods must not find those.
type netConn struct {
	c           *Conn
	messageType int
	queue       *SendQueue

	reading chan struct{} // is full while somebody reads
	message io.Reader     // what is read of; the reader's
	readErr error         // beside those of the connection; the reader's

	writing chan struct{} // is full while somebody writes

	done chan struct{} // closed by Close

	mu           sync.Mutex // guards the fields below, and the closing of done
	readDeadline time.Time
	writeTime    context.Context // ends with the write deadline, when that is moved, and with Close
	endWriteTime context.CancelFunc
}

func (n *netConn) LocalAddr() net.Addr  { return n.c.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr { return n.c.RemoteAddr() }

func (n *netConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	select {
	case n.reading <- struct{}{}:
		defer func() { <-n.reading }()
	case <-n.done:
		return 0, errConnClosed
	}
	for {
		if err := n.readRefused(); err != nil {
			return 0, err
		}
		if n.message == nil {
			if err := n.nextMessage(); err != nil {
				return 0, n.readError(err)
			}
		}
		got, err := n.message.Read(p)
		if err == io.EOF {
			n.message, err = nil, nil
		}
		if got > 0 || err != nil {
			return got, n.readError(err)
		}
	}
}

func (n *netConn) readRefused() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed():
		return errConnClosed
	case !n.readDeadline.IsZero() && !time.Now().Before(n.readDeadline):
		return errReadTimeout
	}
	return n.readErr
}

func (n *netConn) nextMessage() error {
	messageType, r, err := n.c.NextReader()
	if err != nil {
		return err
	}
	if messageType != n.messageType {
		n.readErr = errOtherType
		n.c.sendClose(CloseUnsupportedData, "message type is not the one of the stream")
		return errOtherType
	}
	n.message = r
	return nil
}

// readError is what Read makes of an error of the connection.
func (n *netConn) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case n.closed():
		return errConnClosed
	case IsCloseError(err, CloseNormalClosure, CloseGoingAway, CloseNoStatusReceived):
		return io.EOF
	}
	return err
}

func (n *netConn) Write(p []byte) (written int, err error) {
	if n.messageType < 0 {
		return 0, errNoStreamType
	}
	for turn := false; !turn; {
		t := n.timeToWrite()
		select {
		case n.writing <- struct{}{}:
			turn = true
		case <-t.Done():
			if err := n.writeRefused(t); err != nil {
				return 0, err
			}
		}
	}
	defer func() { <-n.writing }()
	for written < len(p) {
		piece := n.piece(p[written:])
		t := n.timeToWrite()
		err := n.queue.Send(t, n.messageType, piece)
		if err == nil {
			written += len(piece)
			continue
		}
		if t.Err() != nil {
			err = n.writeRefused(t)
		}
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// piece is how much of p goes in one message.
func (n *netConn) piece(p []byte) []byte {
	if len(p) <= netConnMessage {
		return p
	}
	end := netConnMessage
	for back := 1; n.messageType == TextMessage && back < utf8.UTFMax && !utf8.RuneStart(p[end]); back++ {
		end--
	}
	return p[:end]
}

func (n *netConn) timeToWrite() context.Context {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.writeTime
}

// writeRefused is why a write ends whose time has ended; nil if it has got a new one.
func (n *netConn) writeRefused(t context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed():
		return errConnClosed
	case n.writeTime != t:
		return nil
	}
	return errWriteTimeout
}

func until(t time.Time) (context.Context, context.CancelFunc) {
	if t.IsZero() {
		return context.WithCancel(context.Background())
	}
	return context.WithDeadline(context.Background(), t)
}

func (n *netConn) SetDeadline(t time.Time) error {
	if err := n.SetReadDeadline(t); err != nil {
		return err
	}
	return n.SetWriteDeadline(t)
}

func (n *netConn) SetReadDeadline(t time.Time) error {
	n.mu.Lock()
	if n.closed() {
		n.mu.Unlock()
		return errConnClosed
	}
	n.readDeadline = t
	n.mu.Unlock()
	return n.applyReadDeadline()
}

// applyReadDeadline tells the connection the read deadline. As with applyDeadline of Conn, whoever
// was late tells the newer one behind its own: Close's must not be undone.
func (n *netConn) applyReadDeadline() error {
	for {
		n.mu.Lock()
		t := n.readDeadline
		n.mu.Unlock()
		err := n.c.SetReadDeadline(t)
		n.mu.Lock()
		newest := t.Equal(n.readDeadline)
		n.mu.Unlock()
		if newest {
			return err
		}
	}
}

// moveReadDeadline is SetReadDeadline for Close.
func (n *netConn) moveReadDeadline(t time.Time) {
	n.mu.Lock()
	n.readDeadline = t
	n.mu.Unlock()
	_ = n.applyReadDeadline()
}

func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed() {
		return errConnClosed
	}
	n.endWriteTime()
	n.writeTime, n.endWriteTime = until(t)
	return nil
}

func (n *netConn) closed() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// markClosed has all calls that come, and those that wait, end.
func (n *netConn) markClosed() (first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed() {
		return false
	}
	close(n.done)
	n.endWriteTime()
	return true
}

func (n *netConn) Close() error {
	if !n.markClosed() {
		return nil
	}
	if n.c.transport.Conn == nil {
		return errNoConn
	}
	t, cancel := context.WithTimeout(context.Background(), netConnClose)
	defer cancel()
	stop := context.AfterFunc(t, func() {
		defer ignorePanic()
		_ = n.c.Close()
	})
	defer stop()
	n.moveReadDeadline(aLongTimeAgo) // whoever reads gives up its turn
	said := make(chan error, 1)
	go func() { said <- n.sayGoodbye(t) }()
	n.drain(t) // at the same time, as the peer may have to write before it reads
	err := <-said
	_ = n.c.Close()
	return err
}

// sayGoodbye sends what is queued, and a close frame.
func (n *netConn) sayGoodbye(t context.Context) error {
	defer n.c.recoverWrite()
	n.writing <- struct{}{} // for good: a write that goes on in spite of Close is to be flushed too
	if err := n.queue.Flush(t); err != nil {
		_ = n.c.Close() // there is nothing to drain for
		if t.Err() != nil {
			return errCorkedLost
		}
		return err
	}
	end, _ := t.Deadline()
	err := n.c.WriteControl(CloseMessage, FormatCloseMessage(CloseNormalClosure, ""), end)
	if err == nil || err == ErrCloseSent { // the peer was first
		return nil
	}
	return n.c.out.waitForUncorked() // what was corked counts as written
}

// drain drops what comes in until the peer's close frame.
func (n *netConn) drain(t context.Context) {
	select {
	case n.reading <- struct{}{}:
		defer func() { <-n.reading }()
	case <-t.Done():
		return
	}
	end, _ := t.Deadline()
	n.moveReadDeadline(end)
	for {
		_, _, err := n.c.NextReader()
		if err != nil && (n.c.is(isUnreadable) || !isDeadline(err) || !time.Now().Before(end)) {
			return // else a SetReadDeadline that was under way has come between for a moment
		}
	}
}
