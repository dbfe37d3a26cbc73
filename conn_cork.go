package websocket

import (
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

// A message that is written while another one, complete, is already there to be read is
// corked: it is kept, as the answer to that one will follow at once, and many small
// messages go out for the price of one. Corked messages count as written. They go out with
// the next message that is not corked; before any other frame; before a read waits; and
// when corkTime has passed, should the program do none of these.

// corkTime is how long messages are corked at most.
const corkTime = 100 * time.Microsecond

// closeTime is how long Close waits for a transport to take what is corked, if that cannot
// be had without waiting. It is also the least that corked messages are given to go out,
// should the write deadline come sooner: their writes met it.
const closeTime = 250 * time.Millisecond

// A corking is what a connection has for messages that are corked, from the first on.
type corking struct {
	buf   *bufpool.Buffer // frames; nil if there are none
	timer *time.Timer     // flushes them; not armed if there are none

	// Of those that are being sent while the half's state is writeUncorking.
	since  time.Time
	closes chan struct{} // closed at the end of that; nil if no Close waits for it

	err error // why some were lost, for Close to say
}

// cork keeps a data frame for later if that is right, and reports whether it did. The
// caller holds mu, and either leads or could.
func (c *Conn) cork(start frameStart, payload []byte) bool {
	out := &c.out
	if !c.in.more.Load() || out.uncorked || out.waiters.first != nil || out.err != nil {
		return false
	}
	k := out.corking
	if k == nil {
		k = new(corking)
		k.timer = time.AfterFunc(time.Hour, c.flush)
		k.timer.Stop()
		out.corking = k
	}
	if k.buf == nil {
		k.timer.Reset(corkTime)
	}
	buf, ok := withRoom(k.buf, c.frameSize(len(payload)))
	k.buf = buf
	if ok {
		c.addFrame(buf, start, payload)
	}
	return ok
}

func (out *writeHalf) hasCorked() bool { return out.corking != nil && out.corking.buf != nil }

// corkPong puts a pong behind messages that are corked, if there are any and it has
// room there. The caller holds mu and could lead.
func (out *writeHalf) corkPong(c *Conn, payload []byte) bool {
	if !out.hasCorked() {
		return false
	}
	k := out.corking
	buf, ok := withRoom(k.buf, c.frameSize(len(payload)))
	k.buf = buf
	if ok {
		c.addFrame(buf, whole(opPong), payload)
	}
	return ok
}

// takeCorked takes away what is corked, or nil, to be sent by the caller, who leads.
func (out *writeHalf) takeCorked() *bufpool.Buffer {
	if !out.hasCorked() {
		return nil
	}
	k := out.corking
	buf := k.buf
	k.buf = nil
	k.timer.Stop()
	return buf
}

// leadCorked makes the caller the leader if that is possible at once and something is
// corked, which it returns, or nil.
func (out *writeHalf) leadCorked() *bufpool.Buffer {
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.state != writeIdle {
		return nil
	}
	return out.uncork()
}

// uncork is leadCorked for who holds mu and could lead.
func (out *writeHalf) uncork() *bufpool.Buffer {
	buf := out.takeCorked()
	if buf != nil {
		out.state = writeUncorking
		out.corking.since = time.Now()
	}
	return buf
}

// sent is called when what was uncorked has been sent, or, with an error, never will be.
func (k *corking) sent(err error) {
	k.err = err
	if k.closes != nil {
		close(k.closes)
		k.closes = nil
	}
}

// sendCorked sends what was corked. As it counts as written, there is no way back. The
// caller leads.
func (c *Conn) sendCorked(buf *bufpool.Buffer) error {
	if buf == nil {
		return nil
	}
	defer bufpool.Put(buf)
	return c.send(buf.Bytes(), c.out.corkedDeadline(), true)
}

func (out *writeHalf) corkedDeadline() writeDeadline {
	least := deadlineIn(closeTime)
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.explicit && !out.deadline.IsZero() && out.deadline.Before(least.at) {
		return least
	}
	return writeDeadline{}
}

// sendCorkedFirst is called by a leader who is to send a frame that is never corked.
func (c *Conn) sendCorkedFirst() error {
	c.out.mu.Lock()
	buf := c.out.takeCorked()
	c.out.mu.Unlock()
	return c.sendCorked(buf)
}

// flush is what the timer does.
func (c *Conn) flush() {
	out := &c.out
	out.mu.Lock()
	if out.state != writeIdle && out.corking.buf != nil {
		out.corking.timer.Reset(corkTime) // who leads now may not come to send it
	}
	out.mu.Unlock()
	if buf := out.leadCorked(); buf != nil {
		c.sendCorkedAndFollow(buf)
	}
}

// sendCorkedAndFollow is sendCorked for a goroutine of its own, which leads until it ends.
func (c *Conn) sendCorkedAndFollow(buf *bufpool.Buffer) {
	defer c.recoverWrite()
	defer c.follow()
	_ = c.sendCorked(buf) // the error sticks
}

// uncorkToWait sends what is corked since the reader is about to wait for more to read.
// It does not itself wait for that.
func (c *Conn) uncorkToWait() {
	c.in.corks = false
	c.in.more.Store(false) // before corked messages are looked for: whoever is late sees it
	buf := c.out.leadCorked()
	if buf == nil {
		return
	}
	buf.R += c.tryWrite(buf.Bytes())
	if len(buf.Bytes()) > 0 {
		go c.sendCorkedAndFollow(buf)
		return
	}
	bufpool.Put(buf)
	c.follow()
}

// uncorkToClose makes one attempt to send what is corked, which Close would lose. An
// attempt that is under way is given closeTime in all.
func (c *Conn) uncorkToClose() error {
	buf := c.out.endCorking()
	if buf == nil {
		return c.out.waitForUncorked()
	}
	defer c.follow()
	defer bufpool.Put(buf)
	if !c.transport.seam.raw() {
		return c.sendBoth(nil, buf.Bytes(), deadlineIn(closeTime), true)
	}
	c.armWrite(writeDeadline{own: true}) // an earlier write's may have passed, and would be in the way
	if c.tryWrite(buf.Bytes()) < len(buf.Bytes()) {
		_ = c.failWrite(errConnClosed) // nothing may go out behind what is lost
		return errCorkedLost
	}
	return nil
}

// waitForUncorked waits until what is being uncorked was sent, if anything is, and says
// whether all ever was.
func (out *writeHalf) waitForUncorked() error {
	out.mu.Lock()
	defer out.mu.Unlock()
	k := out.corking
	if k == nil {
		return nil
	}
	if out.state != writeUncorking {
		return k.err
	}
	if k.closes == nil {
		k.closes = make(chan struct{})
	}
	closes := k.closes
	timer := time.NewTimer(time.Until(k.since.Add(closeTime)))
	defer timer.Stop()
	out.mu.Unlock()
	late := false
	select {
	case <-closes:
	case <-timer.C:
		late = true
	}
	out.mu.Lock()
	if late {
		return errCorkedLost
	}
	return k.err
}

// stopCorking ends corking for good, as somebody may write past the connection. What is
// corked is given closeTime to go out: who asks may want to close a connection whose peer
// does not read.
func (c *Conn) stopCorking() {
	if c.transport.Conn == nil {
		return
	}
	if buf := c.out.endCorking(); buf != nil {
		go c.sendCorkedAndFollow(buf)
	}
	_ = c.out.waitForUncorked() // the error sticks
}

// endCorking is leadCorked, and nothing is corked after.
func (out *writeHalf) endCorking() *bufpool.Buffer {
	out.mu.Lock()
	out.uncorked = true
	out.mu.Unlock()
	return out.leadCorked()
}
