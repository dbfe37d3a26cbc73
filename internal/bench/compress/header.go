package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
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
	fmt.Fprintf(w, "%s, %s/%s, %s, %d processors. ", runtime.Version(), runtime.GOOS, runtime.GOARCH, measure.Processor(), runtime.NumCPU())
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
	_, err := fmt.Fprintf(w, "compress/flate of the Go release.\n%d rounds, samples of at least %s of processor time; load average %s at the end.\n\n", rounds, least, measure.LoadAverage())
	return err
}
