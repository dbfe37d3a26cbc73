package deflate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// last returns the n last bytes of p, or all.
func last(p []byte, n int) []byte { return p[max(0, len(p)-n):] }

func TestWindowKeepsTheLastBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for bits := 8; bits <= 15; bits++ {
		w := newWindow(bits)
		require.Zero(t, cap(w.ring), "before the first message")
		var all []byte
		for range 200 {
			n := r.IntN(1 << bits / 4)
			switch r.IntN(10) {
			case 0:
				n = 1<<bits + r.IntN(3) - 1
			case 1:
				n = r.IntN(3 << bits)
			case 2:
				n = 0
			}
			p := make([]byte, n)
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			w.Write(p)
			all = append(all, p...)
			require.Equal(t, 1<<bits, cap(w.ring))
			want := last(all, 1<<bits)
			size := int(w.size)
			require.Equal(t, len(want), size)
			if size > 0 {
				got := w.at(size)
				got = slices.Concat(got, w.ring[:max(0, size-len(got))])
				require.Equal(t, want, got[:size])
			}
		}
	}
}

// matched decodes a message of so many literals, a match, and literals behind it that
// keep the decoder out of its care about the end, four times: at once with much room,
// with as much room as it takes, byte by byte, and with little room at a time.
func matched(t *testing.T, w *Window, bits int, first string, length, distance int) (string, error) {
	const behind = "0123456789abcdefghij"
	src := slices.Concat(new(maker).fixed(0).literals(first).match(length, distance).literals(behind).end().sync(), Tail)
	exact := len(first) + length + len(behind)
	want := pieces(t, w, bits, src, len(src), exact+500)
	for _, got := range []result{pieces(t, w, bits, src, len(src), exact), pieces(t, w, bits, src, 1, exact), pieces(t, w, bits, src, 100, 11)} {
		if got != want {
			t.Fatalf("length %d, distance %d: %+v and %+v", length, distance, got, want)
		}
	}
	if want.err != nil {
		return want.out, want.err
	}
	require.True(t, want.complete)
	require.Equal(t, behind, want.out[exact-len(behind):])
	return want.out[:exact-len(behind)], nil
}

// repeatOf is what a match of that length and distance is, byte by byte as it is defined
// (RFC 1951 §3.2.3).
func repeatOf(before []byte, length, distance int) string {
	for range length {
		before = append(before, before[len(before)-distance])
	}
	return string(before[len(before)-length:])
}

// Matches that overlap what they make, in the message or from the window into it.
func TestOverlappingMatches(t *testing.T) {
	const first = "<=>?@ABCDEFGHIJKLMNOPQ"
	for distance := 1; distance <= 17; distance++ {
		for length := 3; length <= 258; length++ {
			for _, inWindow := range []int{0, 1, 2, 3, 5, 8, 9, 17} {
				if inWindow > distance || inWindow > 0 && length > 20 && (length+distance)%32 > 1 {
					continue
				}
				history := first[:distance]
				// The ring ends anywhere in it.
				w := windowOf(8, string(make([]byte, 256-min(inWindow, length%7)))+history[:inWindow])
				out, err := matched(t, w, 8, history[inWindow:], length, distance)
				require.NoError(t, err)
				if want := history[inWindow:] + repeatOf([]byte(history), length, distance); out != want {
					t.Fatalf("length %d, distance %d, %d of it in the window: %q, not %q", length, distance, inWindow, out, want)
				}
			}
		}
	}
}

// Distances up to 2^bits and no further, wherever the ring wraps, and however much of the
// distance is in the message.
func TestDistancesOfWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for bits := 8; bits <= 15; bits++ {
		t.Run(fmt.Sprint(bits), func(t *testing.T) {
			size := 1 << bits
			history := make([]byte, 3*size)
			for i := range history {
				history[i] = byte(r.Uint32())
			}
			for wrap := range 30 {
				w := newWindow(bits)
				if wrap%2 == 0 {
					wrap = size - wrap // the oldest byte is near the ring's end
				}
				w.Write(history[:size])
				w.Write(history[size : size+wrap])
				seen := history[:size+wrap]
				for _, n := range []int{0, 1, 2, 7, 8, 20} {
					first := "abcdefghijklmnopqrstuvwxyz"[:n]
					length := []int{3, 4, 7, 8, 9, 15, 16, 17, 31, 60, 100, 200, 258}[r.IntN(13)]
					for _, distance := range []int{size, size - 1, size - r.IntN(60), 1 + r.IntN(size), n + 1, n + 2 + r.IntN(40)} {
						before := append(slices.Clone(seen), first...)
						out, err := matched(t, w, bits, first, length, distance)
						require.NoError(t, err)
						require.Equal(t, first+repeatOf(before, length, distance), out)
					}
					if bits < 15 { // there is no code for more
						out, err := matched(t, w, bits, first, length, size+1)
						require.Equal(t, ErrCorrupt, err, "2^%d+1", bits)
						require.Equal(t, first, out)
					}
				}
			}

			// In a message alone, of which there is more than the window.
			m := new(maker).stored(0, history[:min(2*size, 65535)]).fixed(0).match(258, size).match(10, size).end()
			out, complete, err := inflate(nil, bits, m.sync())
			require.NoError(t, err)
			require.True(t, complete)
			require.Equal(t, repeatOf(slices.Clone(history[:min(2*size, 65535)]), 268, size), string(last(out, 268)))
			if bits < 15 {
				_, _, err = inflate(nil, bits, new(maker).stored(0, history[:2*size]).fixed(0).match(258, size+1).end().sync())
				require.Equal(t, ErrCorrupt, err)
				lit := completed(lengthsAt(286, map[int]uint8{256: 2, 257: 2}))
				for _, n := range []uint8{2, 12} { // in the primary table, and in a second one
					dist := completed(lengthsAt(30, map[int]uint8{2 * bits: n}))
					c := new(maker).stored(0, history[:2*size]).dynamic(0, lit, dist).match(3, size+1)
					for range 100 { // so that it is not near the end
						c.match(3, 1)
					}
					src := c.end().sync()
					require.Equal(t, ErrCorrupt, pieces(t, nil, bits, src, len(src), 3*size).err)
				}
			}
		})
	}
}

// What was never there cannot be referred to, though the window would have room for it.
func TestDistanceBeyondHistory(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, there := range []int{0, 1, 5, 100, 255} {
			w := windowOf(bits, string(make([]byte, there)))
			for _, n := range []int{0, 1, 9} {
				first := "abcdefghij"[:n]
				if there+n > 0 && there+n <= 1<<bits {
					_, err := matched(t, w, bits, first, 30, there+n)
					require.NoError(t, err)
				}
				if there+n < 1<<bits {
					out, err := matched(t, w, bits, first, 30, there+n+1)
					require.Equal(t, ErrCorrupt, err)
					require.Equal(t, first, out)
				}
			}
		}
	}
}
