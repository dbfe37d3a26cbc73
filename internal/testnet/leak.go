package testnet

// This file holds the check for goroutines that outlive a test.

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// leakPatience is how long goroutines may take to end after a test. Nothing
// but a slow machine needs more than an instant.
const leakPatience = 5 * time.Second

// CheckGoroutines fails the test in a Cleanup, with their stacks, if
// goroutines of this module that started after the call are still alive some
// seconds after the test and the Cleanups registered later have ended. A
// goroutine is the module's if its stack or the statement that started it is;
// those the testing package starts are left out.
//
// It sees the whole process, so neither the test nor others beside it may be
// parallel. It must not be used in a bubble of testing/synctest: the polling
// would run by the bubble's clock, and synctest.Test itself fails if goroutines
// of the bubble are left.
func CheckGoroutines(t testing.TB) {
	t.Helper()
	checkGoroutines(t, leakPatience)
}

func checkGoroutines(t testing.TB, patience time.Duration) {
	t.Helper()
	before := moduleGoroutines()
	t.Cleanup(func() {
		t.Helper()
		// The end of a goroutine that nobody waits for is no event one could
		// wait for, so look again and again.
		giveUp := time.Now().Add(patience)
		for pause := time.Millisecond; ; pause *= 2 {
			leaked := newGoroutines(before)
			if len(leaked) == 0 {
				return
			}
			if !time.Now().Before(giveUp) {
				t.Errorf("%d goroutines leaked:\n\n%s", len(leaked), strings.Join(leaked, "\n\n"))
				return
			}
			time.Sleep(min(pause, 50*time.Millisecond))
		}
	})
}

// newGoroutines returns the stacks of the module's goroutines not in before.
func newGoroutines(before map[string]string) []string {
	var stacks []string
	for id, stack := range moduleGoroutines() {
		if _, ok := before[id]; !ok {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// moduleGoroutines returns the stacks of the module's goroutines by their ids.
func moduleGoroutines() map[string]string {
	module, _ := strings.CutSuffix(reflect.TypeFor[Conn]().PkgPath(), "/internal/testnet")
	found := make(map[string]string)
	for stack := range strings.SplitSeq(allStacks(), "\n\n") {
		// A stack begins "goroutine 7 [running]:". Tests and benchmarks run
		// on goroutines of testing, with functions of the module on them.
		id, _, ok := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		if ok && strings.Contains(stack, module) && !strings.Contains(stack, "\ncreated by testing.") {
			found[id] = stack
		}
	}
	return found
}

func allStacks() string {
	for size := 64 << 10; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return strings.TrimSpace(string(buf[:n]))
		}
	}
}
