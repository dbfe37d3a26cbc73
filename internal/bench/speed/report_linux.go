package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// peers are the modules that this one is measured against.
var peers = []string{
	"github.com/gorilla/websocket", "github.com/coder/websocket", "github.com/gobwas/ws", "github.com/lxzan/gws",
	"github.com/lesismal/nbio", "golang.org/x/net",
}

// writeHeader says what was measured and where.
func writeHeader(w io.Writer, l *lab, rounds int, notes []string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("speed: the program does not say what it was built of")
	}
	versions := []string{}
	for _, d := range info.Deps {
		if slices.Contains(peers, d.Path) {
			versions = append(versions, strings.TrimPrefix(d.Path, "github.com/")+" "+d.Version)
		}
	}
	_, err := fmt.Fprintf(w, "%s, %s/%s, %s, %s; the server has one processor and the client another.\n%s. %s\n%d rounds, windows of %s; load average %s at the end. †n: others took more than %.0f %% of a processor in n windows, twice in a row.\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, measure.Processor(), measure.Kernel(),
		strings.Join(versions, ", "), strings.Join(notes, " "), rounds, l.window, measure.LoadAverage(), 100*l.disturbed)
	return err
}

func writeBudgets(w io.Writer, parts []part) {
	writeSummary(w, "Budgets", row{"what", "budget", "ours (95 %)", "verdict"}, parts, part.budgets)
}

func writeNotFirst(w io.Writer, parts []part) {
	writeSummary(w, "Where ours is not first", row{"what", "who is ahead", "ours takes × that (95 %)", "beyond noise"}, parts, part.notFirst)
}

// writeSummary writes a table of what each part has to say to one question.
func writeSummary(w io.Writer, title string, head row, parts []part, rows func(part) []row) {
	fmt.Fprintf(w, "### %s\n\n", title)
	head.write(w)
	fmt.Fprintln(w, "|---|---|--:|---|")
	for _, p := range parts {
		for _, r := range rows(p) {
			r.write(w)
		}
	}
	fmt.Fprintln(w)
}
