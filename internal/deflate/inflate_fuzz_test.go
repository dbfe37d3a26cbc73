package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// FuzzInflate decodes arbitrary bytes behind arbitrary history. However they are cut, the
// result is the same; and it is what compress/flate says, where that says something: it
// has but one window, of 2^15 bytes, and no limit of blocks.
func FuzzInflate(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.in, []byte(s.window), uint8(15), uint64(1))
		f.Add(append(s.in, Tail...), []byte(s.window), uint8(8), uint64(2))
	}
	f.Add(new(maker).dynamic(0, lengthsAt(257, map[int]uint8{'a': 1, 256: 1}), dist1).literals("aaa").end().fixed(1).match(3, 3).end().out, []byte("b"), uint8(12), uint64(3))
	f.Add(new(maker).dynamic(0, lengthsAt(257, map[int]uint8{'a': 1, 'b': 1}), dist1).literals("ab").out, []byte{}, uint8(9), uint64(4))
	f.Fuzz(func(t *testing.T, src, before []byte, windowBits uint8, seed uint64) {
		bits := 8 + int(windowBits%8)
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWindow(bits)
		for rest := before; len(rest) > 0; {
			n := min(1+r.IntN(1<<bits), len(rest))
			w.Write(rest[:n])
			rest = rest[n:]
		}

		// A bomb does not make the test better.
		const most = 1 << 17
		z := GetInflater(bits, w)
		defer PutInflater(z)
		out, n, err := z.Inflate(make([]byte, 0, most), 0, src)
		if err == ErrFull {
			t.Skip("too much output")
		}
		if err == nil && n != len(src) {
			t.Fatalf("%d of %d bytes used and no error", n, len(src))
		}
		want := result{string(out), z.Complete(), err}

		for range 3 {
			in, room := 1+r.IntN(40), 1+r.IntN(600)
			if len(src)/in+len(out)/room > 4000 {
				continue
			}
			if got := pieces(t, w, bits, src, in, room); got != want && len(src) > 0 {
				t.Fatalf("%d bytes in and %d out at a time: %+v, not %+v", in, room, got, want)
			}
		}

		if bits < 15 {
			// A decoder with a larger window knows no reason to refuse.
			if want.err == nil {
				wider := windowOf(15, string(last(before, 1<<bits)))
				if got := pieces(t, wider, 15, src, max(1, len(src)), most); got != want && len(src) > 0 {
					t.Fatalf("%+v with a window of 2^%d, %+v with one of 2^15", want, bits, got)
				}
			}
			return
		}
		agree(t, z, src, before, want)
		if want.complete {
			// Nothing that could be read on is missing.
			if _, err := std(slices.Concat(src, []byte{1, 0, 0, 0xff, 0xff}), before); err != nil {
				t.Fatalf("complete, and compress/flate says %v", err)
			}
		}
	})
}

// agree compares what z, after all of src, has said with what compress/flate does.
func agree(t *testing.T, z *Inflater, src, before []byte, want result) {
	var wrong flate.CorruptInputError
	got, err := std(src, before)
	switch {
	case want.err == ErrEmptyBlocks:
		if !strings.HasPrefix(string(got), want.out) {
			t.Fatalf("%q before the empty blocks, compress/flate has %q", want.out, got)
		}
	case err != nil && want.err == ErrCorrupt && (z.phase == inCodeLengths || z.phase == inLengths):
		// It takes codes without an end of block, and goes on until something else is
		// wrong; that codes of a single length are wrong, it finds a little later.
		if !strings.HasPrefix(string(got), want.out) {
			t.Fatalf("%q before a wrong code, compress/flate has %q", want.out, got)
		}
	case err == nil:
		// It ends with a block that is marked as the last.
		if want.err != nil || want.out != string(got) || z.phase != atBlock || z.nbits != 0 {
			t.Fatalf("%+v, compress/flate has %q", want, got)
		}
	case errors.As(err, &wrong):
		if want.err != ErrCorrupt || want.out != string(got) {
			t.Fatalf("%+v, compress/flate has %q and %v", want, got, err)
		}
	case err != io.ErrUnexpectedEOF:
		t.Fatalf("compress/flate: %v", err)
	case want.err == nil:
		// It asks for as many bits as the end of the block has before it looks at them,
		// and may so stop earlier.
		if !strings.HasPrefix(want.out, string(got)) {
			t.Fatalf("%+v, compress/flate has %q", want, got)
		}
	default:
		// The same, with more bits for it to ask for.
		got, err := std(slices.Concat(src, make([]byte, 8)), before)
		if !errors.As(err, &wrong) || want.out != string(got) {
			t.Fatalf("%+v, compress/flate has %q and %v", want, got, err)
		}
	}
}

// FuzzRoundTrip decodes what compress/flate's writer makes of a connection's messages,
// with levels and flushes as they come and the context taken over.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("Hello, hello, hello"), uint64(0))
	f.Add(encMessages("chat", 1)[0], uint64(1))
	f.Add(encMessages("json4K", 1)[0], uint64(2))
	f.Add(encMessages("random1K", 1)[0], uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWindow(15)
		var before []byte
		var writer *flate.Writer
		var b bytes.Buffer
		for range 1 + r.IntN(4) {
			// Pieces of data, so that there is something to refer to near and far.
			var message []byte
			for range r.IntN(8) {
				if len(data) == 0 {
					break
				}
				from := r.IntN(len(data))
				message = append(message, data[from:from+r.IntN(len(data)-from)+1]...)
				if r.IntN(3) == 0 {
					message = append(message, bytes.Repeat(last(message, 1+r.IntN(9)), r.IntN(80))...)
				}
			}
			// Either one that goes on, or one that begins with a dictionary.
			b.Reset()
			if writer == nil || r.IntN(3) == 0 {
				var err error
				if writer, err = flate.NewWriterDict(&b, r.IntN(12)-2, last(before, 1<<15)); err != nil {
					t.Fatal(err)
				}
			}
			for rest := message; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				if _, err := writer.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				if r.IntN(2) == 0 {
					if err := writer.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := writer.Flush(); err != nil {
				t.Fatal(err)
			}
			src := bytes.Clone(b.Bytes())
			if r.IntN(4) == 0 {
				// Ended, and what is fed behind it is an empty block of its own.
				if err := writer.Close(); err != nil {
					t.Fatal(err)
				}
				src = append(bytes.Clone(b.Bytes()), 0, 0, 0, 0xff, 0xff)
				writer = nil
			}
			in, room := 1+r.IntN(len(src)), 1+r.IntN(len(message)+9)
			if len(src)/in+len(message)/room > 300 {
				in, room = len(src), len(message)+1
			}
			if got := pieces(t, w, 15, src, in, room); got.err != nil || !got.complete || got.out != string(message) {
				t.Fatalf("%+v, not %q", got, message)
			}
			w.Write(message)
			before = append(before, message...)
		}
	})
}
