package codecs

import (
	"errors"

	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

const ours = "ours"

var own = func() (specs []Spec) {
	for _, bits := range []int{0, 12, 15} {
		for _, l := range []struct {
			name  string
			level deflate.Level
		}{{"ours fast", deflate.Fast}, {"ours dense", deflate.Dense}} {
			specs = append(specs, Spec{Library: ours, Name: l.name, Bits: bits, NewEncoder: func() (Encoder, error) {
				e := &ownEncoder{bits: 15, level: l.level}
				if bits != 0 {
					e.bits, e.ctx = bits, &deflate.Context{Bits: uint8(bits)}
				}
				return e, nil
			}})
		}
		specs = append(specs, Spec{Library: ours, Name: ours, Bits: bits, NewDecoder: func() (Decoder, error) {
			d := &ownDecoder{bits: 15}
			if bits != 0 {
				d.bits, d.window = bits, &deflate.Window{Bits: uint8(bits)}
			}
			return d, nil
		}})
	}
	return specs
}()

type ownEncoder struct {
	bits  int
	level deflate.Level
	ctx   *deflate.Context
}

func (e *ownEncoder) Encode(dst, message []byte) ([]byte, bool, error) {
	d := deflate.GetDeflater()
	defer deflate.PutDeflater(d)
	out, ok := d.AppendMessage(dst[:0], message, e.ctx, e.bits, e.level)
	if ok && e.ctx != nil {
		e.ctx.Commit(message)
	}
	return out, ok, nil
}

type ownDecoder struct {
	bits   int
	window *deflate.Window
}

func (d *ownDecoder) Decode(dst, payload []byte) ([]byte, error) {
	z := deflate.GetInflater(d.bits, d.window)
	defer deflate.PutInflater(z)
	out, _, err := z.Inflate(dst[:0], 0, payload)
	if err == nil {
		out, _, err = z.Inflate(out, 0, deflate.Tail)
	}
	if err == nil && !z.Complete() {
		err = errors.New("codecs: the message is cut off")
	}
	if d.window != nil {
		d.window.Write(out)
	}
	return out, err
}
