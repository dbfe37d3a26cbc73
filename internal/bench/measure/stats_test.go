package measure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpreadOf(t *testing.T) {
	numbers := func(n int) (v []float64) {
		for i := n; i > 0; i-- {
			v = append(v, float64(i))
		}
		return v
	}
	// The ranks are those of tables of the sign test.
	for n, want := range map[int]Spread{
		0:  {},
		1:  {1, 1, 1},
		2:  {1, 1.5, 2},
		5:  {1, 3, 5},
		6:  {1, 3.5, 6},
		7:  {1, 4, 7},
		9:  {2, 5, 8},
		12: {3, 6.5, 10},
		15: {4, 8, 12},
		25: {8, 13, 18},
	} {
		require.Equal(t, want, SpreadOf(numbers(n)), n)
	}
	require.Equal(t, []float64{2, .5}, Ratios([]float64{4, 2}, []float64{2, 4}))
}

func TestTake(t *testing.T) {
	passes := 0
	var kept []byte
	s, err := Take(2*time.Millisecond, func() (Count, error) {
		passes++
		for range 1000 {
			kept = make([]byte, 100)
		}
		return Count{Messages: 1000, Plain: 100 * 1000, Wire: 50 * 1000}, nil
	})
	require.NoError(t, err)
	require.Len(t, kept, 100)
	require.Equal(t, 1000*(passes-1), s.Messages, "the first pass is not counted")
	require.GreaterOrEqual(t, s.CPU, 2*time.Millisecond)
	require.Equal(t, .5, s.Ratio())
	require.InDelta(t, 1, s.AllocsPerMessage(), .1)
	require.InDelta(t, float64(s.CPU.Nanoseconds())/float64(s.Messages), s.PerMessage(), 1e-6)
}
