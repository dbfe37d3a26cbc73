package generator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLatencies(t *testing.T) {
	var l Latencies
	require.Zero(t, l.Quantile(.5))
	for i := range 1000 {
		l.add(time.Duration(i+1) * time.Microsecond)
	}
	require.InEpsilon(t, 500*time.Microsecond, l.Quantile(.5), 1./32)
	require.InEpsilon(t, 990*time.Microsecond, l.Quantile(.99), 1./32)
	require.InEpsilon(t, 1000*time.Microsecond, l.Quantile(1), 1./32)

	for d := time.Duration(1); d < time.Hour; d = d*5/4 + 1 {
		var l Latencies
		l.add(d)
		require.InDelta(t, d, l.Quantile(.5), float64(d)/32+.5)
	}
	l = Latencies{}
	l.add(1 << 62)
	l.add(-1)
	require.Zero(t, l.Quantile(.5), "what is less than nothing is nothing")
	require.Greater(t, l.Quantile(1), 10000*time.Hour)
}
