package testnet

// This file holds what makes a wait end: a change of the direction, a
// deadline, or the arrival of delayed bytes.

import (
	"net"
	"time"
)

// end is the reader's or the writer's side of a direction.
type end struct {
	closed   bool
	deadline time.Time   // zero: none
	timer    *time.Timer // wakes the waiters of this side; nil until one needs it
}

func (e *end) expired() bool {
	return !e.deadline.IsZero() && !time.Now().Before(e.deadline)
}

func (e *end) close() {
	e.closed = true
	if e.timer != nil {
		e.timer.Stop()
	}
}

// setDeadline moves a side's deadline, also under calls that are blocked.
func (d *Direction) setDeadline(e *end, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	if !t.IsZero() {
		// Put t on the clock the timer runs by: against the wall clock a
		// timer that has fired could still find its deadline ahead.
		now := time.Now()
		t = now.Add(t.Sub(now))
	}
	e.deadline = t
	d.cond.Broadcast()
	return nil
}

// wait blocks until something has changed, the side's deadline has passed or
// due (zero: never) has come. It may return earlier, so callers look again.
//
// The timer only wakes; whether a moment has come is decided by the clock, so
// a timer left over from an earlier wait does no harm. All waiters of a side
// wait for the same moments and share the timer: a broadcast wakes every one,
// and each sets it anew before it waits again.
func (d *Direction) wait(e *end, due time.Time) {
	until := e.deadline
	if until.IsZero() || !due.IsZero() && due.Before(until) {
		until = due
	}
	switch {
	case until.IsZero():
		if e.timer != nil {
			e.timer.Stop()
		}
	case e.timer == nil:
		e.timer = time.AfterFunc(time.Until(until), d.wake)
	default:
		e.timer.Reset(time.Until(until))
	}
	d.cond.Wait()
}

func (d *Direction) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cond.Broadcast()
}
