package main

import (
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// A tally is what was found with the streams of one role.
type tally struct {
	streams int
	differ  map[string]int // streams, by library
	rows    map[*oracle.Rule]*row
}

// A row is what was found where streams are a case of a rule.
type row struct {
	streams int
	does    map[string]map[string]int // streams, by library and by what it does
	example example
}

// An example is a stream with a difference.
type example struct {
	libraries int // that differ there
	stream    streams.Stream
}

func newTally() *tally {
	return &tally{differ: map[string]int{}, rows: map[*oracle.Rule]*row{}}
}

func (t *tally) row(rule *oracle.Rule) *row {
	r := t.rows[rule]
	if r == nil {
		r = &row{does: map[string]map[string]int{}}
		t.rows[rule] = r
	}
	return r
}

func (r *row) add(library, does string, n int) {
	if r.does[library] == nil {
		r.does[library] = map[string]int{}
	}
	r.does[library][does] += n
}

// better reports whether an example says more than another, or the same in fewer bytes.
func (e example) better(than example) bool {
	if e.libraries != than.libraries {
		return e.libraries > than.libraries
	}
	return len(e.stream.Bytes) < len(than.stream.Bytes)
}

// note adds a stream, and what libraries do otherwise with it.
func (t *tally) note(s streams.Stream, ruling oracle.Ruling, differences map[string]*difference) {
	t.streams++
	cases := map[*oracle.Rule]bool{}
	for _, m := range ruling.Messages {
		cases[m.Rule] = true
	}
	for _, o := range ruling.Outcomes {
		cases[o.Rule] = true
	}
	for rule := range cases {
		t.row(rule).streams++
	}
	found := map[*oracle.Rule]int{}
	for library, d := range differences {
		t.differ[library]++
		t.row(d.rule).add(library, d.does, 1)
		found[d.rule]++
	}
	for rule, n := range found {
		if e := (example{n, s}); e.better(t.row(rule).example) {
			t.row(rule).example = e
		}
	}
}

// merge adds what was found with other streams.
func (t *tally) merge(other *tally) {
	t.streams += other.streams
	for library, n := range other.differ {
		t.differ[library] += n
	}
	for rule, o := range other.rows {
		r := t.row(rule)
		r.streams += o.streams
		for library, does := range o.does {
			for what, n := range does {
				r.add(library, what, n)
			}
		}
		if o.example.better(r.example) {
			r.example = o.example
		}
	}
}

// settle takes what is unclear for accepting, where the library was seen to do that.
func (r *row) settle() {
	for _, does := range r.does {
		if n := does[unclear]; n > 0 {
			delete(does, unclear)
			if does[accepts] > 0 {
				does[accepts] += n
			} else {
				does[silent] += n
			}
		}
	}
}
