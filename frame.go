package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Message types, the opcodes of RFC 6455 §11.8.
const (
	// TextMessage is a data message of UTF-8 encoded text.
	TextMessage = 1

	// BinaryMessage is a data message of any bytes.
	BinaryMessage = 2

	// CloseMessage is a close control message. Its payload is empty, or holds
	// a close code and a reason: see [FormatCloseMessage].
	CloseMessage = 8

	// PingMessage is a ping control message of at most 125 bytes.
	PingMessage = 9

	// PongMessage is a pong control message of at most 125 bytes.
	PongMessage = 10
)

// An opcode says what a frame is, RFC 6455 §5.2.
type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = TextMessage
	opBinary       opcode = BinaryMessage
	opClose        opcode = CloseMessage
	opPing         opcode = PingMessage
	opPong         opcode = PongMessage
)

func (o opcode) isControl() bool { return o&0x8 != 0 }
func (o opcode) isData() bool    { return o == opText || o == opBinary }

func (o opcode) isReserved() bool {
	return 0x3 <= o && o <= 0x7 || 0xB <= o
}

// Bits of a frame's first two bytes, RFC 6455 §5.2.
const (
	finBit  = 0x80
	rsv1Bit = 0x40
	rsv2Bit = 0x20
	rsv3Bit = 0x10
	rsvBits = rsv1Bit | rsv2Bit | rsv3Bit
	maskBit = 0x80
)

const (
	maxHeaderSize     = 14  // two bytes, a 64-bit length, a masking key
	maxControlPayload = 125 // RFC 6455 §5.5
)

// A frameStart is the first byte of a frame to send: FIN, the reserved bits and the opcode
// (RFC 6455 §5.2).
type frameStart byte

// whole is how a message in one frame starts.
func whole(op opcode) frameStart { return finBit | frameStart(op) }

func (s frameStart) fin() bool      { return s&finBit != 0 }
func (s frameStart) opcode() opcode { return opcode(s & 0xF) }

// A header is what a frame that came says before its payload, RFC 6455 §5.2.
type header struct {
	length     uint64
	key        uint32 // masking key, first byte on the wire in the lowest bits
	opcode     opcode
	rsv        byte // the bits in place: rsv1Bit, rsv2Bit, rsv3Bit
	fin        bool
	masked     bool
	overlength bool // the length came in a longer form than it needs
}

// parseHeader reads the header at the start of b and returns the number of
// its bytes, or 0 where b does not hold all of it yet. It judges nothing:
// that is checkHeader's.
func parseHeader(b []byte) (h header, n int) {
	if len(b) < 2 {
		return header{}, 0
	}
	h.fin = b[0]&finBit != 0
	h.rsv = b[0] & rsvBits
	h.opcode = opcode(b[0] & 0xF)
	h.masked = b[1]&maskBit != 0
	n = 2
	switch short := b[1] &^ maskBit; short {
	case 126:
		if len(b) < 4 {
			return header{}, 0
		}
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
		h.overlength = h.length < 126
		n = 4
	case 127:
		if len(b) < 10 {
			return header{}, 0
		}
		h.length = binary.BigEndian.Uint64(b[2:])
		h.overlength = h.length < 1<<16
		n = 10
	default:
		h.length = uint64(short)
	}
	if h.masked {
		if len(b) < n+4 {
			return header{}, 0
		}
		h.key = binary.LittleEndian.Uint32(b[n:])
		n += 4
	}
	return h, n
}

// parseWhole is parseHeader and checkHeader at once, for the message that most are: in one
// frame of less than 64 KiB, not compressed, and wholly in b, where its payload is
// b[start:end]. For any other, and for one that is wrong, start is 0.
func parseWhole(b []byte, masked bool) (op opcode, start, end int) {
	if len(b) < 2 || b[0] != finBit|TextMessage && b[0] != finBit|BinaryMessage {
		return 0, 0, 0
	}
	start = 2
	size := int(b[1])
	if masked {
		size ^= maskBit // so that one without it is too long
		start += 4
	}
	switch {
	case size < 126:
	case size == 126 && len(b) >= 4:
		if size = int(binary.BigEndian.Uint16(b[2:])); size < 126 {
			return 0, 0, 0
		}
		start += 2
	default:
		return 0, 0, 0
	}
	if end = start + size; end > len(b) {
		return 0, 0, 0
	}
	return opcode(b[0] &^ finBit), start, end
}

// appendHeader appends the header of a frame with size bytes of payload, which are said in the
// shortest form. The key counts if the frame is masked.
func appendHeader(dst []byte, start frameStart, size int, masked bool, key uint32) []byte {
	mask := byte(0)
	if masked {
		mask = maskBit
	}
	switch {
	case size < 126:
		dst = append(dst, byte(start), mask|byte(size))
	case size < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, byte(start), mask|126), uint16(size))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, byte(start), mask|127), uint64(size))
	}
	if masked {
		dst = binary.LittleEndian.AppendUint32(dst, key)
	}
	return dst
}

// headerSize is the number of bytes that appendHeader appends.
func headerSize(size int, masked bool) int {
	n := 2
	switch {
	case size >= 1<<16:
		n += 8
	case size >= 126:
		n += 2
	}
	if masked {
		n += 4
	}
	return n
}

// A headerState is what a header is judged by, beside itself.
type headerState struct {
	server     bool // we are the server
	fragmented bool // a data message has begun and not ended
	compressed bool // permessage-deflate was negotiated
}

// What a header can do wrong, one error a rule.
var (
	errReservedBits         = &ProtocolError{CloseProtocolError, "reserved bit set", "RFC 6455 section 5.2"}
	errCompressedBit        = &ProtocolError{CloseProtocolError, "compressed bit set on a frame that does not begin a data message", "RFC 7692 section 6"}
	errReservedOpcode       = &ProtocolError{CloseProtocolError, "reserved opcode", "RFC 6455 section 5.2"}
	errUnmaskedFrame        = &ProtocolError{CloseProtocolError, "frame from a client is not masked", "RFC 6455 section 5.1"}
	errMaskedFrame          = &ProtocolError{CloseProtocolError, "frame from a server is masked", "RFC 6455 section 5.1"}
	errOverlength           = &ProtocolError{CloseProtocolError, "payload length is not in its shortest form", "RFC 6455 section 5.2"}
	errLengthTopBit         = &ProtocolError{CloseProtocolError, "payload length has its top bit set", "RFC 6455 section 5.2"}
	errFragmentedControl    = &ProtocolError{CloseProtocolError, "control frame is fragmented", "RFC 6455 section 5.5"}
	errControlLength        = &ProtocolError{CloseProtocolError, "control frame payload is over 125 bytes", "RFC 6455 section 5.5"}
	errNothingToContinue    = &ProtocolError{CloseProtocolError, "continuation frame without a message to continue", "RFC 6455 section 5.4"}
	errInterruptedMessage   = &ProtocolError{CloseProtocolError, "data message begins inside a fragmented one", "RFC 6455 section 5.4"}
	errClosePayloadTooShort = &ProtocolError{CloseProtocolError, "close payload of one byte", "RFC 6455 section 5.5.1"}
	errCloseCode            = &ProtocolError{CloseProtocolError, "close code that must not be sent", "RFC 6455 section 7.4"}
	errCloseReason          = &ProtocolError{CloseInvalidFramePayloadData, "close reason is not UTF-8", "RFC 6455 section 5.5.1"}
	errCorruptDeflate       = &ProtocolError{CloseInvalidFramePayloadData, "compressed message is corrupt", "RFC 7692 section 7.2.2"}
	errInvalidUTF8          = &ProtocolError{CloseInvalidFramePayloadData, "text message is not UTF-8", "RFC 6455 section 8.1"}
)

// checkHeader is the one judge of headers: it returns the rule that h breaks,
// or nil. It is asked before a byte of the payload is read or a buffer taken.
func checkHeader(h header, st headerState) *ProtocolError {
	switch {
	case h.rsv&(rsv2Bit|rsv3Bit) != 0, h.rsv&rsv1Bit != 0 && !st.compressed:
		return errReservedBits
	case h.opcode.isReserved():
		return errReservedOpcode
	case h.rsv&rsv1Bit != 0 && !h.opcode.isData():
		return errCompressedBit
	case st.server && !h.masked:
		return errUnmaskedFrame
	case !st.server && h.masked:
		return errMaskedFrame
	case h.overlength:
		return errOverlength
	case h.length > 1<<63-1:
		return errLengthTopBit
	}
	if h.opcode.isControl() {
		switch {
		case !h.fin:
			return errFragmentedControl
		case h.length > maxControlPayload:
			return errControlLength
		}
		return nil
	}
	switch {
	case h.opcode == opContinuation && !st.fragmented:
		return errNothingToContinue
	case h.opcode != opContinuation && st.fragmented:
		return errInterruptedMessage
	}
	return nil
}

// parseClosePayload reads the payload of a close frame, RFC 6455 §5.5.1. An
// empty one has the code 1005, §7.1.5.
func parseClosePayload(p []byte) (code int, reason []byte, err *ProtocolError) {
	switch {
	case len(p) == 0:
		return CloseNoStatusReceived, nil, nil
	case len(p) == 1:
		return 0, nil, errClosePayloadTooShort
	}
	code, reason = int(binary.BigEndian.Uint16(p)), p[2:]
	switch {
	case !receivableCloseCode(code):
		return 0, nil, errCloseCode
	case !utf8.Valid(reason):
		return 0, nil, errCloseReason
	}
	return code, reason, nil
}

// receivableCloseCode reports whether a peer may send the code: those that the
// registry gave a meaning on the wire, and the ranges for libraries and
// applications, RFC 6455 §7.4.
func receivableCloseCode(code int) bool {
	switch {
	case code == 1004, code == CloseNoStatusReceived, code == CloseAbnormalClosure:
		return false
	}
	return CloseNormalClosure <= code && code <= 1014 || 3000 <= code && code <= 4999
}

// checkCloseToSend returns an error where p must not go out as the payload of
// a close frame. It is looser than what we take from peers: a code that is
// merely unregistered is the caller's affair.
func checkCloseToSend(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) == 1 {
		return errCloseCodeUnsent
	}
	switch code := int(binary.BigEndian.Uint16(p)); {
	case code < CloseNormalClosure, code > 4999,
		code == CloseNoStatusReceived, code == CloseAbnormalClosure, code == CloseTLSHandshake:
		return errCloseCodeUnsent
	}
	return nil
}

// FormatCloseMessage gives the payload of a close message: closeCode and the
// reason text. The payload for CloseNoStatusReceived is empty, since that code
// must not be sent (RFC 6455 §7.4.1). Text must be UTF-8 of at most 123 bytes
// (§5.5): the write of a longer one fails.
func FormatCloseMessage(closeCode int, text string) []byte {
	if closeCode == CloseNoStatusReceived {
		return []byte{}
	}
	p := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(text)), uint16(closeCode))
	return append(p, text...)
}
