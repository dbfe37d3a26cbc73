package deflate

import (
	"bytes"
	"compress/flate"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// Blocks without output: as many as are allowed, and one more. Tail ends one of them.
func TestEmptyBlocks(t *testing.T) {
	stored := func(m *maker) { m.stored(0, nil) }
	fixed := func(m *maker) { m.fixed(0).end() }
	dynamic := func(m *maker) { m.dynamic(0, lengthsAt(257, map[int]uint8{256: 1}), []uint8{0}).end() }
	text := func(n int) func(m *maker) {
		return func(m *maker) { m.fixed(0).literals(string(bytes.Repeat([]byte("x"), n))).end() }
	}
	for _, c := range []struct {
		name   string
		before func(*maker)
		blocks []func(*maker)
		most   int
	}{
		{"stored", nil, []func(*maker){stored}, 1023},
		{"fixed", nil, []func(*maker){fixed}, 1023},
		{"stored and fixed", nil, []func(*maker){stored, fixed}, 1023},
		{"dynamic", nil, []func(*maker){dynamic}, 64},
		{"dynamic and stored", nil, []func(*maker){dynamic, stored}, 2 * 64},
		{"stored, 300 bytes", text(300), []func(*maker){stored}, 1323},
		{"dynamic, 63 bytes", text(63), []func(*maker){dynamic}, 64},
		{"dynamic, 64 bytes", text(64), []func(*maker){dynamic}, 65},
		{"dynamic, 6400 bytes", text(6400), []func(*maker){dynamic}, 164},
	} {
		for _, n := range []int{c.most, c.most + 1} {
			m := new(maker)
			if c.before != nil {
				c.before(m)
			}
			for i := range n {
				c.blocks[i%len(c.blocks)](m)
			}
			src := slices.Concat(m.sync(), Tail)
			for _, in := range []int{2, len(src)} {
				got := pieces(t, nil, 15, src, in, 500)
				if n > c.most {
					require.Equal(t, ErrEmptyBlocks, got.err, c.name)
				} else {
					require.NoError(t, got.err, c.name)
					require.True(t, got.complete, c.name)
				}
			}
		}
	}
}

// A sender may flush after each byte.
func TestFlushAfterEachByte(t *testing.T) {
	p := encMessages("json4K", 1)[0]
	for _, level := range []int{1, 6} {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, level)
		require.NoError(t, err)
		for i := range p {
			_, err = w.Write(p[i : i+1])
			require.NoError(t, err)
			require.NoError(t, w.Flush())
		}
		out, complete, err := inflate(nil, 15, bytes.TrimSuffix(b.Bytes(), Tail))
		require.NoError(t, err)
		require.True(t, complete)
		require.Equal(t, p, out)
	}
}

// What an Inflater was used for before, and how that ended, does not matter.
func TestInflaterStartsAnew(t *testing.T) {
	for _, s := range samples(t) {
		w := windowOf(8, s.window)
		src := slices.Concat(s.in, Tail)
		want := pieces(t, w, 8, src, len(src), 4096)
		for _, other := range samples(t) {
			for cut := 0; cut <= len(other.in); cut += 5 {
				z := new(Inflater)
				z.begin(15, windowOf(15, other.window))
				_, _, _ = z.Inflate(make([]byte, 0, cut*3), 0, other.in[:cut])
				z.begin(8, w)
				dst, _, err := z.Inflate(make([]byte, 0, 4096), 0, src)
				require.Equal(t, want, result{string(dst), z.Complete(), err})
			}
		}
	}
}

func TestPutInflaterLetsGoOfTheWindow(t *testing.T) {
	z := GetInflater(9, newWindow(9))
	PutInflater(z)
	require.Nil(t, z.window)
}

func TestOnLoanSeesInflaters(t *testing.T) {
	defer func() { OnLoan = nil }()
	out := 0
	OnLoan = func(delta int) { out += delta }
	a, b := GetInflater(8, nil), GetInflater(15, nil)
	require.Equal(t, 2, out)
	PutInflater(a)
	PutInflater(b)
	require.Zero(t, out)
}

// The promises about memory.
func TestMemory(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Inflater{}), uintptr(8192))
	for bits := 8; bits <= 15; bits++ {
		require.LessOrEqual(t, int(unsafe.Sizeof(*newWindow(bits)))+cap(newWindow(bits).ring), 1<<bits+48)
	}
	w := newWindow(12)
	dst := make([]byte, 0, 100<<10)
	for _, kind := range []string{"tick", "chat", "json64K"} {
		p := encMessages(kind, 1)[0]
		for _, level := range []int{0, 1, 6} {
			src := squeeze(t, level, p)
			z := new(Inflater)
			require.Zero(t, testing.AllocsPerRun(20, func() {
				z.begin(15, w)
				out, _, err := z.Inflate(dst, 0, src)
				if err == nil {
					out, _, err = z.Inflate(out, 0, Tail)
				}
				if err != nil || !z.Complete() || len(out) != len(p) {
					t.Fatal(kind, level, err)
				}
				w.Write(out)
			}), "%s at level %d", kind, level)
		}
	}
}
