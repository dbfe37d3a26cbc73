package traffic

import "encoding/binary"

// Frames are a kind's messages as a client sends them, in the way of Payloads:
// once first, and then again any number of times.
func Frames(kind string, mode Mode) (first, again [][]byte, err error) {
	if mode.Compresses() {
		first, again, err = Payloads(kind, mode.Bits())
	} else {
		first, err = Messages(kind)
		again = first
	}
	if err != nil {
		return nil, nil, err
	}
	return frames(kind, first, mode.Compresses()), frames(kind, again, mode.Compresses()), nil
}

// MaskKey masks (RFC 6455 §5.3). A server cannot know that it is always the same.
var MaskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

func frames(kind string, payloads [][]byte, compressed bool) [][]byte {
	all := make([][]byte, len(payloads))
	for i, p := range payloads {
		all[i] = appendFrame(make([]byte, 0, len(p)+14), Opcode(kind), p, compressed)
	}
	return all
}

// appendFrame appends a message in one masked frame (RFC 6455 §5.2).
func appendFrame(dst []byte, opcode byte, payload []byte, compressed bool) []byte {
	first := 0x80 | opcode // FIN
	if compressed {
		first |= 0x40 // RSV1, RFC 7692 §6
	}
	switch n := len(payload); {
	case n <= 125:
		dst = append(dst, first, 0x80|byte(n))
	case n <= 65535:
		dst = binary.BigEndian.AppendUint16(append(dst, first, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, 0x80|127), uint64(n))
	}
	dst = append(dst, MaskKey[:]...)
	for i, c := range payload {
		dst = append(dst, c^MaskKey[i%len(MaskKey)])
	}
	return dst
}
