package websocket

import (
	"io"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

// A BufferPool is a pool of write buffers; *sync.Pool is one.
type BufferPool interface {
	// Get returns a value from the pool, or nil if the pool is empty.
	Get() any
	// Put adds a value to the pool.
	Put(any)
}

// writeOptions are what a program chose for the buffers of its writers.
type writeOptions struct {
	size int
	pool BufferPool
}

func newWriteOptions(size int, pool BufferPool) *writeOptions {
	if size <= bufpool.Size-headerRoom && pool == nil {
		return nil
	}
	return &writeOptions{size: size, pool: pool}
}

func (o *writeOptions) getBuffer() *bufpool.Buffer {
	if o == nil {
		return bufpool.Get(bufpool.Size)
	}
	if o.pool == nil {
		return bufpool.Get(o.size + headerRoom)
	}
	if b, ok := o.pool.Get().(*bufpool.Buffer); ok && b != nil {
		return b
	}
	return &bufpool.Buffer{Data: make([]byte, max(bufpool.Size, o.size+headerRoom))}
}

func (o *writeOptions) putBuffer(b *bufpool.Buffer) {
	if o == nil || o.pool == nil {
		bufpool.Put(b)
		return
	}
	o.pool.Put(b)
}

// A messageWriter writes one message. It gathers what is written to it and
// sends it as one frame when it is closed, or in fragments if it is more than
// its buffer holds. It takes the write half for each fragment only.
type messageWriter struct {
	c       *Conn
	control bool // of a control message, which is never fragmented

	// Guarded by the write half's mu.
	next opcode          // of the next frame: the message's, then continuation
	buf  *bufpool.Buffer // what was gathered; nil while it is on its way
	err  error           // once the writer can take no more
}

// NextWriter returns a writer for a message of the given type, TextMessage,
// BinaryMessage or a control type. The message ends with the writer's Close.
// What is written is gathered, up to WriteBufferSize bytes or 16 KiB, whichever
// is more, and sent in fragments if it is more than that. Other messages may
// pass until the first fragment was sent, and then wait for the writer's Close,
// as long as their write deadline lets them. A writer that an earlier
// NextWriter returned and that was not closed is closed first.
//
// The errors of NextWriter and of the writer's methods are those of
// [Conn.WriteMessage]. After a Write or Close that ran into its deadline before
// anything was handed to the transport, the same call may be repeated.
func (c *Conn) NextWriter(messageType int) (io.WriteCloser, error) {
	if c.transport.Conn == nil {
		return nil, errNoConn
	}
	op := opcode(messageType)
	if messageType != int(op) || op == opContinuation || op.isReserved() {
		return nil, errBadMessageType
	}
	out := &c.out
	out.mu.Lock()
	open := out.writer
	out.mu.Unlock()
	if open != nil {
		if err := open.Close(); err != nil && err != errWriterClosed {
			return nil, err
		}
	}
	buf := c.writeOptions.getBuffer()
	buf.R, buf.W = headerRoom, headerRoom
	w := &messageWriter{c: c, control: op.isControl(), next: op, buf: buf}
	out.mu.Lock()
	err := out.err
	if err == nil {
		out.writer = w
	}
	out.mu.Unlock()
	if err != nil {
		c.writeOptions.putBuffer(buf)
		return nil, err
	}
	return w, nil
}

func (w *messageWriter) Write(p []byte) (int, error) { return writeTo(w, p) }

func (w *messageWriter) WriteString(s string) (int, error) { return writeTo(w, s) }

func writeTo[T []byte | string](w *messageWriter, p T) (int, error) {
	done, err := gather(w, p)
	if err == nil && !done {
		err = w.sendFragment(false, []byte(p))
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// gather takes p into the buffer, if there is room.
func gather[T []byte | string](w *messageWriter, p T) (done bool, err error) {
	out := &w.c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	switch {
	case w.err != nil:
		return false, w.err
	case w.buf == nil:
		return false, nil
	case w.control && len(w.buf.Bytes())+len(p) > maxControlPayload:
		return false, errControlTooLong
	case len(p) > len(w.buf.Data)-w.buf.W:
		return false, nil
	}
	w.buf.W += copy(w.buf.Data[w.buf.W:], p)
	return true, nil
}

// Close sends what was gathered as the last frame of the message.
func (w *messageWriter) Close() error { return w.sendFragment(true, nil) }

// sendFragment sends what was gathered, and p behind it, as one frame.
func (w *messageWriter) sendFragment(last bool, p []byte) error {
	c := w.c
	if err := w.refusal(); err != nil {
		return err
	}
	if err := c.lead(w.control, w, writeDeadline{}); err != nil {
		c.out.mu.Lock()
		stuck := c.out.err != nil
		c.out.mu.Unlock()
		if stuck {
			w.end(err)
		}
		return err
	}
	defer c.follow()
	buf, err := w.take()
	if err != nil {
		return err
	}
	h := header{fin: last, opcode: w.next}
	err = c.sendFrame(h, buf, p, writeDeadline{})
	w.giveBack(buf)
	switch {
	case err != nil:
		w.end(err)
	case last:
		w.end(errWriterClosed)
	}
	return err
}

// refusal is why the writer cannot send what it has.
func (w *messageWriter) refusal() error {
	out := &w.c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if w.err == nil && w.buf != nil && w.next == opClose {
		return checkCloseToSend(w.buf.Bytes())
	}
	return w.err
}

// take takes the buffer away, so that nobody writes into it while it is sent,
// and giveBack puts it back empty, behind a first fragment. The caller leads.
func (w *messageWriter) take() (*bufpool.Buffer, error) {
	out := &w.c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	buf := w.buf
	w.buf = nil
	return buf, nil
}

func (w *messageWriter) giveBack(buf *bufpool.Buffer) {
	out := &w.c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	buf.R, buf.W = headerRoom, headerRoom
	w.buf = buf
	w.next = opContinuation
	out.stream = w
}

// end lets go of what the writer holds. Its methods return err from now on.
func (w *messageWriter) end(err error) {
	out := &w.c.out
	out.mu.Lock()
	buf := w.buf
	w.buf, w.err = nil, err
	if out.stream == w {
		out.stream = nil
	}
	if out.writer == w {
		out.writer = nil
	}
	out.mu.Unlock()
	if buf != nil {
		w.c.writeOptions.putBuffer(buf) // the program's code, so not under mu
	}
}

// abandonWriters is for Close: it ends the writers that are still open.
func (c *Conn) abandonWriters() {
	c.out.mu.Lock()
	writer, stream := c.out.writer, c.out.stream
	c.out.mu.Unlock()
	for _, w := range []*messageWriter{writer, stream} {
		if w != nil {
			w.end(errConnClosed)
		}
	}
}
