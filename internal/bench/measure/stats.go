package measure

import (
	"math"
	"slices"
)

// A Spread is a median and the interval that it lies in.
type Spread struct{ Low, Median, High float64 }

// SpreadOf is the median of the values and the interval that contains the true
// one with a probability of at least 95 %, by order statistics; of fewer than
// six values that is more than there is, and the interval is all of them.
func SpreadOf(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n == 0 {
		return Spread{}
	}
	k := outside(n)
	return Spread{v[k], (v[(n-1)/2] + v[n/2]) / 2, v[n-1-k]}
}

// outside is how many of n sorted values may be left out on each side. With k of
// them, the true median is not in the interval if fewer than k+1 of n values are
// on one side of it, which has a probability of 2·P(Binomial(n, ½) ≤ k).
func outside(n int) int {
	all := math.Exp2(float64(n))
	ways, sum := 1.0, 0.0 // n choose k, and of all up to k
	for k := range n {
		sum += ways
		if 2*sum > 0.05*all {
			return max(0, k-1)
		}
		ways *= float64(n-k) / float64(k+1)
	}
	return 0
}

// Ratios are those of paired values, a to b.
func Ratios(a, b []float64) []float64 {
	r := make([]float64, min(len(a), len(b)))
	for i := range r {
		r[i] = a[i] / b[i]
	}
	return r
}
