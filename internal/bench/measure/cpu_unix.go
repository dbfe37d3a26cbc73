//go:build unix

package measure

import (
	"syscall"
	"time"
)

// CPU is the processor time that this process has taken, in user mode and in
// the kernel, on all its threads: garbage collection is in it, and what other
// processes do is not.
func CPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
