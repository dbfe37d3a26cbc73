package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A message that was compressed and dropped has left entries that point into the last
// bytes of the history, where the ring goes on with its oldest.
func TestEntriesAtTheEndOfTheHistory(t *testing.T) {
	for _, level := range []Level{Fast, Dense} {
		for k := 1; k <= 3; k++ {
			d, ctx, peer := new(Deflater), newContext(8), newEncPeer(8, true)
			commit := func(p []byte) { ctx.Commit(p); peer.out = append(peer.out, p...) }
			r := newEncSource(3)
			h := r.random(256 + 64) // random history; its oldest bytes are what the ring has behind its newest
			commit(h)
			b := r.random(20)
			// v: the last k bytes of b and what the ring has behind them
			old := h[len(h)-256+20:]
			v := append(bytes.Clone(b[20-k:]), old[:4-k]...)
			dropped := append(bytes.Repeat([]byte("-"), 20-k), append(bytes.Clone(v), bytes.Repeat([]byte("+"), 40)...)...)
			d.AppendMessage(make([]byte, 0, 200), dropped, ctx, 8, level)
			commit(b)
			c := append([]byte("..................."), append(v, bytes.Repeat([]byte("."), 40)...)...)
			out, ok := d.AppendMessage(make([]byte, 0, 200), c, ctx, 8, level)
			require.True(t, ok)
			peer.receive(t, out, c)
		}
	}
}

// The entries of a large message that was dropped seem to be before the history, where
// the ring has nothing yet.
func TestEntriesBeforeTheHistory(t *testing.T) {
	for _, level := range []Level{Fast, Dense} {
		d, ctx, peer := new(Deflater), newContext(15), newEncPeer(15, true)
		r := newEncSource(3)
		first := r.random(100)
		ctx.Commit(first)
		peer.out = append(peer.out, first...)
		dropped := append(r.page(50000), make([]byte, 12)...)
		dropped = append(dropped, r.page(100)...)
		d.AppendMessage(make([]byte, 0, 70000), dropped, ctx, 15, level)
		src := append([]byte("abcdefgh"), 0, 0, 0, 0, 0, 0, 0, 'x', 'y')
		src = append(src, bytes.Repeat([]byte("-"), 40)...)
		out, ok := d.AppendMessage(make([]byte, 0, 200), src, ctx, 15, level)
		require.True(t, ok)
		peer.receive(t, out, src)
	}
}

// Of a message larger than the window, the next one finds the end.
func TestContextOfALargeMessage(t *testing.T) {
	r := newEncSource(1)
	d, ctx := new(Deflater), newContext(12)
	src := r.page(20000)
	_, ok := d.AppendMessage(make([]byte, 0, 30000), src, ctx, 12, Fast)
	require.True(t, ok)
	ctx.Commit(src)
	out, ok := d.AppendMessage(make([]byte, 0, 600), src[19000:19600], ctx, 12, Fast)
	require.True(t, ok)
	require.Less(t, len(out), 150)
}

// Random messages between others, which are refused, do not spoil the context for those.
func TestRandomMessagesLeaveTheContext(t *testing.T) {
	for _, bits := range []int{9, 12} {
		for _, level := range []Level{Fast, Dense} {
			ratio := func(noise int) float64 {
				r, d, ctx := newEncSource(1), new(Deflater), newContext(bits)
				in, out := 0, 0
				for range 300 {
					src := r.tick(in)
					if p, ok := d.AppendMessage(make([]byte, 0, 200), src, ctx, bits, level); ok {
						ctx.Commit(src)
						out += len(p)
					} else {
						out += len(src)
					}
					in += len(src)
					if noise > 0 {
						_, ok := d.AppendMessage(make([]byte, 0, 2*noise), newEncSource(uint64(in)).random(noise), ctx, bits, level)
						require.False(t, ok)
					}
				}
				return float64(out) / float64(in)
			}
			alone := ratio(0)
			for _, noise := range []int{512, 1024, 4096} {
				require.Less(t, ratio(noise), alone*1.05, "%d bits, %d bytes between", bits, noise)
			}
		}
	}
}

// A Context from the pool knows nothing of what was done with it.
func TestPooledContextIsEmpty(t *testing.T) {
	r, d := newEncSource(1), new(Deflater)
	for range 20 {
		c := GetContext(12)
		require.False(t, slices.ContainsFunc(c.table, func(at uint16) bool { return at != 0 }))
		require.Zero(t, c.at|uint32(c.have)|uint32(c.typical)|uint32(c.refused))
		src := r.page(3000)
		var st Stream
		d.AppendPiece(nil, src, c, &st, Fast, false)
		c.Commit(src)
		PutContext(c)
	}
}

// Arrays of numbers and pixels are no random bytes, whatever their period.
func TestArraysAreCompressed(t *testing.T) {
	r := newEncSource(1)
	for name, next := range map[string]func(b []byte) []byte{
		"int16":   func(b []byte) []byte { return binary.LittleEndian.AppendUint16(b, uint16(r.NormFloat64()*500)) },
		"uint16":  func(b []byte) []byte { return binary.LittleEndian.AppendUint16(b, uint16(r.IntN(1024))) },
		"float32": func(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, math.Float32bits(20+r.Float32())) },
		"RGBA":    func(b []byte) []byte { return append(b, byte(r.Uint32()), byte(r.IntN(8)), byte(r.IntN(8)), 255) },
	} {
		for _, n := range []int{960, 1024, 4096, 16_384, 65_536} {
			var src []byte
			for len(src) < n {
				src = next(src)
			}
			var std bytes.Buffer
			w, err := flate.NewWriter(&std, 1)
			require.NoError(t, err)
			_, err = w.Write(src)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			for _, level := range []Level{Fast, Dense} {
				out, ok := new(Deflater).AppendMessage(make([]byte, 0, n), src, nil, 15, level)
				require.True(t, ok, "%s, %d bytes", name, n)
				require.Less(t, float64(len(out)), 1.05*float64(std.Len()), "%s, %d bytes", name, n)
			}
		}
	}
}

// Dense is worth its time.
func TestDenseIsDenser(t *testing.T) {
	p := newEncSource(1).page(30000)
	d := new(Deflater)
	f, _ := d.AppendMessage(make([]byte, 0, 40000), p, nil, 15, Fast)
	n, _ := d.AppendMessage(make([]byte, 0, 40000), p, nil, 15, Dense)
	require.Less(t, float64(len(n)), .985*float64(len(f)))
}

// Where a block has as many matches as there is room for, whatever comes behind them fits.
func TestFullOfMatches(t *testing.T) {
	for _, level := range []Level{Fast, Dense} {
		r, most := newEncSource(3), 0
		for n := 4000; n < 5000; n += 10 {
			words := r.random(5 * 200)
			src := bytes.Clone(words)
			for range n {
				j := r.IntN(200) * 5
				src = append(append(src, words[j:j+5]...), byte(r.Uint32()))
			}
			src = append(append(src, r.random(25_000)...), words[:400]...)
			src = src[:min(len(src), maxBlock)]
			d := new(Deflater)
			var m matcher
			m.useTable(d.table[:], len(src), 15)
			if level == Fast {
				d.matchFast(&m, src, 0, len(src))
			} else {
				d.matchDense(&m, src, 0, len(src))
			}
			most = max(most, d.nseqs)
		}
		require.Greater(t, most, maxSeqs*9/10, "the test makes too few")
	}
}
