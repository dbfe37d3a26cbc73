package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/host"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == host.Argument {
		if err := host.Serve(os.Args[2], os.Stdin, os.Stdout); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestMeasure measures one of every workload for a moment, with libraries that
// differ most, and a command, which is this library's server.
func TestMeasure(t *testing.T) {
	l := &lab{window: time.Millisecond, disturbed: 1e9}
	if err := l.settle(); err != nil {
		t.Skip(err) // it needs two processors
	}
	executable, err := os.Executable()
	require.NoError(t, err)
	var also commands
	require.NoError(t, also.Set(`command=`+executable+` serve {"Library":"ours","Style":{"Mode":"plain"}}`))
	all, _ := competitors("ours,nbio,x/net,command", also)
	require.Len(t, all, 5, "bare is always there")
	var report strings.Builder
	for _, p := range parts(true) {
		switch p := p.(type) {
		case *table:
			p.contests = p.contests[:1]
		case *idleTable:
			p.conns, p.overTLS = 100, 20
		}
		p.measure(l, all, 0)
		p.measure(l, all, 1)
		p.write(&report)
		switch p := p.(type) {
		case *table:
			for _, c := range p.contests {
				for _, r := range c.results {
					if p.title == "Compressed" && r.name == "command" {
						require.ErrorContains(t, r.failed, "the server answered", "it is not told to compress")
						continue
					}
					require.NoError(t, r.failed)
					require.Len(t, r.windows, 2)
					for _, w := range r.windows {
						require.Positive(t, w.rate, "%s %s %s", p.title, c.name, r.name)
						if p.title != "Concurrent writers" { // who never sleep: the clock may not have moved
							require.Positive(t, w.cpu, "%s %s %s", p.title, c.name, r.name)
						}
					}
				}
				require.NotNil(t, c.find("ours"))
				require.NotNil(t, c.find(p.baseline))
				require.Equal(t, p.title != "Compressed", c.find("x/net") != nil)
				require.Equal(t, p.title != "Compressed" && !p.library, c.find("command") != nil)
			}
		case *idleTable:
			require.Len(t, p.rows, 5)
			require.Len(t, p.rows[0].kept, 3)
			require.Len(t, p.rows[1].kept, 1, "nbio")
			require.Positive(t, p.rows[0].kept[returned].before)
			require.NotEmpty(t, p.budgets())
		}
	}
	require.Contains(t, report.String(), "### Ping-pong")
}

// TestParts looks at what would be measured.
func TestParts(t *testing.T) {
	for _, quick := range []bool{false, true} {
		budgets := 0
		titles := map[string]bool{}
		for _, p := range parts(quick) {
			require.False(t, titles[p.heading()])
			titles[p.heading()] = true
			table, ok := p.(*table)
			if !ok {
				continue
			}
			names := map[string]bool{}
			for _, c := range table.contests {
				require.False(t, names[c.name], "%s, %s", table.title, c.name)
				names[c.name] = true
				if c.budget != 0 {
					budgets++
				}
			}
			require.NotEmpty(t, names, table.title)
		}
		if !quick {
			require.Equal(t, 3*3+3+3+4+3+1+1, budgets)
		}
	}
}

// took makes a result of rounds that took so many microseconds for a message.
func took(name string, micros ...float64) *result {
	r := &result{competitor: competitor{name: name}}
	for _, us := range micros {
		r.windows = append(r.windows, window{cpu: 1000 * us, rate: 1e6 / us})
	}
	return r
}

// TestTable reports what is known.
func TestTable(t *testing.T) {
	ours, peer, bare := took("ours", 2, 6, 2), took("gorilla", 4, 2, 1), took("bare", 1, 3, 1)
	ours.windows[1].disturbed = true
	ours.windows[1].p50, ours.windows[1].p99 = 500, 2*time.Microsecond
	broken := &result{competitor: competitor{name: "broken"}, failed: os.ErrClosed, windows: []window{{}}}
	table := &table{title: "Title", note: "Note.", baseline: "bare", text: true, contests: []*contest{
		{name: "16 B", budget: 1.5, results: []*result{ours, peer, broken, bare}},
	}}
	var b strings.Builder
	table.write(&b)
	require.Equal(t, `### Title

Note.

¹ does not check that text is UTF-8, or is not known to.

| processor time | bare, µs | × ours ¹ | × gorilla ¹ | × broken ¹ |
|---|--:|--:|--:|--:|
| 16 B | 1.00 | 2.00 | 1.00 |  |

| case | who | µs/message | × bare (95 %) | × gorilla (95 %) | messages/s | p50 µs | p99 µs |
|---|---|--:|--:|--:|--:|--:|--:|
| 16 B | ours ¹ †1 | 2.00 | 2.00 (2.00–2.00) | 2.00 (0.50–3.00) | 500000 | 0.000 | 0.000 |
| 16 B | gorilla ¹ | 2.00 | 1.00 (0.67–4.00) |  | 500000 | 0.000 | 0.000 |
| 16 B | bare | 1.00 |  | 1.00 (0.25–1.50) | 1000000 | 0.000 | 0.000 |

Without broken in 16 B: file already closed.

`, b.String())

	b.Reset()
	writeBudgets(&b, []part{table})
	writeNotFirst(&b, []part{table})
	require.Contains(t, b.String(), "\n| Title, 16 B | ≤ 1.50 × bare | 2.00 (2.00–2.00) | **not met** |\n\n")
	require.Contains(t, b.String(), "\n| Title, 16 B | gorilla ¹ | 2.00 (0.50–3.00) | no |\n\n")
	require.NotContains(t, b.String(), "| bare |")
}

// TestSteadily measures again what was disturbed, once.
func TestSteadily(t *testing.T) {
	for _, c := range []struct {
		foreign []float64
		want    float64
	}{
		{[]float64{.1}, .1},
		{[]float64{.2, .1}, .1},
		{[]float64{.2, .3}, .2},
	} {
		next := 0
		w, err := (&lab{disturbed: .15}).steadily(func() (window, error) {
			next++
			return window{foreign: c.foreign[next-1]}, nil
		})
		require.NoError(t, err)
		require.Equal(t, c.want, w.foreign)
		require.Equal(t, c.want > .15, w.disturbed)
		require.Equal(t, len(c.foreign), next)
	}
}

func TestCommands(t *testing.T) {
	var c commands
	require.NoError(t, c.Set("uws=./uws 1 2"))
	require.Equal(t, []string{"./uws", "1", "2"}, c[0].command)
	for _, s := range []string{"", "uws", "uws=", "=./uws"} {
		require.Error(t, c.Set(s), s)
	}
}
