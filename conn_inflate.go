package websocket

import (
	"io"
	"math"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

// An inflation is a compressed message that is being read (RFC 7692 §7.2.2).
type inflation struct {
	z        *deflate.Inflater
	unmasked int             // bytes in hand that are unmasked already and were not used up
	tail     int             // bytes of deflate.Tail that went in
	full     bool            // more comes out of what went in already
	size     int64           // bytes that came out
	window   *bufpool.Buffer // of a reader: what came out last, and of that, in [R:W], what was not read
}

var inflations = sync.Pool{New: func() any { return new(inflation) }}

// beginInflation is called when a compressed message begins.
func (c *Conn) beginInflation() {
	inf := inflations.Get().(*inflation)
	inf.z = deflate.GetInflater(int(c.receiveBits), c.receiveWindow())
	c.in.inflation = inf
}

// receiveWindow is what the peer's messages may refer to, or nil.
func (c *Conn) receiveWindow() *deflate.Window {
	if c.contexts == nil || !c.contexts.receives {
		return nil
	}
	if c.contexts.received == nil {
		c.contexts.received = deflate.NewWindow(int(c.receiveBits))
	}
	return c.contexts.received
}

// endInflation lets go of what the compressed message needed, if it is one.
func (in *readHalf) endInflation() {
	inf := in.inflation
	if inf == nil {
		return
	}
	in.inflation = nil
	deflate.PutInflater(inf.z)
	if inf.window != nil {
		bufpool.Put(inf.window)
	}
	*inf = inflation{}
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
			if src, err = c.compressed(); err != nil {
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

// compressed returns the next compressed bytes, unmasked. They are in hand, or
// the message's tail, and stay there until usedUp. There are none at the end of
// the message.
func (c *Conn) compressed() ([]byte, error) {
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
// straight into dst as long as that has the room, and otherwise gathered in
// pooled memory, so that it takes memory of its own once, and of its size.
func (c *Conn) appendInflated(dst []byte) ([]byte, error) {
	inf := c.in.inflation
	if inf.window == nil && cap(dst) > len(dst) {
		m, err := c.inflateInto(dst)
		if err == io.EOF {
			return m, nil
		} else if err != deflate.ErrFull {
			return dst, err
		}
	}
	if inf.window == nil {
		inf.window = bufpool.Get(firstRoom)
	}
	for {
		w := inf.window
		out, err := c.inflate(w.Data[:w.W], 0)
		switch err {
		case nil:
			w.W = len(out)
		case deflate.ErrFull:
			w.W = len(out)
			inf.moveWindow(2 * len(w.Data))
		case io.EOF:
			return append(dst, w.Bytes()...), nil
		default:
			return dst, err
		}
	}
}

// inflateInto appends the current message to dst as far as there is room. Unless
// that is all of it, what came out goes to the window.
func (c *Conn) inflateInto(dst []byte) (m []byte, err error) {
	m = dst
	defer func() {
		if inf := c.in.inflation; err != io.EOF && inf != nil { // a handler may have panicked
			inf.window = bufpool.Get(max(firstRoom, 2*(len(m)-len(dst))))
			inf.window.W = copy(inf.window.Data, m[len(dst):])
		}
	}()
	for err == nil {
		m, err = c.inflate(m, len(dst))
	}
	return m, err
}

// moveWindow makes the window a buffer of at least size bytes.
func (inf *inflation) moveWindow(size int) {
	w, larger := inf.window, bufpool.Get(size)
	larger.R, larger.W = w.R, copy(larger.Data, w.Data[:w.W])
	inf.window = larger
	bufpool.Put(w)
}

// readInflated is the Read of a compressed message's reader.
func (c *Conn) readInflated(p []byte) (n int, err error) {
	if err := c.inflateSome(); err != nil {
		return 0, err
	}
	w := c.in.inflation.window
	n = copy(p, w.Bytes())
	w.R += n
	return n, nil
}

// dropInflated reads a compressed message to its end, which it returns as
// io.EOF.
func (c *Conn) dropInflated() error {
	for {
		if err := c.inflateSome(); err != nil {
			return err
		}
		w := c.in.inflation.window
		w.R = w.W
	}
}

// inflateSome has the window hold something that was not read. At the end of the
// message it returns io.EOF.
func (c *Conn) inflateSome() error {
	inf := c.in.inflation
	if inf.window == nil {
		inf.window = bufpool.Get(firstRoom)
	}
	for inf.window.R == inf.window.W {
		w := inf.window
		out, err := c.inflate(w.Data[:w.W], 0)
		if err != nil && err != deflate.ErrFull {
			return err
		}
		w.W = len(out)
		if w.R == w.W {
			inf.slideWindow(1 << c.receiveBits)
		}
	}
	return nil
}

// slideWindow makes room in a window that was read to its end. It keeps as much
// as the rest of the message may refer to.
func (inf *inflation) slideWindow(history int) {
	w := inf.window
	if len(w.Data) < 2*history {
		inf.moveWindow(2 * history)
		return
	}
	w.W = copy(w.Data, w.Data[w.W-history:w.W])
	w.R = w.W
}
