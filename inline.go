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

// What a Write would wait for is not known.
func (s *inlineSeam) tryWrite([]byte) int { return 0 }

func (s *inlineSeam) gathers() bool { return false }

func (s *inlineSeam) writeBoth(a, b []byte) (int, error) {
	n, err := s.conn.Write(a)
	if err != nil {
		return n, err
	}
	m, err := s.conn.Write(b)
	return n + m, err
}
