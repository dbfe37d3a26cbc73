package bufpool

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGetIsEmptyAndLargeEnough(t *testing.T) {
	for _, least := range []int{0, 1, Size - 1, Size, Size + 1, 10 * Size} {
		b := Get(least)
		require.Len(t, b.Data, max(least, Size), "at least %d", least)
		require.Empty(t, b.Bytes())
		b.R, b.W = 3, 7 // as somebody who used it
		require.Len(t, b.Bytes(), 4)
		Put(b)
	}
	for range 100 {
		b := Get(Size)
		require.Len(t, b.Data, Size, "only buffers of the common size come back")
		require.Empty(t, b.Bytes())
	}
}

func TestOnLoanSeesEveryGetAndPut(t *testing.T) {
	defer func() { OnLoan = nil }()
	out := 0
	OnLoan = func(delta int) { out += delta }
	small, large := Get(Size), Get(2*Size)
	require.Equal(t, 2, out)
	Put(small)
	Put(large)
	require.Zero(t, out)
}
