package codecs

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	kp     = "klauspost"
	window = kp + " window" // an encoder that keeps to one
)

var klauspost = func() (specs []Spec) {
	add := func(name string, bits int, encoder func() (Encoder, error)) {
		specs = append(specs, Spec{Library: kp, Name: name, Bits: bits, Far: !strings.HasPrefix(name, window), NewEncoder: encoder})
	}
	for _, level := range []int{1, 3, 6} {
		name := fmt.Sprint(kp, " ", level)
		pool := newWriters(func() (*flate.Writer, error) { return flate.NewWriter(nil, level) })
		add(name, 0, func() (Encoder, error) { return &pooledKlauspost{pool: pool}, nil })
		add(name+", kept", 15, func() (Encoder, error) { return keepKlauspost(flate.NewWriter(nil, level)) })
		if level != 3 {
			pool := newWriters(func() (*flate.Writer, error) { return flate.NewWriter(nil, level) })
			for _, bits := range []int{12, 15} {
				add(name+", dictionary", bits, func() (Encoder, error) {
					return &pooledKlauspost{pool: pool, before: newHistory(bits)}, nil
				})
			}
		}
	}
	pool := newWriters(func() (*flate.Writer, error) { return flate.NewWriterWindow(nil, 1<<12) })
	add(window, 0, func() (Encoder, error) { return &pooledKlauspost{pool: pool}, nil })
	for _, bits := range []int{12, 15} {
		pool := newWriters(func() (*flate.Writer, error) { return flate.NewWriterWindow(nil, 1<<bits) })
		add(window+", dictionary", bits, func() (Encoder, error) {
			return &pooledKlauspost{pool: pool, before: newHistory(bits)}, nil
		})
		add(window+", kept", bits, func() (Encoder, error) { return keepKlauspost(flate.NewWriterWindow(nil, 1<<bits)) })
	}
	const stateless = kp + " stateless"
	add(stateless, 0, func() (Encoder, error) { return &statelessKlauspost{}, nil })
	// It uses 8 KiB of a dictionary at most.
	for _, bits := range []int{12, 15} {
		add(stateless+", dictionary", bits, func() (Encoder, error) {
			return &statelessKlauspost{before: newHistory(min(bits, 13))}, nil
		})
	}
	for _, bits := range []int{0, 12, 15} {
		specs = append(specs, Spec{Library: kp, Name: kp, Bits: bits, NewDecoder: func() (Decoder, error) {
			d := &klauspostDecoder{}
			if bits != 0 {
				d.before = newHistory(bits)
			}
			return d, nil
		}})
	}
	return specs
}()

// writers are those of one sort that are not in use. Those that are given
// dictionaries are a sort of their own, as Reset brings the last one back.
type writers struct {
	pool sync.Pool
	make func() (*flate.Writer, error)
}

func newWriters(make func() (*flate.Writer, error)) *writers { return &writers{make: make} }

func (w *writers) get() (*flate.Writer, error) {
	if z, ok := w.pool.Get().(*flate.Writer); ok {
		return z, nil
	}
	return w.make()
}

// A pooledKlauspost compresses each message by itself, or is given what came
// before as a dictionary.
type pooledKlauspost struct {
	pool   *writers
	before *history
	out    sink
}

func (e *pooledKlauspost) Encode(dst, message []byte) ([]byte, bool, error) {
	e.out.b = dst[:0]
	w, err := e.pool.get()
	if err != nil {
		return nil, false, err
	}
	defer e.pool.pool.Put(w)
	if e.before == nil {
		w.Reset(&e.out)
	} else {
		w.ResetDict(&e.out, e.before.dict())
		defer e.before.add(message)
	}
	return e.out.flushed(w, message)
}

// A keptKlauspost is a writer for as long as the connection lives.
type keptKlauspost struct {
	w   *flate.Writer
	out sink
}

func keepKlauspost(w *flate.Writer, err error) (Encoder, error) {
	if err != nil {
		return nil, err
	}
	e := &keptKlauspost{w: w}
	w.Reset(&e.out)
	return e, nil
}

func (e *keptKlauspost) Encode(dst, message []byte) ([]byte, bool, error) {
	e.out.b = dst[:0]
	return e.out.flushed(e.w, message)
}

// A statelessKlauspost has no writer at all.
type statelessKlauspost struct {
	before *history
	out    sink
}

func (e *statelessKlauspost) Encode(dst, message []byte) ([]byte, bool, error) {
	e.out.b = dst[:0]
	var dict []byte
	if e.before != nil {
		dict = e.before.dict()
	}
	if err := flate.StatelessDeflate(&e.out, message, false, dict); err != nil {
		return nil, false, err
	}
	if e.before != nil {
		e.before.add(message)
	}
	return e.out.payload()
}

var klauspostReaders = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// A klauspostDecoder is given what came before as a dictionary.
type klauspostDecoder struct {
	before *history
	in     bytes.Reader
	fed    []byte
}

func (d *klauspostDecoder) Decode(dst, payload []byte) ([]byte, error) {
	r := klauspostReaders.Get().(io.ReadCloser)
	defer klauspostReaders.Put(r)
	d.fed = append(append(d.fed[:0], payload...), endTail...)
	return readReset(r, r.(flate.Resetter), &d.in, d.fed, d.before, dst)
}
