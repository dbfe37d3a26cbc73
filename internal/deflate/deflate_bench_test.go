package deflate

import (
	"compress/flate"
	"testing"
)

// BenchmarkDeflate compresses messages that are all different, beside compress/flate's
// level 1 in the same run. "none" is without context takeover, the others with, in a
// window of that many bits. out/in is the ratio.
func BenchmarkDeflate(b *testing.B) {
	for _, kind := range []struct {
		name string
		n    int
	}{{"tick", 1000}, {"chat", 600}, {"json1K", 500}, {"json4K", 400}, {"json64K", 40}, {"random1K", 400}, {"random64K", 20}} {
		messages := encMessages(kind.name, kind.n)
		for _, takeover := range []struct {
			name string
			bits int
		}{{"none", 0}, {"w9", 9}, {"w12", 12}, {"w15", 15}} {
			for _, codec := range []string{"fast", "dense", "std1"} {
				if codec == "std1" && takeover.bits != 0 && takeover.bits != 15 {
					continue // compress/flate has windows of 32 KiB only
				}
				b.Run(kind.name+"/"+takeover.name+"/"+codec, func(b *testing.B) {
					if codec == "std1" {
						benchmarkFlate(b, messages, takeover.bits != 0)
						return
					}
					benchmarkDeflate(b, messages, takeover.bits, encLevels[codec])
				})
			}
		}
	}
}

func benchmarkDeflate(b *testing.B, messages [][]byte, bits int, level Level) {
	d := GetDeflater()
	defer PutDeflater(d)
	var ctx *Context
	if bits != 0 {
		ctx = newContext(bits)
	} else {
		bits = maxBits
	}
	dst := make([]byte, 0, 70<<10)
	in, out, i := 0, 0, 0
	b.ReportAllocs()
	for b.Loop() {
		src := messages[i]
		p, ok := d.AppendMessage(dst, src, ctx, bits, level)
		n := len(p)
		if !ok {
			n = len(src)
		} else if ctx != nil {
			ctx.Commit(src)
		}
		in, out = in+len(src), out+n
		if i++; i == len(messages) {
			i = 0
			if ctx != nil {
				clear(ctx.table) // what comes next was seen before
				ctx.have = 0
			}
		}
	}
	b.ReportMetric(float64(out)/float64(in), "out/in")
}

// countingWriter is where compress/flate's output goes.
type countingWriter struct{ n int }

func (w *countingWriter) Write(p []byte) (int, error) { w.n += len(p); return len(p), nil }

func benchmarkFlate(b *testing.B, messages [][]byte, takeover bool) {
	var sink countingWriter
	w, err := flate.NewWriter(&sink, flate.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	in, out, i := 0, 0, 0
	b.ReportAllocs()
	for b.Loop() {
		if !takeover {
			w.Reset(&sink)
		}
		src := messages[i]
		sink.n = 0
		if _, err := w.Write(src); err != nil {
			b.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		in, out = in+len(src), out+sink.n-len(Tail)
		if i++; i == len(messages) {
			i = 0
			w.Reset(&sink)
		}
	}
	b.ReportMetric(float64(out)/float64(in), "out/in")
}
