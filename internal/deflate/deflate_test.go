package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var encLevels = map[string]Level{"fast": Fast, "dense": Dense}

// encFlate decodes a message by compress/flate, which is told of what was before.
func encFlate(t require.TestingT, message, before []byte) []byte {
	// An empty block with BFINAL makes an end of the message that ReadAll takes.
	const end = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(message), bytes.NewReader([]byte(end))), before)
	p, err := io.ReadAll(r)
	require.NoError(t, err)
	return p
}

// An encPeer receives the messages of one sender: with and without context takeover,
// it has what was committed before, and decodes in two ways.
type encPeer struct {
	tokenReader
	takeover bool
}

func newEncPeer(bits int, takeover bool) *encPeer {
	return &encPeer{tokenReader{window: 1 << bits}, takeover}
}

// receive requires that message is src, compressed as it must be.
func (p *encPeer) receive(t require.TestingT, message, src []byte, what ...any) {
	require.NotEmpty(t, message, what...)
	require.False(t, bytes.HasSuffix(message, Tail), what...)
	if !p.takeover {
		p.begin = len(p.out)
	}
	before := bytes.Clone(p.out[p.begin:])
	before = before[max(len(before)-p.window, 0):]
	got, err := p.message(append(bytes.Clone(message), Tail...))
	require.NoError(t, err, what...)
	require.True(t, bytes.Equal(src, got), what...)
	require.True(t, bytes.Equal(src, encFlate(t, message, before)), what...)
}

// mixed is n bytes of everything: text, random bytes, runs, and repeats of what was
// before at distances around that of the window and of the positions' 16 bits.
func (r encSource) mixed(n, bits int) []byte {
	b := make([]byte, 0, n+600)
	for len(b) < n {
		k := 1 + r.IntN(300)
		switch r.IntN(5) {
		case 0:
			b = append(b, r.english(k)...)
		case 1:
			b = append(b, r.random(k)...)
		case 2:
			b = append(b, bytes.Repeat(r.random(1+r.IntN(3)), k)...)
		default:
			dist := 1<<bits - 5 + r.IntN(10)
			switch r.IntN(4) {
			case 0:
				dist = 1 + r.IntN(1<<bits)
			case 1:
				dist = 1<<16 - 3 + r.IntN(6)
			}
			for range k {
				if dist > len(b) {
					b = append(b, byte(r.Uint32()))
				} else {
					b = append(b, b[len(b)-dist])
				}
			}
		}
	}
	return b[:n]
}

// size is 0 to 70,000, small ones more often, and those around which something changes.
func (r encSource) size() int {
	switch r.IntN(20) {
	case 0:
		return []int{1<<16 - 1, 1 << 16, 1<<16 + 1, blockSize, blockSize + 1, maxBlock, maxBlock + 1, 1 << 15, 70000}[r.IntN(9)]
	case 1:
		return r.IntN(70001)
	case 2:
		return r.IntN(8)
	}
	return r.IntN(1 << (3 + r.IntN(10)))
}

// forEveryWindow runs f as a subtest for every level and number of window bits.
func forEveryWindow(t *testing.T, f func(t *testing.T, level Level, bits int)) {
	for name, level := range encLevels {
		for bits := minBits; bits <= maxBits; bits++ {
			t.Run(fmt.Sprint(name, bits), func(t *testing.T) { f(t, level, bits) })
		}
	}
}

func TestMessagesRoundTrip(t *testing.T) {
	forEveryWindow(t, func(t *testing.T, level Level, bits int) {
		r := newEncSource(uint64(bits))
		d := GetDeflater()
		defer PutDeflater(d)
		ctx := newContext(bits)
		alone, after := newEncPeer(bits, false), newEncPeer(bits, true)
		compressed := 0
		for i := range 50 {
			n := i
			if i >= 16 {
				n = r.size()
			}
			src := r.mixed(n, bits)
			head := []byte("head")
			dst := append(make([]byte, 0, 8+len(src)), head...)
			if out, ok := d.AppendMessage(dst, src, nil, bits, level); ok {
				require.Less(t, len(out)-4, len(src))
				require.Equal(t, head, out[:4])
				alone.receive(t, out[4:], src, n)
				compressed++
			} else {
				require.Equal(t, head, out)
			}
			if out, ok := d.AppendMessage(dst, src, ctx, bits, level); ok {
				require.LessOrEqual(t, len(out)-4, len(src)+primingCost)
				require.Equal(t, head, out[:4])
				after.receive(t, out[4:], src, n)
				ctx.Commit(src)
			} else {
				require.Equal(t, head, out)
			}
		}
		require.Greater(t, compressed, 10)
		require.Greater(t, after.maxDist, 1<<bits*8/10, "the window is used")
	})
}

// What each window can refer to, to the byte: a message repeats one before it at a
// distance of exactly 2^bits, and at one more, which no peer could resolve.
func TestDistanceOfTheWindow(t *testing.T) {
	forEveryWindow(t, func(t *testing.T, level Level, bits int) {
		r := newEncSource(uint64(bits))
		for _, extra := range []int{-1, 0, 1} {
			for _, pieces := range []bool{false, true} {
				d, ctx, peer := GetDeflater(), newContext(bits), newEncPeer(bits, true)
				var st Stream
				var out, all []byte
				send := func(src []byte, last bool) {
					if pieces {
						out = d.AppendPiece(out, src, ctx, &st, level, last)
						all = append(all, src...)
						if last {
							peer.receive(t, out, all)
						}
					} else {
						out, ok := d.AppendMessage(make([]byte, 0, len(src)+primingCost), src, ctx, bits, level)
						require.True(t, ok)
						peer.receive(t, out, src)
					}
					ctx.Commit(src)
				}
				// The marker, which repeats nothing, and messages of the same size that do
				// not crowd the hash table.
				marker := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
				send(marker, false)
				for rest := 1<<bits + extra - len(marker); rest > 0; {
					n := min(rest, 200)
					send(bytes.Repeat([]byte{'-'}, n), false)
					rest -= n
				}
				again := append(bytes.Clone(marker), r.english(120)...)
				send(again, true)
				if extra <= 0 {
					require.Equal(t, 1<<bits+extra, peer.maxDist)
				} else {
					require.LessOrEqual(t, peer.maxDist, 1<<bits)
				}
				PutDeflater(d)
			}
		}
	})
}

// The way in which a connection's long messages are hashed is not changed by a few short
// ones, nor the other way round, as they find only what was hashed alike.
func TestSizesMayMix(t *testing.T) {
	r := newEncSource(1)
	d, ctx := GetDeflater(), newContext(15)
	defer PutDeflater(d)
	size := func(src []byte) float64 {
		out, ok := d.AppendMessage(make([]byte, 0, len(src)), src, ctx, 15, Fast)
		require.True(t, ok)
		ctx.Commit(src)
		return float64(len(out)) / float64(len(src))
	}
	for i := range 20 {
		size(r.page(4000))
		if i > 5 {
			require.Less(t, size(r.page(1000)), .5)
		}
	}
	for range 40 {
		size(r.page(1000))
	}
	for range 10 {
		require.Less(t, size(r.page(4000)), .45)
	}
}

// Positions are kept in 16 bits and counted in 32.
func TestPositionsWrap(t *testing.T) {
	for _, at := range []uint32{1<<16 - 500, 1<<31 - 500, 1<<32 - 500} {
		forEveryWindow(t, func(t *testing.T, level Level, bits int) {
			d, ctx, peer := GetDeflater(), newContext(bits), newEncPeer(bits, true)
			defer PutDeflater(d)
			ctx.at = at
			r := newEncSource(9)
			for i := range 20 {
				src := r.tick(i)
				out, ok := d.AppendMessage(make([]byte, 0, 200), src, ctx, bits, level)
				require.True(t, ok)
				peer.receive(t, out, src)
				ctx.Commit(src)
				require.Equal(t, uint32(len(peer.out)), ctx.at-at)
			}
		})
	}
}

func TestCommitKeepsTheLastBytes(t *testing.T) {
	for bits := minBits; bits <= maxBits; bits++ {
		r := newEncSource(uint64(bits))
		ctx := newContext(bits)
		require.Zero(t, cap(ctx.ring)+cap(ctx.table), "before the first message")
		var all []byte
		for range 50 {
			src := r.random(r.IntN(3 << bits))
			ctx.Commit(src)
			require.Equal(t, 1<<bits, cap(ctx.ring))
			require.Equal(t, 1<<bits/2, 2*cap(ctx.table))
			all = append(all, src...)
			require.Equal(t, min(len(all), 1<<bits), int(ctx.have))
			for back := 1; back <= int(ctx.have); back++ {
				if got := ctx.ring[int(ctx.at-uint32(back))&(1<<bits-1)]; got != all[len(all)-back] {
					require.Equal(t, all[len(all)-back], got, "%d back of %d", back, len(all))
				}
			}
		}
	}
}

// A message that was compressed and then not sent leaves what only costs comparisons.
func TestDroppedMessages(t *testing.T) {
	forEveryWindow(t, func(t *testing.T, level Level, bits int) {
		r := newEncSource(uint64(bits))
		d, ctx, peer := GetDeflater(), newContext(bits), newEncPeer(bits, true)
		defer PutDeflater(d)
		sent := 0
		for range 40 {
			src := r.mixed(r.IntN(1<<min(bits, 12)), bits)
			out, ok := d.AppendMessage(make([]byte, 0, len(src)+primingCost), src, ctx, bits, level)
			if !ok || r.IntN(2) == 0 {
				continue
			}
			peer.receive(t, out, src)
			ctx.Commit(src)
			sent++
		}
		require.Greater(t, sent, 5)
	})
}

// Whatever the room, a message fits or leaves everything as it was.
func TestRoomOfMessages(t *testing.T) {
	r := newEncSource(1)
	d := GetDeflater()
	defer PutDeflater(d)
	for name, level := range encLevels {
		for _, src := range [][]byte{r.page(1000), r.chat(1), bytes.Repeat([]byte("ab"), 300), []byte("aaaaaaaaaaaaaaaa"), []byte("a"), {}} {
			whole, ok := d.AppendMessage(make([]byte, 0, 2000), src, nil, 15, level)
			require.Equal(t, len(src) >= 16, ok)
			for room := range len(whole) + 3 {
				memory := bytes.Repeat([]byte{0xEE}, 2+room+20)
				dst := memory[: 2 : 2+room]
				out, ok := d.AppendMessage(dst, src, nil, 15, level)
				require.Equal(t, len(whole) > 0 && room >= len(whole), ok, "%s: room for %d of %d", name, room, len(whole))
				require.Equal(t, []byte{0xEE, 0xEE}, out[:2])
				if ok {
					require.Equal(t, whole, out[2:])
				} else {
					require.Len(t, out, 2)
				}
				require.Same(t, &memory[0], &out[0])
				require.Equal(t, bytes.Repeat([]byte{0xEE}, 20), memory[2+room:], "beyond the capacity")
			}
		}
	}
}

func TestPiecesRoundTrip(t *testing.T) {
	forEveryWindow(t, func(t *testing.T, level Level, bits int) {
		r := newEncSource(uint64(bits))
		d := GetDeflater()
		defer PutDeflater(d)
		ctx, after := newContext(bits), newEncPeer(bits, true)
		for i := range 12 {
			src := r.mixed(r.size(), bits)
			for _, takeover := range []bool{false, true} {
				c, peer := ctx, after
				if !takeover {
					c, peer = GetContext(bits), newEncPeer(bits, false)
				}
				var st Stream
				var out []byte
				for rest := src; ; {
					n := r.size()
					last := n >= len(rest)
					if last {
						n = len(rest)
					}
					if i%4 == 0 && last && n > 0 {
						last = false // it ends with an empty piece
					}
					before := len(out)
					out = d.AppendPiece(out, rest[:n], c, &st, level, last)
					require.LessOrEqual(t, len(out)-before, n+n/1024+64)
					c.Commit(rest[:n])
					if rest = rest[n:]; last {
						break
					}
				}
				require.Equal(t, Stream{}, st)
				peer.receive(t, out, src)
				if !takeover {
					PutContext(c)
				}
			}
		}
	})
}

// Pieces of one byte are the worst that there is.
func TestTinyPieces(t *testing.T) {
	forEveryWindow(t, func(t *testing.T, level Level, bits int) {
		r := newEncSource(1)
		d, ctx, peer := GetDeflater(), newContext(bits), newEncPeer(bits, false)
		defer PutDeflater(d)
		for _, src := range [][]byte{r.random(300), r.page(300), {}} {
			var st Stream
			var out []byte
			for i := range src {
				before := len(out)
				out = d.AppendPiece(out, src[i:i+1], ctx, &st, level, false)
				require.LessOrEqual(t, len(out)-before, 3)
				out = d.AppendPiece(out, nil, ctx, &st, level, false)
				ctx.Commit(src[i : i+1])
			}
			out = d.AppendPiece(out, nil, ctx, &st, level, true)
			peer.receive(t, out, src)
			ctx = newContext(bits)
		}
	})
}

// An empty message is the byte 00 (RFC 7692 §7.2.3.6).
func TestEmptyMessageInPieces(t *testing.T) {
	d := GetDeflater()
	defer PutDeflater(d)
	var st Stream
	require.Equal(t, []byte{'x', 0}, d.AppendPiece([]byte("x"), nil, newContext(8), &st, Fast, true))
	_, ok := d.AppendMessage(make([]byte, 0, 100), nil, nil, 8, Fast)
	require.False(t, ok, "cannot become smaller")
}

// The first example of RFC 7692 §7.2.3.1, in a piece because it does not become smaller.
func TestHello(t *testing.T) {
	d := GetDeflater()
	defer PutDeflater(d)
	var st Stream
	ctx := newContext(8)
	require.Equal(t, []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, d.AppendPiece(nil, []byte("Hello"), ctx, &st, Fast, true))
}

// Messages that resemble only each other find each other, although the first does not
// become smaller; random ones are sent as they are.
func TestPriming(t *testing.T) {
	for name, level := range encLevels {
		r := newEncSource(1)
		d, ctx := GetDeflater(), newContext(12)
		for range 200 { // nothing to learn from
			src := r.random(64)
			_, ok := d.AppendMessage(make([]byte, 0, 100), src, ctx, 12, level)
			require.False(t, ok, name)
		}
		require.Zero(t, ctx.have)
		ctx.Commit(r.random(4096))
		in, out, plain := 0, 0, 0
		for i := range 200 {
			src := r.tick(i)
			p, ok := d.AppendMessage(make([]byte, 0, 100), src, ctx, 12, level)
			if !ok {
				plain++
				continue
			}
			in, out = in+len(src), out+len(p)
			ctx.Commit(src)
		}
		require.LessOrEqual(t, plain, primingInterval, name)
		require.Less(t, float64(out), .45*float64(in), name)
		PutDeflater(d)
	}
}

// Each kind of block is used where it is the smallest.
func TestKindsOfBlocks(t *testing.T) {
	r := newEncSource(1)
	for name, level := range encLevels {
		for _, c := range []struct {
			what string
			src  []byte
			kind int
		}{
			{"short and repetitive", bytes.Repeat([]byte("abcdefg "), 20), fixedBlock},
			{"text", r.page(2000), dynamicBlock},
			{"random", r.random(2000), storedBlock},
			{"random with digits", append(r.random(3000), "0123456789"...), storedBlock},
			{"digits", fmt.Append(nil, r.Perm(300)), dynamicBlock},
		} {
			d, peer := GetDeflater(), newEncPeer(15, false)
			var st Stream
			out := d.AppendPiece(nil, c.src, newContext(15), &st, level, true)
			peer.receive(t, out, c.src)
			peer.blocks[storedBlock]-- // that of the tail
			want := [3]int{}
			want[c.kind] = 1
			require.Equal(t, want, peer.blocks, "%s %s", name, c.what)
			PutDeflater(d)
		}
	}
}

// A part that does not compress does not spoil the others.
func TestRandomPartOfALargeMessage(t *testing.T) {
	r := newEncSource(1)
	for name, level := range encLevels {
		d, peer := GetDeflater(), newEncPeer(15, false)
		peer.inBlocks = map[int]int{}
		src := append(append(r.page(2*blockSize), r.random(3*blockSize)...), r.page(2*blockSize)...)
		out, ok := d.AppendMessage(make([]byte, 0, len(src)), src, nil, 15, level)
		require.True(t, ok)
		peer.receive(t, out, src)
		require.GreaterOrEqual(t, peer.inBlocks[storedBlock], 2*blockSize, name)
		require.Less(t, len(out), 3*blockSize+4*blockSize/2, name)
		PutDeflater(d)
	}
}

func TestLooksRandom(t *testing.T) {
	r := newEncSource(1)
	const hex, base64 = "0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	of := func(alphabet string, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		return b
	}
	for _, n := range []int{128, 256, 300, 1000, 60000} {
		wrong := 0
		for range 200 {
			if !looksRandom(r.random(n)) {
				wrong++
			}
			require.False(t, looksRandom(of(hex, n)))
			require.False(t, looksRandom(of(base64, n)))
			require.False(t, looksRandom(make([]byte, n)))
			require.False(t, looksRandom([]byte(r.english(n))))
		}
		require.LessOrEqual(t, wrong, 20, n)
	}
	require.False(t, looksRandom(r.random(127)))
}

func TestNoAllocations(t *testing.T) {
	r := newEncSource(1)
	for _, src := range [][]byte{r.tick(1), r.chat(1), r.page(4096), r.page(70000), r.random(1000)} {
		for name, level := range encLevels {
			d, ctx := GetDeflater(), newContext(12)
			dst := make([]byte, 0, 80000)
			require.Zero(t, testing.AllocsPerRun(20, func() {
				d.AppendMessage(dst, src, nil, 15, level)
				if _, ok := d.AppendMessage(dst, src, ctx, 12, level); ok {
					ctx.Commit(src)
				}
				var st Stream
				d.AppendPiece(dst, src, ctx, &st, level, false)
				d.AppendPiece(dst, src, ctx, &st, level, true)
			}), "%s, %d bytes", name, len(src))
			PutDeflater(d)
		}
	}
}

// What comes from a pool compresses as what is new does: nothing of what it did before is
// left in it.
func TestPoolsForget(t *testing.T) {
	r := newEncSource(1)
	a, b := r.page(3000), r.page(3000)
	for name, level := range encLevels {
		fresh, used := new(Deflater), new(Deflater)
		used.AppendMessage(make([]byte, 0, 3000), a, nil, 15, level)
		want, ok := fresh.AppendMessage(make([]byte, 0, 3000), b, nil, 15, level)
		require.True(t, ok)
		got, _ := used.AppendMessage(make([]byte, 0, 3000), b, nil, 15, level)
		require.Equal(t, want, got, name)

		var st Stream
		want = used.AppendPiece(nil, b, newContext(12), &st, level, true)
		for range 10 {
			c := GetContext(12)
			require.Equal(t, want, used.AppendPiece(nil, b, c, &st, level, true), name)
			c.Commit(a)
			PutContext(c)
		}
	}
}

func TestEncoderPoolsAreShared(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := newEncSource(uint64(g))
			for i := range 40 {
				bits := minBits + r.IntN(maxBits-minBits+1)
				src := r.mixed(r.IntN(3000), bits)
				d, c := GetDeflater(), GetContext(bits)
				var st Stream
				half := len(src) / 2
				out := d.AppendPiece(nil, src[:half], c, &st, Level(i%2), false)
				c.Commit(src[:half])
				out = d.AppendPiece(out, src[half:], c, &st, Level(i%2), true)
				PutContext(c)
				PutDeflater(d)
				if got := encFlate(t, out, nil); !bytes.Equal(src, got) {
					t.Errorf("%d bytes came out as %d", len(src), len(got))
				}
			}
		})
	}
	wg.Wait()
}

func TestLoansOfEncoders(t *testing.T) {
	defer func() { OnLoan = nil }()
	out := 0
	OnLoan = func(delta int) { out += delta }
	d, c := GetDeflater(), GetContext(9)
	require.Equal(t, 2, out)
	PutDeflater(d)
	PutContext(c)
	require.Zero(t, out)
}

// FuzzDeflate is a sequence of messages, whole and in pieces, sent, dropped or sent
// as they are, of what the fuzzer makes up and of repeats of it.
func FuzzDeflate(f *testing.F) {
	f.Add(uint8(0), []byte("hello hello hello"), uint64(1))
	f.Add(uint8(0x17), newEncSource(1).page(3000), uint64(2))
	f.Add(uint8(0x0f), newEncSource(1).random(1000), uint64(3))
	f.Fuzz(func(t *testing.T, options uint8, data []byte, seed uint64) {
		bits := minBits + int(options&7)
		level := Level(options >> 3 & 1)
		r := encSource{rand.New(rand.NewPCG(seed, 1))}
		d, ctx, peer := GetDeflater(), newContext(bits), newEncPeer(bits, options>>4&1 != 0)
		defer PutDeflater(d)
		for range 1 + r.IntN(6) {
			src := data[:min(len(data), 4096)]
			switch r.IntN(4) {
			case 0:
				src = src[:r.IntN(len(src)+1)]
			case 1:
				src = append(bytes.Clone(src), r.mixed(r.IntN(500), bits)...)
			case 2:
				src = append(r.mixed(r.IntN(2<<min(bits, 10)), bits), src...)
			}
			c := ctx
			if !peer.takeover {
				c = nil
			}
			if r.IntN(2) == 0 {
				out, ok := d.AppendMessage(make([]byte, 0, r.IntN(len(src)+8)), src, c, bits, level)
				if ok && r.IntN(4) != 0 {
					peer.receive(t, out, src)
					ctx.Commit(src)
				}
				continue
			}
			if c == nil {
				c = GetContext(bits)
				defer PutContext(c)
			}
			var st Stream
			var out []byte
			for rest := src; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				before := len(out)
				out = d.AppendPiece(out, rest[:n], c, &st, level, false)
				require.LessOrEqual(t, len(out)-before, n+n/1024+64)
				c.Commit(rest[:n])
				rest = rest[n:]
			}
			peer.receive(t, d.AppendPiece(out, nil, c, &st, level, true), src)
		}
	})
}
