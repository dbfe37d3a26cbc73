package websocket

import "net"

// An inlineSeam waits in the Read of a transport of which nothing more is
// known: TLS, a wrapper, a pipe, any transport on Windows. The few bytes that
// it reads into are enough for the header that a frame starts with.
type inlineSeam struct{ few [16]byte }

func (s *inlineSeam) readSome(conn net.Conn, from lender) (int, error) {
	n, err := readAtLeastOnce(conn, s.few[:])
	if err != nil {
		return 0, err
	}
	return copy(from.lend(), s.few[:n]), nil
}

// What a Write would wait for is not known.
func (s *inlineSeam) tryWrite([]byte) int { return 0 }

func (s *inlineSeam) raw() bool { return false }
