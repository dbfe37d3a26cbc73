package codecs

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"
)

const std = "compress/flate"

var standard = func() (specs []Spec) {
	add := func(name string, bits int, encoder func() (Encoder, error)) {
		specs = append(specs, Spec{Library: std, Name: name, Bits: bits, Far: true, NewEncoder: encoder})
	}
	for _, level := range []int{1, 3, 6} {
		name := fmt.Sprint(std, " ", level)
		add(name, 0, func() (Encoder, error) { return &pooledStandard{level: level}, nil })
		add(name+", kept", 15, func() (Encoder, error) {
			e := &keptStandard{}
			var err error
			e.w, err = flate.NewWriter(&e.out, level)
			return e, err
		})
	}
	for _, bits := range []int{12, 15} {
		add(std+" 1, a new one with a dictionary", bits, func() (Encoder, error) {
			return &newStandard{level: 1, before: newHistory(bits)}, nil
		})
		specs[len(specs)-1].Slow = true
	}
	for _, bits := range []int{0, 12, 15} {
		specs = append(specs, Spec{Library: std, Name: std, Bits: bits, NewDecoder: func() (Decoder, error) {
			d := &standardDecoder{}
			if bits != 0 {
				d.before = newHistory(bits)
			}
			return d, nil
		}})
	}
	return specs
}()

// standardWriters are those that are not in use, by level.
var standardWriters [10]sync.Pool

// A pooledStandard compresses each message by itself.
type pooledStandard struct {
	level int
	out   sink
}

func (e *pooledStandard) Encode(dst, message []byte) ([]byte, bool, error) {
	e.out.b = dst[:0]
	pool := &standardWriters[e.level]
	w, ok := pool.Get().(*flate.Writer)
	if ok {
		w.Reset(&e.out)
	} else {
		var err error
		if w, err = flate.NewWriter(&e.out, e.level); err != nil {
			return nil, false, err
		}
	}
	defer pool.Put(w)
	return e.out.flushed(w, message)
}

// A keptStandard is a writer for as long as the connection lives.
type keptStandard struct {
	w   *flate.Writer
	out sink
}

func (e *keptStandard) Encode(dst, message []byte) ([]byte, bool, error) {
	e.out.b = dst[:0]
	return e.out.flushed(e.w, message)
}

// A newStandard makes a writer for each message: there is no other way to give
// it a dictionary.
type newStandard struct {
	level  int
	before *history
	out    sink
}

func (e *newStandard) Encode(dst, message []byte) ([]byte, bool, error) {
	e.out.b = dst[:0]
	w, err := flate.NewWriterDict(&e.out, e.level, e.before.dict())
	if err != nil {
		return nil, false, err
	}
	defer e.before.add(message)
	return e.out.flushed(w, message)
}

// A flusher is a writer of either library.
type flusher interface {
	io.Writer
	Flush() error
}

// flushed is the payload of a message that w writes to s.
func (s *sink) flushed(w flusher, message []byte) ([]byte, bool, error) {
	if _, err := w.Write(message); err != nil {
		return nil, false, err
	}
	if err := w.Flush(); err != nil {
		return nil, false, err
	}
	return s.payload()
}

var standardReaders = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// A standardDecoder is given what came before as a dictionary.
type standardDecoder struct {
	before *history
	in     bytes.Reader
	fed    []byte
}

func (d *standardDecoder) Decode(dst, payload []byte) ([]byte, error) {
	r := standardReaders.Get().(io.ReadCloser)
	defer standardReaders.Put(r)
	d.fed = append(append(d.fed[:0], payload...), endTail...)
	return readReset(r, r.(flate.Resetter), &d.in, d.fed, d.before, dst)
}

// readReset has a reader of either library read a message.
func readReset(r io.Reader, z flate.Resetter, in *bytes.Reader, fed []byte, before *history, dst []byte) ([]byte, error) {
	var dict []byte
	if before != nil {
		dict = before.dict()
	}
	in.Reset(fed)
	if err := z.Reset(in, dict); err != nil {
		return nil, err
	}
	out := dst[:0]
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err == io.EOF {
			if before != nil {
				before.add(out)
			}
			return out, nil
		} else if err != nil {
			return nil, err
		}
	}
}
