package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// peers are the modules that this one is measured against.
var peers = []string{
	"github.com/gorilla/websocket",
	"github.com/coder/websocket",
	"github.com/lxzan/gws",
	"github.com/klauspost/compress",
}

// writeHeader says what was measured and where.
func writeHeader(w io.Writer, rounds int, least time.Duration) error {
	fmt.Fprintf(w, "%s, %s/%s, %s, %d processors. ", runtime.Version(), runtime.GOOS, runtime.GOARCH, processor(), runtime.NumCPU())
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fmt.Errorf("compress: the program does not say what it was built of")
	}
	for _, d := range info.Deps {
		for _, path := range peers {
			if d.Path == path {
				fmt.Fprintf(w, "%s %s, ", strings.TrimPrefix(path, "github.com/"), d.Version)
			}
		}
	}
	_, err := fmt.Fprintf(w, "compress/flate of the Go release.\n%d rounds, samples of at least %s of processor time; load average %s at the end.\n\n", rounds, least, loadAverage())
	return err
}

// processor is the model's name, where the system tells.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "an unnamed processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(strings.TrimSpace(name), ": ")
		}
	}
	return "an unnamed processor"
}

// loadAverage is how many wanted a processor in the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}
