package websocket

import (
	"context"
	"io"
	"math"

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
	size      int32
	threshold int32 // of Compression; 0: the default
	pool      BufferPool
}

// maxWriteBuffer bounds WriteBufferSize, so that sums with it can be had.
const maxWriteBuffer = 256 << 20

func newWriteOptions(size int, pool BufferPool, o *Compression) *writeOptions {
	threshold := 0
	if o != nil {
		threshold = o.Threshold
	}
	if size <= bufpool.Size-headerRoom && pool == nil && threshold == 0 {
		return nil
	}
	return &writeOptions{
		size:      int32(min(max(size, bufpool.Size-headerRoom), maxWriteBuffer)),
		threshold: int32(min(threshold, math.MaxInt32)),
		pool:      pool,
	}
}

// getBuffer returns an empty buffer for a writer. From the library's own pool
// it is of the common size at first, since most messages are small.
func (o *writeOptions) getBuffer() *bufpool.Buffer {
	if o == nil || o.pool == nil {
		return bufpool.Get(bufpool.Size)
	}
	if b, ok := o.pool.Get().(*bufpool.Buffer); ok && b != nil && len(b.Data) >= bufpool.Size {
		return b
	}
	return &bufpool.Buffer{Data: make([]byte, int(o.size)+headerRoom)}
}

func (o *writeOptions) putBuffer(b *bufpool.Buffer) {
	if o == nil || o.pool == nil {
		bufpool.Put(b)
		return
	}
	o.pool.Put(b)
}

// limit is how much a writer's buffer may hold, with the room for its header.
func (o *writeOptions) limit(b *bufpool.Buffer) int {
	switch {
	case o == nil:
		return bufpool.Size
	case o.pool != nil:
		return min(len(b.Data), int(o.size)+headerRoom)
	}
	return int(o.size) + headerRoom
}

// grown returns a buffer with what b holds and room for n bytes more, which is
// within the limit; or b, if that has the room.
func (o *writeOptions) grown(b *bufpool.Buffer, n int) *bufpool.Buffer {
	if n <= len(b.Data)-b.W {
		return b
	}
	larger := bufpool.Get(min(max(2*len(b.Data), b.W+n), o.limit(b)))
	larger.R, larger.W = b.R, copy(larger.Data, b.Data[:b.W])
	bufpool.Put(b)
	return larger
}

// A messageWriter writes one message. It gathers what is written to it and
// sends it as one frame when it is closed, or in fragments if it is more than
// its buffer holds. It takes the write half for each fragment only.
type messageWriter struct {
	c       *Conn
	control bool            // of a control message, which is never fragmented
	ctx     context.Context // ends its waits; nil: nothing does

	// Guarded by the write half's mu.
	next   opcode          // of the next frame: the message's, then continuation; changed by the leader
	buf    *bufpool.Buffer // what was gathered; nil while it is on its way
	pieces *pieces         // how it is compressed; nil if it is not, and while buf is on its way
	size   int             // bytes that went out, before they were compressed
	err    error           // once the writer can take no more
}

// NextWriter returns a writer for a message of the given type, TextMessage,
// BinaryMessage or a control type. The message ends with the writer's Close.
// What is written is gathered, up to WriteBufferSize bytes or 16 KiB, whichever
// is more, and sent in fragments if it is more than that. Other messages may
// pass until the first fragment was sent, and then wait for the writer's Close,
// as long as their write deadline lets them.
//
// A connection has one open writer: a NextWriter, from whichever goroutine,
// closes the one that is open, and what was written to that goes out as a whole
// message. Goroutines that share a connection use WriteMessage, or agree on who
// writes.
//
// A Write that fails ends the writer, and the message, of which part is lost,
// is never completed: Close returns the same error. If part of it had been sent
// already, all later writes of the connection return that error too. A Close
// that ran into its deadline while it waited for other writes may be repeated.
// For the rest, errors are those of [Conn.WriteMessage].
func (c *Conn) NextWriter(messageType int) (io.WriteCloser, error) {
	if c.transport.Conn == nil {
		return nil, errNoConn
	}
	op, err := checkOutgoing(messageType, nil)
	if err != nil {
		return nil, err
	}
	w := c.newMessageWriter(op)
	for {
		open, err := c.out.register(w)
		if err == nil && open == nil {
			return w, nil
		}
		if err == nil {
			if err = open.Close(); err == nil || err == errWriterClosed {
				continue
			}
		}
		w.end(err)
		return nil, err
	}
}

func (c *Conn) newMessageWriter(op opcode) *messageWriter {
	return &messageWriter{c: c, control: op.isControl(), next: op, buf: emptied(c.writeOptions.getBuffer()), pieces: c.newPieces(op)}
}

// register makes w the half's newest writer, unless another is still open.
func (out *writeHalf) register(w *messageWriter) (open *messageWriter, err error) {
	out.mu.Lock()
	defer out.mu.Unlock()
	switch {
	case out.writer != nil:
		return out.writer, nil
	case out.err != nil:
		return nil, out.err
	}
	out.writer = w
	return nil, nil
}

func (w *messageWriter) Write(p []byte) (int, error) { return writeTo(w, p) }

func (w *messageWriter) WriteString(s string) (int, error) { return writeTo(w, s) }

// ReadFrom spares io.Copy a buffer of its own.
func (w *messageWriter) ReadFrom(r io.Reader) (n int64, err error) {
	if err := w.ended(); err != nil {
		return 0, err
	}
	buf := bufpool.Get(bufpool.Size)
	defer bufpool.Put(buf)
	p := buf.Data[:len(buf.Data)-headerRoom] // as much as a writer's buffer takes
	for nothing := 0; nothing < 100; nothing++ {
		m, err := r.Read(p)
		if m < 0 || m > len(p) {
			return n, errReadCount
		}
		if m > 0 {
			if _, err := w.Write(p[:m]); err != nil {
				return n, err
			}
			n += int64(m)
			nothing = 0
		}
		if err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
	return n, io.ErrNoProgress
}

func writeTo[T []byte | string](w *messageWriter, p T) (int, error) {
	for rest := p; ; {
		taken, compresses, err := gather(w, rest)
		rest = rest[taken:]
		if err == nil && len(rest) > 0 {
			var behind []byte
			if !compresses {
				behind = []byte(rest)
			}
			taken, err = w.sendFragment(false, behind)
			rest = rest[taken:]
		}
		if err != nil {
			w.abort(err)
			return 0, err
		}
		if len(rest) == 0 {
			return len(p), nil
		}
	}
}

// gather takes p into the buffer: all of it, if there is room. Otherwise it takes
// nothing, but as much as there is room for where the message is compressed.
func gather[T []byte | string](w *messageWriter, p T) (taken int, compresses bool, err error) {
	out := &w.c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	switch {
	case w.err != nil:
		return 0, false, w.err
	case w.buf == nil: // it is on its way
		return 0, false, nil
	case w.control && len(w.buf.Bytes())+len(p) > maxControlPayload:
		return 0, false, errControlTooLong
	}
	compresses = w.pieces != nil
	room := w.c.writeOptions.limit(w.buf) - w.buf.W
	if len(p) > room {
		if !compresses {
			return 0, false, nil
		}
		p = p[:room]
	}
	w.buf = w.c.writeOptions.grown(w.buf, len(p))
	w.buf.W += copy(w.buf.Data[w.buf.W:], p)
	return len(p), compresses, nil
}

// Close sends what was gathered as the last frame of the message.
func (w *messageWriter) Close() error {
	if err := w.checkClosePayload(); err != nil {
		w.end(err)
		return err
	}
	_, err := w.sendFragment(true, nil)
	return err
}

func (w *messageWriter) checkClosePayload() error {
	w.c.out.mu.Lock()
	defer w.c.out.mu.Unlock()
	if w.err != nil || w.buf == nil || w.next != opClose {
		return nil
	}
	return checkCloseToSend(w.buf.Bytes())
}

// sendFragment sends what was gathered, and p behind it, as one frame; but what
// was gathered alone, if that is compressed. It returns how much it took of p.
func (w *messageWriter) sendFragment(last bool, p []byte) (taken int, err error) {
	if err := w.ended(); err != nil {
		return 0, err
	}
	d := writeDeadline{ctx: w.ctx}
	if err := w.c.lead(w.control, w, d); err != nil {
		switch ended := d.ended() != nil; {
		case w.c.out.failed(), !isDeadline(err) && !ended:
			w.end(err)
		case ended && w.next == opContinuation: // the message is cut, as abort will see
			err = cutBy(w.ctx, true)
		}
		return 0, err
	}
	var leftover writerMemory
	defer func() { w.release(leftover) }()
	defer w.c.follow()
	m, err := w.take()
	if err != nil {
		return 0, err
	}
	err = errTransportPanicked
	defer func() { leftover = w.sent(m, last, err) }()
	start := frameStart(w.next)
	if last {
		start |= finBit
	}
	if m.pieces != nil {
		if compressed := m.pieces.fragment(w.c, start, m.buf.Bytes()); compressed != nil {
			if w.next != opContinuation {
				start |= rsv1Bit
			}
			defer bufpool.Put(compressed)
			if err = w.c.sendGathered(start, compressed, nil, writeDeadline{ctx: w.ctx}); err == nil {
				m.pieces.commit(m.buf.Bytes())
			}
			w.count(start, len(m.buf.Bytes()), err)
			return 0, err
		}
		m.pieces.end()
		m.pieces = nil
	}
	size := len(m.buf.Bytes()) + len(p)
	err = w.c.sendGathered(start, m.buf, p, writeDeadline{ctx: w.ctx})
	w.count(start, size, err)
	return len(p), err
}

// count has the message counted, once its last frame went out. The caller leads.
func (w *messageWriter) count(start frameStart, size int, err error) {
	w.size += size
	switch {
	case err != nil || !start.fin():
	case w.control:
		w.c.countSent(start.opcode(), 0)
	default:
		_ = w.c.countIfSent(nil, w.size)
	}
}

// sendGathered is sendFrame, but a whole small message may go out with others. The
// caller leads.
func (c *Conn) sendGathered(start frameStart, buf *bufpool.Buffer, rest []byte, d writeDeadline) error {
	if start.fin() && start.opcode() != opContinuation && len(rest) == 0 && isSmall(start.opcode(), len(buf.Bytes())) {
		return c.sendSmall(start, buf.Bytes(), d)
	}
	return c.sendFrame(start, buf, rest, d)
}

// ended is why the writer can take and send no more, if it cannot.
func (w *messageWriter) ended() error {
	w.c.out.mu.Lock()
	defer w.c.out.mu.Unlock()
	return w.err
}

// A writerMemory is what a writer holds.
type writerMemory struct {
	buf    *bufpool.Buffer
	pieces *pieces
}

// release lets go of m. The program's own pool may be asked to, so the caller
// neither leads nor holds mu.
func (w *messageWriter) release(m writerMemory) {
	m.pieces.end()
	if m.buf != nil {
		w.c.writeOptions.putBuffer(m.buf)
	}
}

// take takes the memory away, so that nobody writes into it while it is sent.
func (w *messageWriter) take() (writerMemory, error) {
	w.c.out.mu.Lock()
	defer w.c.out.mu.Unlock()
	if w.err != nil {
		return writerMemory{}, w.err
	}
	m := writerMemory{w.buf, w.pieces}
	w.buf, w.pieces = nil, nil
	return m, nil
}

// sent puts the memory back behind a frame, or ends the writer and returns what is
// to be released. The caller still leads.
func (w *messageWriter) sent(m writerMemory, last bool, err error) (leftover writerMemory) {
	out := &w.c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	w.next = opContinuation
	if w.err != nil { // the writer was ended meanwhile, by Close of the connection
		return m
	}
	w.buf, w.pieces = emptied(m.buf), m.pieces
	out.stream = w
	switch {
	case err != nil:
		return w.leave(err)
	case last:
		return w.leave(errWriterClosed)
	}
	return writerMemory{}
}

// abort ends a writer that has lost part of its message. If the peer has the
// beginning of it, there is no way to go on.
func (w *messageWriter) abort(err error) {
	w.c.out.mu.Lock()
	if w.c.out.stream == w {
		_ = w.c.out.fail(err)
	}
	w.c.out.mu.Unlock()
	w.end(err)
}

// end ends the writer and lets go of what it holds. Its methods return err from
// now on, or the error that it was ended with before.
func (w *messageWriter) end(err error) {
	w.c.out.mu.Lock()
	m := w.leave(err)
	w.c.out.mu.Unlock()
	w.release(m)
}

// leave is end, but for the memory, for who holds mu.
func (w *messageWriter) leave(err error) writerMemory {
	out := &w.c.out
	m := writerMemory{w.buf, w.pieces}
	w.buf, w.pieces = nil, nil
	if w.err == nil {
		w.err = err
	}
	if out.stream == w {
		out.stream = nil
	}
	if out.writer == w {
		out.writer = nil
	}
	return m
}

// abandonWriter is for Close: it ends the writer that is still open.
func (c *Conn) abandonWriter() {
	c.out.mu.Lock()
	open := c.out.writer
	c.out.mu.Unlock()
	if open != nil {
		open.end(errConnClosed)
	}
}
