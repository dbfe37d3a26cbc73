package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"testing"
)

// BenchmarkInflate decodes messages that are all different, with compress/flate beside it
// in the same run. "none" is without context takeover; w12 and w15 are with it, in a
// window of that many bits. What is decoded was made by compress/flate's level 6.
//
//	go test -run - -bench Inflate -count 10 ./internal/deflate | benchstat -col /codec -
func BenchmarkInflate(b *testing.B) {
	for _, kind := range []struct {
		name string
		n    int
	}{{"tick", 800}, {"chat", 600}, {"json1K", 500}, {"json4K", 400}, {"json64K", 300}} {
		for _, takeover := range []struct {
			name string
			bits int
		}{{"none", 0}, {"w12", 12}, {"w15", 15}} {
			if takeover.bits == 12 && kind.n < 600 {
				continue // compress/flate does not keep to a window smaller than the message
			}
			b.Run(kind.name+"/"+takeover.name, func(b *testing.B) {
				messages := encMessages(kind.name, kind.n)
				in := squeezeAll(b, messages, takeover.bits)
				b.Run("codec=own", func(b *testing.B) { benchmarkInflate(b, messages, in, takeover.bits) })
				b.Run("codec=std", func(b *testing.B) { benchmarkFlateReader(b, messages, in, takeover.bits) })
			})
		}
	}
}

// squeezeAll compresses messages by compress/flate's level 6, each with the 2^bits bytes
// before its end to refer to, or nothing if bits is 0.
func squeezeAll(b *testing.B, messages [][]byte, bits int) [][]byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	if err != nil {
		b.Fatal(err)
	}
	var before []byte
	var all [][]byte
	for _, m := range messages {
		out.Reset()
		switch bits {
		case 0:
			w.Reset(&out)
		case 15: // it goes on
		default:
			if w, err = flate.NewWriterDict(&out, 6, before[max(0, len(before)+len(m)-1<<bits):]); err != nil {
				b.Fatal(err)
			}
			before = append(before, m...)
		}
		if _, err := w.Write(m); err != nil {
			b.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		all = append(all, bytes.Clone(bytes.TrimSuffix(out.Bytes(), Tail)))
	}
	return all
}

func benchmarkInflate(b *testing.B, messages, in [][]byte, bits int) {
	var w *Window
	if bits != 0 {
		w = newWindow(bits)
	}
	dst := make([]byte, 0, 80<<10)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		z := GetInflater(max(bits, 12+3*(1-min(bits, 1))), w)
		out, _, err := z.Inflate(dst, 0, in[i])
		if err == nil {
			out, _, err = z.Inflate(out, 0, Tail)
		}
		if err != nil || !z.Complete() || len(out) != len(messages[i]) {
			b.Fatal(err, len(out), len(messages[i]))
		}
		PutInflater(z)
		if w != nil {
			w.Write(out)
		}
		if i++; i == len(in) {
			i = 0
			if w != nil {
				w.size = 0 // message 0 refers to nothing
			}
		}
	}
}

func benchmarkFlateReader(b *testing.B, messages, in [][]byte, bits int) {
	// As gorilla/websocket does it: the tail, and a last block for an end.
	tail := []byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")
	ended := make([][]byte, len(in))
	for i := range in {
		ended[i] = append(bytes.Clone(in[i]), tail...)
	}
	var src bytes.Reader
	r := flate.NewReader(&src)
	dst := make([]byte, 80<<10)
	window := make([]byte, 0, 2<<max(bits, 12))
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(ended[i])
		if err := r.(flate.Resetter).Reset(&src, window); err != nil {
			b.Fatal(err)
		}
		n, err := io.ReadFull(r, dst[:len(messages[i])+1])
		if err != io.ErrUnexpectedEOF || n != len(messages[i]) {
			b.Fatal(err, n)
		}
		if bits != 0 {
			// Twice the window, so that it moves rarely.
			keep := window[min(len(window), max(0, len(window)+n-1<<bits)):]
			window = append(window[:copy(window[:cap(window)], keep)], dst[max(0, n-1<<bits):n]...)
		}
		if i++; i == len(in) {
			i, window = 0, window[:0]
		}
	}
}
