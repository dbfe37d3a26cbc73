package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/library"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// TestMain lets this program be the processes that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == workArgument {
		main()
		return
	}
	os.Exit(m.Run())
}

// Our verdicts are the oracle's.
func TestOursReadsAsTheOracle(t *testing.T) {
	l, err := library.Find(ours)
	require.NoError(t, err)
	stage, err := library.NewStage(l)
	require.NoError(t, err)
	defer stage.Close()
	g := streams.NewGenerator(2)
	for i := range 2000 {
		for _, server := range []bool{true, false} {
			s := g.Stream(i, server)
			v, err := stage.Run(s)
			require.NoError(t, err)
			if d := compare(s, judge(s), v); d != nil {
				t.Errorf("server %v, compression %v, %x: %s: %s", server, s.Compression, s.Bytes[:min(len(s.Bytes), 1000)], d.rule.What, d.does)
			}
		}
	}
}

// A run finds differences, and none of ours.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run([]string{"-streams", "150"}, &out))
	table := out.String()
	require.Equal(t, 2, strings.Count(table, "with a difference: ours 0, gorilla "), table)
	require.Contains(t, table, "[gorilla](https://pkg.go.dev/github.com/gorilla/websocket) v1.")
	require.Contains(t, table, "| text that is not UTF-8 |")
	require.Error(t, run([]string{"-libs", "none"}, &out))
}

// A process that dies is one verdict, and the next stream has another process.
func TestProcessThatDies(t *testing.T) {
	p := &process{library: ours}
	defer p.stop()
	require.NoError(t, p.tell(streams.Stream{Server: true}))
	v, err := p.hear()
	require.NoError(t, err)
	require.Equal(t, library.Verdict{}, v)
	require.NoError(t, p.cmd.Process.Kill())
	v, err = p.hear()
	require.NoError(t, err)
	require.Equal(t, library.Verdict{Close: library.Panicked}, v)
	require.NoError(t, p.tell(streams.Stream{Server: true}))
	v, err = p.hear()
	require.NoError(t, err)
	require.Equal(t, library.Verdict{}, v)
}
