//go:build !purego && !race

package utf8stream

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/cpu"
)

// The automaton, which has tests of its own, says what the kernel has to find.

func needsBlocks(t *testing.T) {
	if !cpu.AVX2 {
		t.Skip("this processor has no AVX2")
	}
	forceBlocks(t, true)
}

// byAutomaton is Append without the kernel.
func byAutomaton(s State, p []byte) (State, bool) {
	defer func(before bool) { useBlocks = before }(useBlocks)
	useBlocks = false
	return s.Append(p)
}

func requireSame(t *testing.T, s State, p []byte) {
	t.Helper()
	got, ok := s.Append(p)
	want, wantOK := byAutomaton(s, p)
	if got != want || ok != wantOK {
		t.Fatalf("%d bytes, from state %d: %v, %v; want %v, %v:\n% x", len(p), s.at, got, ok, want, wantOK, p)
	}
}

// edges are where a sequence lies in two vectors, two rounds of a loop, or both
// in what is checked and in what is checked again: before, across and behind.
func edges(n int) []int {
	var at []int
	for _, edge := range []int{0, 16, 32, 64, 96, 128, 160, 192, 224, 288, n - 32, n - 16, n} {
		for i := edge - 5; i <= edge; i++ {
			if i >= 0 && i+4 <= n && !slices.Contains(at, i) {
				at = append(at, i)
			}
		}
	}
	return at
}

// Every pair of bytes, in ASCII and in what is not.
func TestBlocksFindEveryPair(t *testing.T) {
	needsBlocks(t)
	for _, around := range []string{"a", "é"} {
		for _, n := range []int{24, 36, 330} {
			text := []byte(strings.Repeat(around, n))[:n]
			for _, at := range []int{0, 14, 30, 158, n - 34, n - 2} {
				for _, at := range []int{at, at + 1} { // where é begins, and inside
					if at < 0 || at+2 > n {
						continue
					}
					p := slices.Clone(text)
					for pair := range 1 << 16 {
						p[at], p[at+1] = byte(pair>>8), byte(pair)
						if pair>>8 < 0x7F && pair>>8 > 0 { // ASCII before anything: once is enough
							continue
						}
						requireSame(t, State{}, p)
					}
				}
			}
		}
	}
}

// Sequences of four bytes, of those at the ends of each range, at every edge.
func TestBlocksFindSequences(t *testing.T) {
	needsBlocks(t)
	leads := []byte{0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF}
	others := []byte{0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE1, 0xF1}
	for _, n := range []int{20, 34, 35, 100, 352, 416} {
		text := []byte(strings.Repeat("x", n))
		for _, at := range edges(n) {
			p := slices.Clone(text)
			for _, a := range leads {
				for _, b := range others {
					for _, c := range others {
						for _, d := range others {
							p[at], p[at+1], p[at+2], p[at+3] = a, b, c, d
							requireSame(t, State{}, p)
						}
					}
				}
			}
		}
	}
}

// Texts of every length, whole and damaged, from every state, cut anywhere.
func TestBlocksEveryLengthAndState(t *testing.T) {
	needsBlocks(t)
	random := rand.New(rand.NewPCG(9, 9))
	states := []string{"", "\xc3", "\xe2", "\xe2\x82", "\xe0", "\xed", "\xf0", "\xf0\x9f", "\xf0\x9f\x98", "\xf1", "\xf4", "\xff"}
	for _, text := range []string{"a", "é", "€", "😀", "xé", "x€y", "é😀z€", strings.Repeat("x", 130) + "€"} {
		for shift := range 4 {
			all := []byte(strings.Repeat("x", shift) + strings.Repeat(text, 1+700/len(text)))[:700]
			for n := range len(all) + 1 {
				p := slices.Clone(all[:n])
				requireSame(t, State{}, p)
				for _, state := range states {
					s, _ := byAutomaton(State{}, []byte(state))
					requireSame(t, s, p)
					requireSame(t, s, append([]byte("\x98\x80"), p...))
				}
				for range 4 {
					if n > 0 {
						p[random.IntN(n)] ^= 1 << random.IntN(8)
						requireSame(t, State{}, p)
					}
				}
			}
		}
	}
}

// Where the kernel is called, so that the tests of Append reach it.
func TestBlocksAreUsed(t *testing.T) {
	needsBlocks(t)
	_, rest := State{}.appendBlocks([]byte(strings.Repeat("€", 30)))
	require.Len(t, rest, 3, "the last character is left to the automaton")
	_, rest = State{need1}.appendBlocks([]byte("\x80" + strings.Repeat("x", leastText)))
	require.Empty(t, rest)
	next, rest := State{}.appendBlocks([]byte("\xff" + strings.Repeat("x", leastText)))
	require.Equal(t, State{failed}, next)
	require.Empty(t, rest)
}
