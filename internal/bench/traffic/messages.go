// Package traffic makes what is measured: messages, the compressed frames that a
// client sends of them, and the offers that go before.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// Kinds are the kinds of messages that are compressed. Sized names others.
var Kinds = []string{"tick", "chat", "json256", "json4K", "json64K", "random64", "random256", "random4K", "random64K"}

// JSON are those of them that can be compressed.
var JSON = Kinds[:5]

// seed makes every run measure the same.
const seed = 0x7692

// made is what was made before: each sample asks for the same again.
var made = struct {
	sync.Mutex
	messages map[string][][]byte
	payloads map[stream]payloads
}{messages: make(map[string][][]byte), payloads: make(map[stream]payloads)}

// Messages returns the messages of a kind, no two of which are the same: so many
// that a branch predictor does not learn them by heart, and that what was sent
// one pass before is out of a window of 32 KiB.
func Messages(kind string) ([][]byte, error) {
	made.Lock()
	defer made.Unlock()
	if m, ok := made.messages[kind]; ok {
		return m, nil
	}
	m, err := messages(kind)
	if err == nil {
		made.messages[kind] = m
	}
	return m, err
}

func messages(kind string) ([][]byte, error) {
	r := source{rand.New(rand.NewPCG(seed, uint64(len(kind))))}
	switch kind {
	case "tick":
		return repeat(1000, r.tick), nil
	case "chat":
		return repeat(1000, r.chat), nil
	case "json256":
		return repeat(1000, func(int) []byte { return r.list(256) }), nil
	case "json4K":
		return repeat(400, func(int) []byte { return r.page(4 << 10) }), nil
	case "json64K":
		return repeat(40, func(int) []byte { return r.page(64 << 10) }), nil
	case "random64":
		return repeat(1000, func(int) []byte { return r.random(64) }), nil
	case "random256":
		return repeat(1000, func(int) []byte { return r.random(256) }), nil
	case "random4K":
		return repeat(400, func(int) []byte { return r.random(4 << 10) }), nil
	case "random64K":
		return repeat(40, func(int) []byte { return r.random(64 << 10) }), nil
	}
	return r.sized(kind)
}

func repeat(n int, message func(i int) []byte) [][]byte {
	messages := make([][]byte, n)
	for i := range messages {
		messages[i] = message(i)
	}
	return messages
}

var words = strings.Fields(`the of and to in is that it was for on are as with his they at be this have from or one had by
	but not what all were we when your can said there use an each which she do how their if will up other about out many then
	them these so some her would make like him into time has look two more write go see number no way could people my than
	first water been call who oil its now find long down day did get come made may part over new sound take only little work
	know place year live me back give most very after thing our just name good sentence man think say great where help through
	much before line right too mean old any same tell boy follow came want show also around form three small set put end does
	another well large must big even such because turn here why ask went men read need land different home us move try kind
	hand picture again change off play spell air away animal house point page letter mother answer found study still learn`)

var symbols = []string{"BTC-USD", "ETH-USD", "SOL-USD", "ADA-USD"}

type source struct{ *rand.Rand }

func (r source) uuid() string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

func (r source) word() string { return words[r.IntN(len(words))] }

// english is n bytes, in which common words are common.
func (r source) english(n int) string {
	var b strings.Builder
	for b.Len() < n {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[int(float64(len(words))*r.Float64()*r.Float64())])
	}
	return b.String()[:n]
}

// tick is 64 to 70 bytes.
func (r source) tick(i int) []byte {
	return fmt.Appendf(nil, `{"s":"%s","p":%.2f,"q":%.4f,"t":%d,"b":%t}`, symbols[r.IntN(len(symbols))],
		60000+r.NormFloat64()*50, r.Float64()*3, 1763700000000+int64(i*137+r.IntN(100)), r.IntN(2) == 0)
}

// chat is 256 bytes.
func (r source) chat(i int) []byte {
	head := fmt.Sprintf(`{"id":"%s","room":"general","user":"user%04d","ts":%d,"text":"`, r.uuid(), r.IntN(500), 1763700000+i*3)
	return []byte(head + r.english(256-len(head)-len(`"}`)) + `"}`)
}

// list is n bytes of small records, cut off in the middle of one: unlike chat,
// it repeats itself within a message.
func (r source) list(n int) []byte {
	b := []byte(`{"quotes":[`)
	for len(b) < n {
		b = fmt.Appendf(b, `{"symbol":"%s","bid":%.2f,"ask":%.2f,"venue":"%s"},`,
			symbols[r.IntN(len(symbols))], 60000+r.NormFloat64()*50, 60000+r.NormFloat64()*50, r.word())
	}
	return b[:n]
}

// page is n bytes of records, cut off in the middle of one.
func (r source) page(n int) []byte {
	b := fmt.Appendf(nil, `{"page":%d,"items":[`, r.IntN(1000))
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"uuid":"%s","name":"%s %s","email":"%s@example.com","price":%.2f,"stock":%d,"tags":["%s","%s"],"active":%t,"description":"%s"},`,
			r.IntN(1000000), r.uuid(), r.word(), r.word(), r.word(), r.Float64()*1000, r.IntN(300), r.word(), r.word(),
			r.IntN(2) == 0, r.english(80+r.IntN(80)))
	}
	return b[:n]
}

func (r source) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
