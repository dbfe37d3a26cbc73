package websocket

import (
	"encoding/binary"
	"math/bits"
)

// Masking, RFC 6455 §5.3: byte i of a payload is XORed with byte i mod 4 of
// the key. A key is held with its first byte in the lowest bits, so that
// rotating it right by 8 bits moves on by one byte.
//
//	mask(b, key) (next)
//	maskCopy(dst, src, key) (next)
//	maskCopyASCII(dst, src, key) (next, ascii)
//
// mask masks (or unmasks, which is the same) b in place and returns the key for
// the byte that follows. maskCopy is mask from src to dst, which must have room
// for it and may be the same memory, or overlap it if it begins earlier.
// maskCopyASCII also reports whether what it stored is ASCII, for little more than
// the price of masking. mask_asm.go and mask_noasm.go have them.

// maskGeneric is maskCopyASCII in plain Go. Words are read and written as
// little-endian, so the byte order of the machine does not matter.
func maskGeneric(dst, src []byte, key uint32) (next uint32, ascii bool) {
	dst = dst[:len(src)]
	word := uint64(key)<<32 | uint64(key)
	var seen uint64
	for len(src) >= 32 && len(dst) >= 32 {
		a := binary.LittleEndian.Uint64(src[0:8]) ^ word
		binary.LittleEndian.PutUint64(dst[0:8], a)
		b := binary.LittleEndian.Uint64(src[8:16]) ^ word
		binary.LittleEndian.PutUint64(dst[8:16], b)
		c := binary.LittleEndian.Uint64(src[16:24]) ^ word
		binary.LittleEndian.PutUint64(dst[16:24], c)
		d := binary.LittleEndian.Uint64(src[24:32]) ^ word
		binary.LittleEndian.PutUint64(dst[24:32], d)
		seen |= a | b | c | d
		dst, src = dst[32:], src[32:]
	}
	for len(src) >= 8 && len(dst) >= 8 {
		a := binary.LittleEndian.Uint64(src) ^ word
		binary.LittleEndian.PutUint64(dst, a)
		seen |= a
		dst, src = dst[8:], src[8:]
	}
	for i, b := range src {
		b ^= byte(key)
		dst[i] = b
		seen |= uint64(b)
		key = bits.RotateLeft32(key, -8)
	}
	return key, seen&0x8080808080808080 == 0
}
