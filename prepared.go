package websocket

import (
	"bytes"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

// A PreparedMessage is a message that is compressed once and sent to any number of
// connections with [Conn.WritePreparedMessage]. Any number of goroutines may use it.
type PreparedMessage struct {
	opcode  opcode
	payload []byte // not nil

	mu         sync.Mutex
	compressed map[preparedForm][]byte // made when it is asked for; nil: it is not worth it
}

// A preparedForm is what compressed messages differ in between connections.
// Those that take context over get one that refers to nothing before it.
type preparedForm struct {
	bits  uint8
	level deflate.Level
}

// NewPreparedMessage makes a PreparedMessage of a copy of data. messageType is
// TextMessage, BinaryMessage or a control type. What [Conn.WriteMessage] would
// refuse is refused here.
func NewPreparedMessage(messageType int, data []byte) (*PreparedMessage, error) {
	op, err := checkOutgoing(messageType, data)
	if err != nil {
		return nil, err
	}
	return &PreparedMessage{opcode: op, payload: append([]byte{}, data...)}, nil
}

// form returns the payload compressed, or nil where that is not smaller.
func (pm *PreparedMessage) form(f preparedForm) []byte {
	pm.mu.Lock()
	defer pm.mu.Unlock()
	p, ok := pm.compressed[f]
	if !ok {
		p = pm.compress(f)
		if pm.compressed == nil {
			pm.compressed = make(map[preparedForm][]byte)
		}
		pm.compressed[f] = p
	}
	return p
}

func (pm *PreparedMessage) compress(f preparedForm) []byte {
	buf := bufpool.Get(len(pm.payload))
	defer bufpool.Put(buf)
	d := deflate.GetDeflater()
	defer deflate.PutDeflater(d)
	out, ok := d.AppendMessage(buf.Data[:0], pm.payload, nil, int(f.bits), f.level)
	if !ok {
		return nil
	}
	return bytes.Clone(out)
}

// WritePreparedMessage sends a prepared message. On a client's connection it is
// masked afresh each time (RFC 6455 §5.3). The errors are those of
// [Conn.WriteMessage].
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	if pm == nil || pm.payload == nil {
		return errNotPrepared
	}
	start := whole(pm.opcode)
	level, ok := c.compresses(pm.opcode, len(pm.payload))
	if !ok {
		return c.writeFrame(start, pm.payload, len(pm.payload), writeDeadline{})
	}
	if err := c.refuses(writeDeadline{}); err != nil {
		return err // before the work
	}
	payload := pm.form(preparedForm{c.sendBits, level})
	if payload == nil {
		return c.writeFrame(start, pm.payload, len(pm.payload), writeDeadline{})
	}
	start |= rsv1Bit
	ctx := c.sendContext()
	if ctx == nil {
		return c.writeFrame(start, payload, len(pm.payload), writeDeadline{})
	}
	if err := c.lead(false, nil, writeDeadline{}); err != nil {
		return err
	}
	defer c.follow()
	err := c.sendWhole(start, payload, writeDeadline{})
	if err == nil {
		ctx.Commit(pm.payload)
	}
	return c.countIfSent(err, len(pm.payload))
}
