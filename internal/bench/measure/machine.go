package measure

import (
	"os"
	"strings"
)

// Processor is the model's name, where the system tells.
func Processor() string {
	for line := range strings.Lines(proc("cpuinfo")) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(strings.TrimSpace(name), ": ")
		}
	}
	return "an unnamed processor"
}

// LoadAverage is how many wanted a processor in the last minute.
func LoadAverage() string {
	if words := strings.Fields(proc("loadavg")); len(words) > 0 {
		return words[0]
	}
	return "unknown"
}

// Kernel is the system's release.
func Kernel() string {
	return "kernel " + strings.TrimSpace(proc("sys/kernel/osrelease"))
}

func proc(name string) string {
	text, err := os.ReadFile("/proc/" + name)
	if err != nil {
		return ""
	}
	return string(text)
}
