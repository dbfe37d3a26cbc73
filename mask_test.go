package websocket

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maskNaive is RFC 6455 §5.3 to the letter: the oracle.
func maskNaive(p []byte, key [4]byte, phase int) []byte {
	out := make([]byte, len(p))
	for i := range p {
		out[i] = p[i] ^ key[(phase+i)%4]
	}
	return out
}

// keyAt is key as the kernels take it, turned to a phase.
func keyAt(key [4]byte, phase int) uint32 {
	var k uint32
	for i := range 4 {
		k |= uint32(key[(phase+i)%4]) << (8 * i)
	}
	return k
}

// A maskLevel is a set of instructions that the kernels of a build can be made
// to use.
type maskLevel struct {
	name  string
	force func(t *testing.T)
}

// A maskKernel is the functions of mask.go by one implementation. In place is
// where dst is src.
type maskKernel struct {
	plain func(dst, src []byte, key uint32) (next uint32)
	ascii func(dst, src []byte, key uint32) (next uint32, ascii bool)
}

// eachMaskKernel runs a test for the code in Go and for each level there is.
func eachMaskKernel(t *testing.T, test func(t *testing.T, k maskKernel)) {
	t.Run("generic", func(t *testing.T) {
		test(t, maskKernel{
			plain: func(dst, src []byte, key uint32) uint32 { next, _ := maskGeneric(dst, src, key); return next },
			ascii: maskGeneric,
		})
	})
	for _, level := range maskLevels {
		t.Run(level.name, func(t *testing.T) {
			level.force(t)
			test(t, maskKernel{maskCopy, maskCopyASCII})
		})
	}
}

// someOffsets are offsets from a cache line's beginning: all, or those about each
// width of register where an emulator or the race detector is slow.
func someOffsets() []int {
	if testing.Short() || raceEnabled {
		return []int{0, 1, 3, 7, 15, 16, 17, 31, 32, 33, 63}
	}
	var all []int
	for offset := range 64 {
		all = append(all, offset)
	}
	return all
}

func randomBytes(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 2))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(random.Uint32())
	}
	return p
}

// Lengths beyond the largest straight piece and beyond some rounds of each loop.
const maskLengths = 700

func TestMaskEveryLengthOffsetAndPhase(t *testing.T) {
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	memory := randomBytes(1, 64+maskLengths+64)
	eachMaskKernel(t, func(t *testing.T, k maskKernel) {
		work := make([]byte, len(memory))
		for _, offset := range someOffsets() {
			for phase := range 4 {
				all := maskNaive(memory[offset:offset+maskLengths], key, phase)
				for length := range maskLengths + 1 {
					want, next := all[:length], keyAt(key, phase+length)
					where := func() string {
						return strconv.Itoa(length) + " bytes at " + strconv.Itoa(offset) + ", phase " + strconv.Itoa(phase)
					}
					wantASCII := isASCII(want)

					// check compares all of work: what lies before and behind is not touched.
					check := func(what string, at int, before []byte, got uint32) {
						if !bytes.Equal(want, work[at:at+length]) || got != next {
							t.Fatalf("%s: %s: wrong", what, where())
						}
						if !bytes.Equal(before[:at], work[:at]) || !bytes.Equal(before[at+length:], work[at+length:]) {
							t.Fatalf("%s: %s: bytes outside were changed", what, where())
						}
					}
					p := work[offset : offset+length]
					copy(work, memory)
					check("in place", offset, memory, k.plain(p, p, keyAt(key, phase)))

					copy(work, memory)
					got, ascii := k.ascii(p, p, keyAt(key, phase))
					check("in place, ASCII", offset, memory, got)
					require.Equal(t, wantASCII, ascii)

					src := memory[offset : offset+length]
					at := offset * 7 % 64 // the two are aligned in all ways
					clear(work)
					check("copying", at, zeros[:len(work)], k.plain(work[at:at+length], src, keyAt(key, phase)))

					clear(work)
					got, ascii = k.ascii(work[at:at+length], src, keyAt(key, phase))
					check("copying, ASCII", at, zeros[:len(work)], got)
					require.Equal(t, wantASCII, ascii)
				}
			}
		}
	})
}

var zeros [1 << 12]byte

func isASCII(p []byte) bool {
	for _, b := range p {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// The functions that the connection calls, each once with every length.
func TestMaskFunctions(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	for n := range maskLengths + 1 {
		p := []byte(strings.Repeat("k", n))
		want := maskNaive(p, key, 0)
		next := keyAt(key, n)

		got := bytes.Clone(p)
		require.Equal(t, next, mask(got, keyAt(key, 0)))
		require.True(t, bytes.Equal(want, got), n)
		back, ascii := maskCopyASCII(got, got, keyAt(key, 0))
		require.Equal(t, next, back)
		require.True(t, ascii, n)
		require.True(t, bytes.Equal(p, got), n)

		require.Equal(t, next, maskCopy(got, p, keyAt(key, 0)))
		require.True(t, bytes.Equal(want, got), n)
		back, ascii = maskCopyASCII(got, want, keyAt(key, 0))
		require.Equal(t, next, back)
		require.True(t, ascii, n)
		require.True(t, bytes.Equal(p, got), n)
	}
	require.Panics(t, func() { maskCopy(make([]byte, 2), make([]byte, 3), 0) }, "dst has no room")
	require.Panics(t, func() { maskCopyASCII(make([]byte, 2), make([]byte, 3), 0) }, "dst has no room")
}

// dst may be the same memory as src, begun earlier: bytes that were read move to
// the front of the buffer that they are in.
func TestMaskToEarlierMemory(t *testing.T) {
	key := [4]byte{0xC0, 0xFF, 0xEE, 0x11}
	memory := randomBytes(3, 64+300+maskLengths)
	eachMaskKernel(t, func(t *testing.T, k maskKernel) {
		for _, by := range []int{1, 2, 3, 4, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 300} {
			for _, offset := range []int{0, 5, 16, 31} {
				if raceEnabled && offset > 0 {
					continue
				}
				for n := range maskLengths - 63 {
					want := maskNaive(memory[offset+by:offset+by+n], key, 0)
					for _, f := range []func(dst, src []byte, key uint32){
						func(dst, src []byte, key uint32) { k.plain(dst, src, key) },
						func(dst, src []byte, key uint32) { k.ascii(dst, src, key) },
					} {
						work := bytes.Clone(memory)
						f(work[offset:offset+n], work[offset+by:offset+by+n], keyAt(key, 0))
						if !bytes.Equal(want, work[offset:offset+n]) {
							t.Fatalf("%d bytes from %d to %d", n, offset+by, offset)
						}
					}
				}
			}
		}
	})
}

// One byte that is not ASCII is seen wherever it is, and none that is outside.
func TestMaskFindsWhatIsNotASCII(t *testing.T) {
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	eachMaskKernel(t, func(t *testing.T, k maskKernel) {
		text := make([]byte, 64+maskLengths+64)
		for i := range text {
			text[i] = 0xFF // on both sides
		}
		masked, out := make([]byte, maskLengths), make([]byte, maskLengths)
		for n := range maskLengths + 1 {
			if n > 300 && n%7 != 0 {
				continue
			}
			for _, offset := range []int{0, 9, 32} {
				p := text[offset : offset+n]
				for i := range p {
					p[i] = 0x7F
				}
				for at := range n + 1 {
					if at < n {
						p[at] = 0x80
					}
					k.plain(masked[:n], p, keyAt(key, 0))
					_, ascii := k.ascii(out[:n], masked[:n], keyAt(key, 0))
					if ascii != (at == n) || !bytes.Equal(p, out[:n]) {
						t.Fatalf("%d bytes at %d, %d: ascii=%v", n, offset, at, ascii)
					}
					if at < n {
						p[at] = 0x7F
					}
				}
				for i := range p {
					p[i] = 0xFF
				}
			}
		}
	})
}

// Large payloads in steps of random length are the same as in one.
func TestMaskInSteps(t *testing.T) {
	key := [4]byte{0x9A, 0x5B, 0x77, 0x08}
	src := randomBytes(4, 1<<20)
	want := maskNaive(src, key, 0)
	eachMaskKernel(t, func(t *testing.T, k maskKernel) {
		random := rand.New(rand.NewPCG(5, 6))
		for _, largest := range []int{9, 100, 1000, 5000, 100_000, len(src)} {
			dst := make([]byte, len(src))
			next, phase := keyAt(key, 0), 0
			rest := src
			for len(rest) > 0 {
				n := min(1+random.IntN(largest), len(rest))
				var ascii bool
				if random.IntN(2) == 0 {
					next = k.plain(dst[phase:], rest[:n], next)
				} else {
					next, ascii = k.ascii(dst[phase:], rest[:n], next)
					require.Equal(t, isASCII(want[phase:phase+n]), ascii)
				}
				rest = rest[n:]
				phase += n
				require.Equal(t, keyAt(key, phase), next)
			}
			require.True(t, bytes.Equal(want, dst), "steps of up to %d", largest)
		}
	})
}

func TestMaskDoesNotMoveBuffersToTheHeap(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var p, q [125]byte
		key := maskCopy(q[:], p[:], 0x01020304)
		key, _ = maskCopyASCII(p[:], q[:], key)
		key = mask(q[:], key)
		maskCopyASCII(p[:], p[:], key)
	}))
}

func TestMaskVectorOfTheRFC(t *testing.T) {
	// RFC 6455 §5.7: a single-frame masked text message, "Hello".
	p := []byte{0x7f, 0x9f, 0x4d, 0x51, 0x58}
	mask(p, keyAt([4]byte{0x37, 0xfa, 0x21, 0x3d}, 0))
	require.Equal(t, "Hello", string(p))
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("hello, world, and some more of it"), uint32(0x12345678), 5, 11)
	f.Add(bytes.Repeat([]byte("ab"), 400), uint32(0x01020304), 3, 500)
	f.Fuzz(func(t *testing.T, p []byte, key uint32, cut1, cut2 int) {
		clamp := func(n int) int { return min(max(n, 0), len(p)) }
		a, b := clamp(min(cut1, cut2)), clamp(max(cut1, cut2))
		want := maskNaive(p, [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}, 0)
		eachMaskKernel(t, func(t *testing.T, k maskKernel) {
			got := bytes.Clone(p)
			next, first := k.ascii(got[:a], got[:a], key)
			next = k.plain(got[a:], p[a:b], next)
			_, last := k.ascii(got[b:], got[b:], next)
			require.True(t, bytes.Equal(want, got), "steps of %d, %d and the rest", a, b-a)
			require.Equal(t, isASCII(want[:a]), first)
			require.Equal(t, isASCII(want[b:]), last)

			// The whole of it, to where it begins two cuts earlier.
			got = append(make([]byte, a), p...)
			k.plain(got, got[a:], key)
			require.True(t, bytes.Equal(want, got[:len(p)]), "moved by %d", a)
		})
	})
}

func TestMaskKeysAreNotRepeated(t *testing.T) {
	seen := map[uint32]bool{}
	repeated := 0
	for range 10_000 {
		k := newMaskKey()
		if seen[k] {
			repeated++
		}
		seen[k] = true
	}
	// Among 10,000 random 32-bit keys a repeated one is expected once in 86
	// runs, three never.
	require.Less(t, repeated, 3)
}
