package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// patience is how long a connection may be without anything to read: more than
// a loaded machine needs.
const patience = time.Minute

// inFlight is how many messages may be on their way.
const inFlight = 32

// done is what peers close with that are not told otherwise.
var done = websocket.CloseError{Code: websocket.CloseNormalClosure, Text: "done"}

// A talk is what is sent on a connection to a peer that sends all messages back.
type talk struct {
	conn     *websocket.Conn
	bits     int // of the window of what we send
	messages int
	first    []message // of them, and the others are made
	alike    bool      // they are records only
	seed     uint64
	closing  []byte               // what we send in a close frame, if we are the first
	end      websocket.CloseError // what the last read has to return

	sent  chan message
	stop  chan struct{} // closed when the reader has given up
	mu    sync.Mutex
	pings []string // that were not answered

	plain       int // bytes of all messages
	pinged, hit int // pings that were sent, and pongs that came
}

// run sends the messages and reads them back. It ends when the peer has closed
// the connection.
func (k *talk) run() error {
	defer k.conn.Close()
	k.sent, k.stop = make(chan message, inFlight), make(chan struct{})
	k.conn.SetPongHandler(k.pong)
	written := make(chan error, 1)
	go func() { written <- k.write() }()
	err := k.read()
	close(k.stop)
	if err != nil {
		k.conn.Close() // the writer may be in a write
	}
	return errors.Join(err, <-written)
}

func (k *talk) write() error {
	r := rand.New(rand.NewPCG(k.seed, 1))
	s := source{Rand: r, bits: k.bits, alike: k.alike}
	for i := range k.messages {
		var m message
		if i < len(k.first) {
			m = k.first[i]
		} else {
			m = s.next()
		}
		if last := i == k.messages-1; last || r.IntN(25) == 0 {
			if err := k.ping(r, i); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
		}
		select {
		case k.sent <- m:
		case <-k.stop:
			return nil // the reader has an error
		}
		k.plain += len(m.payload)
		if r.IntN(20) == 0 {
			if err := k.conn.SetCompressionLevel(r.IntN(12) - 2); err != nil {
				return err
			}
		}
		k.conn.EnableWriteCompression(r.IntN(12) != 0)
		if err := k.send(r, m); err != nil {
			return fmt.Errorf("sending message %d, %s, %d bytes: %w", i, m.kind, len(m.payload), err)
		}
	}
	return nil
}

func (k *talk) send(r *rand.Rand, m message) error {
	if m.prepared != nil {
		return k.conn.WritePreparedMessage(m.prepared)
	}
	if r.IntN(2) == 0 {
		return k.conn.WriteMessage(m.typ, m.payload)
	}
	w, err := k.conn.NextWriter(m.typ)
	if err != nil {
		return err
	}
	if r.IntN(8) == 0 {
		// Without the methods by which io.Copy would hand over all at once.
		if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(m.payload)}); err != nil {
			return err
		}
		return w.Close()
	}
	for p := m.payload; len(p) > 0; {
		piece := p[:min(len(p), 1+r.IntN(1+r.IntN(30_000)))]
		p = p[len(piece):]
		n, err := 0, error(nil)
		if r.IntN(2) == 0 {
			n, err = w.Write(piece)
		} else {
			n, err = w.(io.StringWriter).WriteString(string(piece))
		}
		if err != nil || n != len(piece) {
			return fmt.Errorf("wrote %d of %d bytes: %w", n, len(piece), err)
		}
	}
	return w.Close()
}

func (k *talk) ping(r *rand.Rand, i int) error {
	payload := fmt.Sprintf("before %d ", i)
	payload += strings.Repeat("-", r.IntN(126-len(payload)))
	k.mu.Lock()
	k.pings = append(k.pings, payload)
	k.pinged++
	k.mu.Unlock()
	return k.conn.WriteControl(websocket.PingMessage, []byte(payload), time.Time{})
}

// pong is the handler. The peers answer each ping.
func (k *talk) pong(payload string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pings) == 0 || k.pings[0] != payload {
		return fmt.Errorf("pong %q, want the answers to %q", payload, k.pings)
	}
	k.pings = k.pings[1:]
	k.hit++
	return nil
}

func (k *talk) read() error {
	r := rand.New(rand.NewPCG(k.seed, 2))
	var memory []byte
	for i := range k.messages {
		if i%64 == 0 {
			if err := k.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
		}
		typ, p, all, err := 0, []byte(nil), true, error(nil)
		switch i % 3 {
		case 0:
			typ, p, err = k.conn.ReadMessage()
		case 1:
			if r.IntN(10) == 0 {
				memory = make([]byte, 0, r.IntN(5000))
			}
			before := memory[:min(cap(memory), r.IntN(4))]
			typ, p, err = k.conn.AppendMessage(before)
			memory, p = p[:0], p[len(before):]
		case 2:
			typ, p, all, err = k.readPieces(r)
		}
		if err != nil {
			return fmt.Errorf("reading message %d: %w", i, err)
		}
		want := <-k.sent
		switch {
		case typ != want.typ:
			return fmt.Errorf("message %d, %s: type %d, want %d", i, want.kind, typ, want.typ)
		case !all && !bytes.HasPrefix(want.payload, p):
			return fmt.Errorf("message %d, %s: the first %d of %d bytes are not what was sent", i, want.kind, len(p), len(want.payload))
		case all && !bytes.Equal(p, want.payload):
			return fmt.Errorf("message %d, %s: the %d bytes are not the %d that were sent", i, want.kind, len(p), len(want.payload))
		}
	}
	return k.readClose()
}

// readPieces reads with NextReader, now and then not to the end.
func (k *talk) readPieces(r *rand.Rand) (typ int, p []byte, all bool, err error) {
	typ, reader, err := k.conn.NextReader()
	if err != nil {
		return 0, nil, false, err
	}
	most := 1 + r.IntN(1+r.IntN(20_000))
	buf := make([]byte, most)
	leaves := r.IntN(20) == 0
	for {
		n, err := reader.Read(buf[:1+r.IntN(most)])
		p = append(p, buf[:n]...)
		switch {
		case err == io.EOF:
			return typ, p, true, nil
		case err != nil:
			return typ, p, false, err
		case leaves && r.IntN(3) == 0:
			return typ, p, false, nil
		}
	}
}

// readClose waits for the peer's close frame. Unless we send one first, the peer
// sends it when it has got the answer to its last ping.
func (k *talk) readClose() error {
	if k.closing != nil {
		if err := k.conn.WriteControl(websocket.CloseMessage, k.closing, time.Time{}); err != nil {
			return fmt.Errorf("closing: %w", err)
		}
	}
	typ, p, err := k.conn.ReadMessage()
	if err == nil {
		return fmt.Errorf("a message of type %d and %d bytes that was not sent", typ, len(p))
	}
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || *closed != k.end {
		return fmt.Errorf("the end: %w, want %w", err, &k.end)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pings) != 0 {
		return fmt.Errorf("no pongs for %q", k.pings)
	}
	return nil
}
