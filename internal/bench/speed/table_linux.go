package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// A part is what the report consists of.
type part interface {
	heading() string
	measure(l *lab, all []competitor, round int)
	write(w io.Writer)
	budgets() []row  // what, how much, how much it is, whether that is met
	notFirst() []row // what, who is ahead, how far, whether that is more than noise
}

// A row is one of a table of markdown.
type row []string

func (r row) write(w io.Writer) { fmt.Fprintf(w, "| %s |\n", strings.Join(r, " | ")) }

// A contest is one workload for all.
type contest struct {
	name   string
	run    func(*lab, competitor) (window, error)
	budget float64 // what ours may take, as a part of what the table says takes; or 0

	results []*result // in the order of the competitors
}

// A result are a competitor's windows, round by round.
type result struct {
	competitor
	windows []window
	failed  error // instead of them
}

// A table is contests under a heading.
type table struct {
	title, note string
	unit, units string // of what is counted, if not messages
	baseline    string
	budgetOf    string       // instead of the baseline
	library     bool         // only libraries take part
	text        bool         // it matters who checks text
	compressed  bool         // only those that compress take part, and limits
	extra       []competitor // that take part here only
	contests    []*contest
}

func (t *table) heading() string { return t.title }

// measure measures a round: one window of each, beginning with another one in
// every round, so that none is always the one after the slowest.
func (t *table) measure(l *lab, all []competitor, round int) {
	all = slices.DeleteFunc(append(slices.Clone(all), t.extra...), func(c competitor) bool {
		return t.library && c.command != nil || t.compressed && !c.compresses() && !c.limit()
	})
	for _, c := range t.contests {
		if c.results == nil {
			for _, competitor := range all {
				c.results = append(c.results, &result{competitor: competitor})
			}
		}
		for i := range c.results {
			r := c.results[(i+round)%len(c.results)]
			if r.failed != nil {
				continue
			}
			w, err := c.run(l, r.competitor)
			if err != nil {
				r.failed = err
				fmt.Fprintf(os.Stderr, "%s, %s, %s: %v\n", t.title, c.name, r.name, err)
			}
			r.windows = append(r.windows, w)
		}
	}
}

func (c *contest) find(name string) *result {
	for _, r := range c.results {
		if r.name == name && r.failed == nil {
			return r
		}
	}
	return nil
}

// cpu are the nanoseconds of the server's for a message, round by round.
func (r *result) cpu() []float64 { return r.each(window.cpuTime) }

func (r *result) each(f func(window) float64) (v []float64) {
	for _, w := range r.windows {
		v = append(v, f(w))
	}
	return v
}

func (r *result) median(f func(window) float64) float64 { return measure.SpreadOf(r.each(f)).Median }

func (r *result) ratioTo(o *result) measure.Spread {
	return measure.SpreadOf(measure.Ratios(r.cpu(), o.cpu()))
}

// ratioText is empty where there is nothing to compare with.
func (r *result) ratioText(o *result) string {
	if r == o || o == nil {
		return ""
	}
	return spreadText(r.ratioTo(o))
}

func spreadText(s measure.Spread) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Low, s.High)
}

// label is the name, with a mark for those that do not check text where that
// matters.
func (t *table) label(c competitor) string {
	if t.text && !c.checks && !c.limit() {
		return c.name + " ¹"
	}
	return c.name
}

// write writes two tables as markdown: who takes how many times what the baseline
// takes, and everything.
func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n%s\n\n", t.title, t.note)
	if t.text {
		fmt.Fprint(w, "¹ does not check that text is UTF-8, or is not known to.\n\n")
	}
	t.writeMatrix(w)
	unit, units := "message", "messages"
	if t.unit != "" {
		unit, units = t.unit, t.units
	}
	head := row{"case", "who", "µs/" + unit, "× " + t.baseline + " (95 %)", "× gorilla (95 %)", units + "/s"}
	if t.timed() {
		head = append(head, "p50 µs", "p99 µs")
	}
	head.write(w)
	fmt.Fprintf(w, "|---|---|%s\n", strings.Repeat("--:|", len(head)-2))
	for _, c := range t.contests {
		for _, r := range c.results {
			if r.failed != nil {
				continue
			}
			cells := row{
				c.name, t.label(r.competitor) + r.disturbances(), micros(r.median(window.cpuTime)),
				r.ratioText(c.find(t.baseline)), r.ratioText(c.find("gorilla")), fmt.Sprintf("%.0f", r.median(window.perSecond)),
			}
			if t.timed() {
				cells = append(cells, micros(r.median(window.half)), micros(r.median(window.slow)))
			}
			cells.write(w)
		}
	}
	fmt.Fprintln(w)
	t.writeFailures(w)
}

// timed reports whether it is known how long answers took.
func (t *table) timed() bool {
	return slices.ContainsFunc(t.contests, func(c *contest) bool {
		return slices.ContainsFunc(c.results, func(r *result) bool {
			return slices.ContainsFunc(r.windows, func(w window) bool { return w.p50 > 0 })
		})
	})
}

func (t *table) writeMatrix(w io.Writer) {
	head := row{"processor time", t.baseline + ", µs"}
	for _, r := range t.contests[0].results {
		if r.name != t.baseline {
			head = append(head, "× "+t.label(r.competitor))
		}
	}
	head.write(w)
	fmt.Fprintf(w, "|---|%s\n", strings.Repeat("--:|", len(head)-1))
	for _, c := range t.contests {
		cells := row{c.name, ""}
		b := c.find(t.baseline)
		if b != nil {
			cells[1] = micros(b.median(window.cpuTime))
		}
		for _, r := range c.results {
			switch {
			case r.name == t.baseline:
			case r.failed != nil || b == nil:
				cells = append(cells, "")
			default:
				cells = append(cells, fmt.Sprintf("%.2f", r.ratioTo(b).Median))
			}
		}
		cells.write(w)
	}
	fmt.Fprintln(w)
}

// disturbances says how many windows others disturbed, twice in a row.
func (r *result) disturbances() string {
	n := 0
	for _, w := range r.windows {
		if w.disturbed {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" †%d", n)
}

func (t *table) writeFailures(w io.Writer) {
	for _, c := range t.contests {
		for _, r := range c.results {
			if r.failed != nil {
				fmt.Fprintf(w, "Without %s in %s: %s.\n\n", r.name, c.name, strings.ReplaceAll(r.failed.Error(), "\n", "; "))
			}
		}
	}
}

func (t *table) budgets() (rows []row) {
	of := t.budgetOf
	if of == "" {
		of = t.baseline
	}
	for _, c := range t.contests {
		our, other := c.find("ours"), c.find(of)
		if c.budget == 0 || our == nil || other == nil {
			continue
		}
		s := our.ratioTo(other)
		rows = append(rows, row{t.title + ", " + c.name, fmt.Sprintf("≤ %.2f × %s", c.budget, of), spreadText(s), met(s.Low <= c.budget)})
	}
	return rows
}

func (t *table) notFirst() (rows []row) {
	for _, c := range t.contests {
		our := c.find("ours")
		for _, r := range c.results {
			if our == nil || r.failed != nil || r.limit() {
				continue
			}
			if s := our.ratioTo(r); s.Median > 1 {
				rows = append(rows, row{t.title + ", " + c.name, t.label(r.competitor), spreadText(s), beyondNoise(s.Low > 1)})
			}
		}
	}
	return rows
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "**not met**"
}

func beyondNoise(yes bool) string {
	if yes {
		return "**yes**"
	}
	return "no"
}

// micros is a time in nanoseconds as microseconds with three digits.
func micros(ns float64) string {
	switch us := ns / 1000; {
	case us < 1:
		return fmt.Sprintf("%.3f", us)
	case us < 10:
		return fmt.Sprintf("%.2f", us)
	case us < 100:
		return fmt.Sprintf("%.1f", us)
	default:
		return fmt.Sprintf("%.0f", us)
	}
}
