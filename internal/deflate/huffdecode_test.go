package deflate

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomLengths are those of a complete code for some of n symbols, with must among them:
// a tree in which leaves were split until there were enough. Deep ones are likely.
func randomLengths(r *rand.Rand, n, leaves int, must ...int) []uint8 {
	tree := []uint8{1, 1}
	deep := r.IntN(2) == 0
	for tries := 0; len(tree) < leaves && tries < 10*leaves; tries++ {
		i := r.IntN(len(tree))
		if deep {
			i = len(tree) - 1 - r.IntN(min(len(tree), 3))
		}
		if tree[i] < 15 {
			tree[i]++
			tree = append(tree, tree[i])
		}
	}
	r.Shuffle(len(tree), func(i, j int) { tree[i], tree[j] = tree[j], tree[i] })
	symbols := r.Perm(n)
	for i, s := range must {
		at := slices.Index(symbols, s)
		symbols[i], symbols[at] = symbols[at], symbols[i]
	}
	lengths := make([]uint8, n)
	for i, l := range tree {
		lengths[symbols[i]] = l
	}
	return lengths
}

// Codes of all shapes, those with many second tables among them, say what they should:
// each symbol that has a code.
func TestRandomCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	before := make([]byte, 1<<15)
	for i := range before {
		before[i] = byte(r.Uint32())
	}
	w := windowOf(15, string(before))
	for range 300 {
		lit := randomLengths(r, 257+r.IntN(30), 3+r.IntN(255), 256, 'x')
		n := 2 + r.IntN(29)
		dist := randomLengths(r, n, 2+r.IntN(n-1))
		want := slices.Clone(before)
		c := new(maker).dynamic(0, lit, dist)
		for _, s := range r.Perm(len(lit)) {
			switch {
			case lit[s] == 0 || s == 256:
			case s < 256:
				c.symbol(s)
				want = append(want, byte(s))
			default:
				d := r.IntN(len(dist))
				for dist[d] == 0 {
					d = r.IntN(len(dist))
				}
				length, distance := lengthOf(c, s, r), distanceOf(c, d, r)
				want = append(want, repeatOf(last(want, 1<<15), length, distance)...)
			}
		}
		src := append(c.end().sync(), Tail...)
		want = want[len(before):]
		for _, in := range []int{1, 9, len(src)} {
			got := pieces(t, w, 15, src, in, len(want)+r.IntN(2)*100)
			require.NoError(t, got.err)
			require.True(t, got.complete)
			require.Equal(t, string(want), got.out)
		}
	}
}

// lengthOf writes the symbol of a length with some extra bits and says which it is.
func lengthOf(c madeContent, s int, r *rand.Rand) int {
	c.symbol(s)
	e := decLitProtos[s]
	v := uint(r.IntN(1 << (e & 31)))
	c.bits(v, uint(e&31))
	return int(e>>16) + int(v)
}

// distanceOf is the same for a distance.
func distanceOf(c madeContent, s int, r *rand.Rand) int {
	c.distanceSymbol(s)
	e := decDistProtos[15-8][s]
	v := uint(r.IntN(1 << (e & 31)))
	c.bits(v, uint(e&31))
	return int(e>>16) + int(v)
}

// The tables of symbols, written out (RFC 1951 §3.2.5).
func TestSymbols(t *testing.T) {
	for s, base := range []uint32{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258} {
		require.Equal(t, base, decLitProtos[257+s]>>16, "length symbol %d", 257+s)
	}
	for s, extra := range []uint32{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0} {
		require.Equal(t, extra, decLitProtos[257+s]&0xffff, "length symbol %d", 257+s)
	}
	bases := []uint32{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	extras := []uint32{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	for bits := 8; bits <= 15; bits++ {
		for s, e := range decDistProtos[bits-8] {
			switch {
			case s >= 30 || bases[s] > 1<<bits:
				require.EqualValues(t, decInvalid, e, "distance symbol %d, 2^%d", s, bits)
			default:
				require.LessOrEqual(t, bases[s]+1<<extras[s]-1, uint32(1)<<bits)
				require.Equal(t, bases[s]<<16|extras[s], e, "distance symbol %d, 2^%d", s, bits)
			}
		}
	}
}
