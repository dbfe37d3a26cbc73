package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// std decodes by compress/flate what follows before, one stream after the other as a
// message may have several (RFC 7692 §7.2.3.4). The error is nil only where src ends with
// a block that is marked as the last.
func std(src, before []byte) (out []byte, err error) {
	r := bytes.NewReader(src)
	for {
		history := slices.Concat(before, out)
		z := flate.NewReaderDict(r, history[max(0, len(history)-1<<15):])
		p, err := io.ReadAll(z)
		out = append(out, p...)
		if err != nil || r.Len() == 0 {
			return out, err
		}
	}
}

func lengthsAt(n int, at map[int]uint8) []uint8 {
	l := make([]uint8, n)
	for s, v := range at {
		l[s] = v
	}
	return l
}

// withRepeats makes a block of two codes of that many symbols, whose lengths are given by
// pairs of a symbol of the code of lengths, 0, 1 or 16 to 18, and its extra bits, and of
// nothing else but the symbol that is coded by a single 1 or, if it is the first, 0.
func withRepeats(lit, dist int, pairs ...uint) []byte {
	lengths := lengthsAt(19, map[int]uint8{0: 2, 1: 2, 18: 2, 16: 3, 17: 3})
	c := newMadeCode(lengths)
	m := new(maker).header(0, lit, dist, lengths)
	for p := range slices.Chunk(pairs, 2) {
		m.bits(c[p[0]].bits, c[p[0]].n).bits(p[1], map[uint]uint{16: 2, 17: 3, 18: 7}[p[0]])
	}
	if pairs[0] == 1 {
		m.bits(1, 1) // behind symbol 0
	} else {
		m.bits(0, 1)
	}
	return m.sync()
}

var (
	abEnd  = lengthsAt(257, map[int]uint8{'a': 2, 'b': 2, 256: 1}) // a code of three symbols
	abLen3 = lengthsAt(258, map[int]uint8{'a': 2, 'b': 2, 256: 2, 257: 2})
	dist1  = []uint8{1, 1} // distances 1 and 2
)

// Everything that is refused, and next to it what is not. compress/flate agrees where
// stdErr is not given; zlib 1.2.13 does in all cases, but it has no window of 2^8.
func TestRefusals(t *testing.T) {
	new := func() *maker { return new(maker) }
	stored5 := unhex(t, "00 0500 faff 48656c6c6f")
	for _, c := range []struct {
		name   string
		in     []byte
		out    string // of what is right, or before the error
		ok     bool
		stdErr error // what compress/flate says instead
	}{
		{name: "reserved block type", in: new().block(0, 3).out},
		{name: "reserved block type after output", in: new().fixed(0).literals("ab").end().block(1, 3).out, out: "ab"},
		{name: "stored", in: append(stored5, 0), out: "Hello", ok: true},
		{name: "stored, a bit of NLEN wrong", in: unhex(t, "00 0500 faef 48656c6c6f 00")},
		{name: "stored, NLEN equal to LEN", in: unhex(t, "00 0500 0500 48656c6c6f 00")},
		{name: "stored, the bits before LEN mean nothing", in: append([]byte{0xf8}, append(stored5[1:], 0)...), out: "Hello", ok: true},

		{name: "fixed, length symbol 286", in: new().fixed(0).literals("a").symbol(286).sync(), out: "a"},
		{name: "fixed, length symbol 287", in: new().fixed(0).literals("a").symbol(287).sync(), out: "a"},
		{name: "fixed, distance symbol 30", in: new().fixed(0).literals("a").symbol(257).distanceSymbol(30).sync(), out: "a"},
		{name: "fixed, distance symbol 31", in: new().fixed(0).literals("a").symbol(257).distanceSymbol(31).sync(), out: "a"},
		{name: "distance to the first byte", in: new().fixed(0).literals("abc").match(3, 3).end().sync(), out: "abcabc", ok: true},
		{name: "distance before the first byte", in: new().fixed(0).literals("abc").match(3, 4).end().sync(), out: "abc"},
		{name: "distance before anything", in: new().fixed(0).match(3, 1).end().sync()},
		{name: "the largest distance before the first byte", in: new().fixed(0).literals("abc").match(258, 32768).end().sync(), out: "abc"},

		{name: "286 symbols, 30 distances", in: new().dynamic(0, slices.Concat(abEnd, repeated(0, 29)), repeated(0, 30)).literals("ab").end().sync(), out: "ab", ok: true},
		{name: "287 symbols", in: new().dynamic(0, slices.Concat(abEnd, repeated(0, 30)), dist1).literals("ab").end().sync()},
		{name: "288 symbols", in: new().dynamic(0, slices.Concat(abEnd, repeated(0, 31)), dist1).literals("ab").end().sync()},
		{name: "31 distances", in: new().dynamic(0, abEnd, repeated(0, 31)).literals("ab").end().sync()},
		{name: "32 distances", in: new().dynamic(0, abEnd, repeated(0, 32)).literals("ab").end().sync()},

		{name: "two distances", in: new().dynamic(0, abLen3, dist1).literals("ab").match(3, 2).match(3, 1).end().sync(), out: "ababaaaa", ok: true},
		{name: "literals ask for too much", in: new().dynamic(0, lengthsAt(257, map[int]uint8{'a': 1, 'b': 1, 256: 1}), dist1).literals("ab").end().sync()},
		{name: "literals ask for too much at 15 bits", in: new().dynamic(0, lengthsAt(257, map[int]uint8{'a': 1, 'b': 1, 256: 15}), dist1).literals("ab").end().sync()},
		{name: "literals leave some unused", in: new().dynamic(0, lengthsAt(257, map[int]uint8{'a': 2, 'b': 2, 256: 2}), dist1).literals("ab").end().sync()},
		{name: "literals leave some unused at 15 bits", in: new().dynamic(0, lengthsAt(257, map[int]uint8{'a': 1, 256: 15}), dist1).literals("a").end().sync()},
		{name: "distances ask for too much", in: new().dynamic(0, abEnd, []uint8{1, 1, 1}).literals("ab").end().sync()},
		{name: "distances leave some unused", in: new().dynamic(0, abEnd, []uint8{2, 2, 2}).literals("ab").end().sync()},
		{name: "a single distance of two bits", in: new().dynamic(0, abEnd, []uint8{2}).literals("ab").end().sync()},
		{name: "a single distance", in: new().dynamic(0, abLen3, []uint8{0, 1}).literals("ab").match(3, 2).end().sync(), out: "ababa", ok: true},
		{name: "a single distance, and the bit that is no code", in: new().dynamic(0, abLen3, []uint8{0, 1}).literals("ab").symbol(257).bits(1, 1).sync(), out: "ab"},
		{name: "no distance, no match", in: new().dynamic(0, abLen3, []uint8{0}).literals("ab").end().sync(), out: "ab", ok: true},
		{name: "no distance, and a match", in: new().dynamic(0, abLen3, []uint8{0}).literals("ab").symbol(257).bits(0, 1).sync(), out: "ab"},
		{name: "a single symbol, the end", in: new().dynamic(0, lengthsAt(257, map[int]uint8{256: 1}), []uint8{0}).end().sync(), ok: true},
		{name: "a single symbol, and the bit that is no code", in: new().dynamic(0, lengthsAt(257, map[int]uint8{256: 1}), []uint8{0}).bits(1, 1).sync()},
		{name: "a single symbol of two bits", in: new().dynamic(0, lengthsAt(257, map[int]uint8{256: 2}), []uint8{0}).end().sync()},

		// compress/flate goes on until there is no input, as nothing can end the block;
		// zlib refuses the code.
		{name: "no end of block", in: new().dynamic(0, lengthsAt(257, map[int]uint8{'a': 1, 'b': 1}), dist1).literals("ab").sync(), stdErr: io.ErrUnexpectedEOF},
		{name: "no symbols at all", in: new().dynamic(0, repeated(0, 257), dist1).sync()},

		{name: "lengths ask for too much", in: new().header(0, 257, 1, lengthsAt(19, map[int]uint8{0: 1, 1: 1, 2: 1})).sync()},
		{name: "lengths leave some unused", in: new().header(0, 257, 1, lengthsAt(19, map[int]uint8{0: 2, 1: 2, 18: 2})).sync()},
		// compress/flate builds a code for these two; what can be said with it is wrong
		// in all cases, so it refuses a little later.
		{name: "a single length", in: new().header(0, 257, 1, lengthsAt(19, map[int]uint8{8: 1})).bits(0, 258).sync()},
		{name: "no length", in: new().header(0, 257, 1, repeated(0, 19)).sync()},

		{name: "repeat before there is anything", in: withRepeats(257, 1, 16, 0)},
		{name: "zeros up to the end", in: withRepeats(257, 4, 1, 0, 18, 127, 18, 106, 1, 0, 17, 1), ok: true},
		{name: "zeros past the end, 3 bits", in: withRepeats(257, 4, 1, 0, 18, 127, 18, 106, 1, 0, 17, 2)},
		{name: "zeros past the end, 7 bits", in: withRepeats(257, 4, 1, 0, 18, 127, 18, 106, 1, 0, 18, 0)},
		{name: "zeros past the end at the first symbol", in: withRepeats(257, 1, 1, 0, 18, 127, 18, 127)},
		{name: "a repeat past the end", in: withRepeats(257, 2, 1, 0, 18, 127, 18, 106, 1, 0, 16, 0)},
		{name: "a repeat of zero", in: withRepeats(257, 4, 1, 0, 18, 127, 18, 106, 1, 0, 0, 0, 16, 0), ok: true},
		{name: "zeros from one code into the other", in: withRepeats(258, 4, 1, 0, 18, 127, 18, 106, 1, 0, 17, 2), ok: true},
		{name: "ones from one code into the other", in: withRepeats(258, 2, 18, 127, 18, 107, 1, 0, 16, 0), ok: true},
	} {
		out, complete, err := inflate(nil, 15, c.in)
		require.Equal(t, c.out, string(out), c.name)
		end := slices.Concat(c.in, Tail, []byte{1, 0, 0, 0xff, 0xff})
		_, stdErr := std(end, nil)
		if c.ok {
			require.NoError(t, err, c.name)
			require.True(t, complete, c.name)
			require.NoError(t, stdErr, c.name)
			continue
		}
		require.Equal(t, ErrCorrupt, err, c.name)
		if c.stdErr != nil {
			require.Equal(t, c.stdErr, stdErr, c.name)
			continue
		}
		var wrong flate.CorruptInputError
		require.True(t, errors.As(stdErr, &wrong), "%s: compress/flate says %v", c.name, stdErr)
	}
}
