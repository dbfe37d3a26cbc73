package testnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recorder is a test that only notes its failures.
type recorder struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) end() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func leakUntil(release chan struct{}, done chan struct{}) {
	<-release
	close(done)
}

func TestCheckGoroutinesFindsLeaks(t *testing.T) {
	before, after, done := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	ended := func() { done <- struct{}{} }
	go func() { defer ended(); <-before }()
	r := &recorder{TB: t}
	checkGoroutines(r, 10*time.Millisecond)
	leaked := make(chan struct{})
	go leakUntil(after, leaked)
	r.end()
	require.Len(t, r.failures, 1)
	require.True(t, strings.HasPrefix(r.failures[0], "1 goroutines leaked"), r.failures[0])
	require.Contains(t, r.failures[0], "testnet.leakUntil")
	require.NotContains(t, r.failures[0], "TestCheckGoroutinesFindsLeaks.func2",
		"what ran before the call is not reported")
	close(before)
	close(after)
	<-done
	<-leaked
}

// TestCheckGoroutinesWaits ends the goroutine only after the check has begun.
func TestCheckGoroutinesWaits(t *testing.T) {
	r := &recorder{TB: t}
	checkGoroutines(r, time.Minute)
	release, done := make(chan struct{}), make(chan struct{})
	go leakUntil(release, done)
	require.Len(t, newGoroutines(nil), 1)
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	r.end()
	require.Empty(t, r.failures)
	<-done
}

// TestCheckGoroutinesLeavesOutTests starts subtests after the call, which run
// on goroutines of their own.
func TestCheckGoroutinesLeavesOutTests(t *testing.T) {
	r := &recorder{TB: t}
	checkGoroutines(r, 0)
	t.Run("subtest", func(t *testing.T) {
		r.end()
		require.Empty(t, r.failures)
	})
}
