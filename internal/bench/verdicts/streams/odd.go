package streams

import "slices"

// An oddity sends something that no good peer does, or that few do.
type oddity struct {
	weight int
	send   func(*Generator)
}

var oddities = []oddity{
	{6, reservedBits}, {4, reservedOpcode}, {4, wronglyMasked}, {6, longForm}, {3, topBit},
	{4, fragmentedControl}, {3, longControl}, {3, nothingToContinue}, {4, interrupted},
	{8, notUTF8}, {6, beyondTheEnd}, {1, overTheLimit}, {8, manyEmptyFragments},
}

var compressedOddities = []oddity{
	{8, compressedNotUTF8}, {12, oddDeflate}, {8, corruptDeflate}, {3, bomb}, {4, compressedBit},
}

// odd sends one of the oddities.
func (g *Generator) odd() {
	from := oddities
	if g.stream.Compression && !g.oneIn(3) {
		from = compressedOddities
	}
	sum := 0
	for _, o := range from {
		sum += o.weight
	}
	n := g.IntN(sum)
	for _, o := range from {
		if n -= o.weight; n < 0 {
			o.send(g)
			return
		}
	}
}

// any is a frame like most.
func (g *Generator) any() frame {
	switch g.IntN(4) {
	case 0:
		return frame{first: fin | pick[byte](g, ping, pong), payload: g.bytes(g.IntN(20))}
	case 1:
		return frame{first: fin | binaryData, payload: g.bytes(g.IntN(40))}
	case 2:
		return frame{first: text, payload: g.text(g.IntN(40))}
	}
	return frame{first: fin | text, payload: g.text(g.IntN(40))}
}

func reservedBits(g *Generator) {
	f := g.any()
	f.first |= byte(1+g.IntN(7)) << 4
	g.send(f)
}

func reservedOpcode(g *Generator) {
	f := g.any()
	f.first = f.first&^0x0F | pick[byte](g, 0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)
	g.send(f)
}

func wronglyMasked(g *Generator) {
	f := g.any()
	f.masked = true // which send takes for the other way round
	g.send(f)
}

func longForm(g *Generator) {
	f := g.any()
	f.form = pick(g, 2, 8)
	if g.oneIn(4) {
		f.first, f.payload, f.form = fin|binaryData, g.bytes(pick(g, 126, 200, 65535)), 8
	}
	g.send(f)
}

func topBit(g *Generator) {
	f := g.any()
	f.form, f.beyond = 8, 1<<63
	if g.oneIn(2) {
		f.beyond = -uint64(len(f.payload)) - uint64(1+g.IntN(4)) // up to 2^64 less 1
	}
	g.send(f)
}

func fragmentedControl(g *Generator) {
	g.send(frame{first: pick[byte](g, ping, pong, closing), payload: g.bytes(g.IntN(4))})
	if g.oneIn(2) {
		g.send(frame{first: fin | continuation, payload: g.bytes(g.IntN(4))})
	}
}

func longControl(g *Generator) {
	g.send(frame{first: fin | pick[byte](g, ping, pong, closing), payload: g.text(126 + g.IntN(10))})
}

func nothingToContinue(g *Generator) {
	g.send(frame{first: pick[byte](g, 0, fin) | continuation, payload: g.bytes(g.IntN(10))})
}

func interrupted(g *Generator) {
	g.send(frame{first: pick[byte](g, text, binaryData), payload: g.text(g.IntN(10))})
	g.send(frame{first: pick[byte](g, 0, fin) | pick[byte](g, text, binaryData), payload: g.text(g.IntN(10))})
	g.send(frame{first: fin | continuation, payload: g.text(g.IntN(10))})
}

// manyEmptyFragments is valid.
func manyEmptyFragments(g *Generator) {
	g.send(frame{first: pick[byte](g, text, binaryData)})
	for range g.IntN(20) {
		g.send(frame{first: continuation, payload: g.text(g.IntN(2))})
	}
	g.send(frame{first: fin | continuation})
}

// badText are texts that are not UTF-8 (RFC 3629 §3, §4): a byte that is none of it, a
// continuation alone, a rune that is cut, two bytes for one byte's rune and so on,
// surrogates, what is above U+10FFFF.
var badText = []string{
	"\xff", "\xfe", "\x80", "\xbf", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc0\x80", "\xc1\xbf",
	"\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
	"\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x28\xa1", "\xc3\x28",
}

// notText is a few bytes that are not UTF-8.
func (g *Generator) notText() []byte {
	return slices.Concat(g.text(g.IntN(12)), []byte(pick(g, badText...)), g.text(g.IntN(12)*g.IntN(2)))
}

func notUTF8(g *Generator) { g.fragments(text, g.notText(), g.cuts()) }

// beyondTheEnd says that more is to come than does.
func beyondTheEnd(g *Generator) {
	f := g.any()
	f.first = f.first&^0x0F | pick[byte](g, text, binaryData)
	f.beyond = pick[uint64](g, 1, 100, 1000, 70000, Limit+1, 1<<31, 1<<32, 1<<40, 1<<62, 1<<63-100)
	g.send(f)
}

func overTheLimit(g *Generator) {
	g.fragments(pick[byte](g, text, binaryData), g.text(Limit+1+g.IntN(1000)), g.cuts())
}
