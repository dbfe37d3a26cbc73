package websocket

import (
	"io"
	"sync"
	"sync/atomic"
)

// NextReader goes on to the next data message and returns its type,
// TextMessage or BinaryMessage, and a reader of its payload. What was not read
// of an earlier message is dropped, and its reader returns io.EOF from then on.
// The reader's Read returns io.EOF at the end of the message; its other
// errors, and those of NextReader, are the ones of [Conn.ReadMessage]. On an
// error NextReader returns -1, nil and the error.
func (c *Conn) NextReader() (messageType int, r io.Reader, err error) {
	if err := c.beginRead(); err != nil {
		return -1, nil, err
	}
	defer c.endRead()
	if err := c.awaitMessage(); err != nil {
		return -1, nil, err
	}
	if err := c.beginMessage(); err != nil {
		return -1, nil, err
	}
	c.in.streamed = true
	c.in.reader = newMessageReader(c)
	return int(c.in.opcode), c.in.reader, nil
}

// A messageReader reads one message. It is used for that one alone, so that a
// reader that a program kept by mistake can never take bytes from a later
// message.
type messageReader struct {
	conn atomic.Pointer[Conn] // nil once the reader has ended, so that it keeps no Conn alive
	err  error                // what it ended with; set before conn
}

// readerBlocks has what is left of blocks of messageReaders: made in blocks,
// they cost next to no allocation a message.
var readerBlocks = sync.Pool{New: func() any { return new([]messageReader) }}

func newMessageReader(c *Conn) *messageReader {
	block := readerBlocks.Get().(*[]messageReader)
	if len(*block) == 0 {
		*block = make([]messageReader, 64)
	}
	r := &(*block)[0]
	*block = (*block)[1:]
	readerBlocks.Put(block)
	r.conn.Store(c)
	return r
}

func (r *messageReader) end(err error) {
	r.err = err
	r.conn.Store(nil)
}

func (r *messageReader) Read(p []byte) (n int, err error) {
	c := r.conn.Load()
	if c == nil {
		return 0, r.err
	}
	if err := c.beginRead(); err != nil {
		return 0, err
	}
	defer c.endRead()
	in := &c.in
	if in.reader != r { // it was ended just now
		return 0, r.err
	}
	if in.inflation != nil {
		if n, err = c.readInflated(p); err == io.EOF {
			c.endMessage()
		}
		return n, err
	}
	if in.gathered != nil && len(*in.gathered) > 0 {
		n = copy(p, *in.gathered)
		*in.gathered = (*in.gathered)[n:]
		return n, nil
	}
	for in.remaining == 0 {
		if in.fin {
			c.endMessage()
			return 0, io.EOF
		}
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err = c.readPayload(p)
	if err == nil && in.remaining == 0 && in.fin {
		c.endMessage() // so that the Read that finds the end need not look at the connection
	}
	return n, err
}
