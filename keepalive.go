package websocket

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultKeepaliveInterval = 20 * time.Second
	defaultKeepaliveTimeout  = 20 * time.Second

	// stopped is how late the timer is where the process was stopped, or the machine asleep.
	stopped = time.Second
)

// A Keepalive finds out whether peers are still there, and keeps their connections from being
// dropped on the way for want of traffic. It is given to an [Upgrader] or a [Dialer], or to
// several of them, and one timer serves all of their connections, which runs as long as there are any. A
// connection costs no goroutine and 96 bytes.
//
// A peer that has sent nothing for Interval is sent a ping (RFC 6455 §5.5.2), and if it sends
// nothing for Timeout after that, reads return [ErrKeepaliveTimeout]. Whatever comes
// counts, pongs and parts of messages too, and so do the steps of a large message behind which the
// ping has to wait; and only time in which the program is reading
// does, as nothing can be seen to come otherwise. Read deadlines are the program's own and
// hold beside it. A transport that has no deadlines is closed instead.
// For the rest writes do not matter: each has its own timeout.
//
// The fields must not be changed once the first connection has it. A Keepalive must not be copied. It
// holds its connections until they are closed or nothing can be read from them any more.
type Keepalive struct {
	// Interval is how long a peer may be silent before it is sent a ping. Zero or less
	// means 20 seconds. It is kept to an eighth of the shorter of the two
	// times, and at best to a thousandth of the longer one.
	Interval time.Duration

	// Timeout is how long a peer may be silent after that. Zero or less means 20 seconds.
	Timeout time.Duration

	// now counts the periods of the timer, and stands still while there are no connections.
	// It counts those that the process has lived through: the peers of one that was
	// stopped for an hour were not silent for that long.
	now atomic.Uint32

	mu                sync.Mutex // guards the fields below; never held while a frame is sent
	period            time.Duration
	last              time.Time // when the timer ran last
	interval, timeout uint32    // in periods
	timer             *time.Timer
	conns             int

	// wheel has the connections by the time at which to look at them, modulo its length, and
	// hand is where it is now.
	wheel []*Conn
	hand  uint32
}

// start begins to count periods. The caller holds mu.
func (k *Keepalive) start() {
	interval, timeout := k.Interval, k.Timeout
	if interval <= 0 {
		interval = defaultKeepaliveInterval
	}
	if timeout <= 0 {
		timeout = defaultKeepaliveTimeout
	}
	k.period = max(min(interval, timeout)/8, max(interval, timeout)/1000, time.Millisecond)
	k.interval = uint32((interval-1)/k.period) + 1
	k.timeout = uint32((timeout-1)/k.period) + 1
	k.wheel, k.hand = make([]*Conn, max(k.interval, k.timeout)+1), 0
	k.last = time.Now()
	k.timer = time.AfterFunc(k.period, k.tick)
}

// add begins to look after a connection that has this Keepalive, if it is not nil.
func (k *Keepalive) add(c *Conn) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conns == 0 {
		k.start()
	}
	k.conns++
	c.monitor.heard.Store(k.now.Load())
	k.lookIn(c, k.interval)
}

// remove ends that. It may be called more than once, and before add.
func (k *Keepalive) remove(c *Conn) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.monitor.slot != 0 {
		k.take(c)
		k.leave(c)
	}
}

// leave is remove for a connection that is not in the wheel any more. The caller holds mu.
func (k *Keepalive) leave(c *Conn) {
	c.monitor.slot = 0
	k.conns--
	if k.conns == 0 {
		k.timer.Stop()
		k.wheel = nil
	}
}

// lookIn puts a connection into the wheel, so that it is looked at in so many periods, which
// are fewer than the wheel has places.
func (k *Keepalive) lookIn(c *Conn, periods uint32) {
	m := c.monitor
	at := (k.hand + periods) % uint32(len(k.wheel))
	m.slot = uint16(at + 1)
	first := k.wheel[at]
	m.prev, m.next = nil, first
	if first != nil {
		first.monitor.prev = c
	}
	k.wheel[at] = c
}

// lookForAnswer is lookIn for a connection that was sent a ping some periods ago: at once when
// it should have been answered, but no later than the next ping may be due.
func (k *Keepalive) lookForAnswer(c *Conn, ago uint32) {
	periods := min(k.interval, k.timeout-ago)
	c.monitor.pinged = uint16(ago + periods)
	k.lookIn(c, periods)
}

// take takes a connection out of the wheel.
func (k *Keepalive) take(c *Conn) {
	m := c.monitor
	if m.next != nil {
		m.next.monitor.prev = m.prev
	}
	if m.prev != nil {
		m.prev.monitor.next = m.next
	} else {
		k.wheel[m.slot-1] = m.next
	}
	m.prev, m.next = nil, nil
}

// tick is what the timer does.
func (k *Keepalive) tick() {
	quiet, silent := k.look()
	for _, c := range quiet {
		c.startPing()
	}
	for _, c := range silent {
		go c.endSilent() // the transport may make it wait
	}
}

// endSilent ends the reads of a connection whose peer is gone, by closing the transport if
// that has no deadlines.
func (c *Conn) endSilent() {
	defer ignorePanic()
	err := errTransportPanicked
	defer func() {
		if err != nil && !c.is(isClosed) {
			_ = c.transport.Close()
		}
	}()
	c.setFlag(isSilent)
	err = c.applyReadDeadline(&readDeadline{})
}

// look looks at the connections whose time has come. It returns those that are to be
// sent a ping, and those whose peers are gone.
func (k *Keepalive) look() (quiet, silent []*Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conns == 0 { // the last one left just now
		return nil, nil
	}
	k.timer.Reset(k.period)
	since := time.Since(k.last)
	k.last = k.last.Add(since)
	if since > 2*k.period+stopped {
		return nil, nil // what came meanwhile has to be read first
	}
	now := k.now.Add(1)
	k.hand = (k.hand + 1) % uint32(len(k.wheel))
	for c := k.wheel[k.hand]; c != nil; {
		next := c.monitor.next
		k.take(c)
		switch k.judge(c, now) {
		case toPing:
			quiet = append(quiet, c)
		case toEnd:
			silent = append(silent, c)
		}
		c = next
	}
	return quiet, silent
}

// A verdict is what is to be done with a connection.
type verdict uint8

const (
	toWait verdict = iota
	toPing
	toEnd
)

// judge looks at one connection, and puts it into the wheel again unless it has to end.
func (k *Keepalive) judge(c *Conn, now uint32) verdict {
	m := c.monitor
	ago := uint32(m.pinged)
	m.pinged = 0
	silent := now - m.heard.Load()
	unanswered := ago > 0 && silent > ago
	switch {
	case !c.in.busy.Load() || c.is(isHandling): // nobody reads, so there is nothing to go by
		k.lookIn(c, k.interval)
	case unanswered && ago == k.timeout:
		k.leave(c)
		return toEnd
	case unanswered:
		k.lookForAnswer(c, ago)
	case silent < k.interval:
		k.lookIn(c, k.interval-silent)
	default:
		k.lookForAnswer(c, 0)
		return toPing
	}
	return toWait
}
