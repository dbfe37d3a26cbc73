package library

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// accept answers a key (RFC 6455 §4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// converse sends a stream and the end of it, and returns what comes back until the other
// side has closed the connection; hangs says that it has not.
func converse(nc net.Conn, from *bufio.Reader, stream streams.Stream) (sent []byte, hangs bool) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		for _, piece := range [][]byte{stream.Bytes[:stream.Cut], stream.Bytes[stream.Cut:]} {
			if _, err := nc.Write(piece); err != nil {
				return // it is closed already
			}
		}
		_ = nc.(*net.UnixConn).CloseWrite() // unless it is closed already
	}()
	// Where something that was sent is not read, the end is an error.
	sent, err := io.ReadAll(from)
	<-written
	return sent, errors.Is(err, os.ErrDeadlineExceeded)
}

// closeCode is the code of the first close frame among those that were sent.
func closeCode(sent []byte, masked bool) int {
	for len(sent) > 0 {
		switch {
		case len(sent) < 2 || sent[0]&0x70 != 0:
			return Garbage
		case sent[1]>>7 == 1 != masked:
			return WronglyMasked
		}
		length, header := int(sent[1]&0x7F), 2
		if masked {
			header += 4
		}
		// Nothing but pongs and close frames is sent.
		if length > 125 || len(sent) < header+length {
			return Garbage
		}
		payload := sent[header : header+length]
		if masked {
			for i := range payload {
				payload[i] ^= sent[2+i%4]
			}
		}
		switch {
		case sent[0] == 0x88 && length == 0:
			return oracle.NoStatus
		case sent[0] == 0x88 && length > 1:
			return int(binary.BigEndian.Uint16(payload))
		case sent[0] != 0x8A:
			return Garbage
		}
		sent = sent[header+length:]
	}
	return oracle.None
}
