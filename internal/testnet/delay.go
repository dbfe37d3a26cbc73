package testnet

// This file holds the way of bytes through time: when what was written can be
// read.

import "time"

// arrival says how much of a direction's buffer can be read by now. The
// buffer begins with the bytes that have arrived; those of the chunks in
// flight follow in their order.
type arrival struct {
	arrived int  // bytes
	ended   bool // the end has arrived, after all bytes
	endErr  error

	flight  []chunk
	lastDue time.Time // when the latest chunk sent arrives

	latency, gap time.Duration
}

// chunk is what travels in one piece: some bytes, or the end of the stream.
type chunk struct {
	n   int
	end bool
	due time.Time
}

// SetLatency lets what is written from now on arrive that much later, the end of the
// stream included. Bytes stay in order: none arrives before those sent
// earlier. The buffer's bound includes bytes on their way. That the reader has
// closed is known to the writer at once.
func (d *Direction) SetLatency(latency time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.latency = latency
}

// SetGap lets chunks arrive at least gap apart, the end of the stream being a
// chunk of its own. With a limit of Writes it makes a slow link or a peer that
// trickles; see [Direction.LimitWrites].
func (d *Direction) SetGap(gap time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gap = gap
}

// send gives a chunk its time of arrival.
func (a *arrival) send(c chunk) {
	if a.latency <= 0 && a.gap <= 0 && len(a.flight) == 0 {
		a.land(c)
		return
	}
	c.due = time.Now().Add(a.latency)
	if earliest := a.lastDue.Add(a.gap); c.due.Before(earliest) {
		c.due = earliest
	}
	a.lastDue = c.due
	a.flight = append(a.flight, c)
}

// deliver lands the chunks whose time has come.
func (a *arrival) deliver() {
	if len(a.flight) == 0 {
		return
	}
	now := time.Now()
	for len(a.flight) > 0 && !now.Before(a.flight[0].due) {
		a.land(a.flight[0])
		a.flight = a.flight[1:]
	}
}

func (a *arrival) land(c chunk) {
	a.arrived += c.n
	a.ended = a.ended || c.end
}

// nextDue is when the next chunk arrives, zero if none is on its way.
func (a *arrival) nextDue() time.Time {
	if len(a.flight) == 0 {
		return time.Time{}
	}
	return a.flight[0].due
}
