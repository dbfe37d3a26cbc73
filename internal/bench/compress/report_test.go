package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// takes makes an entry whose rounds take so many microseconds for a message.
func takes(name string, micros ...int) *entry {
	i := 0
	return &entry{name: name, sample: func(time.Duration) (measure.Sample, error) {
		cpu := time.Duration(micros[i]) * 10 * time.Microsecond
		i++
		return measure.Sample{Count: measure.Count{Messages: 10, Plain: 1000, Wire: 500}, CPU: cpu, Allocs: 20}, nil
	}}
}

// TestTable measures what is known, in a noise that hits a round's entries alike.
func TestTable(t *testing.T) {
	ours := takes("ours", 2, 6, 2)
	ours.budgets = []budget{{"peer", .5}, {"peer", .4}}
	peer := takes("peer", 4, 12, 4)
	peer.heap = func() (int64, error) { return 123, nil }
	table := &table{title: "Title", note: "Note.", groups: []*group{{data: "chat", baseline: "peer", entries: []*entry{ours, peer}}}}
	require.NoError(t, table.prepare())
	for round := range 3 {
		require.NoError(t, table.measure(round, 0))
	}
	var b strings.Builder
	table.write(&b)
	require.Equal(t, `### Title

Note.

| data | who | µs/message | × baseline (95 %) | on the wire | allocations | heap/connection | budget |
|---|---|--:|--:|--:|--:|--:|---|
| chat | ours | 2.00 | 0.50 (0.50–0.50) | 0.500 | 2.00 |  | ≤ 0.50 × peer: 0.50 (0.50–0.50), met; ≤ 0.40 × peer: 0.50 (0.50–0.50), **not met** |
| chat | peer | 4.00 | 1, the baseline | 0.500 | 2.00 | 123 |  |

`, b.String())
}

// TestFaster has a peer that is faster in every round, and one that is not.
func TestFaster(t *testing.T) {
	ours, faster, not := takes("ours", 4, 12), takes("faster", 2, 8), takes("not", 2, 13)
	table := &table{title: "Title", groups: []*group{{data: "chat", baseline: "faster", entries: []*entry{ours, faster, not}}}}
	for round := range 2 {
		require.NoError(t, table.measure(round, 0))
	}
	var b strings.Builder
	writeFaster(&b, []part{table, &heapTable{}})
	require.Contains(t, b.String(), "|\n| Title | chat | faster | 1.75 (1.50–2.00) | 0.500 | 0.500 |\n\n")
	require.NotContains(t, b.String(), "| not |")
}

// TestParts looks at what would be measured: every baseline and every budget's
// peer is in its group, and no name is there twice.
func TestParts(t *testing.T) {
	for _, quick := range []bool{false, true} {
		for _, p := range parts(&processes{}, quick) {
			table, ok := p.(*table)
			if !ok {
				continue
			}
			require.NotEmpty(t, table.groups, table.title)
			for _, g := range table.groups {
				require.NotNil(t, g.find(g.baseline), "%s, %s", table.title, g.data)
				require.True(t, strings.HasPrefix(g.entries[0].name, "ours"), "%s, %s", table.title, g.data)
				names := map[string]bool{}
				for _, e := range g.entries {
					require.False(t, names[e.name], "%s, %s: %s twice", table.title, g.data, e.name)
					names[e.name] = true
					for _, b := range e.budgets {
						require.NotNil(t, g.find(b.of), "%s, %s: %s", table.title, g.data, b.of)
					}
				}
			}
		}
	}
}
