package websocket

import (
	"bytes"
	"math/rand/v2"
	"strconv"
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

func TestMaskEveryLengthOffsetAndPhase(t *testing.T) {
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	random := rand.New(rand.NewPCG(1, 2))
	memory := make([]byte, 400)
	for i := range memory {
		memory[i] = byte(random.Uint32())
	}
	for length := range 300 {
		for offset := range 16 {
			for phase := range 4 {
				src := memory[offset : offset+length]
				want := maskNaive(src, key, phase)
				next := keyAt(key, phase+length)

				inPlace := bytes.Clone(memory)
				got := mask(inPlace[offset:offset+length], keyAt(key, phase))
				require.True(t, bytes.Equal(want, inPlace[offset:offset+length]), "in place: %d bytes at %d, phase %d", length, offset, phase)
				require.Equal(t, next, got)
				require.Equal(t, memory[:offset], inPlace[:offset], "bytes before were changed")
				require.Equal(t, memory[offset+length:], inPlace[offset+length:], "bytes behind were changed")

				dst := make([]byte, length+9)
				got = maskCopy(dst[3:], src, keyAt(key, phase))
				require.True(t, bytes.Equal(want, dst[3:3+length]), "copying: %d bytes at %d, phase %d", length, offset, phase)
				require.Equal(t, next, got)
				require.Equal(t, make([]byte, 3), dst[:3])
				require.Equal(t, make([]byte, 6), dst[3+length:])
			}
		}
	}
}

func TestMaskVectorOfTheRFC(t *testing.T) {
	// RFC 6455 §5.7: a single-frame masked text message, "Hello".
	p := []byte{0x7f, 0x9f, 0x4d, 0x51, 0x58}
	mask(p, keyAt([4]byte{0x37, 0xfa, 0x21, 0x3d}, 0))
	require.Equal(t, "Hello", string(p))
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("hello, world, and some more of it"), uint32(0x12345678), 5, 11)
	f.Fuzz(func(t *testing.T, p []byte, key uint32, cut1, cut2 int) {
		want := maskNaive(p, [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}, 0)
		clamp := func(n int) int { return min(max(n, 0), len(p)) }
		a, b := clamp(min(cut1, cut2)), clamp(max(cut1, cut2))
		got := bytes.Clone(p)
		k := mask(got[:a], key)
		k = maskCopy(got[a:], p[a:b], k)
		mask(got[b:], k)
		require.True(t, bytes.Equal(want, got), "steps of %d, %d and the rest", a, b-a)
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

func BenchmarkMask(b *testing.B) {
	for _, n := range []int{16, 125, 512, 4096, 65536} {
		p, q := make([]byte, n), make([]byte, n)
		b.Run("in place/"+sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				mask(p, 0x12345678)
			}
		})
		b.Run("copying/"+sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				maskCopy(q, p, 0x12345678)
			}
		})
		b.Run("copy/"+sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				copy(q, p)
			}
		})
	}
}

func sizeName(n int) string {
	if n >= 1024 {
		return strconv.Itoa(n/1024) + "KiB"
	}
	return strconv.Itoa(n) + "B"
}
