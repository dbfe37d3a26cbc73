package websocket

import "net"

// An inlineSeam waits in the Read of a transport of which nothing more is
// known: TLS, a wrapper, a pipe, any transport on Windows. The few bytes that
// it reads into are enough for the header that a frame starts with.
type inlineSeam struct {
	conn net.Conn
	few  [16]byte
}

func (s *inlineSeam) readSome(from lender) (int, error) {
	n, err := readAtLeastOnce(s.conn, s.few[:])
	if err != nil {
		return 0, err
	}
	return copy(from.lend(), s.few[:n]), nil
}

func (s *inlineSeam) small() bool { return true }
