package traffic

import (
	"fmt"
	"strings"
)

// Sized is the name of a kind of messages of exactly so many bytes: "binary" are
// random ones, and "ascii", "latin" and "cjk" are text with no letter, some and
// nearly all of them above ASCII.
func Sized(what string, size int) string { return fmt.Sprint(what, " ", size) }

// Opcode is that of a kind's messages (RFC 6455 §5.2). Only binary ones are not
// sent as text.
func Opcode(kind string) byte {
	if strings.HasPrefix(kind, "binary ") {
		return 2
	}
	return 1
}

// sized makes messages of a kind that Sized names, not too many of large ones.
func (r source) sized(kind string) ([][]byte, error) {
	var (
		what string
		size int
	)
	if n, err := fmt.Sscanf(kind, "%s %d", &what, &size); n != 2 || err != nil || size < 1 {
		return nil, fmt.Errorf("traffic: no messages of kind %q", kind)
	}
	count := min(64, max(2, 256<<10/size))
	switch what {
	case "binary":
		return repeat(count, func(int) []byte { return r.random(size) }), nil
	case "ascii":
		return repeat(count, func(int) []byte { return []byte(r.english(size)) }), nil
	case "latin":
		return repeat(count, func(int) []byte { return exactly(r.latin(size), size) }), nil
	case "cjk":
		return repeat(count, func(int) []byte { return exactly(r.cjk(size), size) }), nil
	}
	return nil, fmt.Errorf("traffic: no messages of kind %q", kind)
}

// exactly cuts text to n bytes, with spaces for what is left of a letter.
func exactly(s string, n int) []byte {
	end := 0
	for i := range s {
		if i > n {
			break
		}
		end = i
	}
	return append([]byte(s[:end]), strings.Repeat(" ", n-end)...)
}

// latin has accents on about one letter in eight.
func (r source) latin(n int) string {
	accents := strings.NewReplacer("a", "ä", "o", "ø", "u", "ü")
	return accents.Replace(r.english(n)) + " "
}

// cjk is words of one to six ideographs, of three bytes each.
func (r source) cjk(n int) string {
	var b strings.Builder
	for b.Len() <= n {
		for range 1 + r.IntN(6) {
			b.WriteRune(rune(0x4e00 + r.IntN(0x9fa5-0x4e00)))
		}
		b.WriteString("，")
	}
	return b.String()
}
