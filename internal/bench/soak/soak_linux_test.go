package main

import (
	"context"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// leakArgument comes before serveArgument where the server is to leak.
const leakArgument = "leak"

// leak takes memory and never lets go of it, as long as the process lives.
func leak() {
	var lost [][]byte
	for range time.Tick(time.Millisecond) {
		lost = append(lost, make([]byte, 64<<10))
		runtime.KeepAlive(lost)
	}
}

// TestMain makes the test's own program the server where it is called as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == leakArgument {
		os.Args = os.Args[1:]
		go leak()
	}
	switch err := serveIfAsked(); err {
	case nil:
	case errNotAsked:
		os.Exit(m.Run())
	default:
		panic(err)
	}
}

func TestSoak(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	// With so few connections it is chance how many have the memory of a large message; that a leak
	// is found is for TestSoakLeak.
	p := plan{connections: 200, duration: 8 * time.Second, restarts: 1, pause: 10 * time.Millisecond, growth: 10}
	r, err := soak(p, program, serveArgument, "2000")
	require.NoError(t, err)
	require.NoError(t, r.verdict())
	for e, n := range r.endings {
		require.NotZero(t, n, "%s", ending(e))
	}
	require.Len(t, r.servers, 2)
	require.Greater(t, r.messages, uint64(10_000))
}

// A server that leaks is found by what is live, during its life and at its end.
func TestSoakLeak(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	p := plan{connections: 50, duration: 4 * time.Second, pause: 20 * time.Millisecond, growth: 2}
	r, err := soak(p, program, leakArgument, serveArgument, "2000")
	require.NoError(t, err)
	err = r.verdict()
	require.ErrorContains(t, err, "the live heap of server 1 grew")
	require.ErrorContains(t, err, "server 1 ended with a live heap")
}

// What must not be is found.
func TestVerdict(t *testing.T) {
	good := func() *report {
		flat := func() samples {
			return samples{live: []int64{100, 100, 110, 110}, resident: []int64{100, 100, 300, 300}, goroutines: []int64{10, 10, 11, 11}}
		}
		return &report{plan: plan{growth: 1.15}, clients: flat(), endings: [endings]int{killed: 3},
			servers: []*serverReport{{samples: flat(), before: state{Live: 1000}, last: state{Killed: 3, Live: 1000 + leftAtAll}}}}
	}
	require.NoError(t, good().verdict())
	for name, spoil := range map[string]func(*report){
		"failure":       func(r *report) { r.failures = []error{errMessage} },
		"heap":          func(r *report) { r.clients.live = []int64{100, 100, 120, 120} },
		"server heap":   func(r *report) { r.servers[0].live = []int64{100, 100, 120, 120} },
		"goroutines":    func(r *report) { r.servers[0].goroutines = []int64{10, 10, 12, 12} },
		"left":          func(r *report) { r.servers[0].last.Live++ },
		"not looked at": func(r *report) { r.servers[0].samples = samples{} },
		"cut":           func(r *report) { r.servers[0].last.Killed = 2 },
		"connections":   func(r *report) { r.servers[0].last.Connections = 1 },
	} {
		r := good()
		spoil(r)
		require.Error(t, r.verdict(), name)
	}
}

func TestCheck(t *testing.T) {
	m := message(nil, 7, 3)
	require.NoError(t, check(m, 7, 3))
	require.ErrorIs(t, check(m, 7, 4), errMessage, "lost")
	require.ErrorIs(t, check(m, 7, 2), errMessage, "twice")
	require.ErrorIs(t, check(m, 8, 3), errMessage, "another's")
	require.ErrorIs(t, check(m[:len(m)-1], 7, 3), errMessage, "cut")
	require.ErrorIs(t, check(nil, 7, 3), errMessage)
}

// The memory of a small message is used again, that of a large one not for ever.
func TestAgain(t *testing.T) {
	small, p := make([]byte, large), make([]byte, large+1)
	kept := 0
	for range 1000 {
		require.Equal(t, large, cap(again(small)))
		require.Empty(t, again(p))
		if again(p) != nil {
			kept++
		}
	}
	require.InDelta(t, 500, kept, 300)
}

// Silence is when nothing is under way, or when there was no more time for that.
func TestLull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lull
		ctx, cancel := context.WithCancel(t.Context())
		nothing := func() error { return nil }
		silences := 0
		silence := func() {
			silences++
			require.False(t, l.gate.TryRLock(), "a message may be sent")
		}
		require.NoError(t, l.send(nothing))
		time.AfterFunc(time.Second, func() { l.underWay.Add(-1) })
		begin := time.Now()
		l.during(ctx, time.Minute, silence)
		require.WithinRange(t, time.Now(), begin.Add(time.Second), begin.Add(1100*time.Millisecond))
		require.NoError(t, l.send(nothing))
		begin = time.Now()
		l.during(ctx, time.Minute, silence)
		require.Equal(t, time.Minute, time.Since(begin))
		require.Equal(t, 2, silences)
		cancel()
		l.during(ctx, time.Minute, silence)
		require.Equal(t, 2, silences)
	})
}
