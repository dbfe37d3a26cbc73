package websocket

import (
	"math"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

// contexts are what a connection keeps between compressed messages where
// context is taken over (RFC 7692 §7.1.1). Where it is not, Bits is 0.
type contexts struct {
	sent     deflate.Context // what our messages refer to; the leader's
	received deflate.Window  // what the peer's may; the reader's
}

// startCompression has a new connection do what was agreed on.
func (c *Conn) startCompression(o *Compression) {
	c.sendBits, c.receiveBits = uint8(o.SendWindowBits), uint8(o.ReceiveWindowBits)
	c.level.Store(int32(o.Level))
	if o.SendContextTakeover || o.ReceiveContextTakeover {
		c.contexts = new(contexts)
	}
	if o.SendContextTakeover {
		c.contexts.sent.Bits = c.sendBits
	}
	if o.ReceiveContextTakeover {
		c.contexts.received.Bits = c.receiveBits
	}
}

// Compression returns what both sides agreed on and is now in force, with the
// defaults filled in; ok is false if messages are not compressed.
func (c *Conn) Compression() (agreed Compression, ok bool) {
	if c.sendBits == 0 {
		return Compression{}, false
	}
	agreed = Compression{
		SendWindowBits:    int(c.sendBits),
		ReceiveWindowBits: int(c.receiveBits),
		Level:             int(c.level.Load()),
	}
	agreed.SendContextTakeover, agreed.ReceiveContextTakeover = c.sendContext() != nil, c.receiveWindow() != nil
	if c.writeOptions != nil {
		agreed.Threshold = int(c.writeOptions.threshold)
	}
	if agreed.Threshold == 0 {
		agreed.Threshold = defaultThreshold(agreed.SendContextTakeover)
	}
	return agreed, true
}

// EnableWriteCompression turns the compression of later messages on, which it
// is at first, or off. It has no effect where compression was not negotiated.
func (c *Conn) EnableWriteCompression(enable bool) {
	if enable {
		c.flags.And(^uint32(plainSends))
	} else {
		c.setFlag(plainSends)
	}
}

// SetCompressionLevel sets the level of compression of later messages, from -2
// to 9 as in compress/flate; another one is an error. There are two that
// compress: a fast one for less than 4 and the default, -1, and one that
// searches more for 4 and above. With 0 messages are sent as they are. It has no
// effect where compression was not negotiated.
func (c *Conn) SetCompressionLevel(level int) error {
	if !validCompressionLevel(level) {
		return errCompressionLevel
	}
	c.level.Store(int32(level))
	return nil
}

// leastDenseLevel is the first level of SetCompressionLevel that is more than
// fast.
const leastDenseLevel = 4

// compresses reports whether a message of a type and size is to be compressed,
// and how.
func (c *Conn) compresses(op opcode, size int) (deflate.Level, bool) {
	if c.sendBits == 0 || !op.isData() || c.is(plainSends) {
		return 0, false
	}
	threshold := defaultThreshold(c.sendContext() != nil)
	if c.writeOptions != nil && c.writeOptions.threshold > 0 {
		threshold = int(c.writeOptions.threshold)
	}
	level := c.level.Load()
	if size < threshold || level == 0 {
		return 0, false
	}
	if level >= leastDenseLevel {
		return deflate.Dense, true
	}
	return deflate.Fast, true
}

// sendContext is what the next message may refer to, which is the leader's, or nil.
func (c *Conn) sendContext() *deflate.Context {
	if c.contexts == nil || c.contexts.sent.Bits == 0 {
		return nil
	}
	return &c.contexts.sent
}

// writeMessage sends a message, compressed where that is wanted and makes it
// smaller: in one frame, or in fragments if it is too large for the buffers that
// are kept. What refers to earlier messages is compressed in the order of the
// frames, and becomes one of those once it was sent; else compression does not
// hold up other writers.
func (c *Conn) writeMessage(op opcode, data []byte, d writeDeadline) error {
	start := whole(op)
	level, compresses := c.compresses(op, len(data))
	switch {
	case !compresses:
		return c.writeFrame(start, data, len(data), d)
	case len(data) > bufpool.Largest-headerRoom:
		return c.writeInPieces(op, data, d)
	}
	ctx := c.sendContext()
	if ctx == nil {
		if err := c.refuses(d); err != nil {
			return err // before the work
		}
	} else {
		if err := c.lead(false, nil, d); err != nil {
			return err
		}
		defer c.follow()
	}
	payload := data
	buf := c.compressed(data, ctx, level)
	if buf != nil {
		start |= rsv1Bit
		defer bufpool.Put(buf)
		payload = buf.Bytes()
	}
	if ctx == nil {
		return c.writeFrame(start, payload, len(data), d)
	}
	err := c.sendWhole(start, payload, d)
	if err == nil && buf != nil {
		ctx.Commit(data)
	}
	return c.countIfSent(err, len(data))
}

// writeInPieces sends data as a writer of NextWriter would, but nobody can repeat
// a Close of that one.
func (c *Conn) writeInPieces(op opcode, data []byte, d writeDeadline) error {
	w := c.newMessageWriter(op)
	w.ctx = d.ctx
	_, err := w.Write(data)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		w.abort(err)
	}
	return err
}

// compressed returns a buffer with data, compressed as the payload of a frame, which has
// to say so; or nil, if that is not worth it.
func (c *Conn) compressed(data []byte, ctx *deflate.Context, level deflate.Level) *bufpool.Buffer {
	buf := emptied(bufpool.Get(headerRoom + len(data)))
	d := deflate.GetDeflater()
	defer deflate.PutDeflater(d)
	out, ok := d.AppendMessage(buf.Data[buf.W:buf.W], data, ctx, int(c.sendBits), level)
	if !ok {
		bufpool.Put(buf)
		return nil
	}
	buf.W += len(out)
	return buf
}

// pieces are what a messageWriter needs to compress its message, while it has
// not turned out that the message is better sent as it is.
type pieces struct {
	level     deflate.Level
	stream    deflate.Stream
	ctx       *deflate.Context // what the next piece may refer to; nil: nothing
	temporary bool             // ctx is this message's alone
}

// newPieces returns nil if a message of the type is not to be compressed.
func (c *Conn) newPieces(op opcode) *pieces {
	if level, ok := c.compresses(op, math.MaxInt); ok {
		return &pieces{level: level}
	}
	return nil
}

// fragment returns a buffer with data, compressed as the payload of a frame with this
// start; or nil where data begins the message, which is then to be sent as it
// is. The caller leads.
func (p *pieces) fragment(c *Conn, start frameStart, data []byte) *bufpool.Buffer {
	begins := start.opcode() != opContinuation
	if begins {
		p.ctx = c.sendContext()
	}
	if begins && start.fin() {
		if _, ok := c.compresses(start.opcode(), len(data)); !ok {
			return nil
		}
		return c.compressed(data, p.ctx, p.level)
	}
	if p.ctx == nil {
		p.ctx, p.temporary = deflate.GetContext(int(c.sendBits)), true
	}
	buf := emptied(bufpool.Get(headerRoom + deflate.MaxPiece(len(data))))
	d := deflate.GetDeflater()
	defer deflate.PutDeflater(d)
	buf.W += len(d.AppendPiece(buf.Data[buf.W:buf.W], data, p.ctx, &p.stream, p.level, start.fin()))
	if begins && len(buf.Bytes()) >= len(data) {
		bufpool.Put(buf)
		return nil
	}
	return buf
}

// commit is called when data went out, compressed: it is context now.
func (p *pieces) commit(data []byte) {
	if p.ctx != nil {
		p.ctx.Commit(data)
	}
}

// end lets go of what the message needed. A nil p has nothing.
func (p *pieces) end() {
	if p != nil && p.temporary {
		deflate.PutContext(p.ctx)
		p.ctx, p.temporary = nil, false
	}
}
