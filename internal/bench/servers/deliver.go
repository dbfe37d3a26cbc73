package servers

import (
	"io"
	"sync"
)

// messages are where messages are read to by libraries that give them as an
// io.Reader, while there is one.
var messages = sync.Pool{New: func() any {
	p := make([]byte, 0, 4<<10)
	return &p
}}

// deliver reads a message into pooled memory and tells of it.
func deliver(c Conn, kind Kind, r io.Reader, on Events) error {
	pooled := messages.Get().(*[]byte)
	defer messages.Put(pooled)
	p := (*pooled)[:0]
	for {
		if len(p) == cap(p) {
			p = append(p, 0)[:len(p)]
		}
		n, err := r.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err == io.EOF {
			*pooled = p
			return on.Message(c, kind, p)
		} else if err != nil {
			return err
		}
	}
}
