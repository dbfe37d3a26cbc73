package websocket

import (
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

// startFrame sends a control frame and waits for nothing: what the transport does not take at
// once, or who has the write half, a goroutine waits for. done is called when the frame has gone out,
// or never will, and why; payload must not be changed until then.
func (c *Conn) startFrame(op opcode, payload []byte, done func(error)) {
	defer c.recoverWrite()
	out := &c.out
	out.mu.Lock()
	if out.state != writeIdle || out.err != nil || out.hasCorked() || !c.transport.seam.raw() {
		out.mu.Unlock()
		go func() {
			err := errTransportPanicked
			defer c.recoverWrite()
			defer func() { done(err) }()
			// However long others take who make progress: Close ends this wait.
			if e := c.lead(true, nil, writeDeadline{own: true}); e != nil {
				err = e
				return
			}
			defer c.follow()
			if err = c.sendWhole(whole(op), payload, c.startDeadline()); err == nil {
				c.countSent(op, 0)
			}
		}()
		return
	}
	out.state = writeLeading
	out.mu.Unlock()
	if op == opClose {
		c.noteClosePayload(nil, payload)
	}
	// Not of the pool: it is small, and may wait for as long as the peer does not read.
	frame := &bufpool.Buffer{Data: make([]byte, c.frameSize(len(payload)))}
	c.addFrame(frame, whole(op), payload)
	n := c.tryWrite(frame.Bytes())
	if n == len(frame.Bytes()) {
		c.started(op)
		c.follow()
		done(nil)
		return
	}
	go func() {
		err := errTransportPanicked
		defer c.recoverWrite()
		defer func() { done(err) }()
		defer c.follow()
		switch err = c.sendBoth(nil, frame.Bytes()[n:], c.startDeadline(), n > 0); {
		case err == nil:
			c.started(op)
		case op == opClose:
			c.forgetClose()
		}
	}()
}

// startDeadline is WriteTimeout's. That of SetWriteDeadline was meant for the program's last write, and
// has mostly passed.
func (c *Conn) startDeadline() writeDeadline {
	return writeDeadline{at: c.timeoutFrom(time.Now()), own: true}
}

// started is called when a frame of startFrame has gone out, by who leads.
func (c *Conn) started(op opcode) {
	c.countSent(op, 0)
	if op == opClose {
		c.setCloseState(closeSent)
	}
}

// startClose sends a close frame and waits for nothing.
func (c *Conn) startClose(code int, reason string) {
	c.startFrame(opClose, FormatCloseMessage(code, reason), func(error) {})
}

// startPing sends a ping of the keepalive, unless the last one still waits to go out.
func (c *Conn) startPing() {
	if c.flags.Or(isPinging)&isPinging == 0 {
		c.startFrame(opPing, nil, func(error) { c.flags.And(^uint32(isPinging)) })
	}
}
