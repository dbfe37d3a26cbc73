package websocket

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/utf8stream"
)

// A readHalf is what a connection knows of the bytes that come in. Its fields
// belong to the goroutine that holds busy.
type readHalf struct {
	busy atomic.Bool // a read method is under way
	more atomic.Bool // a complete further message is in hand; read by writers

	// The data message under way. Its opcode is 0 between messages.
	opcode    opcode
	fin       bool // the current frame is the last one
	begun     bool // some of the current frame's payload has been read
	streamed  bool // it was begun by NextReader; else it is being gathered
	utf8      utf8stream.State
	large     bool           // the newest frame was larger than a buffer
	corks     bool           // more was true since the last wait, so messages may be corked
	key       uint32         // masking key for the next byte of the current frame
	frames    uint32         // so far; it comes round to 0 only where there are as many bytes
	remaining int64          // bytes that the current frame still owes
	size      int64          // payload bytes of all frames so far, as their headers say
	reader    *messageReader // who may read it; nil if nobody any more
	gathered  *[]byte        // what a read that ran into its deadline had of it; nil if there is none
	inflation *inflation     // nil if it is not compressed

	buf *bufpool.Buffer // bytes in hand; nil while there are none
	err error           // the first error that no read survives
}

// start puts the bytes that came behind the opening handshake first in line.
func (in *readHalf) start(buffered []byte) {
	if len(buffered) > 0 {
		in.buf = bufpool.Get(len(buffered))
		in.buf.W = copy(in.buf.Data, buffered)
	}
}

// lend and giveBack make a readHalf the lender that a seam reads through. Behind a large
// frame there may be another one, of which more is read at once.
func (in *readHalf) lend() []byte {
	size := bufpool.Size
	if in.large {
		size = largeRead
	}
	in.buf = bufpool.Get(size)
	return in.buf.Data
}

func (in *readHalf) giveBack() {
	bufpool.Put(in.buf)
	in.buf = nil
}

// keepLess moves what is in hand to a buffer of the usual size, if it is in a larger one.
func (in *readHalf) keepLess() {
	b := in.buf
	if len(b.Data) <= bufpool.Size || len(b.Bytes()) > bufpool.Size {
		return
	}
	in.buf = bufpool.Get(bufpool.Size)
	in.buf.W = copy(in.buf.Data, b.Bytes())
	bufpool.Put(b)
}

// giveBackIfDrained lets go of the buffer once nothing is left in it.
func (in *readHalf) giveBackIfDrained() {
	if in.buf != nil && in.buf.R == in.buf.W {
		in.giveBack()
	}
}

// endReader makes err what the current reader returns from now on.
func (in *readHalf) endReader(err error) {
	if in.reader != nil {
		in.reader.end(err)
		in.reader = nil
	}
}

// bytes returns the bytes in hand.
func (in *readHalf) bytes() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf.Bytes()
}

// beginRead makes the caller the one reader until it calls endRead.
func (c *Conn) beginRead() error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	if !c.in.busy.CompareAndSwap(false, true) {
		if c.is(isClosed | isDraining) {
			return errConnClosed
		}
		if !c.is(isClosing) {
			return errConcurrentRead
		}
		if err := c.beginReadBesideClose(); err != nil {
			return err
		}
	}
	if err := c.in.err; err != nil {
		c.leaveRead()
		return err
	}
	return nil
}

// leaveRead is endRead for who has read nothing.
func (c *Conn) leaveRead() {
	c.in.busy.Store(false)
	if c.is(isClosing) {
		c.readerHasLeft()
	}
}

func (c *Conn) endRead() {
	c.in.busy.Store(false)
	if c.is(isClosed | isClosing) {
		c.abandonRead()
		c.readerHasLeft()
	}
}

// A readerLeft tells those who want to read after somebody else has, where that is allowed.
type readerLeft struct {
	mu   sync.Mutex
	left chan struct{} // closed when the reader leaves; nil if nobody waits for that
}

// readerLeaves returns a channel that is closed when the read method under way has ended.
// Who finds after this that there is none need not wait.
func (c *Conn) readerLeaves() <-chan struct{} {
	l := extra(c, func(x *extras) **readerLeft { return &x.left })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == nil {
		l.left = make(chan struct{})
	}
	return l.left
}

// A readPlace is what CloseContext finds where somebody may be reading.
type readPlace int

const (
	placeTaken readPlace = iota // it reads now
	placeBusy                   // somebody else does
	placeKept                   // nobody does, and there are bytes in hand that somebody may come for
)

// readInPlace makes the caller the reader, if nobody is, and unless it keeps what is in hand for another.
func (c *Conn) readInPlace(keeps bool) readPlace {
	l := extra(c, func(x *extras) **readerLeft { return &x.left })
	l.mu.Lock()
	defer l.mu.Unlock()
	switch in := &c.in; {
	case !in.busy.CompareAndSwap(false, true):
		return placeBusy
	case keeps && in.err == nil && (in.opcode != 0 || in.buf != nil):
		in.busy.Store(false)
		return placeKept
	}
	c.setFlag(isDraining)
	return placeTaken
}

// beginReadBesideClose makes the caller the reader, if nobody is but a readInPlace that has only looked.
func (c *Conn) beginReadBesideClose() error {
	l := extra(c, func(x *extras) **readerLeft { return &x.left })
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.in.busy.CompareAndSwap(false, true):
		return nil
	case c.is(isClosed | isDraining):
		return errConnClosed
	}
	return errConcurrentRead
}

func (c *Conn) readerHasLeft() {
	l := c.loadExtras().left
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left != nil {
		close(l.left)
		l.left = nil
	}
}

// abandonRead lets go of what the read half holds once Close was called. While
// a read method is under way that is for its endRead to do.
func (c *Conn) abandonRead() {
	if c.is(isClosed) && c.in.busy.CompareAndSwap(false, true) {
		if c.in.err == nil {
			c.in.err = errConnClosed
		}
		c.stopReading(c.in.err)
		c.leaveRead()
	}
}

// stopReading makes err what every read returns from now on.
func (c *Conn) stopReading(err error) {
	in := &c.in
	in.err = err
	in.endReader(err)
	in.gathered = nil
	in.endInflation()
	if in.buf != nil {
		in.giveBack()
	}
	c.readEnded(err)
}

// failRead fails the connection (RFC 6455 §7.1.7): it stops reading with err
// and tells the peer why, for as long as replyWait.
func (c *Conn) failRead(err error, code int, reason string) error {
	c.stopReading(err)
	c.setFlag(isFailed)
	c.sendClose(code, reason)
	return err
}

func (c *Conn) violated(rule *ProtocolError) error {
	return c.failRead(rule, rule.Code, rule.Rule)
}

// transportFailed decides what an error of the transport means: a deadline is
// passed on and may be followed by another read, the end of the bytes without
// a close frame has a close code of its own (RFC 6455 §7.1.5), and anything
// else is passed on for good.
func (c *Conn) transportFailed(err error) error {
	switch {
	case c.is(isClosed):
		err = errConnClosed
	case c.is(isSilent):
		err = ErrKeepaliveTimeout
	case isDeadline(err):
		return err
	case err == io.EOF:
		err = &CloseError{Code: CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}
	}
	c.stopReading(err)
	return err
}
