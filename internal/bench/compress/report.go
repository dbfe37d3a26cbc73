package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// A part is what the report consists of.
type part interface {
	heading() string
	prepare() error                               // is called once, before the rounds
	measure(round int, least time.Duration) error // is called once in each round
	write(w io.Writer)                            // is called at the end
}

// A budget is what an entry may take, as a part of what another of its group
// takes in the same round.
type budget struct {
	of    string // the other entry's name
	limit float64
}

// An entry is one competitor in a group.
type entry struct {
	name    string
	sample  func(least time.Duration) (measure.Sample, error)
	heap    func() (int64, error) // bytes that a connection keeps; nil: nothing was measured
	budgets []budget

	samples []measure.Sample
	kept    int64
}

// A group are entries that do the same and are compared with each other.
type group struct {
	data     string
	baseline string // an entry's name
	entries  []*entry
}

// A table is groups under a heading.
type table struct {
	title, note string
	groups      []*group
}

func (t *table) heading() string { return t.title }

// measure takes one sample of every entry. Those of a group follow each other,
// beginning with another one in every round, so that none is always the one
// after the slowest.
func (t *table) measure(round int, least time.Duration) error {
	for _, g := range t.groups {
		for i := range g.entries {
			e := g.entries[(i+round)%len(g.entries)]
			s, err := e.sample(least)
			if err != nil {
				return err
			}
			e.samples = append(e.samples, s)
		}
	}
	return nil
}

// prepare measures memory, once: it does not depend on what else the machine
// does.
func (t *table) prepare() (err error) {
	for _, g := range t.groups {
		for _, e := range g.entries {
			if e.heap == nil {
				continue
			}
			if e.kept, err = e.heap(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *group) find(name string) *entry {
	for _, e := range g.entries {
		if e.name == name {
			return e
		}
	}
	return nil
}

// times are the nanoseconds of a message, round by round.
func (e *entry) times() []float64 {
	var v []float64
	for _, s := range e.samples {
		v = append(v, s.PerMessage())
	}
	return v
}

func (e *entry) ratioTo(o *entry) measure.Spread {
	return measure.SpreadOf(measure.Ratios(e.times(), o.times()))
}

// verdict says whether the entry is within its budgets: a ratio is where the
// interval that it lies in reaches down to the budget.
func (g *group) verdict(e *entry) string {
	text := ""
	for _, b := range e.budgets {
		if text != "" {
			text += "; "
		}
		r := e.ratioTo(g.find(b.of))
		text += fmt.Sprintf("≤ %.2f × %s: %.2f (%.2f–%.2f), %s", b.limit, b.of, r.Median, r.Low, r.High, met(r.Low <= b.limit))
	}
	return text
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "**not met**"
}

// write writes the table as markdown.
func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n", t.title)
	if t.note != "" {
		fmt.Fprintf(w, "%s\n\n", t.note)
	}
	heaps, budgets := t.has(func(e *entry) bool { return e.heap != nil }), t.has(func(e *entry) bool { return e.budgets != nil })
	head, rule := "| data | who | µs/message | × baseline (95 %) | on the wire | allocations |", "|---|---|--:|--:|--:|--:|"
	if heaps {
		head, rule = head+" heap/connection |", rule+"--:|"
	}
	if budgets {
		head, rule = head+" budget |", rule+"---|"
	}
	fmt.Fprintf(w, "%s\n%s\n", head, rule)
	for _, g := range t.groups {
		for _, e := range g.entries {
			fmt.Fprint(w, g.row(e))
			if heaps {
				fmt.Fprintf(w, " %s |", e.heapText())
			}
			if budgets {
				fmt.Fprintf(w, " %s |", g.verdict(e))
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprintln(w)
}

// has reports whether some entry is such.
func (t *table) has(such func(*entry) bool) bool {
	return slices.ContainsFunc(t.groups, func(g *group) bool { return slices.ContainsFunc(g.entries, such) })
}

// row is what the table says of every entry.
func (g *group) row(e *entry) string {
	ratio := "1, the baseline"
	if baseline := g.find(g.baseline); e != baseline {
		r := e.ratioTo(baseline)
		ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", r.Median, r.Low, r.High)
	}
	var allocs []float64
	for _, s := range e.samples {
		allocs = append(allocs, s.AllocsPerMessage())
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %.3f | %.2f |", g.data, e.name, micros(measure.SpreadOf(e.times()).Median),
		ratio, e.samples[0].Ratio(), measure.SpreadOf(allocs).Median)
}

func (e *entry) heapText() string {
	if e.heap == nil {
		return ""
	}
	return fmt.Sprint(e.kept)
}

// micros is a time in nanoseconds as microseconds with three digits.
func micros(ns float64) string {
	switch us := ns / 1000; {
	case us < 10:
		return fmt.Sprintf("%.2f", us)
	case us < 100:
		return fmt.Sprintf("%.1f", us)
	default:
		return fmt.Sprintf("%.0f", us)
	}
}
