package streams

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// Limit is the largest message that whoever reads is to take.
const Limit = 1 << 20

// A Generator makes streams. Only one goroutine may use it.
type Generator struct {
	seed uint64
	*rand.Rand
	stream  Stream
	deflate deflaters
}

// NewGenerator returns one that makes the streams of a seed.
func NewGenerator(seed uint64) *Generator { return &Generator{seed: seed} }

// Stream returns the stream with that number, to a server or to a client. Each is a few
// messages and control frames; half of them have something that no good peer sends, and a
// third are changed by chance at the end.
func (g *Generator) Stream(number int, server bool) Stream {
	role := uint64(0)
	if server {
		role = 1
	}
	g.Rand = rand.New(rand.NewPCG(g.seed, uint64(number)<<1|role))
	g.stream = Stream{Server: server, Compression: g.oneIn(4)}
	oddity := -1
	items := 1 + g.IntN(4)
	if g.oneIn(2) {
		oddity = g.IntN(items)
	}
	for i := range items {
		if i == oddity {
			g.odd()
		} else {
			g.item()
		}
	}
	if !g.oneIn(3) {
		g.close()
		if g.oneIn(4) { // what nobody may look at
			g.item()
		}
	}
	if g.oneIn(3) {
		g.mutate()
	}
	g.stream.Cut = g.IntN(len(g.stream.Bytes) + 1)
	return g.stream
}

func (g *Generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *Generator, from ...T) T { return from[g.IntN(len(from))] }

// send sends a frame, masked as its role has it.
func (g *Generator) send(f frame) {
	f.masked = f.masked != g.stream.Server
	if !g.oneIn(20) { // some have a key of zeros
		binary.LittleEndian.PutUint32(f.key[:], g.Uint32())
	}
	g.stream.Bytes = f.append(g.stream.Bytes)
}

// item is what any peer may send.
func (g *Generator) item() {
	if g.oneIn(4) {
		g.control()
		return
	}
	if g.stream.Compression && !g.oneIn(4) {
		g.compressed()
		return
	}
	if g.oneIn(2) {
		g.fragments(text, g.text(g.size()), g.cuts())
	} else {
		g.fragments(binaryData, g.bytes(g.size()), g.cuts())
	}
}

// size is that of a message: most are small, some are where another form of length begins.
func (g *Generator) size() int {
	switch {
	case g.oneIn(1000):
		return Limit - g.IntN(2)
	case g.oneIn(40):
		return pick(g, 4095, 4096, 16384, 65535, 65536, 65537)
	case g.oneIn(10):
		return 120 + g.IntN(12)
	case g.oneIn(10):
		return 0
	}
	return g.IntN(40)
}

// cuts is in how many places a message is cut.
func (g *Generator) cuts() int {
	if g.oneIn(2) {
		return 0
	}
	return 1 + g.IntN(4)
}

// fragments sends a message, cut anywhere, with control frames between its fragments.
// What first has beside the opcode is set on the first frame only.
func (g *Generator) fragments(first byte, message []byte, cuts int) {
	at := []int{0, len(message)}
	for range cuts {
		at = append(at, g.IntN(len(message)+1)) // some are empty
	}
	slices.Sort(at)
	for i, begin := range at[:len(at)-1] {
		f := frame{first: first, payload: message[begin:at[i+1]]}
		if i > 0 {
			f.first = continuation
			if g.oneIn(3) {
				g.control()
			}
		}
		if i == len(at)-2 {
			f.first |= fin
		}
		g.send(f)
	}
}

func (g *Generator) control() {
	size := g.IntN(12)
	switch {
	case g.oneIn(3):
		size = 0
	case g.oneIn(8):
		size = 125
	}
	g.send(frame{first: fin | pick[byte](g, ping, pong), payload: g.bytes(size)})
}

// unrepeated is how long payloads are without repeating themselves.
const unrepeated = 1000

func (g *Generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b[:min(n, unrepeated)] {
		b[i] = byte(g.Uint32())
	}
	for i := unrepeated; i < n; i *= 2 {
		copy(b[i:], b[:i])
	}
	return b
}

// runes are of one to four bytes, with the first and the last of each size.
var runes = []rune("az \x00\x7fé\u0080\u07ff\u0800€\ud7ff\ue000\uffff\U00010000😀\U0010ffff")

// text is UTF-8 of that size.
func (g *Generator) text(n int) []byte {
	if n > unrepeated {
		b := bytes.Repeat(g.text(unrepeated), n/unrepeated)
		return append(b, g.text(n%unrepeated)...)
	}
	b := make([]byte, 0, n)
	onlyASCII := g.oneIn(3)
	for len(b) < n {
		r := string(pick(g, runes...))
		if onlyASCII || len(r) > n-len(b) {
			r = string(rune('a' + g.IntN(26)))
		}
		b = append(b, r...)
	}
	return b
}

// close sends a close frame, more often than not a good one.
func (g *Generator) close() {
	code := pick[uint16](g, 1000, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
	if g.oneIn(3) {
		code = pick[uint16](g, 0, 1, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535)
	}
	p := binary.BigEndian.AppendUint16(nil, code)
	switch {
	case g.oneIn(12):
		p = p[:1]
	case g.oneIn(6):
		p = nil
	case g.oneIn(8):
		p = append(p, g.notText()...)
	case g.oneIn(8):
		p = append(p, g.text(123)...)
	case g.oneIn(2):
		p = append(p, g.text(g.IntN(20))...)
	}
	g.send(frame{first: fin | closing, payload: p})
}

// mutate changes bytes of the stream by chance, mostly one.
func (g *Generator) mutate() {
	for more := true; more; more = g.oneIn(3) {
		b := g.stream.Bytes
		if len(b) == 0 {
			return
		}
		i := g.IntN(len(b))
		if g.oneIn(2) { // where there is the beginning of a frame
			i = g.IntN(min(len(b), 12))
		}
		switch g.IntN(5) {
		case 0:
			b[i] ^= 1 << g.IntN(8)
		case 1:
			b = slices.Delete(b, i, i+1)
		case 2:
			b = slices.Insert(b, i, b[i])
		case 3:
			b = slices.Insert(b, i, byte(g.Uint32()))
		case 4:
			b = b[:i]
		}
		g.stream.Bytes = b
	}
}
