package deflate

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A zlibPeer is a process that compresses and decompresses by zlib, with windows of any
// size: see testdata/zlib_peer.py.
type zlibPeer struct {
	requests *bufio.Writer
	replies  *bufio.Reader
}

func startZlibPeer(t *testing.T) *zlibPeer {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.Command(python, "-c", "import zlib").Run()
	}
	if err != nil {
		if os.Getenv("WEBSOCKET_REQUIRE_PEERS") == "1" {
			t.Fatalf("there is no python3 with zlib (%v), and WEBSOCKET_REQUIRE_PEERS=1", err)
		}
		t.Skipf("zlib is asked by way of python3, and there is none with it: %v", err)
	}
	cmd := exec.Command(python, filepath.Join("testdata", "zlib_peer.py"))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("zlib_peer.py: %v\n%s", err, complaints.String())
		}
	})
	return &zlibPeer{bufio.NewWriter(in), bufio.NewReader(out)}
}

// try makes a request. The error is zlib's.
func (z *zlibPeer) try(t *testing.T, op byte, numbers [4]byte, payload []byte) ([]byte, error) {
	t.Helper()
	head := append([]byte{op}, numbers[:]...)
	_, _ = z.requests.Write(binary.BigEndian.AppendUint32(head, uint32(len(payload))))
	_, _ = z.requests.Write(payload)
	require.NoError(t, z.requests.Flush())
	reply := make([]byte, 5)
	_, err := io.ReadFull(z.replies, reply)
	require.NoError(t, err)
	p := make([]byte, binary.BigEndian.Uint32(reply[1:]))
	_, err = io.ReadFull(z.replies, p)
	require.NoError(t, err)
	if reply[0] == 0 {
		return nil, fmt.Errorf("zlib: %s", p)
	}
	return p, nil
}

// decode begins a stream of a window of 2^bits bytes.
func (z *zlibPeer) decode(t *testing.T, bits int) {
	t.Helper()
	_, err := z.try(t, 'I', [4]byte{byte(bits)}, nil)
	require.NoError(t, err)
}

// zlibExact is the step of zlib's output that makes its window exact, and zlibSteps is
// one that is 15 times as fast, for a window that is 15 bytes too large.
const (
	zlibExact = 1
	zlibSteps = 16
)

func (z *zlibPeer) message(t *testing.T, message []byte, step int) ([]byte, error) {
	t.Helper()
	return z.try(t, 'i', [4]byte{byte(step)}, message)
}

// zlibFarMatch is a message that refers back by distance: random characters, so that there
// is nothing longer to refer to, and what they begin with.
func zlibFarMatch(t *testing.T, distance int) (plain, message []byte) {
	t.Helper()
	plain = newEncSource(uint64(distance)).random(distance)
	for i := range plain {
		plain[i] &= 0x7f
	}
	message = new(maker).fixed(0).literals(string(plain)).match(40, distance).end().sync()
	plain = append(plain, plain[:40]...)
	return plain, message
}

// What the other tests stand on: zlib refuses what refers back by one byte too much, and
// so do we.
func TestZlibIsStrictAboutTheWindow(t *testing.T) {
	z := startZlibPeer(t)
	for bits := minBits; bits <= maxBits; bits++ {
		plain, message := zlibFarMatch(t, 1<<bits)
		z.decode(t, bits)
		p, err := z.message(t, message, zlibExact)
		require.NoError(t, err, "%d bits", bits)
		require.True(t, bytes.Equal(plain, p), "%d bits", bits)
		p, complete, err := inflate(nil, bits, message)
		require.NoError(t, err, "%d bits", bits)
		require.True(t, complete && bytes.Equal(plain, p), "%d bits", bits)

		if bits == maxBits {
			break // DEFLATE has no greater distance
		}
		for _, distance := range []int{1<<bits + 1, 1<<bits + 300} {
			plain, message := zlibFarMatch(t, distance)
			z.decode(t, bits)
			_, err = z.message(t, message, zlibExact)
			require.ErrorContains(t, err, "too far back", "%d bits, a distance of %d", bits, distance)
			_, _, err = inflate(nil, bits, message)
			require.Equal(t, ErrCorrupt, err, "%d bits, a distance of %d", bits, distance)

			z.decode(t, maxBits)
			p, err = z.message(t, message, zlibSteps)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, p))
		}
	}
}

// zlibMessages makes messages for a window of 2^bits bytes.
type zlibMessages struct {
	encSource
	bits    int
	history []byte // what the receiver's window has
}

var zlibKinds = []string{"json", "text", "around the window", "random", "zeros", "ticks"}

func (m *zlibMessages) size() int {
	switch n := m.IntN(100); {
	case n < 3:
		return m.IntN(4)
	case n < 55:
		return m.IntN(300)
	case n < 84:
		return m.IntN(3000)
	case n < 96:
		return m.IntN(20_000)
	}
	return m.IntN(70_001)
}

func (m *zlibMessages) next() (kind string, message []byte) {
	kind = zlibKinds[m.IntN(len(zlibKinds))]
	n := m.size()
	switch kind {
	case "json":
		return kind, m.page(n)
	case "text":
		return kind, []byte(m.english(n))
	case "random":
		return kind, m.random(n)
	case "zeros":
		return kind, make([]byte, n)
	case "ticks":
		return kind, m.tick(m.IntN(1_000_000))
	}
	return kind, m.aroundTheWindow(n)
}

// aroundTheWindow repeats what is nearly, exactly, or a little more than 2^bits bytes
// before, in what was sent earlier too.
func (m *zlibMessages) aroundTheWindow(n int) []byte {
	all := m.history
	begin := len(all)
	for len(all) < begin+n {
		back := 1<<m.bits + []int{-100, -2, -1, 0, 1, 2, 258}[m.IntN(7)]
		if m.IntN(3) == 0 || len(all) < back {
			all = append(all, m.random(1+m.IntN(40))...)
			continue
		}
		for range 4 + m.IntN(300) {
			all = append(all, all[len(all)-back])
		}
	}
	return bytes.Clone(all[begin : begin+n])
}

// taken is called when a message became part of the history.
func (m *zlibMessages) taken(message []byte) {
	m.history = append(m.history, message...)
	if keep := 2<<m.bits + 1024; len(m.history) > keep {
		m.history = bytes.Clone(m.history[len(m.history)-keep:])
	}
}

// zlibCount is how many messages of each set of parameters are tried.
func zlibCount(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// zlibWays are the ways that our encoder has.
var zlibWays = []string{"alone", "takeover", "pieces", "takeover, pieces"}

// zlib, with exactly the window that was agreed on, decodes what we encode.
func TestZlibDecodesOurs(t *testing.T) {
	z := startZlibPeer(t)
	for name, level := range encLevels {
		for bits := minBits; bits <= maxBits; bits++ {
			for _, way := range zlibWays {
				t.Run(fmt.Sprintf("%s, %d bits, %s", name, bits, way), func(t *testing.T) {
					testZlibDecodesOurs(t, z, level, bits, way)
				})
			}
		}
	}
}

func testZlibDecodesOurs(t *testing.T, z *zlibPeer, level Level, bits int, way string) {
	d := GetDeflater()
	defer PutDeflater(d)
	m := zlibMessages{encSource: newEncSource(uint64(bits)), bits: bits}
	takeover := strings.HasPrefix(way, "takeover")
	var ctx *Context
	if takeover {
		ctx = newContext(bits)
	}
	compressed := 0
	z.decode(t, bits)
	for i := range zlibCount(50) {
		kind, src := m.next()
		var out []byte
		if strings.HasSuffix(way, "pieces") {
			out = zlibPieces(d, &m, src, ctx, bits, level)
		} else {
			var ok bool
			out, ok = d.AppendMessage(make([]byte, 0, len(src)+primingCost), src, ctx, bits, level)
			if !ok {
				continue
			}
			if takeover {
				ctx.Commit(src)
			}
		}
		compressed++
		require.NotEmpty(t, out)
		step := zlibExact
		if len(src) > 2000 && i%3 != 0 {
			step = zlibSteps
		}
		if !takeover {
			z.decode(t, bits)
		} else {
			m.taken(src)
		}
		p, err := z.message(t, out, step)
		require.NoError(t, err, "message %d, %s, %d bytes", i, kind, len(src))
		require.True(t, bytes.Equal(src, p), "message %d, %s, %d bytes", i, kind, len(src))
	}
	require.NotZero(t, compressed)
}

// zlibPieces compresses a message in pieces, of which some are empty.
func zlibPieces(d *Deflater, m *zlibMessages, src []byte, ctx *Context, bits int, level Level) (out []byte) {
	if ctx == nil {
		ctx = GetContext(bits)
		defer PutContext(ctx)
	}
	var stream Stream
	for last := false; !last; {
		piece := src[:min(len(src), m.IntN(m.IntN(20_000)+1))]
		src = src[len(piece):]
		last = len(src) == 0 && m.IntN(2) == 0
		out = d.AppendPiece(out, piece, ctx, &stream, level, last)
		ctx.Commit(piece)
	}
	return out
}

// zlib's strategies, by their numbers in zlib.h.
var zlibStrategies = map[string]byte{"default": 0, "huffman only": 2, "rle": 3, "fixed": 4}

// We decode what zlib encodes, with a window of no more than was agreed on. zlib has no
// raw streams of 8 bits; in their place its users make some of 9 bits, whose distances
// are at most 2^9 - 262.
func TestOursDecodesZlib(t *testing.T) {
	z := startZlibPeer(t)
	_, err := z.try(t, 'D', [4]byte{8, 6, 8, 0}, nil)
	require.Error(t, err, "zlib has raw streams of 8 bits: try them too")

	for bits := minBits; bits <= maxBits; bits++ {
		for strategy, number := range zlibStrategies {
			for _, level := range []byte{1, 6, 9} {
				for _, memLevel := range []byte{1, 9} {
					for _, takeover := range []bool{false, true} {
						name := fmt.Sprintf("%d bits, %s, level %d, memLevel %d, takeover %t", bits, strategy, level, memLevel, takeover)
						t.Run(name, func(t *testing.T) {
							testOursDecodesZlib(t, z, bits, [4]byte{byte(max(bits, 9)), level, memLevel, number}, takeover)
						})
					}
				}
			}
		}
	}
}

func testOursDecodesZlib(t *testing.T, z *zlibPeer, bits int, parameters [4]byte, takeover bool) {
	m := zlibMessages{encSource: newEncSource(uint64(bits)<<8 + uint64(parameters[3])), bits: bits}
	var w *Window
	if takeover {
		w = newWindow(bits)
	}
	_, err := z.try(t, 'D', parameters, nil)
	require.NoError(t, err)
	for i := range zlibCount(20) {
		kind, src := m.next()
		if !takeover && i > 0 {
			_, err := z.try(t, 'D', parameters, nil)
			require.NoError(t, err)
		}
		message, err := z.try(t, 'd', [4]byte{}, src)
		require.NoError(t, err)
		p, complete, err := m.inflateInParts(w, bits, message)
		require.NoError(t, err, "message %d, %s, %d bytes", i, kind, len(src))
		require.True(t, complete, "message %d, %s, %d bytes", i, kind, len(src))
		require.True(t, bytes.Equal(src, p), "message %d, %s, %d bytes", i, kind, len(src))
		if takeover {
			w.Write(p)
			m.taken(src)
		}
	}
}

// inflateInParts decodes a message from pieces of it, into memory that has room for a
// part, of which no more is kept than the window.
func (m *zlibMessages) inflateInParts(w *Window, bits int, message []byte) (p []byte, complete bool, err error) {
	z := GetInflater(bits, w)
	defer PutInflater(z)
	in := append(bytes.Clone(message), Tail...)
	most := 1 + m.IntN(len(in))
	dst := make([]byte, 0, 1<<bits+1+m.IntN(5000))
	for len(in) > 0 {
		part := in[:1+m.IntN(min(most, len(in)))]
		in = in[len(part):]
		for {
			had := len(dst)
			out, n, err := z.Inflate(dst, 0, part)
			p = append(p, out[had:]...)
			part, dst = part[n:], out
			if err == nil {
				break
			}
			if err != ErrFull {
				return p, false, err
			}
			dst = dst[:copy(dst, dst[len(dst)-1<<bits:])]
		}
		if len(part) > 0 {
			return p, false, fmt.Errorf("%d bytes of input are left without an error", len(part))
		}
	}
	return p, z.Complete(), nil
}
