//go:build unix

package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// A rawSeam waits for a socket to become readable by the runtime's poller, and
// borrows memory only when it is.
type rawSeam struct {
	conn syscall.RawConn
	try  func(fd uintptr) bool // s.read, made once: a fresh one for each wait would be garbage

	// Of the readSome under way. got is what the system's read returned, or its error
	// number below 0: an idle connection has one of these, so that it is to be small.
	from lender
	got  int
}

func newRawSeam(conn syscall.RawConn) seam {
	s := &rawSeam{conn: conn}
	s.try = s.read
	return s
}

func (s *rawSeam) readSome(conn net.Conn, from lender) (int, error) {
	s.from, s.got = from, 0
	err := s.conn.Read(s.try)
	s.from = nil
	if s.got > 0 {
		return s.got, nil
	}
	return 0, s.readError(conn, err)
}

// readError is what a read ended with that brought nothing. It is apart from readSome, in which
// idle connections wait, for the sake of their stacks.
func (s *rawSeam) readError(conn net.Conn, err error) error {
	switch {
	case err != nil:
		asRead(err)
		return err
	case s.got == 0:
		return io.EOF
	}
	return &net.OpError{
		Op: "read", Net: conn.LocalAddr().Network(),
		Source: conn.LocalAddr(), Addr: conn.RemoteAddr(),
		Err: os.NewSyscallError("read", syscall.Errno(-s.got)),
	}
}

// asRead calls an error of RawConn.Read, "raw-read", what one of Read is called.
func asRead(err error) {
	if e := (*net.OpError)(nil); errors.As(err, &e) {
		e.Op = "read"
	}
}

func (s *rawSeam) raw() bool { return true }

// A rawWrite is a tryWrite under way. It is pooled, so that a connection that writes
// nothing keeps nothing for it.
type rawWrite struct {
	p   []byte
	n   int
	try func(fd uintptr) bool // w.write, made once
}

var rawWrites = sync.Pool{New: func() any {
	w := new(rawWrite)
	w.try = w.write
	return w
}}

func (s *rawSeam) tryWrite(p []byte) int {
	w := rawWrites.Get().(*rawWrite)
	w.p, w.n = p, 0
	_ = s.conn.Write(w.try) // whatever it is, a Write will say it again
	n := w.n
	w.p = nil
	rawWrites.Put(w)
	return n
}

// write is called with a socket and never has it waited for.
func (w *rawWrite) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.p)
		if err == syscall.EINTR {
			continue
		}
		w.n = max(n, 0)
		return true
	}
}

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
			s.got = n
			return true
		}
		s.from.giveBack()
		if err == syscall.EAGAIN {
			return false
		}
		if errno, ok := err.(syscall.Errno); ok {
			s.got = -int(errno)
		}
		return true
	}
}
