//go:build unix

package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// A rawSeam waits for a socket to become readable by the runtime's poller, and
// borrows memory only when it is.
type rawSeam struct {
	conn net.Conn
	raw  syscall.RawConn
	try  func(fd uintptr) bool // s.read, made once: a fresh one for each wait would be garbage

	// Of the readSome under way.
	from lender
	n    int
	err  error
}

func newRawSeam(conn net.Conn, raw syscall.RawConn) seam {
	s := &rawSeam{conn: conn, raw: raw}
	s.try = s.read
	return s
}

func (s *rawSeam) readSome(from lender) (int, error) {
	s.from, s.n, s.err = from, 0, nil
	err := s.raw.Read(s.try)
	s.from = nil
	if err == nil && s.n == 0 {
		err = s.err
	}
	if err != nil { // errors.As costs an allocation
		if e := (*net.OpError)(nil); errors.As(err, &e) {
			e.Op = "read" // RawConn.Read calls it "raw-read"
		}
	}
	return s.n, err
}

func (s *rawSeam) small() bool { return false }

// read is called with a socket that may be readable and returns false to wait
// until it is. It runs under the lock of the file descriptor, where Close
// waits for it and a Read would deadlock, so it runs nobody's code but ours.
func (s *rawSeam) read(fd uintptr) bool {
	p := s.from.lend()
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case err == syscall.EINTR:
			continue
		case n > 0:
			s.n = n
			return true
		}
		s.from.giveBack()
		switch err {
		case syscall.EAGAIN:
			return false
		case nil:
			s.err = io.EOF
		default:
			s.err = &net.OpError{
				Op: "read", Net: s.conn.LocalAddr().Network(),
				Source: s.conn.LocalAddr(), Addr: s.conn.RemoteAddr(),
				Err: os.NewSyscallError("read", err),
			}
		}
		return true
	}
}
