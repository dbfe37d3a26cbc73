package websocket

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// A seam is what a connection does to its transport otherwise than by the
// net.Conn's Read and Write: it waits for bytes while it holds no memory to put
// them in, and writes without waiting. There are two: rawSeam asks the operating
// system, inlineSeam has the Read of the net.Conn wait, into a few bytes of its own.
type seam interface {
	// readSome waits until something can be read from conn, reads it into memory
	// that it borrows then, and returns the number of bytes. Where it returns 0
	// and an error, nothing stays borrowed.
	readSome(conn net.Conn, from lender) (n int, err error)

	// tryWrite writes as much of p as can be written without waiting, and
	// returns how much that is. What keeps it from writing more is for a Write of
	// the rest to find out. It needs no deadline, as it does not wait.
	tryWrite(p []byte) int

	// raw reports whether it asks the system. If not, readSome reads a few bytes only,
	// however many there are, and tryWrite writes nothing.
	raw() bool
}

// A lender has memory to read into, at most one piece at a time.
type lender interface {
	lend() []byte
	giveBack()
}

// A transport is the net.Conn below a connection and the seam to wait on it.
type transport struct {
	net.Conn
	seam seam
}

// newTransport looks at the concrete type of conn, not at its methods: a
// wrapper that embeds a *net.TCPConn has the methods that reach past its own
// Read, and reaching past it would lose what it does.
func newTransport(conn net.Conn) transport {
	var raw syscall.RawConn
	var err error
	switch conn := conn.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
	case *net.UnixConn:
		raw, err = conn.SyscallConn()
	}
	if raw == nil || err != nil {
		return transport{conn, new(inlineSeam)}
	}
	return transport{conn, newRawSeam(raw)}
}

// isDeadline reports whether err says that a deadline passed, and that the same
// may be tried again once it was moved. TLS calls the timeout of a write not
// temporary, since part of a record may have gone out. ETIMEDOUT calls itself a
// timeout too, but it is the end of a TCP connection.
func isDeadline(err error) bool {
	if err == nil {
		return false
	}
	var e interface {
		error
		Timeout() bool
		Temporary() bool
	}
	return errors.As(err, &e) && e.Timeout() && e.Temporary() && !errors.Is(err, syscall.ETIMEDOUT)
}

var errReadCount = errors.New("websocket: a Read returned an impossible count")

// readAtLeastOnce reads into p, and asks again where a Read returns nothing
// and no error, which io.Reader allows and discourages.
func readAtLeastOnce(r io.Reader, p []byte) (n int, err error) {
	for range 100 {
		n, err = r.Read(p)
		switch {
		case n < 0 || n > len(p):
			return 0, errReadCount
		case n > 0:
			// An error that comes with bytes is dropped: io.Reader has it come
			// again, alone.
			return n, nil
		case err != nil:
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// Two pieces of memory, as net.Conns of sockets take them. They are pooled because
// net.Buffers changes what it is called on.
type twoPieces struct {
	pieces  [2][]byte
	buffers net.Buffers
}

var twoPiecesPool = sync.Pool{New: func() any { return new(twoPieces) }}

// writeBoth writes a and b, in one system call if conn is a socket.
func writeBoth(conn net.Conn, a, b []byte) (int, error) {
	v := twoPiecesPool.Get().(*twoPieces)
	v.pieces = [2][]byte{a, b}
	v.buffers = v.pieces[:]
	n, err := v.buffers.WriteTo(conn)
	*v = twoPieces{}
	twoPiecesPool.Put(v)
	return int(n), err
}
