package load

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A Target is a server to connect to.
type Target struct {
	Address string
	Mode    traffic.Mode
	TLS     bool // whoever the server says it is
	Bare    bool // the server is told how long messages are, and does not unmask
}

// Request is the opening handshake, for messages of that size.
func (t Target) Request(payload int) string {
	s := "GET / HTTP/1.1\r\n"
	if t.Bare {
		s = fmt.Sprintf("GET /?%s=%d HTTP/1.1\r\n", traffic.BarePayload, payload)
	}
	s += "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + traffic.Key + "\r\n"
	if t.Mode.Compresses() {
		s += "Sec-WebSocket-Extensions: " + t.Mode.Offer() + "\r\n"
	}
	return s + "\r\n"
}

// CheckResponse reads the server's response and says whether it is the mode's.
func CheckResponse(r *bufio.Reader, mode traffic.Mode) error {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("load: the server answered %s", response.Status)
	}
	if accept := response.Header.Get("Sec-WebSocket-Accept"); accept != traffic.Accept {
		return fmt.Errorf("load: the server accepted with %q", accept)
	}
	return mode.Check(response.Header.Get("Sec-WebSocket-Extensions"))
}

func (t Target) dial(payload int) (*conn, error) {
	nc, err := net.Dial("tcp", t.Address)
	if err != nil {
		return nil, err
	}
	if t.TLS {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	c := &conn{Conn: nc, r: bufio.NewReaderSize(nc, 16<<10)}
	if err = c.SetDeadline(time.Now().Add(patience)); err == nil {
		if _, err = io.WriteString(c, t.Request(payload)); err == nil {
			err = CheckResponse(c.r, t.Mode)
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}
