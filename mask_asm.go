//go:build (amd64 || arm64) && !purego && !race

package websocket

import (
	"math/bits"
	"unsafe"
)

// The functions of mask.go by kernels in assembly. These wrappers are small
// enough to be inlined, and what there is to decide is decided in the kernels:
// one more call would cost a short payload a third of its time.

func mask(b []byte, key uint32) uint32 {
	p := unsafe.SliceData(b)
	maskBytes(p, p, len(b), key)
	return bits.RotateLeft32(key, -8*len(b))
}

func maskCopy(dst, src []byte, key uint32) uint32 {
	dst = dst[:len(src)]
	maskBytes(unsafe.SliceData(dst), unsafe.SliceData(src), len(src), key)
	return bits.RotateLeft32(key, -8*len(src))
}

func maskCopyASCII(dst, src []byte, key uint32) (next uint32, ascii bool) {
	dst = dst[:len(src)]
	return bits.RotateLeft32(key, -8*len(src)), maskBytesASCII(unsafe.SliceData(dst), unsafe.SliceData(src), len(src), key)
}

// maskBytes stores the n bytes at src, masked, at dst. It touches no others.
// Without noescape every buffer that is masked would move to the heap.
//
//go:noescape
func maskBytes(dst, src *byte, n int, key uint32)

// maskBytesASCII is maskBytes, and reports whether no byte that it stored has
// its high bit set.
//
//go:noescape
func maskBytesASCII(dst, src *byte, n int, key uint32) (ascii bool)
