//go:build !unix

package websocket

import (
	"net"
	"syscall"
)

// newRawSeam has nothing better to offer where a socket cannot be waited for
// without a read under way.
func newRawSeam(conn net.Conn, _ syscall.RawConn) seam {
	return &inlineSeam{conn: conn}
}
