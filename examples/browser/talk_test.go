package browser

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
)

// A message is what one side sends and the other echoes.
type message struct {
	messageType int
	data        []byte
}

// A batch is messages that are sent without waiting for their echoes.
type batch struct {
	name     string
	messages []message
	noise    int // bytes of them that no compression makes smaller
}

// A share is how much of a batch, other than its noise, went over the wire.
type share struct{ in, out float64 }

// batches are a conversation with messages of up to largest bytes, the same in
// every run.
func batches(largest int) []batch {
	r := rand.New(rand.NewPCG(7692, 6455))
	return []batch{small(r), large(r, largest), mixed(r, largest)}
}

// small is messages that are like each other, for the most part of 200 bytes.
func small(r *rand.Rand) batch {
	b := batch{name: "small"}
	for i := range 500 {
		size := []int{200, 200, 20, 200, 2}[i%5]
		b.messages = append(b.messages, message{messageTypes[i/2%2], quotes(r, size)})
	}
	b.messages = append(b.messages, message{websocket.TextMessage, nil}, message{websocket.BinaryMessage, nil})
	return b
}

// large is messages of 64 KiB and more.
func large(r *rand.Rand, largest int) batch {
	b := batch{name: "large"}
	for _, size := range []int{65535, 65536, largest} {
		for _, messageType := range messageTypes {
			b.messages = append(b.messages, message{messageType, quotes(r, size)})
		}
	}
	return b
}

// mixed is messages that are better sent as they are among those that are better
// compressed. Some of them come again later, so that they lie where a window may
// reach or just does not.
func mixed(r *rand.Rand, largest int) batch {
	b := batch{name: "mixed"}
	again := noise(r, 300)
	add := func(messageType int, data []byte, noise int) {
		b.messages = append(b.messages, message{messageType, data})
		b.noise += noise
	}
	for _, size := range []int{20, 200, 3000, 256, 512, 4096, 7000, 15_000, 32_768, 65_536, 20} {
		add(websocket.BinaryMessage, again, len(again))
		add(websocket.TextMessage, quotes(r, 200), 0)
		add(websocket.BinaryMessage, noise(r, size), size)
		add(websocket.TextMessage, quotes(r, 1000), 0)
		add(websocket.BinaryMessage, append(quotes(r, size), again...), len(again))
		add(websocket.BinaryMessage, quotes(r, 4096), 0)
	}
	add(websocket.BinaryMessage, noise(r, largest), largest)
	add(websocket.TextMessage, quotes(r, 200), 0)
	return b
}

var messageTypes = []int{websocket.TextMessage, websocket.BinaryMessage}

func noise(r *rand.Rand, size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// quotes is JSON lines of a size, cut at the end; valid UTF-8.
func quotes(r *rand.Rand, size int) []byte {
	var p []byte
	for len(p) < size {
		p = fmt.Appendf(p, `{"name":%q,"price":%d.%02d,"volume":%d,"time":"2026-03-02T14:%02d:%02d.%03dZ","side":%q}`+"\n",
			[]string{"Grün", "世界", "ACME", "👋"}[r.IntN(4)], r.IntN(2000), r.IntN(100), 100*r.IntN(50),
			r.IntN(60), r.IntN(60), r.IntN(1000), []string{"buy", "sell"}[r.IntN(2)])
	}
	p = p[:size]
	for i := size - 1; !utf8.Valid(p); i-- {
		p[i] = '.'
	}
	return p
}

// A writer sends the i-th message of a conversation.
type writer func(conn *websocket.Conn, i int, m message) error

// A talk is a conversation: the page sends messages to the server, which echoes
// them. Each side compares what it receives with what it got otherwise.
type talk struct {
	script  string // is to be evaluated in the page
	handled <-chan error

	// What the server knows when the handler is done.
	offer, answer string
	agreed        websocket.Compression
	shares        []share // in the order of the batches
}

// newTalk prepares a talk over a connection with compression. The server answers
// with write.
func newTalk(page *remote, compression websocket.Compression, batches []batch, write writer) *talk {
	k := &talk{}
	var path string
	path, k.handled = page.upgrade(websocket.Upgrader{Compression: &compression},
		func(conn *websocket.Conn, r *http.Request, wire *traffic) (err error) {
			k.offer = strings.Join(r.Header.Values("Sec-WebSocket-Extensions"), ", ")
			if k.answer, err = wire.answer(r); err != nil {
				return err
			}
			var ok bool
			if k.agreed, ok = conn.Compression(); !ok {
				return errors.New("messages are not compressed")
			}
			k.shares, err = answerBatches(conn, wire, batches, write)
			return err
		})
	var all []byte
	var sizes []int
	for _, b := range batches {
		sizes = append(sizes, len(b.messages))
		for _, m := range b.messages {
			all = append(all, byte(m.messageType))
			all = binary.BigEndian.AppendUint32(all, uint32(len(m.data)))
			all = append(all, m.data...)
		}
	}
	messagesPath := page.handle(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(all) })
	k.script = fmt.Sprintf("talk(%q, %q, %s)", path, messagesPath, array(sizes))
	return k
}

// hold has the page begin talks at the same time, waits for their ends and returns
// the socket.extensions of each.
func hold(t *testing.T, page *remote, talks ...*talk) (extensions []string) {
	t.Helper()
	var scripts []string
	for _, k := range talks {
		scripts = append(scripts, k.script)
	}
	extensions = ask[[]string](t, page, "Promise.all(["+strings.Join(scripts, ", ")+"])")
	require.Len(t, extensions, len(talks))
	for _, k := range talks {
		err := await(t, k.handled)
		require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure), "%v", err)
	}
	return extensions
}

// array is numbers as the script has them.
func array(numbers []int) string {
	return strings.ReplaceAll(fmt.Sprint(numbers), " ", ", ")
}

// answerBatches is the server's side of a talk. It returns an error, in the end that
// of the page's close frame.
func answerBatches(conn *websocket.Conn, wire *traffic, batches []batch, write writer) (shares []share, err error) {
	n := 0
	var buf []byte
	for _, b := range batches {
		in, out, size := wire.in.Load(), wire.out.Load(), 0
		for i, want := range b.messages {
			var got message
			if got, buf, err = read(conn, n, buf); err != nil {
				return shares, fmt.Errorf("%s, message %d: %w", b.name, i, err)
			}
			if got.messageType != want.messageType || !bytes.Equal(got.data, want.data) {
				return shares, fmt.Errorf("%s, message %d is not what the page sent", b.name, i)
			}
			if err := write(conn, n, want); err != nil {
				return shares, fmt.Errorf("%s, echo of message %d: %w", b.name, i, err)
			}
			size += len(want.data)
			n++
		}
		of := func(bytes int64) float64 { return float64(bytes-int64(b.noise)) / float64(size-b.noise) }
		shares = append(shares, share{in: of(wire.in.Load() - in), out: of(wire.out.Load() - out)})
	}
	_, _, err = conn.ReadMessage()
	return shares, err
}

// read reads the n-th message in one of the ways that there are. What it returns
// may be in buf's memory.
func read(conn *websocket.Conn, n int, buf []byte) (m message, _ []byte, err error) {
	switch n / 2 % 3 {
	case 0:
		m.messageType, m.data, err = conn.ReadMessage()
	case 1:
		m.messageType, buf, err = conn.AppendMessage(buf[:0])
		m.data = buf
	default:
		var r io.Reader
		if m.messageType, r, err = conn.NextReader(); err == nil {
			m.data, err = io.ReadAll(r)
		}
	}
	return m, buf, err
}

// writeInTurn is a writer that sends messages in one of the ways that there are.
func writeInTurn(conn *websocket.Conn, i int, m message) error {
	switch i % 7 {
	case 0:
		p, err := websocket.NewPreparedMessage(m.messageType, m.data)
		if err != nil {
			return err
		}
		return conn.WritePreparedMessage(p)
	case 1, 2:
		return writeInPieces(conn, m, func() error { return nil })
	default:
		return conn.WriteMessage(m.messageType, m.data)
	}
}

// writeInPieces sends a message of more than 16 KiB in several frames and calls
// between after each piece but the last.
func writeInPieces(conn *websocket.Conn, m message, between func() error) error {
	w, err := conn.NextWriter(m.messageType)
	if err != nil {
		return err
	}
	for rest := m.data; len(rest) > 0; {
		piece := rest[:min(len(rest), 20_000)]
		rest = rest[len(piece):]
		if _, err := w.Write(piece); err != nil {
			return err
		}
		if len(rest) > 0 {
			if err := between(); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

// A pinger sends pings between the frames of messages.
type pinger struct {
	pings int
	pongs []string
}

func (p *pinger) write(conn *websocket.Conn, i int, m message) error {
	if i == 0 {
		conn.SetPongHandler(func(data string) error {
			p.pongs = append(p.pongs, data)
			return nil
		})
	}
	return writeInPieces(conn, m, func() error {
		p.pings++
		return conn.WriteControl(websocket.PingMessage, fmt.Append(nil, p.pings), time.Now().Add(patience))
	})
}

// writeChanging is a writer that turns compression off and on and changes its level
// all the time.
func writeChanging(conn *websocket.Conn, i int, m message) error {
	conn.EnableWriteCompression(i%3 != 0)
	if err := conn.SetCompressionLevel([]int{1, 9, 0, -1}[i%4]); err != nil {
		return err
	}
	return writeInTurn(conn, i, m)
}
