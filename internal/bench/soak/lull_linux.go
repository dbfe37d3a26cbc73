package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A lull lets all connections fall silent together. What a process holds then is
// what it needs for connections, and not for messages, of which there are more or fewer at a
// time as the machine has time for them.
type lull struct {
	gate     sync.RWMutex // read-locked while a message is sent
	underWay atomic.Int64 // messages that were sent and did not come back yet
}

// send calls do, which sends a message, unless there is silence; then it waits.
func (l *lull) send(do func() error) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	l.underWay.Add(1)
	return do()
}

// during calls do in silence: once all messages have come back, or after limit, as some
// connections read slowly. It is given up once ctx is done.
func (l *lull) during(ctx context.Context, limit time.Duration, do func()) {
	l.gate.Lock()
	defer l.gate.Unlock()
	const step = 10 * time.Millisecond
	for l.underWay.Load() > 0 && limit > 0 && wait(ctx, step) {
		limit -= step
	}
	if ctx.Err() == nil {
		do()
	}
}
