package bufpool

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGetIsEmptyAndLargeEnough(t *testing.T) {
	for least, want := range map[int]int{
		0: Size, 1: Size, Size - 1: Size, Size: Size,
		Size + 1: sizes[1], sizes[1]: sizes[1], sizes[1] + 1: sizes[2],
		1 << 20: sizes[3], sizes[3]: sizes[3], sizes[3] + 1: sizes[3] + 1, 5 << 20: 5 << 20,
	} {
		for range 100 {
			b := Get(least)
			require.Len(t, b.Data, want, "at least %d", least)
			require.Empty(t, b.Bytes())
			b.R, b.W = 3, 7 // as somebody who used it
			require.Len(t, b.Bytes(), 4)
			Put(b)
		}
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
