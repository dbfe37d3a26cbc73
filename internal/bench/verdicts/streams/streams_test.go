package streams_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// Two generators make the same stream, whatever they made before.
func TestStreamsAreOfTheSeed(t *testing.T) {
	one, other := streams.NewGenerator(7), streams.NewGenerator(7)
	for i := range 100 {
		other.Stream(1000+i, true)
		require.Equal(t, one.Stream(i, true), other.Stream(i, true))
	}
	require.NotEqual(t, one.Stream(1, true), one.Stream(1, false))
	require.NotEqual(t, one.Stream(1, true), streams.NewGenerator(8).Stream(1, true))
}

// There are streams for every rule, in both roles, and many are good to their end.
func TestStreamsAreCasesOfAllRules(t *testing.T) {
	g := streams.NewGenerator(1)
	for _, server := range []bool{true, false} {
		cases := map[*oracle.Rule]int{}
		delivered := 0
		for i := range 6000 {
			s := g.Stream(i, server)
			require.LessOrEqual(t, s.Cut, len(s.Bytes))
			r := oracle.Judge(s.Bytes, oracle.Conditions{Server: server, Compression: s.Compression, Limit: streams.Limit})
			for _, o := range r.Outcomes {
				cases[o.Rule]++
			}
			for _, m := range r.Messages {
				cases[m.Rule]++
				delivered++
			}
		}
		for _, rule := range oracle.Rules {
			if rule == oracle.Masked && server || rule == oracle.Unmasked && !server {
				require.Zero(t, cases[rule], rule.What)
			} else {
				require.NotZero(t, cases[rule], rule.What)
			}
		}
		require.Greater(t, delivered, 6000)
		require.Greater(t, cases[oracle.Close]+cases[oracle.CloseEmpty]+cases[oracle.End], 1500)
	}
}
