package websocket

import (
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

// A PreparedMessage is a message that is framed, and compressed, once and sent to
// any number of connections with [Conn.WritePreparedMessage]. Any number of
// goroutines may use it.
type PreparedMessage struct {
	opcode opcode
	plain  preparedFrame

	mu         sync.Mutex
	compressed map[preparedForm]preparedFrame // made when it is asked for
}

// A preparedFrame is a frame as a server sends it. It is not changed after it
// was made.
type preparedFrame struct {
	bytes  []byte
	header int // bytes before the payload
}

func (f preparedFrame) payload() []byte { return f.bytes[f.header:] }

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
	return &PreparedMessage{opcode: op, plain: newPreparedFrame(header{fin: true, opcode: op}, data)}, nil
}

func newPreparedFrame(h header, payload []byte) preparedFrame {
	h.length = uint64(len(payload))
	n := headerSize(h)
	return preparedFrame{append(appendHeader(make([]byte, 0, n+len(payload)), h), payload...), n}
}

// frame returns the message compressed, or as it is where that is not larger.
func (pm *PreparedMessage) frame(form preparedForm) (f preparedFrame, compressed bool) {
	pm.mu.Lock()
	defer pm.mu.Unlock()
	f, ok := pm.compressed[form]
	if !ok {
		f = pm.compress(form)
		if pm.compressed == nil {
			pm.compressed = make(map[preparedForm]preparedFrame)
		}
		pm.compressed[form] = f
	}
	if f.bytes == nil {
		return pm.plain, false
	}
	return f, true
}

// compress returns no frame if the message would not become smaller.
func (pm *PreparedMessage) compress(form preparedForm) preparedFrame {
	buf := bufpool.Get(len(pm.plain.bytes))
	defer bufpool.Put(buf)
	d := deflate.GetDeflater()
	defer deflate.PutDeflater(d)
	out, ok := d.AppendMessage(buf.Data[:0], pm.plain.payload(), nil, int(form.bits), form.level)
	if !ok {
		return preparedFrame{}
	}
	return newPreparedFrame(header{fin: true, opcode: pm.opcode, rsv: rsv1Bit}, out)
}

// WritePreparedMessage sends a prepared message. On a client's connection it is
// masked afresh each time (RFC 6455 §5.3). The errors are those of
// [Conn.WriteMessage].
func (c *Conn) WritePreparedMessage(pm *PreparedMessage) error {
	if pm == nil || pm.plain.bytes == nil {
		return errNotPrepared
	}
	f, compressed := pm.plain, false
	if level, ok := c.compresses(pm.opcode, len(f.payload())); ok {
		if err := c.out.refuses(writeDeadline{}); err != nil {
			return err // before the work
		}
		f, compressed = pm.frame(preparedForm{c.sendBits, level})
	}
	if err := c.lead(pm.opcode.isControl(), nil, writeDeadline{}); err != nil {
		return err
	}
	defer c.follow()
	err := c.sendPrepared(pm.opcode, f, compressed)
	if err == nil && compressed {
		if ctx := c.sendContext(); ctx != nil {
			ctx.Commit(pm.plain.payload())
		}
	}
	return err
}

func (c *Conn) sendPrepared(op opcode, f preparedFrame, compressed bool) error {
	if !c.server {
		h := header{fin: true, opcode: op}
		if compressed {
			h.rsv = rsv1Bit
		}
		buf := emptied(bufpool.Get(bufpool.Size))
		defer bufpool.Put(buf)
		return c.sendFrame(h, buf, f.payload(), writeDeadline{})
	}
	err := c.sendSteps(f.bytes, writeDeadline{}, false)
	if err == nil && op == opClose {
		c.setCloseState(closeSent)
	}
	return err
}
