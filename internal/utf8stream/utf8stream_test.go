package utf8stream_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/utf8stream"
)

// unfinished holds every byte sequence that begins a character without being one: the
// proper prefixes of the encodings of all characters there are. It is made by listing
// them, with the encoder of unicode/utf8, and so knows nothing of ranges.
var unfinished = func() map[string]bool {
	m := make(map[string]bool)
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		var buf [utf8.UTFMax]byte
		n := utf8.EncodeRune(buf[:], r)
		for i := 1; i < n; i++ {
			if !m[string(buf[:i])] {
				m[string(buf[:i])] = true
			}
		}
	}
	return m
}()

// viable is the oracle of failing fast: p can be continued to valid text if and only if
// it is whole characters and then nothing, or what begins one.
func viable(p []byte) bool {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			return unfinished[string(p)]
		}
		p = p[n:]
	}
	return true
}

// eachLevel runs a test for each set of instructions that Append can be made to use.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	for _, level := range utf8stream.Levels {
		t.Run(level.Name, func(t *testing.T) {
			level.Force(t)
			test(t)
		})
	}
}

// whole checks p in one piece.
func whole(p []byte) (ok, complete bool) {
	s, ok := utf8stream.State{}.Append(p)
	return ok, s.Complete()
}

// firstBad is how many bytes of p are taken before the first that fails, len(p) if none
// does, with p arriving a byte at a time. It also requires that a failure lasts.
func firstBad(t testing.TB, p []byte) int {
	t.Helper()
	var s utf8stream.State
	bad := len(p)
	for i := range p {
		var ok bool
		s, ok = s.Append(p[i : i+1])
		if !ok && bad == len(p) {
			bad = i
		}
		if ok && bad < i {
			t.Fatalf("% x: failed at %d, and passes at %d", p, bad, i)
		}
	}
	return bad
}

// firstBadWant is the same by the oracle.
func firstBadWant(p []byte) int {
	for i := range p {
		if !viable(p[:i+1]) {
			return i
		}
	}
	return len(p)
}

func TestZeroStateIsBoundary(t *testing.T) {
	var s utf8stream.State
	require.True(t, s.Complete())
	next, ok := s.Append(nil)
	require.True(t, ok)
	require.Equal(t, s, next)
}

// The bytes of RFC 3629 §3 and §4, and where each stops being UTF-8.
func TestFirstBadByte(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			in   string
			bad  int // index of the byte that fails, -1 for none
			done bool
		}{
			{"empty", "", -1, true},
			{"NUL", "\x00", -1, true},
			{"two bytes", "\xc2\x80", -1, true},
			{"two bytes cut", "\xdf", -1, false},
			{"three bytes", "\xe2\x82\xac", -1, true},
			{"three bytes cut", "\xe2\x82", -1, false},
			{"four bytes", "\xf0\x9f\x98\x80", -1, true},
			{"four bytes cut", "\xf0\x9f\x98", -1, false},
			{"U+FFFD itself", "\xef\xbf\xbd", -1, true},
			{"U+FFFF, a noncharacter", "\xef\xbf\xbf", -1, true},
			{"last of all", "\xf4\x8f\xbf\xbf", -1, true},
			{"continuation first", "\x80", 0, false},
			{"continuation after a character", "\xc3\xa9\xa9", 2, false},
			{"overlong NUL", "\xc0\x80", 0, false},
			{"overlong DEL", "\xc1\xbf", 0, false},
			{"overlong in three", "\xe0\x80\x80", 1, false},
			{"overlong in three, last", "\xe0\x9f\xbf", 1, false},
			{"overlong in four", "\xf0\x80\x80\x80", 1, false},
			{"overlong in four, last", "\xf0\x8f\xbf\xbf", 1, false},
			{"first surrogate", "\xed\xa0\x80", 1, false},
			{"last surrogate", "\xed\xbf\xbf", 1, false},
			{"above U+10FFFF", "\xf4\x90\x80\x80", 1, false},
			{"F5", "\xf5", 0, false},
			{"FE", "\xfe", 0, false},
			{"FF", "\xff", 0, false},
			{"ASCII inside a character", "\xe2\x82A", 2, false},
			{"lead inside a character", "\xe2\xe2", 1, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				bad := c.bad
				if bad < 0 {
					bad = len(c.in)
				}
				require.Equal(t, bad, firstBad(t, []byte(c.in)))
				require.Equal(t, bad, firstBadWant([]byte(c.in)), "the oracle")
				ok, complete := whole([]byte(c.in))
				require.Equal(t, c.bad < 0, ok)
				require.Equal(t, c.done, complete)
			})
		}
	})
}

// Every sequence of one, two and three bytes: accepted if and only if something valid can
// follow, complete if and only if valid.
func TestAllShortSequences(t *testing.T) {
	check := func(p []byte) {
		ok, complete := whole(p)
		if ok != viable(p) || complete != utf8.Valid(p) {
			t.Fatalf("% x: ok=%v, complete=%v; want %v, %v", p, ok, complete, viable(p), utf8.Valid(p))
		}
	}
	var p [3]byte
	for a := range 256 {
		p[0] = byte(a)
		check(p[:1])
		for b := range 256 {
			p[1] = byte(b)
			check(p[:2])
			lost := !viable(p[:2]) // and nothing brings it back
			for c := range 256 {
				p[2] = byte(c)
				if !lost {
					check(p[:3])
				} else if ok, complete := whole(p[:]); ok || complete {
					t.Fatalf("% x: ok=%v, complete=%v", p, ok, complete)
				}
			}
		}
	}
}

// Four bytes: every lead of three bytes or more and every byte that is no lead at all above
// them, every second byte, the third and fourth around each bound that the grammar has.
func TestBoundaryFourByteSequences(t *testing.T) {
	bounds := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff}
	for a := 0xe0; a < 256; a++ {
		for b := range 256 {
			for _, c := range bounds {
				for _, d := range bounds {
					p := []byte{byte(a), byte(b), c, d}
					ok, complete := whole(p)
					if ok != viable(p) || complete != utf8.Valid(p) {
						t.Fatalf("% x: ok=%v, complete=%v", p, ok, complete)
					}
				}
			}
		}
	}
}

// Every character, by the encoder.
func TestAllCharacters(t *testing.T) {
	var buf [utf8.UTFMax]byte
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		p := utf8.AppendRune(buf[:0], r)
		if ok, complete := whole(p); !ok || !complete {
			t.Fatalf("%U: ok=%v, complete=%v", r, ok, complete)
		}
	}
}

// texts are long enough for every loop of Append, and end and change where the loops do.
func texts() map[string]string {
	return map[string]string{
		"ascii":   strings.Repeat("The quick brown fox. ", 9),
		"latin":   strings.Repeat("Falsches Üben von Xylophonmusik quält jeden größeren Zwerg. ", 3),
		"cjk":     strings.Repeat("永和九年歲在癸丑暮春之初", 5),
		"emoji":   strings.Repeat("😀🚀🧵🪐", 11),
		"mixed":   strings.Repeat("a\u0416€😀", 19),
		"islands": strings.Repeat(strings.Repeat("x", 67)+"€", 3) + strings.Repeat("y", 33) + "😀",
	}
}

// However a text is cut in two, the pieces agree with the whole, and the state between
// them is complete where a character ends.
func TestEverySplit(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for name, text := range texts() {
			t.Run(name, func(t *testing.T) {
				p := []byte(text)
				require.True(t, utf8.Valid(p))
				for i := range len(p) + 1 {
					s, ok := utf8stream.State{}.Append(p[:i])
					require.True(t, ok, "first %d bytes", i)
					require.Equal(t, utf8.Valid(p[:i]), s.Complete(), "first %d bytes", i)
					s, ok = s.Append(p[i:])
					require.True(t, ok, "after %d bytes", i)
					require.True(t, s.Complete(), "after %d bytes", i)
				}
			})
		}
	})
}

// A byte that is bad is found wherever it stands in a longer text, in the piece that
// brings it and not one byte later.
func TestBadByteAnywhere(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		bads := []string{"\x80", "\xc0", "\xff", "\xe0\x80", "\xed\xa0", "\xf4\x90", "\xe2\x82A", "\xf0\x9f\x98\xc3"}
		for name, text := range texts() {
			t.Run(name, func(t *testing.T) {
				for at := range len(text) {
					if !utf8.RuneStart(text[at]) {
						continue
					}
					for _, bad := range bads {
						p := []byte(text[:at] + bad + text[at:])
						last := at + len(bad) - 1
						_, ok := utf8stream.State{}.Append(p[:last])
						require.True(t, ok, "%d: % x: before", at, bad)
						s, ok := utf8stream.State{}.Append(p[:last+1])
						require.False(t, ok, "%d: % x", at, bad)
						require.False(t, s.Complete(), "%d: % x", at, bad)
						_, ok = utf8stream.State{}.Append(p)
						require.False(t, ok, "%d: % x: all", at, bad)
					}
				}
			})
		}
	})
}

func TestFailureLasts(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		s, ok := utf8stream.State{}.Append([]byte{0xff})
		require.False(t, ok)
		for _, next := range append([]string{"", "a", "€", "\x80"}, strings.Repeat("a", 200)) {
			s, ok = s.Append([]byte(next))
			require.False(t, ok, "after %q", next)
			require.False(t, s.Complete(), "after %q", next)
		}
		for b := range 256 {
			_, ok = s.Append([]byte{byte(b)})
			require.False(t, ok, "after %#x", b)
		}
	})
}

func TestAppendDoesNotAllocateOrModify(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for name, text := range texts() {
			p := []byte(text)
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if ok, complete := whole(p); !ok || !complete {
					panic("valid text refused")
				}
			}), name)
			require.Equal(t, text, string(p), name)
		}
	})
}

// Random texts, half of them damaged, in random pieces.
func TestRandomPieces(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 6))
		for range 3000 {
			p := []byte(randomText(r, r.IntN(300)))
			if len(p) > 0 && r.IntN(2) == 0 {
				p[r.IntN(len(p))] ^= 1 << r.IntN(8)
			}
			checkAgainstOracles(t, p, r)
		}
	})
}

func FuzzAppend(f *testing.F) {
	for _, text := range texts() {
		f.Add([]byte(text), uint64(1))
	}
	f.Add([]byte("\xf4\x90\x80\x80"), uint64(2))
	f.Add([]byte(strings.Repeat("a", 70)+"\xe0\x80"), uint64(3))
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		eachLevel(t, func(t *testing.T) { checkAgainstOracles(t, p, rand.New(rand.NewPCG(seed, 0))) })
	})
}

// checkAgainstOracles compares Append on p, whole and in pieces that r cuts, with
// unicode/utf8 and with viable.
func checkAgainstOracles(t *testing.T, p []byte, r *rand.Rand) {
	t.Helper()
	kept := bytes.Clone(p)
	ok, complete := whole(p)
	if want := viable(p); ok != want {
		t.Fatalf("% x: ok=%v, want %v", p, ok, want)
	}
	if want := utf8.Valid(p); complete != want {
		t.Fatalf("% x: complete=%v, want %v", p, complete, want)
	}
	var s utf8stream.State
	for from := 0; from < len(p); {
		to := min(len(p), from+r.IntN(1+r.IntN(100)))
		var ok bool
		s, ok = s.Append(p[from:to])
		if want := viable(p[:to]); ok != want {
			t.Fatalf("% x: pieces up to %d: ok=%v, want %v", p, to, ok, want)
		}
		if want := utf8.Valid(p[:to]); s.Complete() != want {
			t.Fatalf("% x: pieces up to %d: complete=%v, want %v", p, to, s.Complete(), want)
		}
		from = to
	}
	if len(p) <= 1000 {
		if got, want := firstBad(t, p), firstBadWant(p); got != want {
			t.Fatalf("% x: fails at %d, want %d", p, got, want)
		}
	}
	if !bytes.Equal(kept, p) {
		t.Fatalf("% x was modified to % x", kept, p)
	}
}

// randomText is n characters, of every encoded length.
func randomText(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		c := rune(r.IntN(0x80))
		switch r.IntN(5) {
		case 0:
			c = rune(0x80 + r.IntN(0x780))
		case 1:
			c = rune(0x800 + r.IntN(0xd000))
		case 2:
			c = rune(0x10000 + r.IntN(0x100000))
		}
		b.WriteRune(c)
	}
	return b.String()
}

// benchText is exactly n bytes of valid text of a kind.
func benchText(kind string, n int) []byte {
	r := rand.New(rand.NewPCG(8, 1))
	var b strings.Builder
	for b.Len() < n {
		switch {
		case kind == "latin" && r.IntN(10) == 0:
			b.WriteRune(rune(0xe0 + r.IntN(0x20)))
		case kind == "cjk":
			b.WriteRune(rune(0x4e00 + r.IntN(0x5000)))
		case kind == "emoji":
			b.WriteRune(rune(0x1f300 + r.IntN(0x300)))
		default:
			b.WriteByte(byte('a' + r.IntN(26)))
		}
	}
	p := []byte(b.String()[:n])
	for !utf8.Valid(p) { // a character that was cut at the end
		p = p[:len(p)-1]
	}
	return append(p, "..."[:n-len(p)]...)
}

// Beside utf8.Valid, in the same run:
//
//	go test -run '^$' -bench Append -count 10 ./internal/utf8stream | benchstat -col /impl -
func BenchmarkAppend(b *testing.B) {
	for _, kind := range []string{"ascii", "latin", "cjk", "emoji"} {
		for _, n := range []int{16, 64, 512, 4 << 10, 64 << 10} {
			p := benchText(kind, n)
			for _, impl := range []struct {
				name  string
				valid func([]byte) bool
			}{
				{"std", utf8.Valid},
				{"stream", func(p []byte) bool {
					ok, complete := whole(p)
					return ok && complete
				}},
			} {
				b.Run(fmt.Sprintf("text=%s/size=%d/impl=%s", kind, n, impl.name), func(b *testing.B) {
					b.SetBytes(int64(n))
					for b.Loop() {
						if !impl.valid(p) {
							b.Fatal("valid text refused")
						}
					}
				})
			}
		}
	}
}
