package websocket

import (
	"io"
	"math"
	"slices"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

// An inflation is a compressed message that is being read (RFC 7692 §7.2.2).
type inflation struct {
	z        *deflate.Inflater
	unmasked int   // bytes in hand that are unmasked already and were not used up
	tail     int   // bytes of deflate.Tail that went in
	full     bool  // more comes out of what went in already
	size     int64 // bytes that came out

	// What came out last and, of that, in [R:W], what nobody has taken yet; and,
	// where a whole message is gathered, the buffers that were filled before.
	out    *bufpool.Buffer
	filled []*bufpool.Buffer
}

var inflations = sync.Pool{New: func() any { return new(inflation) }}

// beginInflation is called when a compressed message begins.
func (c *Conn) beginInflation() {
	inf := inflations.Get().(*inflation)
	inf.z = deflate.GetInflater(int(c.receiveBits), c.receiveWindow())
	c.in.inflation = inf
}

// receiveWindow is what the peer's messages may refer to, which is the reader's, or
// nil.
func (c *Conn) receiveWindow() *deflate.Window {
	if c.contexts == nil || c.contexts.received.Bits == 0 {
		return nil
	}
	return &c.contexts.received
}

// endInflation lets go of what the compressed message needed, if it is one.
func (in *readHalf) endInflation() {
	inf := in.inflation
	if inf == nil {
		return
	}
	in.inflation = nil
	deflate.PutInflater(inf.z)
	for _, b := range inf.filled {
		bufpool.Put(b)
	}
	if inf.out != nil {
		bufpool.Put(inf.out)
	}
	clear(inf.filled)
	*inf = inflation{filled: inf.filled[:0]}
	inflations.Put(inf)
}

// maxCompressed is how large a compressed message may be on the wire where it
// may be limit bytes once inflated: what does not compress gets a little larger.
func maxCompressed(limit int64) int64 {
	return limit + min(limit/16+64, math.MaxInt64-limit)
}

// inflate appends more of the current message to dst, of which the message, or
// enough of its end, begins at start. It does not go beyond dst's capacity, nor
// the read limit, and waits for bytes only if it has nothing to append. It
// returns deflate.ErrFull if there is more than dst has room for, and io.EOF at
// the message's end. After any other error but a deadline's, dst's memory may be
// somebody else's.
func (c *Conn) inflate(dst []byte, start int) ([]byte, error) {
	in := &c.in
	inf := in.inflation
	for {
		var src []byte
		if !inf.full {
			var err error
			if src, err = c.nextCompressed(); err != nil {
				return dst, err
			}
			if len(src) == 0 {
				return dst, c.endOfInflated(dst[start:])
			}
		}
		room := int64(cap(dst) - len(dst))
		limit := c.readLimit.Load()
		if limit > 0 {
			room = min(room, max(limit-inf.size, 0))
		}
		had := len(dst)
		out, n, err := inf.z.Inflate(dst[:had:had+int(room)], start, src)
		c.usedUp(n)
		inf.full = err == deflate.ErrFull
		dst = dst[:len(out)]
		inf.size += int64(len(out) - had)
		if c.checksUTF8() {
			var ok bool
			if in.utf8, ok = in.utf8.Append(dst[had:]); !ok {
				return dst, c.violated(errInvalidUTF8)
			}
		}
		switch {
		case err == deflate.ErrCorrupt:
			return dst, c.violated(errCorruptDeflate)
		case err == deflate.ErrEmptyBlocks:
			return dst, c.failRead(ErrReadLimit, CloseMessageTooBig, "compressed message has too many blocks without output")
		case err == deflate.ErrFull && limit > 0 && inf.size >= limit:
			return dst, c.failRead(ErrReadLimit, CloseMessageTooBig, "message is over the read limit")
		case err != nil || len(dst) > had:
			return dst, err
		}
	}
}

// nextCompressed returns the next compressed bytes, unmasked. They are in hand, or
// the message's tail, and stay there until usedUp. There are none at the end of
// the message.
func (c *Conn) nextCompressed() ([]byte, error) {
	in := &c.in
	for in.remaining == 0 {
		if in.fin {
			return deflate.Tail[in.inflation.tail:], nil
		}
		if err := c.nextFrame(); err != nil {
			return nil, err
		}
	}
	if len(in.bytes()) == 0 {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	p := in.bytes()
	p = p[:min(int64(len(p)), in.remaining)]
	if c.server {
		in.key = mask(p[in.inflation.unmasked:], in.key)
	}
	in.inflation.unmasked = len(p)
	return p, nil
}

// usedUp accounts for the first n of the compressed bytes.
func (c *Conn) usedUp(n int) {
	in := &c.in
	switch {
	case n == 0:
		return
	case in.remaining == 0:
		in.inflation.tail += n
		return
	}
	in.begun = true
	in.inflation.unmasked -= n
	in.buf.R += n
	in.remaining -= int64(n)
	if in.remaining == 0 {
		in.leaveFrame()
	}
}

// endOfInflated judges the end of a message, whose last bytes are recent, and
// keeps those for later messages to refer to. It returns io.EOF if all is well.
func (c *Conn) endOfInflated(recent []byte) error {
	in := &c.in
	switch {
	case !in.inflation.z.Complete():
		return c.violated(errCorruptDeflate)
	case c.checksUTF8() && !in.utf8.Complete():
		return c.violated(errInvalidUTF8)
	}
	if w := c.receiveWindow(); w != nil {
		w.Write(recent)
	}
	return io.EOF
}

// appendInflated is AppendMessage for a compressed message. It is inflated
// straight into dst as long as that has the room, and what does not fit is
// gathered in pooled buffers, so that it takes memory of its own once, and of its
// size.
func (c *Conn) appendInflated(dst []byte) ([]byte, error) {
	inf := c.in.inflation
	if inf.out == nil && cap(dst) > len(dst) {
		m, err := c.inflateInto(dst)
		if err == io.EOF {
			return m, nil
		} else if err != deflate.ErrFull {
			return dst, err
		}
	}
	if err := c.beginOutput(); err != nil {
		return dst, err
	}
	for {
		b := inf.out
		out, err := c.inflate(b.Data[:b.W], 0)
		switch err {
		case nil:
			b.W = len(out)
		case deflate.ErrFull:
			b.W = len(out)
			if inf.size > math.MaxInt-int64(len(dst)) {
				return dst, c.failRead(ErrReadLimit, CloseMessageTooBig, "message is over the size of an address space")
			}
			inf.goOnInAnother(1 << c.receiveBits)
		case io.EOF:
			return inf.appendTo(dst), nil
		default:
			return dst, err
		}
	}
}

// beginOutput takes a buffer for what comes out, unless there is one, once there are
// bytes for it to come out of.
func (c *Conn) beginOutput() error {
	inf := c.in.inflation
	if inf.out != nil {
		return nil
	}
	if _, err := c.nextCompressed(); err != nil {
		return err
	}
	inf.out = bufpool.Get(firstRoom)
	return nil
}

// inflateInto appends the current message to dst as far as there is room. Unless
// that is all of it, what came out is kept.
func (c *Conn) inflateInto(dst []byte) (m []byte, err error) {
	m = dst
	defer func() {
		if inf := c.in.inflation; err != io.EOF && inf != nil && len(m) > len(dst) { // a handler may have panicked
			inf.out = bufpool.Get(len(m) - len(dst))
			inf.out.W = copy(inf.out.Data, m[len(dst):])
		}
	}()
	for err == nil {
		m, err = c.inflate(m, len(dst))
	}
	return m, err
}

// goOnInAnother puts the buffer, which is full, to those that were filled, and
// goes on in a larger one with as much as the rest of the message may refer to.
func (inf *inflation) goOnInAnother(history int) {
	b := inf.out
	next := bufpool.Get(4 * min(len(b.Data), bufpool.Largest/4))
	next.W = copy(next.Data, b.Data[max(b.W-history, 0):b.W])
	next.R = next.W
	inf.filled, inf.out = append(inf.filled, b), next
}

// appendTo appends what was gathered and nobody has taken.
func (inf *inflation) appendTo(dst []byte) []byte {
	n := len(inf.out.Bytes())
	for _, b := range inf.filled {
		n += len(b.Bytes())
	}
	dst = slices.Grow(dst, n)
	for _, b := range inf.filled {
		dst = append(dst, b.Bytes()...)
	}
	return append(dst, inf.out.Bytes()...)
}

// readInflated is the Read of a compressed message's reader.
func (c *Conn) readInflated(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := c.inflateSome()
	if err != nil {
		return 0, err
	}
	n = copy(p, b.Bytes())
	b.R += n
	return n, nil
}

// dropInflated reads a compressed message to its end, which it returns as
// io.EOF.
func (c *Conn) dropInflated() error {
	for {
		b, err := c.inflateSome()
		if err != nil {
			return err
		}
		b.R = b.W
	}
}

// inflateSome returns a buffer with something that nobody has taken. At the end
// of the message it returns io.EOF.
func (c *Conn) inflateSome() (*bufpool.Buffer, error) {
	inf := c.in.inflation
	for _, b := range inf.filled { // before a read that ran into its deadline
		if b.R < b.W {
			return b, nil
		}
	}
	if err := c.beginOutput(); err != nil {
		return nil, err
	}
	for inf.out.R == inf.out.W {
		b := inf.out
		out, err := c.inflate(b.Data[:b.W], 0)
		if err != nil && err != deflate.ErrFull {
			return nil, err
		}
		b.W = len(out)
		if b.R == b.W {
			inf.makeRoom(1 << c.receiveBits)
		}
	}
	return inf.out, nil
}

// makeRoom makes room in the buffer, which is full and taken. It keeps as much as
// the rest of the message may refer to.
func (inf *inflation) makeRoom(history int) {
	b := inf.out
	if len(b.Data) >= 2*history {
		b.W = copy(b.Data, b.Data[b.W-history:b.W])
		b.R = b.W
		return
	}
	inf.out = bufpool.Get(2 * history)
	inf.out.W = copy(inf.out.Data, b.Data[:b.W])
	inf.out.R = inf.out.W
	bufpool.Put(b)
}
