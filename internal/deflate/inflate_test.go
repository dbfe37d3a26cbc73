package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// inflate decodes a message, Tail included, with all the room it needs.
func inflate(w *Window, bits int, src []byte) (out []byte, complete bool, err error) {
	z := GetInflater(bits, w)
	defer PutInflater(z)
	out = make([]byte, 0, 256)
	for _, src := range [][]byte{src, Tail} {
		for {
			var n int
			out, n, err = z.Inflate(out, 0, src)
			src = src[n:]
			if err == nil {
				break
			}
			if err != ErrFull {
				return out, false, err
			}
			out = append(make([]byte, 0, 2*cap(out)), out...)
		}
		if len(src) != 0 {
			panic("input is left and no error")
		}
	}
	return out, z.Complete(), nil
}

// squeeze compresses p by compress/flate as a message.
func squeeze(t testing.TB, level int, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	require.NoError(t, err)
	_, err = w.Write(p)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return bytes.TrimSuffix(b.Bytes(), Tail)
}

// RFC 7692 §7.2.3, one after the other with the context taken over.
func TestExamplesOfTheRFC(t *testing.T) {
	w := newWindow(15)
	for _, c := range []struct{ name, in, out string }{
		{"7.2.3.1 one block", "f248cdc9c90700", "Hello"},
		{"7.2.3.2 sharing the window", "f200110000", "Hello"},
		{"7.2.3.3 stored", "000500faff48656c6c6f00", "Hello"},
		{"7.2.3.4 BFINAL", "f348cdc9c9070000", "Hello"},
		{"7.2.3.5 two blocks", "f24805000000ffffcac9c90700", "Hello"},
		{"7.2.3.6 empty", "00", ""},
		{"after BFINAL", "f200110000", "Hello"},
		{"two streams", "f348cdc9c90700f348cdc9c9070000", "HelloHello"},
		{"a last block whose end was taken off", "f248cdc9c90700 0000ffff 01", "Hello"},
	} {
		out, complete, err := inflate(w, 15, unhex(t, c.in))
		require.NoError(t, err, c.name)
		require.True(t, complete, c.name)
		require.Equal(t, c.out, string(out), c.name)
		w.Write(out)
	}
}

func TestInflateWhatCompressFlateMakes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 10, 100, 1000, 10000, 200000} {
		p := []byte(strings.Repeat("one of the sentences, and ", n/20+1)[:n])
		for i := range p {
			p[i] ^= byte(i*i>>9) & 7
		}
		for _, level := range []int{-2, 0, 1, 6, 9} {
			out, complete, err := inflate(nil, 15, squeeze(t, level, p))
			require.NoError(t, err)
			require.True(t, complete)
			require.True(t, bytes.Equal(p, out), "%d bytes at level %d", n, level)
		}
	}
}

// What follows a Huffman block that was decoded quickly begins where that ended: the bytes
// of a stored block are not taken for bits that are in hand.
func TestStoredBlockBehindSymbols(t *testing.T) {
	for pad := range 60 {
		m := new(maker)
		m.fixed(0).literals("0123456789abcdefghijklmnopqrstuvwxyz"[:pad%30]).end()
		m.stored(0, bytes.Repeat([]byte{0xff}, pad))
		m.fixed(0).literals("after").end()
		out, complete, err := inflate(nil, 15, m.sync())
		require.NoError(t, err, pad)
		require.True(t, complete)
		require.Equal(t, "after", string(out[len(out)-5:]))
	}
}

// In a dynamic block's header, 16 repeats the length before it, which behind 17 and 18 is
// zero (RFC 1951 §3.2.7).
func TestRepeatBehindZeros(t *testing.T) {
	in := withRepeats(257, 4, 1, 0, 18, 127, 18, 103, 16, 0, 1, 0, 17, 1)
	_, complete, err := inflate(nil, 15, in)
	require.NoError(t, err)
	require.True(t, complete)
	_, err = std(slices.Concat(in, Tail, []byte{1, 0, 0, 0xff, 0xff}), nil)
	require.NoError(t, err)
}

// An empty stored block does not excuse a message that is cut in a later one, for whose
// content the tail is taken.
func TestTailAsContentBehindAnEmptyBlock(t *testing.T) {
	in := new(maker).stored(0, nil).stored(0, []byte("1234")).out
	_, complete, err := inflate(nil, 15, in[:len(in)-4])
	require.False(t, err == nil && complete)
}
