package websocket

import (
	"io"
	"math"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

const (
	// defaultWriteTimeout is how long a write may make no progress on a connection on
	// which SetWriteDeadline was not called, nor WriteTimeout set.
	defaultWriteTimeout = 30 * time.Second

	// writeStep is the most that one Write of the transport is given, so that
	// the progress of a large message can be seen.
	writeStep = 256 << 10

	// copiedFrame is the largest payload that is copied behind its header to be sent to a
	// socket. A larger one is sent from where it is, by a server, or masked in steps of so much.
	// Where it is mostly is the beginning of a page, and the header in front of it has
	// the system copy between addresses that differ by a few bytes modulo 4 KiB, for
	// which some processors need several times as long.
	copiedFrame = 64 << 10

	// headerRoom is kept free before a payload, for its header.
	headerRoom = bufpool.Headroom
)

// inMilliseconds is a WriteTimeout, which is 0 for the default and less for none, as a Conn
// has it.
func inMilliseconds(timeout time.Duration) uint32 {
	switch {
	case timeout == 0:
		timeout = defaultWriteTimeout
	case timeout < 0:
		return 0
	}
	return uint32(min((timeout-1)/time.Millisecond+1, math.MaxUint32))
}

// SetWriteDeadline sets the time after which writes fail, the blocked ones
// included; the zero time means never. It replaces WriteTimeout of the Upgrader or
// Dialer, by which a write fails if 30 seconds, or as many as were chosen, do not bring the
// next 256 KiB of its message on their way (64 KiB on a client that does not compress, since
// it masks step by step), or end its wait for other writes.
//
// A write whose deadline passes before a byte of it went out, or had passed
// already, returns an error for which Timeout() is true and leaves the
// connection as it was. Once a byte went out, the frame cannot be finished, and
// every later write returns the same error.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.transport.Conn == nil {
		return errNoConn
	}
	out := &c.out
	out.mu.Lock()
	out.explicit, out.deadline = true, t
	out.wakeAll()
	writing := out.state != writeIdle && !out.ownDeadline
	if writing {
		out.frameDeadline = t
		out.armed++
	}
	armed := out.armed
	out.mu.Unlock()
	if writing {
		return c.applyDeadline(t, armed)
	}
	return nil
}

// WriteMessage sends a message in one frame; one above 1 MiB that is compressed, in
// fragments. messageType is TextMessage or
// BinaryMessage, or a control type, whose payload is at most 125 bytes. Text is
// not checked to be UTF-8. It returns when the transport has taken the whole
// message; data is not used after.
//
// Small messages that wait for the same write go out together. And where a
// further message is complete and ready to be read, a small message is kept for up
// to 100 µs, so that the answers to many messages that came together go out
// together: WriteMessage returns at once, and what is kept goes out with the next
// message, before any other frame, before a read waits, and with Close. If that
// fails, the next call returns the error. The first [Conn.NetConn] ends this.
//
// While the writer of a NextWriter has part of its message on the wire, a data
// message waits for that writer's Close, as long as the write deadline lets it.
//
// Errors: [ErrCloseSent] after a close frame. A wrong type, a control payload
// that must not be sent, and a deadline that passed before anything was sent
// (Timeout() is true) are errors that do not harm the connection. Any other
// comes from the transport, and every later write returns it again.
func (c *Conn) WriteMessage(messageType int, data []byte) error {
	op, err := checkOutgoing(messageType, data)
	switch {
	case err != nil:
		return err
	case c.sendBits == 0 && isSmall(op, len(data)):
		return c.writeSmall(whole(op), data, len(data))
	}
	return c.writeMessage(op, data, writeDeadline{})
}

// WriteControl sends a control frame: messageType is CloseMessage, PingMessage
// or PongMessage, data at most 125 bytes. It may pass between the fragments of
// a message, and waits for the frames on their way until the deadline; the zero
// deadline means that it waits without end. The errors are those of
// [Conn.WriteMessage].
func (c *Conn) WriteControl(messageType int, data []byte, deadline time.Time) error {
	op, err := checkOutgoing(messageType, data)
	if err != nil {
		return err
	}
	if op.isData() {
		return errNotControl
	}
	return c.writeFrame(whole(op), data, len(data), writeDeadline{at: deadline, own: true})
}

// checkOutgoing judges a message that is to be sent in one frame.
func checkOutgoing(messageType int, payload []byte) (opcode, error) {
	op := opcode(messageType)
	switch {
	case messageType != int(op), op.isReserved(), op == opContinuation:
		return 0, errBadMessageType
	case op.isControl() && len(payload) > maxControlPayload:
		return 0, errControlTooLong
	case op == opClose:
		return op, checkCloseToSend(payload)
	}
	return op, nil
}

// writeFrame takes the write half, sends one frame and lets go. size is the message's, before
// it was compressed.
func (c *Conn) writeFrame(start frameStart, payload []byte, size int, d writeDeadline) error {
	if d.ctx == nil && isSmall(start.opcode(), len(payload)) {
		return c.writeSmall(start, payload, size)
	}
	if err := c.lead(start.opcode().isControl(), nil, d); err != nil {
		return err
	}
	defer c.follow()
	err := c.sendWhole(start, payload, d)
	if err == nil {
		c.countSent(start.opcode(), size)
	}
	return err
}

// sendWhole sends a message in one frame. The caller leads.
func (c *Conn) sendWhole(start frameStart, payload []byte, d writeDeadline) error {
	if isSmall(start.opcode(), len(payload)) {
		return c.sendSmall(start, payload, d)
	}
	room := 0 // for more than the header
	switch {
	case !c.server:
		room = min(len(payload), copiedFrame)
	case start.opcode().isData() && len(payload) <= copiedFrame && c.transport.seam.raw():
		return c.sendCopied(start, payload, d)
	}
	buf := emptied(bufpool.Get(headerRoom + room))
	defer bufpool.Put(buf)
	return c.sendFrame(start, buf, payload, d)
}

// sendCopied is sendFrame for a server's frame that is sent in one piece. What a socket does
// not take at once is waited with where the caller has it: the copy would be kept for as
// long as a peer does not read. The caller leads.
func (c *Conn) sendCopied(start frameStart, payload []byte, d writeDeadline) error {
	if err := c.sendCorkedFirst(); err != nil {
		return err
	}
	buf := bufpool.Get(headerRoom + len(payload))
	c.addFrame(buf, start, payload)
	size := len(buf.Bytes())
	n := c.tryWrite(buf.Bytes())
	bufpool.Put(buf)
	begun := n > 0 || start.opcode() == opContinuation
	switch header := size - len(payload); {
	case n == size:
		return nil
	case n >= header:
		return c.sendBoth(nil, payload[n-header:], d, begun)
	}
	header := appendHeader(nil, start, len(payload), false, 0)
	return c.sendBoth(header[n:], payload, d, begun)
}

// emptied makes b ready for a payload, with room for the header before it.
func emptied(b *bufpool.Buffer) *bufpool.Buffer {
	b.R, b.W = headerRoom, headerRoom
	return b
}

// sendFrame sends a frame whose payload is what buf holds, behind headerRoom
// free bytes, and then rest. A client's payload is masked in buf or on its way
// there; rest is never changed. The caller leads.
func (c *Conn) sendFrame(start frameStart, buf *bufpool.Buffer, rest []byte, d writeDeadline) error {
	if err := c.sendCorkedFirst(); err != nil {
		return err
	}
	if start.opcode() == opClose {
		c.noteClosePayload(buf.Bytes(), rest)
	}
	size, masked, key := len(buf.Bytes())+len(rest), !c.server, uint32(0)
	if masked {
		key = newMaskKey()
	}
	begin := buf.R
	buf.R -= headerSize(size, masked)
	appendHeader(buf.Data[:buf.R], start, size, masked, key)
	if masked {
		key = mask(buf.Data[begin:buf.W], key)
	}

	// The first step goes out with the header, in one piece: copied behind it, or
	// where it is, if it is large and need not be masked.
	room := len(buf.Data) - buf.W
	if len(rest) > room && !masked && c.transport.seam.raw() {
		step := rest[:min(len(rest), writeStep)]
		err := c.sendBoth(buf.Bytes(), step, d, start.opcode() == opContinuation)
		if err == nil {
			err = c.send(rest[len(step):], d, true)
		}
		return err
	}
	step := rest[:min(len(rest), room)]
	if masked {
		key = maskCopy(buf.Data[buf.W:], step, key)
	} else {
		copy(buf.Data[buf.W:], step)
	}
	buf.W += len(step)
	// A fragment that cannot be sent leaves a message that cannot be ended, so
	// for all but the first the message has begun already.
	err := c.send(buf.Bytes(), d, start.opcode() == opContinuation)
	rest = rest[len(step):]
	for masked && err == nil && len(rest) > 0 {
		// As the first step: see copiedFrame; a writer's buffer may be larger.
		behind := buf.Data[headerRoom:min(len(buf.Data), headerRoom+copiedFrame)]
		step = rest[:min(len(rest), len(behind))]
		key = maskCopy(behind, step, key)
		err = c.send(behind[:len(step)], d, true)
		rest = rest[len(step):]
	}
	if err == nil {
		err = c.send(rest, d, true)
	}
	switch {
	case start.opcode() != opClose:
	case err == nil:
		c.setCloseState(closeSent)
	default:
		c.forgetClose()
	}
	return err
}

// send gives p to the transport as it is: what that takes without waiting, in one piece, and
// then the rest, in steps whose progress can be seen. begun says that the peer has bytes
// already that make no sense without p. An error sticks, unless it is a deadline and
// the peer has none: then the connection is as it was. A deadline is set only
// if the transport has to be waited for, as that costs as much as all the rest
// that is not the system's.
func (c *Conn) send(p []byte, d writeDeadline, begun bool) error {
	if len(p) == 0 {
		return nil
	}
	n := c.tryWrite(p)
	for p = p[n:]; len(p) > 0; {
		step := p[:min(len(p), writeStep)]
		if err := c.sendBoth(nil, step, d, begun || n > 0); err != nil {
			return err
		}
		p, begun = p[len(step):], true
	}
	return nil
}

// sendBoth is send of two pieces, of which the first may be nil, and waits.
func (c *Conn) sendBoth(a, b []byte, d writeDeadline, begun bool) error {
	if err := d.ended(); err != nil && !begun {
		return err // a Write that times out is the last one over TLS
	}
	n, err := 0, errTransportPanicked
	defer func() {
		if err == errTransportPanicked {
			_ = c.failWrite(err)
		}
	}()
	c.armWrite(d)
	if d.done() != nil {
		defer c.interruptWrite(d.ctx)()
	}
	if a == nil {
		n, err = c.transport.Write(b)
	} else {
		n, err = writeBoth(c.transport.Conn, a, b)
	}
	c.countWire(n)
	if err == nil && n < len(a)+len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		return nil
	}
	harmless := isDeadline(err) && n == 0 && !begun
	if d.ended() != nil && timedOut(err) {
		err = cutBy(d.ctx, !harmless)
	}
	if harmless {
		return err
	}
	return c.failWrite(err)
}

// tryWrite is the seam's.
func (c *Conn) tryWrite(p []byte) int {
	n := c.transport.seam.tryWrite(p)
	c.countWire(n)
	return n
}

func (c *Conn) failWrite(err error) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.fail(err)
}
