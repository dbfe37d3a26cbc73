//go:build !unix

package websocket

import "syscall"

// newRawSeam has nothing better to offer where a socket cannot be waited for
// without a read under way.
func newRawSeam(syscall.RawConn) seam { return new(inlineSeam) }
