package measure

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Busy is for how long some processors have had something to do, or would have,
// if another machine on the same hardware had not taken them. It is counted in
// hundredths of a second.
func Busy(cpus ...int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, cpu := range cpus {
		n, err := busyTicks(string(text), cpu)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

func busyTicks(stat string, cpu int) (int64, error) {
	for line := range strings.Lines(stat) {
		if rest, ok := strings.CutPrefix(line, fmt.Sprintf("cpu%d ", cpu)); ok {
			var user, nice, system, idle, iowait, irq, softirq, steal int64
			_, err := fmt.Sscan(rest, &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
			return user + nice + system + irq + softirq + steal, err
		}
	}
	return 0, fmt.Errorf("measure: no cpu%d in /proc/stat", cpu)
}
