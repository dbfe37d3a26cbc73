package websocket

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

const (
	// lingerTime and lingerBytes bound what is read from a peer that was told to end.
	lingerTime  = 100 * time.Millisecond
	lingerBytes = 1 << 20
)

// linger is called before the transport is closed behind a close frame that says what the peer
// did wrong, with which it may be going on. Bytes that nobody has read make a system reset the TCP connection, and a reset
// may overtake that frame, or have the peer's system drop it. So it says that no more will come
// and reads, for a bounded time, until the peer has said so too.
func (t transport) linger() {
	if over, ok := t.Conn.(*tls.Conn); ok && over.CloseWrite() != nil {
		return
	}
	var half interface {
		net.Conn
		CloseWrite() error
	}
	switch lowest := belowTLS(t.Conn).(type) { // by type, as in newTransport
	case *net.TCPConn:
		half = lowest
	case *net.UnixConn:
		half = lowest
	default:
		return
	}
	if half.SetReadDeadline(time.Now().Add(lingerTime)) != nil || half.CloseWrite() != nil {
		return
	}
	buf := bufpool.Get(bufpool.Size)
	defer bufpool.Put(buf)
	for left := lingerBytes; left > 0; {
		n, err := half.Read(buf.Data)
		if err != nil {
			return
		}
		left -= n
	}
}

// belowTLS is the connection that conn runs over, if it is one of TLS.
func belowTLS(conn net.Conn) net.Conn {
	for {
		over, ok := conn.(*tls.Conn)
		if !ok {
			return conn
		}
		conn = over.NetConn()
	}
}
