package deflate

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// result is all that decoding a message says.
type result struct {
	out      string
	complete bool
	err      error
}

// pieces decodes src, which has the Tail, at most in bytes of it at a time with room for
// room bytes of output at a time. Each call has a new slice that begins with no more than
// it must have, at some start, and is followed by memory that must not be touched.
func pieces(t testing.TB, w *Window, bits int, src []byte, in, room int) result {
	z := GetInflater(bits, w)
	defer PutInflater(z)
	const start, behind = 3, 40
	var out []byte
	for {
		next := src[:min(in, len(src))]
		history := out[max(0, len(out)-1<<bits):]
		memory := bytes.Repeat([]byte{0xee}, start+len(history)+room+behind)
		copy(memory[start:], history)
		had := start + len(history)
		dst, n, err := z.Inflate(memory[:had:had+room], start, next)
		if &dst[0] != &memory[0] || !bytes.Equal(dst[start:had], history) || bytes.Trim(memory[had+room:], "\xee") != nil {
			t.Fatalf("what was there before, or is behind, has changed")
		}
		out = append(out, dst[had:]...)
		src = src[n:]
		switch {
		case err == ErrFull:
			if len(dst) != cap(dst) {
				t.Fatalf("full with %d bytes of room", cap(dst)-len(dst))
			}
			if room == 0 {
				return result{string(out), z.Complete(), err}
			}
		case err != nil:
			return result{string(out), z.Complete(), err}
		case n < len(next):
			t.Fatalf("%d of %d bytes used and no error", n, len(next))
		case len(src) == 0:
			return result{string(out), z.Complete(), nil}
		}
	}
}

type sample struct {
	name   string
	window string // what came before
	in     []byte // without Tail
	ends   []int  // after how many bytes a shorter message ends
}

// samples are messages that have everything in them that there is.
func samples(t testing.TB) []sample {
	text := string(encMessages("chat", 1)[0])
	var s []sample
	add := func(name, window string, in []byte, ends ...int) {
		s = append(s, sample{name: name, window: window, in: in, ends: ends})
	}
	for i, in := range []string{"f248cdc9c90700", "f348cdc9c9070000", "00", "f348cdc9c90700f348cdc9c9070000"} {
		add(fmt.Sprint("RFC ", i), "", unhex(t, in))
	}
	add("RFC stored", "", unhex(t, "000500faff48656c6c6f00"), 1)
	add("RFC two blocks", "", unhex(t, "f24805000000ffffcac9c90700"), 4)
	add("RFC window", "Hello", unhex(t, "f200110000"))
	add("gobwas", "", unhex(t, "f248cdc9c907000000ffff01"), 7)
	add("dynamic", "", squeeze(t, 6, []byte(text)))
	add("Huffman only", "", squeeze(t, -2, []byte(text)))

	// Codes of up to 15 bits, which need second tables, and each kind of block.
	lit := make([]uint8, 286)
	for i := range 14 {
		lit['a'+i] = uint8(i + 2)
	}
	lit['z'], lit[256], lit[285] = 15, 2, 3 // with the others: 1/4 + 1/8 + ...
	lit['b'], lit['c'], lit[265] = 0, 3, 4
	lit = completed(lit)
	dist := completed([]uint8{3, 0, 0, 2, 0, 0, 0, 0, 4, 0, 0, 15, 0, 0, 0, 0, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	m := new(maker).stored(0, []byte("stored ")).fixed(0).literals("fixed ").match(6, 3).end()
	d := m.dynamic(0, lit, dist)
	for i := range 14 {
		if lit['a'+i] != 0 {
			d.symbol('a' + i)
		}
	}
	m = d.literals("zz").match(11, 1).match(258, 17).match(12, 4).literals("a").match(258, 50).end()
	m = m.fixed(1).literals("last").end().align()
	stored := len(m.out) + 1 // each of its headers may be the end
	m = m.stored(1, []byte("!")).stored(0, []byte("?"))
	add("all", "", m.fixed(0).match(258, 200).literals("\xff\x90").end().sync(), 1, stored, stored+6)

	// The window's end, over into the message.
	w := strings.Repeat("0123456789abcdef", 16)[:251]
	f := new(maker).fixed(0).match(3, 3).match(258, 1).literals("x").match(20, 256).match(10, 251).match(258, 7)
	add("window", w+"..WX", f.end().sync())

	// Wrong at the very end.
	add("wrong", "", new(maker).fixed(0).literals("right").match(20, 2).match(3, 28).sync())
	add("wrong block", "", new(maker).fixed(0).literals("right").end().block(0, 3).out)
	return s
}

// completed makes lengths those of a complete code: it gives symbols that have none what
// is left.
func completed(lengths []uint8) []uint8 {
	used := 0
	for _, l := range lengths {
		if l != 0 {
			used += 1 << (15 - l)
		}
	}
	for s := range lengths {
		if lengths[s] == 0 && s != 256 {
			for l := uint8(1); l <= 15; l++ {
				if left := 1<<15 - used; left&(1<<(15-l)) != 0 && left>>(15-l) != 0 {
					lengths[s] = l
					used += 1 << (15 - l)
					break
				}
			}
		}
	}
	if used != 1<<15 {
		panic("no complete code")
	}
	return lengths
}

func windowOf(bits int, p string) *Window {
	w := newWindow(bits)
	w.Write([]byte(p))
	return w
}

// Whatever the pieces of input and however little room at a time, the result is the same.
func TestAllPieces(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			w := windowOf(8, s.window)
			src := slices.Concat(s.in, Tail)
			want := pieces(t, w, 8, src, len(src), 4096)
			if strings.HasPrefix(s.name, "wrong") {
				require.Equal(t, ErrCorrupt, want.err)
				require.Equal(t, "right", want.out[:5])
			} else {
				require.NoError(t, want.err)
				require.True(t, want.complete)
				if s.name != "RFC window" && s.name != "window" {
					out, err := std(slices.Concat(src, []byte{1, 0, 0, 0xff, 0xff}), nil)
					require.NoError(t, err)
					require.Equal(t, string(out), want.out)
				}
			}
			for in := 1; in <= min(len(src), 64); in++ {
				for room := 1; room <= len(want.out)+1; room++ {
					if room > 40 && room < len(want.out)-2 && room%37 != 0 {
						continue
					}
					if got := pieces(t, w, 8, src, in, room); got != want {
						t.Fatalf("%d bytes in and %d out at a time: %+v, not %+v", in, room, got, want)
					}
				}
			}
			// In two, at each byte.
			for cut := range src {
				z := GetInflater(8, w)
				dst := make([]byte, 0, 4096)
				dst, n, err := z.Inflate(dst, 0, src[:cut])
				if err == nil {
					require.Equal(t, cut, n)
					dst, _, err = z.Inflate(dst, 0, src[cut:])
				}
				require.Equal(t, want, result{string(dst), z.Complete(), err})
				PutInflater(z)
			}
		})
	}
}

// A message that was cut off at any byte is not delivered, unless it is cut where one that
// is shorter ends. What can be decoded of it is right.
func TestTruncated(t *testing.T) {
	for _, s := range samples(t) {
		w := windowOf(8, s.window)
		whole := pieces(t, w, 8, slices.Concat(s.in, Tail), 1<<20, 4096)
		var ends []int
		for n := range s.in {
			cut := slices.Clone(s.in[:n])
			got := pieces(t, w, 8, cut, 1<<20, 4096)
			require.True(t, strings.HasPrefix(whole.out, got.out), "%s, %d bytes", s.name, n)
			got = pieces(t, w, 8, append(cut, Tail...), 1<<20, 4096)
			if !got.complete {
				continue
			}
			// That is right only where the header of a stored block came last.
			z := GetInflater(8, w)
			_, _, err := z.Inflate(make([]byte, 0, 4096), 0, cut)
			require.NoError(t, err)
			require.Equal(t, atStored, z.phase, "%s, %d bytes: % x", s.name, n, cut)
			require.Zero(t, z.nbits)
			PutInflater(z)
			ends = append(ends, n)
		}
		require.Equal(t, s.ends, ends, s.name)
	}
}

// The limit of a message's size is the end of dst's capacity, to the byte: one less is
// ErrFull, one that is just enough is not, whatever of the message there is yet.
func TestFullIsExact(t *testing.T) {
	for _, s := range samples(t) {
		if strings.HasPrefix(s.name, "wrong") {
			continue
		}
		w := windowOf(8, s.window)
		src := slices.Concat(s.in, Tail)
		want := pieces(t, w, 8, src, len(src), 4096)
		for limit := range len(want.out) + 1 {
			for _, in := range []int{1, 2, 7, len(src)} {
				z := GetInflater(8, w)
				dst := make([]byte, 0, limit)
				var err error
				for rest := src; len(rest) > 0 && err == nil; {
					var n int
					next := rest[:min(in, len(rest))]
					dst, n, err = z.Inflate(dst, 0, next)
					rest = rest[n:]
				}
				require.Equal(t, want.out[:limit], string(dst), s.name)
				if limit < len(want.out) {
					require.Equal(t, ErrFull, err, "%s, limit %d", s.name, limit)
					require.False(t, z.Complete(), "%s, limit %d", s.name, limit)
					// Nothing is lost: asked again, it says the same.
					_, n, err := z.Inflate(dst, 0, nil)
					require.Zero(t, n)
					require.True(t, err == ErrFull || err == nil, "%s: %v", s.name, err)
				} else {
					require.NoError(t, err, "%s, limit %d", s.name, limit)
					require.True(t, z.Complete(), "%s, limit %d", s.name, limit)
				}
				PutInflater(z)
			}
		}
	}
}

// A message of zero bytes, and one that has its tail: it is given a second time.
func TestNotAMessage(t *testing.T) {
	for _, in := range []string{"", "f248cdc9c907000000ffff", "000000ffff"} {
		out, complete, err := inflate(nil, 15, unhex(t, in))
		require.NoError(t, err)
		require.False(t, complete, "%q", in)
		require.Equal(t, "Hello"[:len(out)], string(out))
	}
}

// A message that ends within a stored block has a Tail that looks like content.
func TestTailIsNotContent(t *testing.T) {
	for cut := 1; cut <= 8; cut++ {
		m := new(maker).stored(0, []byte("something"))
		out, complete, err := inflate(nil, 15, m.out[:len(m.out)-cut])
		require.False(t, complete && err == nil, "%d bytes missing: %q", cut, out)
	}
}

func TestErrorsStay(t *testing.T) {
	z := GetInflater(15, nil)
	defer PutInflater(z)
	dst := make([]byte, 0, 100)
	out, _, err := z.Inflate(dst, 0, new(maker).fixed(0).literals("abc").symbol(286).out)
	require.Equal(t, ErrCorrupt, err)
	require.Equal(t, "abc", string(out))
	for range 2 {
		again, n, err := z.Inflate(out, 0, unhex(t, "f248cdc9c907000000ffff"))
		require.Equal(t, ErrCorrupt, err)
		require.Zero(t, n)
		require.Equal(t, out, again)
		require.False(t, z.Complete())
	}
}
