package websocket

import (
	"encoding/binary"
	"math/bits"
)

// Masking, RFC 6455 §5.3: byte i of a payload is XORed with byte i mod 4 of
// the key. A key is held with its first byte in the lowest bits, so that
// rotating it right by 8 bits moves on by one byte.

// mask masks (or unmasks, which is the same) b in place and returns the key
// for the byte that follows.
func mask(b []byte, key uint32) uint32 {
	return maskGeneric(b, b, key)
}

// maskCopy is mask, from src to dst, which must be as long at least and must
// be the same bytes as src or none of them.
func maskCopy(dst, src []byte, key uint32) uint32 {
	return maskGeneric(dst, src, key)
}

// maskGeneric is maskCopy in plain Go. Words are read and written as
// little-endian, so the byte order of the machine does not matter.
func maskGeneric(dst, src []byte, key uint32) uint32 {
	dst = dst[:len(src)]
	word := uint64(key)<<32 | uint64(key)
	for len(src) >= 32 && len(dst) >= 32 {
		binary.LittleEndian.PutUint64(dst[0:8], binary.LittleEndian.Uint64(src[0:8])^word)
		binary.LittleEndian.PutUint64(dst[8:16], binary.LittleEndian.Uint64(src[8:16])^word)
		binary.LittleEndian.PutUint64(dst[16:24], binary.LittleEndian.Uint64(src[16:24])^word)
		binary.LittleEndian.PutUint64(dst[24:32], binary.LittleEndian.Uint64(src[24:32])^word)
		dst, src = dst[32:], src[32:]
	}
	for len(src) >= 8 && len(dst) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^word)
		dst, src = dst[8:], src[8:]
	}
	for i, b := range src {
		dst[i] = b ^ byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}
