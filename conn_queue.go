package websocket

import "time"

// A writeWaiter is a goroutine that waits for the write half.
type writeWaiter struct {
	control bool           // for a control frame
	writer  *messageWriter // for a fragment of this writer's
	since   time.Time      // what the default deadline counts from
	granted bool           // it leads; guarded by the half's mu
	wake    chan struct{}  // look again; holds one signal
	next    *writeWaiter   // who came after it
}

func (w *writeWaiter) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // a signal is there already
	}
}

// A waitQueue has those who wait for the write half, in the order they came. It is a
// list, so that an idle connection keeps nothing of it.
type waitQueue struct{ first, last *writeWaiter }

func (q *waitQueue) add(w *writeWaiter) {
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
}

func (q *waitQueue) remove(w *writeWaiter) {
	var before *writeWaiter
	for at := q.first; at != w; at = at.next {
		before = at
	}
	if before == nil {
		q.first = w.next
	} else {
		before.next = w.next
	}
	if q.last == w {
		q.last = before
	}
	w.next = nil
}
