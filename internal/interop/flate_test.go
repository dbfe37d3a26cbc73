package interop

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A flatePeer is a WebSocket peer of RFC 6455 and RFC 7692 on compress/flate,
// whose window is always 32 KiB. It sends messages back, as peer.js does.
type flatePeer struct {
	net.Conn
	*rand.Rand
	in                *bufio.Reader
	masks             bool // it is the client
	takesOver, weTake bool // its messages refer to earlier ones, and ours do

	inflater io.Reader
	history  []byte // what came out of our messages last
	deflater *flate.Writer
	squeezed bytes.Buffer

	pings    int
	answered int // the last ping with a pong

	inflated int // messages of ours that were compressed
}

const (
	tail = "\x00\x00\xff\xff"
	end  = "\x01" + tail // an empty stored block that is the last
)

func newFlatePeer(conn net.Conn, in *bufio.Reader, client bool, s set) *flatePeer {
	p := &flatePeer{Conn: conn, in: in, masks: client, Rand: rand.New(rand.NewPCG(1, 1))}
	p.takesOver, p.weTake = s.serverTakeover, s.clientTakeover
	if client {
		p.takesOver, p.weTake = p.weTake, p.takesOver
	}
	p.inflater = flate.NewReader(nil)
	p.deflater, _ = flate.NewWriter(&p.squeezed, flate.DefaultCompression)
	return p
}

// send sends one frame. first has FIN, RSV1 and the opcode.
func (p *flatePeer) send(first byte, payload []byte) error {
	frame := []byte{first}
	mask := byte(0)
	if p.masks {
		mask = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, mask|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, mask|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, mask|127), uint64(n))
	}
	if p.masks {
		key := binary.LittleEndian.AppendUint32(nil, p.Uint32())
		frame = append(frame, key...)
		for i, b := range payload {
			frame = append(frame, b^key[i%4])
		}
	} else {
		frame = append(frame, payload...)
	}
	_, err := p.Write(frame)
	return err
}

// receive reads one frame. A length in more bytes than it needs is an error.
func (p *flatePeer) receive() (first byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(p.in, head); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1] & 0x7f)
	if n > 125 {
		long := make([]byte, 8)
		if n == 126 {
			_, err = io.ReadFull(p.in, long[6:])
		} else {
			_, err = io.ReadFull(p.in, long)
		}
		least := map[uint64]uint64{126: 126, 127: 1 << 16}[n]
		n = binary.BigEndian.Uint64(long)
		if err == nil && (n < least || n > 2*maxMessage) {
			err = fmt.Errorf("a length of %d that should not be, or not so", n)
		}
	}
	key := make([]byte, 4)
	if masked := head[1]&0x80 != 0; masked == p.masks {
		return 0, nil, errors.Join(err, fmt.Errorf("masked: %t", masked))
	} else if masked && err == nil {
		_, err = io.ReadFull(p.in, key)
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.in, payload)
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return head[0], payload, err
}

// inflate decodes a message of ours.
func (p *flatePeer) inflate(message []byte) ([]byte, error) {
	if len(message) == 0 {
		return nil, errors.New("a compressed message of no bytes")
	}
	if !p.weTake {
		p.history = nil
	}
	if err := p.inflater.(flate.Resetter).Reset(io.MultiReader(bytes.NewReader(message), bytes.NewReader([]byte(tail+end))), p.history); err != nil {
		return nil, err
	}
	out, err := io.ReadAll(p.inflater)
	p.history = append(p.history, out...)
	p.history = bytes.Clone(p.history[max(0, len(p.history)-32<<10):])
	return out, err
}

// echo sends a message in frames that begin anywhere, or as it is.
func (p *flatePeer) echo(opcode byte, message []byte) error {
	const rsv1, fin = 0x40, 0x80
	first, rest := opcode, message
	if p.IntN(8) != 0 {
		p.squeezed.Reset()
		if !p.takesOver {
			p.deflater.Reset(&p.squeezed)
		}
		if _, err := p.deflater.Write(message); err != nil {
			return err
		}
		if err := p.deflater.Flush(); err != nil {
			return err
		}
		first, rest = first|rsv1, bytes.TrimSuffix(p.squeezed.Bytes(), []byte(tail))
	}
	for range p.IntN(3) * p.IntN(4) {
		n := p.IntN(min(len(rest), 1+p.IntN(1000)) + 1)
		if err := p.send(first, rest[:n]); err != nil {
			return err
		}
		first, rest = 0, rest[n:]
		if p.IntN(20) == 0 {
			if err := p.ping(); err != nil {
				return err
			}
		}
	}
	return p.send(first|fin, rest)
}

func (p *flatePeer) ping() error {
	p.pings++
	return p.send(0x80|websocket.PingMessage, []byte(strconv.Itoa(p.pings)))
}

// pong is called for our pongs. One may answer several pings, and nothing says
// that a pong for an earlier ping may not come later (RFC 6455 §5.5.3).
func (p *flatePeer) pong(payload []byte) error {
	n, err := strconv.Atoi(string(payload))
	if err == nil && (n < 1 || n > p.pings) {
		err = fmt.Errorf("a pong for ping %d of %d", n, p.pings)
	}
	p.answered = max(p.answered, n)
	return err
}

// run sends messages back and then closes.
func (p *flatePeer) run(messages int) error {
	var message []byte
	opcode, compressed := byte(0), false
	for done := 0; done < messages || p.answered < p.pings; {
		first, payload, err := p.receive()
		if err != nil {
			return err
		}
		fin, rsv, op := first&0x80 != 0, first&0x70, first&0xf
		switch {
		case rsv != 0 && (rsv != 0x40 || op != websocket.TextMessage && op != websocket.BinaryMessage):
			return fmt.Errorf("a frame that begins with %#x", first)
		case op == websocket.PingMessage && rsv == 0:
			if err := p.send(0x80|websocket.PongMessage, payload); err != nil {
				return err
			}
			continue
		case op == websocket.PongMessage && rsv == 0:
			if err := p.pong(payload); err != nil {
				return err
			}
			continue
		case op == 0 == (opcode == 0), op > websocket.BinaryMessage:
			return fmt.Errorf("opcode %d in a message of %d", op, opcode)
		}
		if op != 0 {
			opcode, compressed = op, rsv != 0
		}
		message = append(message, payload...)
		if !fin {
			continue
		}
		if compressed {
			if message, err = p.inflate(message); err != nil {
				return fmt.Errorf("message %d: %w", done, err)
			}
			p.inflated++
		}
		if done++; done%10 == 0 {
			if err := p.ping(); err != nil {
				return err
			}
		}
		if err := p.echo(opcode, message); err != nil {
			return err
		}
		message, opcode = nil, 0
	}
	closing := binary.BigEndian.AppendUint16(nil, websocket.CloseNormalClosure)
	if err := p.send(0x80|websocket.CloseMessage, append(closing, "done"...)); err != nil {
		return err
	}
	for {
		switch first, _, err := p.receive(); {
		case err != nil:
			return fmt.Errorf("after the close frame: %w", err)
		case first == 0x80|websocket.CloseMessage:
			return nil
		case first != 0x80|websocket.PongMessage:
			return fmt.Errorf("after the close frame: %#x", first)
		}
	}
}

const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 §1.3

// serve answers the handshake of our client.
func (p *flatePeer) serve(answer string) error {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + acceptGUID))
	_, err = fmt.Fprintf(p, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]), answer)
	return err
}

// visit makes the handshake with our server, and returns its answer.
func (p *flatePeer) visit(host, offer string) (answer string, err error) {
	_, err = fmt.Fprintf(p, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: %s\r\n\r\n", host, offer)
	if err != nil {
		return "", err
	}
	response, err := http.ReadResponse(p.in, nil)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(response.Status)
	}
	if err != nil {
		return "", err
	}
	return response.Header.Get("Sec-WebSocket-Extensions"), nil
}

// A peer that is written here, on compress/flate, for where there is no Node. It
// cuts compressed messages into frames at any byte, and pings between those.
func TestFlatePeer(t *testing.T) {
	testnet.CheckGoroutines(t)
	messages := 100
	if testing.Short() {
		messages = 40
	}
	for _, s := range sets() {
		ours, its := s.serverBits, s.clientBits
		if s.peerServes {
			ours, its = its, ours
		}
		if its != 15 || ours != 8 && ours != 12 && ours != 15 {
			continue
		}
		t.Run(s.String(), func(t *testing.T) {
			k := talk{bits: ours, messages: messages, seed: uint64(ours), end: done}
			var p *flatePeer
			if s.peerServes {
				p, k.conn = flateServer(t, s)
			} else {
				p, k.conn = flateClient(t, s)
			}
			ran := make(chan error, 1)
			go func() {
				defer p.Close()
				ran <- p.run(messages)
			}()
			err := k.run()
			require.NoError(t, errors.Join(err, <-ran))
			require.Greater(t, p.inflated, messages/10)
		})
	}
}

func (s set) parameters() string {
	text := "permessage-deflate"
	if !s.serverTakeover {
		text += "; server_no_context_takeover"
	}
	if !s.clientTakeover {
		text += "; client_no_context_takeover"
	}
	return text
}

func flateServer(t *testing.T, s set) (*flatePeer, *websocket.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	served := make(chan *flatePeer, 1)
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		p := newFlatePeer(conn, bufio.NewReader(conn), false, s)
		if p.serve(s.parameters()) != nil {
			conn.Close()
			return
		}
		served <- p
	}()
	d := websocket.Dialer{Compression: &websocket.Compression{
		SendContextTakeover: true, ReceiveContextTakeover: true, SendWindowBits: s.clientBits, ReceiveWindowBits: 15,
	}, HandshakeTimeout: patience}
	conn, _, err := d.Dial("ws://"+l.Addr().String(), nil)
	require.NoError(t, err)
	return <-served, conn
}

func flateClient(t *testing.T, s set) (*flatePeer, *websocket.Conn) {
	server := startServer(t)
	server.upgrader.Store(&websocket.Upgrader{Compression: &websocket.Compression{
		SendContextTakeover: true, ReceiveContextTakeover: true, SendWindowBits: s.serverBits, ReceiveWindowBits: 15,
	}})
	host := server.url[len("ws://"):]
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	p := newFlatePeer(conn, bufio.NewReader(conn), true, s)
	answer, err := p.visit(host, s.parameters())
	require.NoError(t, err)
	require.Equal(t, s.parameters(), answer)
	a := <-server.conns
	require.NoError(t, a.err)
	return p, a.conn
}
