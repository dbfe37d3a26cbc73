package deflate

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// What the encoder is tested and measured with: messages that resemble each other as
// those of one connection do, and no two of which are the same.

var encWords = strings.Fields(`the of and to in is that it was for on are as with his they at be this have from or one had by
	but not what all were we when your can said there use an each which she do how their if will up other about out many then
	them these so some her would make like him into time has look two more write go see number no way could people my than
	first water been call who oil its now find long down day did get come made may part over new sound take only little work
	know place year live me back give most very after thing our just name good sentence man think say great where help through
	much before line right too mean old any same tell boy follow came want show also around form three small set put end does
	another well large must big even such because turn here why ask went men read need land different home us move try kind
	hand picture again change off play spell air away animal house point page letter mother answer found study still learn
	should world high every near add food between own below country plant last school father keep tree never start city earth`)

type encSource struct{ *rand.Rand }

func newEncSource(seed uint64) encSource { return encSource{rand.New(rand.NewPCG(seed, 7))} }

func (r encSource) uuid() string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

func (r encSource) english(n int) string {
	var b strings.Builder
	for b.Len() < n {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		// Common words are common.
		b.WriteString(encWords[int(float64(len(encWords))*r.Float64()*r.Float64())])
	}
	return b.String()[:n]
}

// tick is about 70 bytes.
func (r encSource) tick(i int) []byte {
	symbol := []string{"BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD"}[r.IntN(4)]
	return fmt.Appendf(nil, `{"s":"%s","p":%.2f,"q":%.4f,"t":%d,"b":%t}`,
		symbol, 60000+r.NormFloat64()*50, r.Float64()*3, 1763700000000+int64(i*137+r.IntN(100)), r.IntN(2) == 0)
}

// chat is 256 bytes.
func (r encSource) chat(i int) []byte {
	head := fmt.Sprintf(`{"id":"%s","room":"general","user":"user%04d","ts":%d,"text":"`, r.uuid(), r.IntN(500), 1763700000+i*3)
	return []byte(head + r.english(256-len(head)-2) + `"}`)
}

// page is n bytes of records.
func (r encSource) page(n int) []byte {
	b := fmt.Appendf(nil, `{"page":%d,"items":[`, r.IntN(1000))
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"uuid":"%s","name":"%s %s","email":"%s@example.com","price":%.2f,"stock":%d,"tags":["%s","%s"],"active":%t,"description":"%s"},`,
			r.IntN(1000000), r.uuid(), encWords[r.IntN(len(encWords))], encWords[r.IntN(len(encWords))], encWords[r.IntN(len(encWords))],
			r.Float64()*1000, r.IntN(300), encWords[r.IntN(len(encWords))], encWords[r.IntN(len(encWords))], r.IntN(2) == 0, r.english(80+r.IntN(80)))
	}
	return b[:n]
}

func (r encSource) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// encMessages is n messages of one kind.
func encMessages(kind string, n int) [][]byte {
	r := newEncSource(uint64(len(kind)) + uint64(n))
	messages := make([][]byte, n)
	for i := range messages {
		switch kind {
		case "tick":
			messages[i] = r.tick(i)
		case "chat":
			messages[i] = r.chat(i)
		case "json1K":
			messages[i] = r.page(1 << 10)
		case "json4K":
			messages[i] = r.page(4 << 10)
		case "json64K":
			messages[i] = r.page(64 << 10)
		case "random1K":
			messages[i] = r.random(1 << 10)
		case "random64K":
			messages[i] = r.random(64 << 10)
		default:
			panic(kind)
		}
	}
	return messages
}

func newContext(bits int) *Context { return &Context{Bits: uint8(bits)} }

func newWindow(bits int) *Window { return &Window{Bits: uint8(bits)} }
