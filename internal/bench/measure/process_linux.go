package measure

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPUOf is the processor time that a process has taken, in user mode and in the
// kernel, to the nanosecond.
func CPUOf(pid int) (time.Duration, error) {
	// The clock of a process's scheduler, as clock_getcpuclockid makes it.
	const sched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("measure: the clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// MemoryOf is how many bytes of a process are in memory, counted page by page.
func MemoryOf(pid int) (int64, error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "Rss: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("measure: no Rss in %s", name)
}

// TwoCPUs are the first processors that this process may use.
func TwoCPUs() (server, client int, err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return 0, 0, err
	}
	if allowed.Count() < 2 {
		return 0, 0, fmt.Errorf("measure: %d processors, and the server and the client need one each", allowed.Count())
	}
	next := func(from int) int {
		for !allowed.IsSet(from) {
			from++
		}
		return from
	}
	server = next(0)
	return server, next(server + 1), nil
}

// On runs f on that processor only. A process that it starts stays there.
func On(cpu int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	err := f()
	if e := unix.SchedSetaffinity(0, &before); err == nil {
		err = e
	}
	return err
}

// StayOn keeps all of this process on that processor.
func StayOn(cpu int) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, t := range threads {
		var id int
		if _, err := fmt.Sscan(t.Name(), &id); err != nil {
			return err
		}
		// New threads are where those are that start them. One may have ended.
		if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// ManyFiles lets this process, and those that it starts, have as many files as
// they may.
func ManyFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
