package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test's own program the server where it is called as one.
func TestMain(m *testing.M) {
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
	p := plan{connections: 200, duration: 6 * time.Second, restarts: 2, pause: 10 * time.Millisecond, growth: 3} // while it grows to what it needs
	r, err := soak(p, program, serveArgument, "2000")
	require.NoError(t, err)
	require.NoError(t, r.verdict())
	for e, n := range r.endings {
		require.NotZero(t, n, "%s", ending(e))
	}
	require.Len(t, r.servers, 3)
	require.Greater(t, r.messages, uint64(10_000))
}

// What must not be is found.
func TestVerdict(t *testing.T) {
	good := func() *report {
		return &report{plan: plan{growth: 1.15}, memory: []int64{100, 100, 110, 110}, servers: []*serverReport{{last: state{Killed: 3}}},
			endings: [endings]int{killed: 3}}
	}
	require.NoError(t, good().verdict())
	for name, spoil := range map[string]func(*report){
		"failure":       func(r *report) { r.failures = []error{errMessage} },
		"memory":        func(r *report) { r.memory[2], r.memory[3] = 120, 120 },
		"server memory": func(r *report) { r.servers[0].memory = []int64{100, 100, 120, 120} },
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
