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
	m, err := gather(r)
	if err == nil {
		err = on.Message(c, kind, *m)
	}
	messages.Put(m)
	return err
}

// gather is apart from what is done with the message, so that the one does not
// need stack while the other does.
func gather(r io.Reader) (*[]byte, error) {
	pooled := messages.Get().(*[]byte)
	p := (*pooled)[:0]
	for {
		if len(p) == cap(p) {
			p = append(p, 0)[:len(p)]
		}
		n, err := r.Read(p[len(p):cap(p)])
		p = p[:len(p)+n]
		if err != nil {
			*pooled = p
			if err == io.EOF {
				err = nil
			}
			return pooled, err
		}
	}
}
