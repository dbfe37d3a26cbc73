package websocket

import (
	"io"
	"strings"
)

// JoinMessages returns a reader of all messages that c receives, one behind the
// other, with term behind each. Its errors are those of [Conn.NextReader] and of
// the readers that it returns; io.EOF is none of them.
func JoinMessages(c *Conn, term string) io.Reader {
	return &joinReader{c: c, term: term}
}

type joinReader struct {
	c       *Conn
	term    string
	message io.Reader // the current message and its term; nil between messages
}

func (r *joinReader) Read(p []byte) (int, error) {
	if r.message == nil {
		_, message, err := r.c.NextReader()
		if err != nil {
			return 0, err
		}
		r.message = io.MultiReader(message, strings.NewReader(r.term))
	}
	n, err := r.message.Read(p)
	if err == io.EOF {
		r.message, err = nil, nil
	}
	return n, err
}
