package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/library"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
)

// most is how many bytes of an example are shown.
const most = 32

// write writes the table of one role.
func (t *tally) write(out io.Writer, role string, names []string) {
	fmt.Fprintf(out, "\n## As %s\n\n", role)
	var differ []string
	for _, name := range names {
		differ = append(differ, fmt.Sprintf("%s %d", name, t.differ[name]))
	}
	fmt.Fprintf(out, "Of %d streams, with a difference: %s.\n\n", t.streams, strings.Join(differ, ", "))
	fmt.Fprintf(out, "| the stream had | rule | what it asks | streams | %s | example |\n|---|---|---|---|%s---|\n",
		strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, rule := range oracle.Rules {
		r := t.rows[rule]
		if r == nil || len(r.does) == 0 {
			continue
		}
		r.settle()
		fmt.Fprintf(out, "| %s | %s | %s | %d |", rule.What, rule.Section, rule.Asks, r.streams)
		for _, name := range names {
			fmt.Fprintf(out, " %s |", cell(r.does[name]))
		}
		fmt.Fprintf(out, " %s |\n", r.example)
	}
}

// cell is what a library does, what it does most first.
func cell(does map[string]int) string {
	if len(does) == 0 {
		return "="
	}
	var what []string
	for w := range does {
		what = append(what, w)
	}
	slices.SortFunc(what, func(a, b string) int { return cmp.Or(does[b]-does[a], strings.Compare(a, b)) })
	for i, w := range what {
		what[i] = fmt.Sprintf("%s (%d)", w, does[w])
	}
	return strings.Join(what, "; ")
}

func (e example) String() string {
	b := e.stream.Bytes
	if len(b) <= most {
		return fmt.Sprintf("`%x`", b)
	}
	return fmt.Sprintf("`%x`… (%d bytes)", b[:most], len(b))
}

// versions is what the libraries are, each behind a semicolon.
func versions(names []string) string {
	list := ""
	info, _ := debug.ReadBuildInfo()
	for _, name := range names {
		l, err := library.Find(name)
		if err != nil || l.Module == "" || info == nil {
			continue
		}
		for _, m := range info.Deps {
			if m.Path == l.Module {
				list += fmt.Sprintf("; [%s](https://pkg.go.dev/%s) %s", name, m.Path, m.Version)
			}
		}
	}
	return list
}
