package websocket

import (
	"bytes"
	"encoding/json"
	"io"
)

// WriteJSON sends v as JSON in a text message. As with a json.Encoder, HTML
// characters are escaped and the text ends in a newline. If v cannot be
// encoded, nothing is sent and the error is the encoder's; the others are those
// of [Conn.WriteMessage].
func (c *Conn) WriteJSON(v any) error {
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(v); err != nil {
		return err
	}
	return c.WriteMessage(TextMessage, text.Bytes())
}

// ReadJSON reads the next message, text or binary, and stores the first JSON
// value in it in what v points to. What follows the value is ignored; a message
// that is empty or ends inside the value gives io.ErrUnexpectedEOF. The whole
// message is read before it is decoded, so after an error of the decoder the
// connection is as it was, and the next call gets the next message. The other
// errors are those of [Conn.ReadMessage].
func (c *Conn) ReadJSON(v any) error {
	_, message, err := c.ReadMessage()
	if err != nil {
		return err
	}
	err = json.NewDecoder(bytes.NewReader(message)).Decode(v)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// WriteJSON is [Conn.WriteJSON].
//
// Deprecated: use the method.
func WriteJSON(c *Conn, v any) error { return c.WriteJSON(v) }

// ReadJSON is [Conn.ReadJSON].
//
// Deprecated: use the method.
func ReadJSON(c *Conn, v any) error { return c.ReadJSON(v) }
