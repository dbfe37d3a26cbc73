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
	if err != nil {
		asRead(err)
	}
	return s.n, err
}

// asRead calls an error of RawConn.Read, "raw-read", what one of Read is called.
func asRead(err error) {
	if e := (*net.OpError)(nil); errors.As(err, &e) {
		e.Op = "read"
	}
}

func (s *rawSeam) small() bool { return false }

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
	_ = s.raw.Write(w.try) // whatever it is, a Write will say it again
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

func (s *rawSeam) gathers() bool { return true }

// Two pieces of memory, as net.Conns of sockets take them. They are pooled because
// net.Buffers changes what it is called on.
type rawBoth struct {
	pieces  [2][]byte
	buffers net.Buffers
}

var rawBoths = sync.Pool{New: func() any { return new(rawBoth) }}

func (s *rawSeam) writeBoth(a, b []byte) (int, error) {
	v := rawBoths.Get().(*rawBoth)
	v.pieces = [2][]byte{a, b}
	v.buffers = v.pieces[:]
	n, err := v.buffers.WriteTo(s.conn)
	*v = rawBoth{}
	rawBoths.Put(v)
	return int(n), err
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
			s.n = n
			return true
		}
		s.from.giveBack()
		if err == syscall.EAGAIN {
			return false
		}
		s.fail(err)
		return true
	}
}

// fail is told of a read that brought nothing.
func (s *rawSeam) fail(err error) {
	if err == nil {
		s.err = io.EOF
		return
	}
	s.err = &net.OpError{
		Op: "read", Net: s.conn.LocalAddr().Network(),
		Source: s.conn.LocalAddr(), Addr: s.conn.RemoteAddr(),
		Err: os.NewSyscallError("read", err),
	}
}
