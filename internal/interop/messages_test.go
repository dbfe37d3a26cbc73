// Package interop talks to implementations of WebSocket and permessage-deflate
// that have nothing in common with this one, and through proxies. It has tests only.
package interop

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"

	"github.com/seed62ce5aa7/websocket"
)

// A message is what is sent and has to come back.
type message struct {
	kind     string
	typ      int
	payload  []byte
	prepared *websocket.PreparedMessage // nil for most
}

const maxMessage = 200 << 10

// What messages are cut from. It is made once, for messages by the million.
var (
	records []string // small, and like each other
	page    string   // of JSON
	prose   string
	noise   []byte
	zeros   = make([]byte, maxMessage)

	allPrepared []message
)

func init() {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields(`time person year way day thing man world life hand part child eye woman place work week case
		point government company number group problem fact good new first last long great little own other old right big
		high different small large next early young important few public bad same able größer été 東京 мир 🙂`)
	word := func() string { return words[int(float64(len(words))*r.Float64()*r.Float64())] }
	for i := range 2000 {
		records = append(records, fmt.Sprintf(`{"id":%d,"symbol":"%s-USD","price":%.2f,"note":"%s","open":%t}`,
			1_000_000+i*7, strings.ToUpper(word()), 60_000+r.NormFloat64()*50, word(), r.IntN(2) == 0))
	}
	var b strings.Builder
	for b.Len() < 2*maxMessage {
		fmt.Fprintf(&b, `{"id":%d,"name":"%s %s","mail":"%s@example.com","price":%.2f,"tags":["%s","%s"]},`,
			r.IntN(1e6), word(), word(), word(), r.Float64()*1000, word(), word())
	}
	page = b.String()
	b.Reset()
	for b.Len() < 2*maxMessage {
		b.WriteString(word())
		b.WriteByte(" \n"[r.IntN(12)/11])
	}
	prose = b.String()
	noise = make([]byte, 2*maxMessage)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	allPrepared = preparedMessages()
}

// A source makes messages for a sender whose window is 2^bits bytes.
type source struct {
	*rand.Rand
	bits    int
	alike   bool   // records only
	history []byte // what was sent last
}

// size is small, most often.
func (s *source) size() int {
	switch n := s.IntN(1000); {
	case n < 20:
		return s.IntN(4)
	case n < 600:
		return s.IntN(300)
	case n < 900:
		return s.IntN(4000)
	case n < 990:
		return s.IntN(32 << 10)
	}
	return s.IntN(maxMessage + 1)
}

func (s *source) next() message {
	m := s.fresh()
	if m.kind == "prepared" {
		return m
	}
	const keep = 64 << 10
	s.history = append(s.history, m.payload...)
	if len(s.history) > 4*keep {
		s.history = append([]byte(nil), s.history[len(s.history)-keep:]...)
	}
	return m
}

func (s *source) fresh() message {
	n, kind := s.size(), s.IntN(8)
	if kind < 2 || s.alike {
		return message{kind: "record", typ: websocket.TextMessage, payload: []byte(records[s.IntN(len(records))])}
	}
	switch kind {
	case 2:
		return message{kind: "page", typ: websocket.TextMessage, payload: s.text(page, n)}
	case 3:
		return message{kind: "prose", typ: websocket.TextMessage, payload: s.text(prose, n)}
	case 4:
		at := s.IntN(len(noise) - n)
		return message{kind: "noise", typ: websocket.BinaryMessage, payload: noise[at : at+n : at+n]}
	case 5:
		return message{kind: "zeros", typ: websocket.TextMessage + s.IntN(2), payload: zeros[:n:n]}
	case 6:
		return allPrepared[s.IntN(len(allPrepared))]
	}
	return message{kind: "around the window", typ: websocket.BinaryMessage, payload: s.aroundTheWindow(n)}
}

// text is about n bytes, in whole characters.
func (s *source) text(all string, n int) []byte {
	at := s.IntN(len(all) - n - utf8.UTFMax)
	end := at + n
	for !utf8.RuneStart(all[at]) {
		at++
	}
	for end < at || !utf8.RuneStart(all[end]) {
		end++
	}
	return []byte(all[at:end])
}

// aroundTheWindow repeats what is nearly, exactly, or a little more than 2^bits
// bytes before, in what was sent earlier too.
func (s *source) aroundTheWindow(n int) []byte {
	all := s.history
	begin := len(all)
	for len(all) < begin+n {
		back := 1<<s.bits + []int{-100, -2, -1, 0, 1, 2, 258}[s.IntN(7)]
		if s.IntN(3) == 0 || len(all) < back {
			at := s.IntN(len(noise) - 64)
			all = append(all, noise[at:at+1+s.IntN(60)]...)
			continue
		}
		for range 4 + s.IntN(300) {
			all = append(all, all[len(all)-back])
		}
	}
	return append([]byte(nil), all[begin:begin+n]...)
}

// largeMessages are a text and a binary message of 1 MiB, nearly.
func largeMessages() []message {
	const size = 1 << 20
	s := source{Rand: rand.New(rand.NewPCG(5, 6)), bits: 15}
	return []message{
		{kind: "large text", typ: websocket.TextMessage, payload: s.text(strings.Repeat(prose, 1+size/len(prose)), size-utf8.UTFMax)},
		{kind: "large binary", typ: websocket.BinaryMessage, payload: s.aroundTheWindow(size)},
	}
}

// preparedMessages are sent by all connections, whatever was agreed on.
func preparedMessages() (all []message) {
	s := source{Rand: rand.New(rand.NewPCG(3, 4)), bits: 9}
	for _, m := range []message{
		{typ: websocket.TextMessage, payload: []byte{}},
		{typ: websocket.TextMessage, payload: []byte(strings.Repeat("a chat, and again a chat; ", 30))},
		{typ: websocket.BinaryMessage, payload: s.aroundTheWindow(3000)},
		{typ: websocket.BinaryMessage, payload: s.aroundTheWindow(70_000)},
		{typ: websocket.BinaryMessage, payload: []byte("\x00\xff\x80 too random")},
		{typ: websocket.TextMessage, payload: []byte(`{"id":1000007,"symbol":"DAY-USD","price":59981.12,"note":"hand","open":true}`)},
	} {
		p, err := websocket.NewPreparedMessage(m.typ, m.payload)
		if err != nil {
			panic(err)
		}
		m.kind, m.prepared = "prepared", p
		all = append(all, m)
	}
	return all
}
