package servers

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// bare is the limit for what has a net.Conn and a goroutine for each connection:
// an echo that is told with the request how long all messages are, answers what
// one Read brought with one Write, and does nothing else. The bytes on the wire
// are as many as those of a WebSocket server, but payloads go back as they were
// masked.
var bare = Library{
	Name: "bare", Modes: []traffic.Mode{traffic.Plain}, Lax: true, Without: []Place{InHandler}, WithoutTLS: true,
	Own: bareListen, Broadcast: bareBroadcast,
}

// switching is an answer to the opening handshake. Every client here sends the
// same key.
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: " + traffic.Accept + "\r\n\r\n"

type bareConn struct{ net.Conn }

// bareFrames are where frames are put together.
var bareFrames = sync.Pool{New: func() any { return new([]byte) }}

func (c bareConn) Send(kind Kind, p []byte) error {
	pooled := bareFrames.Get().(*[]byte)
	defer bareFrames.Put(pooled)
	*pooled = bareFrame((*pooled)[:0], kind, p)
	_, err := c.Write(*pooled)
	return err
}

// bareHeader appends the header of a server's frame (RFC 6455 §5.2).
func bareHeader(dst []byte, kind Kind, payload int) []byte {
	dst = append(dst, 0x80|byte(kind)) // FIN
	switch {
	case payload <= 125:
		return append(dst, byte(payload))
	case payload <= 65535:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(payload))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(payload))
}

func bareFrame(dst []byte, kind Kind, p []byte) []byte {
	return append(bareHeader(dst, kind, len(p)), p...)
}

func bareListen(_ Style, on Events) (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go bareServe(c, on)
		}
	}()
	return listener.Addr().String(), nil
}

func bareServe(nc net.Conn, on Events) {
	defer nc.Close()
	payload, err := bareShake(nc)
	if err != nil {
		return
	}
	c := bareConn{nc}
	on.Opened(c)
	on.Closed(c, bareEcho(nc, payload))
}

// bareShake reads the request, behind which nothing comes before it is answered,
// and looks for the one thing in it.
func bareShake(c net.Conn) (payload int, err error) {
	var request []byte
	for !bytes.HasSuffix(request, []byte("\r\n\r\n")) {
		if len(request) == cap(request) {
			request = slices.Grow(request, 512)
		}
		n, err := c.Read(request[len(request):cap(request)])
		if err != nil {
			return 0, err
		}
		request = request[:len(request)+n]
	}
	_, value, _ := bytes.Cut(request, []byte("?"+traffic.BarePayload+"="))
	value, _, _ = bytes.Cut(value, []byte(" "))
	if payload, err = strconv.Atoi(string(value)); err != nil {
		return 0, err
	}
	if payload < 0 || payload > 1<<30 {
		return 0, errors.New("servers: bare has no such messages")
	}
	_, err = io.WriteString(c, switching)
	return payload, err
}

// bareEcho answers frames, which differ from their answers by the key and the bit
// for it.
func bareEcho(c net.Conn, payload int) error {
	const key = 4
	header := bareHeader(nil, Binary, payload)
	answer := len(header) + payload
	frame := answer + key
	buffer := make([]byte, max(frame, 16<<10))
	have := 0
	for {
		n, err := c.Read(buffer[have:])
		if err != nil {
			return err
		}
		have += n
		whole := have / frame * frame
		if whole == 0 {
			continue
		}
		// The first payload stays where it is, so that one alone is not copied.
		end := key
		for at := 0; at < whole; at += frame {
			copy(buffer[end:], header)
			if at > 0 {
				copy(buffer[end+len(header):], buffer[at+len(header)+key:at+frame])
			}
			end += answer
		}
		if _, err := c.Write(buffer[key:end]); err != nil {
			return err
		}
		have = copy(buffer, buffer[whole:have])
	}
}

// bareBroadcast is a write for each.
func bareBroadcast(to []Conn, p []byte) error {
	frame := bareFrame(nil, Binary, p)
	for _, c := range to {
		if _, err := c.(bareConn).Write(frame); err != nil {
			return err
		}
	}
	return nil
}
