package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The test binary is also the program that the tests of process start: this
// variable says how it is to behave.
const behaveAs = "AUTOBAHN_TEST_BEHAVE_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(behaveAs) {
	case "":
		os.Exit(m.Run())
	case "server": // listens where it is told, says so, and ends on a signal
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		ln, err := net.Listen("tcp", os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("listening on\nsomething\n")
		<-ctx.Done()
		ln.Close()
	case "failure":
		fmt.Fprintln(os.Stderr, "cannot go on")
		os.Exit(3)
	}
}

func startSelf(t *testing.T, ctx context.Context, behaviour string, args ...string) *process {
	t.Helper()
	t.Setenv(behaveAs, behaviour)
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	p, err := start(ctx, behaviour, dir, dir, append([]string{self}, args...)...)
	require.NoError(t, err)
	t.Cleanup(p.stop)
	return p
}

func TestProcessIsAwaitedAndStopped(t *testing.T) {
	addr, err := freeAddr()
	require.NoError(t, err)
	p := startSelf(t, t.Context(), "server", addr)

	line, err := p.awaitLine(t.Context())
	require.NoError(t, err)
	require.Equal(t, "listening on", line)
	require.NoError(t, p.awaitListener(t.Context(), addr))

	p.stop()
	_, err = net.Dial("tcp", addr)
	require.Error(t, err, "the program still listens after stop")
	output, err := os.ReadFile(p.logFile)
	require.NoError(t, err)
	require.Equal(t, "listening on\nsomething\n", string(output))
}

func TestProcessThatFails(t *testing.T) {
	addr, err := freeAddr()
	require.NoError(t, err)
	p := startSelf(t, t.Context(), "failure")
	_, lineErr := p.awaitLine(t.Context())
	for _, err := range []error{lineErr, p.awaitListener(t.Context(), addr), p.wait(t.Context())} {
		require.ErrorContains(t, err, "exit status 3")
		require.ErrorContains(t, err, "cannot go on", "its last words")
	}
}

// When one of the two programs fails, the other, which would run for ever, is
// not waited for.
func TestWaitBothEndsWithTheFirstFailure(t *testing.T) {
	addr, err := freeAddr()
	require.NoError(t, err)
	endless := startSelf(t, t.Context(), "server", addr)
	failing := startSelf(t, t.Context(), "failure")
	require.ErrorContains(t, waitBoth(t.Context(), endless, failing), "failure: exit status 3")
}

func TestProcessEndsWithItsContext(t *testing.T) {
	addr, err := freeAddr()
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	p := startSelf(t, ctx, "server", addr)
	_, err = p.awaitLine(t.Context())
	require.NoError(t, err)

	reason := errors.New("out of time")
	cancel(reason)
	require.ErrorIs(t, p.wait(ctx), reason)
	<-p.done
}

func TestStartOfNothing(t *testing.T) {
	dir := t.TempDir()
	_, err := start(t.Context(), "missing", dir, dir, filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
