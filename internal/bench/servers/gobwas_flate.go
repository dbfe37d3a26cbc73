package servers

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// What gobwas's documentation keeps for each connection is in pools here: a
// writer of compress/flate is more than half a megabyte.

type gobwasDeflater struct {
	out bytes.Buffer
	w   *wsflate.Writer
}

var gobwasDeflaters = sync.Pool{New: func() any {
	d := &gobwasDeflater{}
	d.w = wsflate.NewWriter(&d.out, func(w io.Writer) wsflate.Compressor {
		f, err := flate.NewWriter(w, flate.BestSpeed)
		if err != nil {
			panic(err) // the level is one
		}
		return f
	})
	return d
}}

func gobwasSendCompressed(c *gobwasConn, kind Kind, p []byte) error {
	d := gobwasDeflaters.Get().(*gobwasDeflater)
	defer gobwasDeflaters.Put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	if _, err := d.w.Write(p); err != nil {
		return err
	}
	if err := d.w.Flush(); err != nil {
		return err
	}
	f := ws.NewFrame(ws.OpCode(kind), true, d.out.Bytes())
	var err error
	if f.Header, err = wsflate.SetBit(f.Header); err != nil {
		return err
	}
	return ws.WriteFrame(c.Conn, f)
}

// A resettable is compress/flate's reader, as wsflate wants it to use it again.
type resettable struct{ io.ReadCloser }

func (r resettable) Reset(from io.Reader) {
	_ = r.ReadCloser.(flate.Resetter).Reset(from, nil) // it never fails
}

var gobwasReaders = sync.Pool{New: func() any {
	return wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return resettable{flate.NewReader(r)} })
}}

// deliverInflated is deliver for a compressed message.
func deliverInflated(c Conn, kind Kind, from io.Reader, on Events) error {
	r := gobwasReaders.Get().(*wsflate.Reader)
	defer gobwasReaders.Put(r)
	r.Reset(from)
	return deliver(c, kind, r, on)
}
