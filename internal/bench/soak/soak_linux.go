package main

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// A soaking is a soak under way.
type soaking struct {
	plan
	command []string
	begin   time.Time
	server  atomic.Pointer[process] // where new connections go
	lives   atomic.Uint64
	lull    lull

	mu     sync.Mutex
	report report
	stop   context.CancelFunc
}

// soak runs a plan with servers that are processes of this command.
func soak(p plan, command ...string) (*report, error) {
	if err := measure.ManyFiles(); err != nil {
		return nil, err
	}
	s := &soaking{plan: p, command: command, begin: time.Now()}
	s.report.plan = p
	first, err := start(command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	s.server.Store(first)
	s.report.servers = []*serverReport{first.report}
	ctx, stop := context.WithTimeout(context.Background(), p.duration)
	defer stop()
	s.stop = stop

	var all sync.WaitGroup
	for range p.connections {
		all.Go(func() { s.connections(ctx) })
	}
	all.Go(func() { s.watch(ctx) })
	all.Go(func() { s.restart(ctx) })
	all.Wait()
	s.replace(nil)
	return &s.report, nil
}

// connections has one connection after the other, until ctx is done.
func (s *soaking) connections(ctx context.Context) {
	wait(ctx, time.Duration(rand.Int64N(int64(min(10*time.Second, s.duration/10))))) // not all at once
	for ctx.Err() == nil {
		l, err := open(ctx, func() string { return s.server.Load().address }, s.lives.Add(1), s.pause, &s.lull)
		if err != nil {
			return // ctx is done
		}
		e, err := l.run(ctx)
		s.ended(l, e, err)
	}
}

func (s *soaking) ended(l *life, e ending, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.messages += l.came
	if err != nil {
		s.fail(err)
		return
	}
	s.report.endings[e]++
}

// fail ends the soak. The caller holds mu.
func (s *soaking) fail(err error) {
	s.report.failures = append(s.report.failures, err)
	s.stop()
}

// looks is how often one looks at each server.
const looks = 10

// watch looks at both sides' memory and goroutines now and then.
func (s *soaking) watch(ctx context.Context) {
	every := s.duration / time.Duration(looks*(s.restarts+1))
	for wait(ctx, every) {
		s.lull.during(ctx, 3*s.pause, s.look)
	}
}

func (s *soaking) look() {
	server := s.server.Load()
	state, resident, err := server.look()
	if err != nil {
		return // it was replaced just now, and ended
	}
	if state.Connections < int64(s.plan.connections)*95/100 {
		return
	}
	live := liveHeap()
	own, err := measure.MemoryOf(os.Getpid())
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.fail(err)
	}
	server.report.add(state.Live, resident, state.Goroutines)
	s.report.clients.add(live, own, int64(runtime.NumGoroutine()))
}

// restart replaces the server, as often as planned.
func (s *soaking) restart(ctx context.Context) {
	for range s.restarts {
		if !wait(ctx, s.duration/time.Duration(s.restarts+1)) {
			return
		}
		next, err := start(s.command[0], s.command[1:]...)
		if err != nil {
			s.mu.Lock()
			s.fail(err)
			s.mu.Unlock()
			return
		}
		s.replace(next)
	}
}

// replace has another server, or none, take the place of the one there is, and that end.
func (s *soaking) replace(next *process) {
	old := s.server.Swap(next)
	if next != nil {
		s.mu.Lock()
		s.report.servers = append(s.report.servers, next.report)
		s.mu.Unlock()
	}
	begin := time.Now()
	last, err := old.drain()
	s.mu.Lock()
	defer s.mu.Unlock()
	old.report.last, old.report.drained = last, time.Since(begin)
	if err != nil {
		s.fail(err)
	}
}

// wait reports whether d passed before ctx was done.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
