package streams

import (
	"bytes"
	"compress/flate"
	"slices"
)

// deflaters are compress/flate's writers, by level less flate.HuffmanOnly.
type deflaters [flate.BestCompression - flate.HuffmanOnly + 1]*flate.Writer

// compress returns a message's payload, compressed (RFC 7692 §7.2.1) at a level by
// chance, in a few steps, by a flush after each.
func (g *Generator) compress(message []byte) []byte {
	level := pick(g, flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, 6)
	var out bytes.Buffer
	w := g.deflate[level-flate.HuffmanOnly]
	if w == nil {
		w, _ = flate.NewWriter(&out, level) // it is a level
		g.deflate[level-flate.HuffmanOnly] = w
	} else {
		w.Reset(&out)
	}
	for g.oneIn(4) {
		n := g.IntN(len(message) + 1)
		_, _ = w.Write(message[:n]) // into memory, as all of it here
		_ = w.Flush()
		message = message[n:]
	}
	_, _ = w.Write(message)
	_ = w.Flush()
	return bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff"))
}

// some is a message that can be compressed.
func (g *Generator) some(n int) []byte {
	word := g.text(1 + g.IntN(20))
	return append(bytes.Repeat(word, n/len(word)), g.text(n%len(word))...)
}

func (g *Generator) compressed() {
	first := byte(rsv1 | text)
	message := g.some(g.size())
	if g.oneIn(2) {
		first = rsv1 | binaryData
		message = append(g.bytes(g.IntN(20)), message...)
	}
	g.fragments(first, g.compress(message), g.cuts())
}

func compressedNotUTF8(g *Generator) {
	g.fragments(rsv1|text, g.compress(g.notText()), g.cuts())
}

// oddDeflate sends what is unusual to send, some of which is right. All that is in a
// comment is of RFC 7692.
func oddDeflate(g *Generator) {
	hello := []byte("\xf2\x48\xcd\xc9\xc9\x07\x00") // §7.2.3.1
	g.fragments(rsv1|text, pick(g,
		hello,
		[]byte("\x00\x05\x00\xfa\xffHello\x00"), // §7.2.3.3: a stored block
		[]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),                                       // §7.2.3.4: a block with BFINAL
		slices.Concat([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00\x00\xff\xff"), hello), // and a block behind it
		[]byte("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),                   // §7.2.3.5: two blocks
		[]byte("\x00"),     // §7.2.3.6: an empty message
		[]byte("\x01"),     // one with BFINAL
		[]byte("\x02\x00"), // another empty block
		nil,                // no payload
		slices.Concat(hello, []byte("\x00\x00\xff\xff")), // the tail left on it
		[]byte("\x00\x04\x00\xfb\xff"),                   // a stored block that has the tail for content
		[]byte("\x01\x04\x00\xfb\xff"),
		hello[:len(hello)-1], // without its end
		[]byte("\x00\x05\x00\xfa\xffHel"),
	), g.cuts())
}

func corruptDeflate(g *Generator) {
	p := g.compress(g.some(g.IntN(200)))
	switch {
	case len(p) > 0 && g.oneIn(3):
		p = p[:g.IntN(len(p))]
	case len(p) > 0 && g.oneIn(2):
		p[g.IntN(len(p))] ^= 1 << g.IntN(8)
	default:
		p = g.bytes(1 + g.IntN(30))
	}
	g.fragments(rsv1|pick[byte](g, text, binaryData), p, g.cuts())
}

// bomb sends a message that is over the limit by little or much, and small on the wire.
func bomb(g *Generator) {
	size := Limit + 1 + g.IntN(2)*g.IntN(Limit)
	g.fragments(rsv1|binaryData, g.compress(bytes.Repeat([]byte("0"), size)), g.cuts())
}

// compressedBit sets RSV1 where no message begins, or RSV2 or RSV3 where one does.
func compressedBit(g *Generator) {
	switch g.IntN(4) {
	case 0:
		g.send(frame{first: fin | rsv1 | pick[byte](g, ping, pong, closing)})
	case 1:
		p := g.compress(g.some(20))
		g.send(frame{first: rsv1 | text, payload: p[:len(p)/2]})
		g.send(frame{first: fin | rsv1 | continuation, payload: p[len(p)/2:]})
	case 2:
		g.send(frame{first: text, payload: g.text(5)})
		g.send(frame{first: fin | rsv1 | continuation, payload: g.text(5)})
	case 3:
		g.send(frame{first: fin | pick[byte](g, rsv1, 0) | pick[byte](g, rsv2, rsv3) | binaryData, payload: g.compress(g.some(20))})
	}
}
