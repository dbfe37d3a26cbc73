package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// A report is the suite's index.json: agent, case, verdict.
type report map[string]map[string]verdict

func readReport(file string) (report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rep report
	if err := json.Unmarshal(data, &rep); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return rep, nil
}

// check compares a report with what is expected of the role, for the cases
// that were run, and returns one line for each that differs. A better verdict
// than the expected one differs too: the exception has to go then, or it would
// hide the next failure.
func (exp *expectations) check(role, agent string, ids []string, rep report) []string {
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, role+" "+fmt.Sprintf(format, args...))
	}
	for _, other := range slices.Sorted(maps.Keys(rep)) {
		if other != agent {
			add("the report has an agent %q that was not tested", other)
		}
	}
	got := rep[agent]
	for _, id := range ids {
		v, run := got[id]
		if !run {
			add("%s: missing from the report", id)
			continue
		}
		want, reason := exp.want(role, id)
		switch {
		case v == want:
		case reason == "":
			add("%s: %v, want %v", id, v, want)
		case v == strict:
			add("%s: %v, unexpectedly: its exception is out of date (%v: %s)", id, v, want, reason)
		default:
			add("%s: %v, want %v (%s)", id, v, want, reason)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(got), compareCases) {
		if !slices.Contains(ids, id) {
			add("%s: %v, but this case was not asked for", id, got[id])
		}
	}
	return lines
}

// writeSummary writes one row for each role, with how often each verdict was
// given.
func writeSummary(w io.Writer, roles []*role) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "role\tagent\tcases\tbehavior\tbehaviorClose")
	for _, r := range roles {
		behavior, behaviorClose := make(map[string]int), make(map[string]int)
		for _, v := range r.report[r.agent] {
			behavior[v.Behavior]++
			behaviorClose[v.BehaviorClose]++
		}
		fmt.Fprintf(tab, "%s\t%s\t%d\t%s\t%s\n", r.name, r.agent, len(r.report[r.agent]), tally(behavior), tally(behaviorClose))
	}
	return tab.Flush()
}

// tally writes counts in the order of the words they count: "298 OK, 3 ...".
func tally(counts map[string]int) string {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[word], word))
	}
	return strings.Join(parts, ", ")
}
