package measure

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestProcess reads this process from outside.
func TestProcess(t *testing.T) {
	for begin, spent := time.Now(), 0; time.Since(begin) < 20*time.Millisecond; spent++ {
		runtime.KeepAlive(spent)
	}
	before, err := CPU()
	require.NoError(t, err)
	cpu, err := CPUOf(os.Getpid())
	require.NoError(t, err)
	after, err := CPU()
	require.NoError(t, err)
	require.GreaterOrEqual(t, cpu, before-10*time.Millisecond)
	require.LessOrEqual(t, cpu, after+10*time.Millisecond)

	small, err := MemoryOf(os.Getpid())
	require.NoError(t, err)
	p := make([]byte, 32<<20)
	for i := range p {
		p[i] = 1
	}
	large, err := MemoryOf(os.Getpid())
	require.NoError(t, err)
	runtime.KeepAlive(p)
	require.InDelta(t, 32<<20, large-small, 8<<20)

	_, err = CPUOf(1 << 25)
	require.Error(t, err, "no such process")
	_, err = MemoryOf(1 << 25)
	require.Error(t, err, "no such process")
}

func TestOn(t *testing.T) {
	server, client, err := TwoCPUs()
	if err != nil {
		t.Skip(err) // it needs two
	}
	require.NotEqual(t, server, client)
	var before, during, after unix.CPUSet
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	require.NoError(t, On(client, func() error { return unix.SchedGetaffinity(0, &during) }))
	require.NoError(t, unix.SchedGetaffinity(0, &after))
	require.Equal(t, 1, during.Count())
	require.True(t, during.IsSet(client))
	require.Equal(t, before, after)
}

func TestBusyTicks(t *testing.T) {
	const stat = "cpu  99 99 99 99 99 99 99 99 99 99\ncpu1 1 20 300 4000 50000 600000 7000000 80000000 0 0\ncpu10 1 0 0 0 0 0 0 0 0 0\nintr 5\n"
	n, err := busyTicks(stat, 1)
	require.NoError(t, err)
	require.EqualValues(t, 87600321, n)
	n, err = busyTicks(stat, 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	_, err = busyTicks(stat, 0)
	require.Error(t, err)

	busy, err := Busy(0)
	require.NoError(t, err)
	require.Positive(t, busy)
}
