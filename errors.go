package websocket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
)

// Close codes, RFC 6455 §7.4.1 and the IANA registry that §11.7 set up.
const (
	CloseNormalClosure           = 1000
	CloseGoingAway               = 1001
	CloseProtocolError           = 1002
	CloseUnsupportedData         = 1003
	CloseNoStatusReceived        = 1005
	CloseAbnormalClosure         = 1006
	CloseInvalidFramePayloadData = 1007
	ClosePolicyViolation         = 1008
	CloseMessageTooBig           = 1009
	CloseMandatoryExtension      = 1010
	CloseInternalServerErr       = 1011
	CloseServiceRestart          = 1012
	CloseTryAgainLater           = 1013
	CloseTLSHandshake            = 1015
)

var (
	// ErrCloseSent is returned by every write that is tried after a close
	// frame went out (RFC 6455 §5.5.1). Reading goes on until the peer's own
	// close frame arrives.
	ErrCloseSent = errors.New("websocket: close sent")

	// ErrReadLimit is returned by the read methods when a message is larger
	// than the limit set with [Conn.SetReadLimit] (by default 1 MiB on a
	// server's connection and 32 MiB on a client's), or is cut into more
	// frames than 1,024 plus one for each byte of its payload. Of a compressed
	// message the size once inflated counts; on the wire it may be over the
	// limit by a sixteenth and 64 bytes, and, with or without a limit, more
	// than a thousand of its blocks may not be without output. The peer is
	// sent close code 1009; nothing more can be read.
	ErrReadLimit = errors.New("websocket: read limit exceeded")

	// ErrQueueFull is returned for a message that a [SendQueue] has no room for
	// and drops, or because of which it has closed the connection.
	ErrQueueFull = errors.New("websocket: send queue is full")
)

// ErrKeepaliveTimeout is returned by the read methods when the peer of a connection with a
// [Keepalive] sent nothing, not even the answer to a ping. It unwraps to
// os.ErrDeadlineExceeded, which is a timeout, but no later read will succeed.
var ErrKeepaliveTimeout = fmt.Errorf("websocket: keepalive timeout: nothing came from the peer: %w", os.ErrDeadlineExceeded)

// errConnClosed is what reads and writes return after [Conn.Close] if they have
// no earlier reason to fail. errors.Is(err, net.ErrClosed) holds.
var errConnClosed = fmt.Errorf("websocket: %w", net.ErrClosed)

// errCorkedLost is what Close returns if the transport did not take at once the
// messages whose writes had returned already.
var errCorkedLost = errors.New("websocket: closed before the last messages that were written could be sent")

// errTransportPanicked is what writes return after a Write of the program's
// own net.Conn panicked, which leaves a frame cut at nobody knows where.
var errTransportPanicked = errors.New("websocket: the transport panicked while a frame was written")

// Mistakes of the caller. None of them harms the connection.
var (
	errNoConn           = errors.New("websocket: a zero Conn was used: get one from an Upgrader or a Dialer")
	errNoContext        = errors.New("websocket: nil in place of a context: use context.Background()")
	errConcurrentRead   = errors.New("websocket: concurrent read: one goroutine at a time may read from a connection")
	errNoPong           = errors.New("websocket: Ping on a connection on which reading has ended: another goroutine must be reading")
	errBadMessageType   = errors.New("websocket: bad write message type: use TextMessage, BinaryMessage, CloseMessage, PingMessage or PongMessage")
	errNotControl       = errors.New("websocket: WriteControl takes CloseMessage, PingMessage or PongMessage")
	errControlTooLong   = errors.New("websocket: control frame payload over 125 bytes: use at most that (RFC 6455 section 5.5)")
	errCloseCodeUnsent  = errors.New("websocket: close payload must be empty or start with a close code that may be sent: not below 1000, 1005, 1006, 1015, or above 4999 (RFC 6455 section 7.4)")
	errCompressionLevel = errors.New("websocket: invalid compression level: use -2 to 9")
	errNotPrepared      = errors.New("websocket: a PreparedMessage that NewPreparedMessage did not make: use that")
	errWriterClosed     = errors.New("websocket: write to a closed message writer: call NextWriter for another message")
)

// A timeoutError is a write that ran into its deadline before any byte of it
// went out. The connection is as it was: the write may be repeated.
type timeoutError string

func (e timeoutError) Error() string        { return string(e) }
func (e timeoutError) Timeout() bool        { return true }
func (e timeoutError) Temporary() bool      { return true }
func (e timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

const (
	errWriteTimeout = timeoutError("websocket: write timeout")
	errStreamOpen   = timeoutError("websocket: write timeout: the writer of an earlier NextWriter has sent part of its message and was not closed")
)

// A CloseError is returned by the read methods when the connection ended: with
// the code and reason of the peer's close frame, with 1005 where that frame had
// none, or with 1006 where the peer's bytes ended without a close frame
// (RFC 6455 §7.1.5).
type CloseError struct {
	// Code is the close code, RFC 6455 §7.4.
	Code int

	// Text is the close reason, at most 123 bytes of UTF-8. It may be empty.
	Text string
}

func (e *CloseError) Error() string {
	s := "websocket: close " + strconv.Itoa(e.Code)
	if name, ok := closeCodeNames[e.Code]; ok {
		s += " (" + name + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

var closeCodeNames = map[int]string{
	CloseNormalClosure:           "normal",
	CloseGoingAway:               "going away",
	CloseProtocolError:           "protocol error",
	CloseUnsupportedData:         "unsupported data",
	CloseNoStatusReceived:        "no status",
	CloseAbnormalClosure:         "abnormal closure",
	CloseInvalidFramePayloadData: "invalid payload data",
	ClosePolicyViolation:         "policy violation",
	CloseMessageTooBig:           "message too big",
	CloseMandatoryExtension:      "mandatory extension missing",
	CloseInternalServerErr:       "internal server error",
	CloseServiceRestart:          "service restart",
	CloseTryAgainLater:           "try again later",
	CloseTLSHandshake:            "TLS handshake error",
}

// IsCloseError reports whether err is a *[CloseError] with one of the codes.
func IsCloseError(err error, codes ...int) bool {
	var e *CloseError
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

// IsUnexpectedCloseError reports whether err is a *[CloseError] with a code
// that is none of expectedCodes.
func IsUnexpectedCloseError(err error, expectedCodes ...int) bool {
	var e *CloseError
	return errors.As(err, &e) && !slices.Contains(expectedCodes, e.Code)
}

// A ProtocolError is returned by the read methods when the peer broke a rule
// of the protocol. The peer was sent Code in a close frame, where the
// connection still took one within a second; nothing more can be read.
// The value is shared between connections and must not be changed.
type ProtocolError struct {
	// Code is the close code that the rule asks for: 1002 or 1007.
	Code int

	// Rule says what the peer did.
	Rule string

	// Section is where the rule is written, for example "RFC 6455 section 5.5".
	Section string
}

func (e *ProtocolError) Error() string {
	return "websocket: " + e.Rule + " (" + e.Section + ")"
}

// A HandshakeError describes what was wrong with the request of a client's
// opening handshake. It is returned by [Upgrader.Upgrade] and handed to
// [Upgrader.Error], as a value.
type HandshakeError struct {
	message string
}

func (e HandshakeError) Error() string { return e.message }

// ErrBadHandshake is returned by the Dialer when the server's response to the
// opening handshake is not the one that RFC 6455 §4.1 asks for. The response
// comes beside it, with the first 1,024 bytes of its body.
var ErrBadHandshake = errors.New("websocket: bad handshake")
