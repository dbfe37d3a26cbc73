package websocket

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
)

// ErrFrameCut is found by errors.Is in the error of a write whose context ended after part
// of its frame had gone out. The frame cannot be finished: every later write returns that
// error too. Reading goes on.
var ErrFrameCut = errors.New("websocket: a frame was cut: nothing more can be written")

// ReadMessageContext is [Conn.ReadMessage] that the end of ctx interrupts. It then returns
// -1, nil and ctx.Err() itself, and the connection survives: the next read goes on where this one
// stopped, inside a message too. A message that is there is returned even if ctx ends at that
// moment. SetReadDeadline holds beside ctx. A transport without deadlines cannot be interrupted.
func (c *Conn) ReadMessageContext(ctx context.Context) (messageType int, p []byte, err error) {
	if ctx == nil {
		return -1, nil, errNoContext
	}
	if err := ctx.Err(); err != nil {
		return -1, nil, err
	}
	messageType, p, err = c.readMessageUntil(ctx)
	switch {
	case err != nil:
		return -1, nil, err
	case p == nil:
		p = []byte{}
	}
	return messageType, p, nil
}

func (c *Conn) readMessageUntil(ctx context.Context) (messageType int, p []byte, err error) {
	if err := c.beginRead(); err != nil {
		return -1, nil, err
	}
	defer c.endRead()
	if ctx.Done() != nil {
		defer c.interruptRead(ctx)()
	}
	if err = c.awaitMessage(); err == nil {
		messageType, p, err = c.appendMessage(nil)
	}
	if isDeadline(err) && c.in.err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return messageType, p, err
}

// WriteMessageContext is [Conn.WriteMessage] that the end of ctx interrupts, whether it
// waits for other writes or for the transport. If nothing of the message had gone out, it returns
// ctx.Err() itself and the connection is as it was. If something had, errors.Is finds
// [ErrFrameCut] beside ctx.Err(), and nothing more can be written. The write deadline
// holds beside ctx. It does not wait together with other small messages, as those of
// WriteMessage do, so it is the slower of the two where many goroutines write.
func (c *Conn) WriteMessageContext(ctx context.Context, messageType int, data []byte) error {
	op, err := checkOutgoing(messageType, data)
	switch {
	case err != nil:
		return err
	case ctx == nil:
		return errNoContext
	}
	return c.writeMessage(op, data, writeDeadline{ctx: ctx})
}

// timedOut is isDeadline, and true for the timeout of a write over TLS too.
func timedOut(err error) bool { return isDeadline(err) || errors.Is(err, os.ErrDeadlineExceeded) }

// cutBy is the error of a write that ctx interrupted, of which the peer has a part or not.
func cutBy(ctx context.Context, begun bool) error {
	if begun {
		return fmt.Errorf("%w: %w", ErrFrameCut, ctx.Err())
	}
	return ctx.Err()
}

// A Message is a message that was received.
type Message struct {
	Type int    // TextMessage or BinaryMessage
	Data []byte // the payload, in memory of its own
}

// Messages returns the messages that arrive, one by one, to be used with range; it may be
// ranged over again, and goes on then. It ends without an error when the peer has closed the
// connection with 1000 or 1001 (RFC 6455 §7.4.1). Any other error, as those of
// [Conn.ReadMessageContext], comes last, beside an empty message.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			messageType, p, err := c.ReadMessageContext(ctx)
			switch {
			case IsCloseError(err, CloseNormalClosure, CloseGoingAway):
				return
			case err != nil:
				yield(Message{}, err)
				return
			case !yield(Message{messageType, p}, nil):
				return
			}
		}
	}
}
