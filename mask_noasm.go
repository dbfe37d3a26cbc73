//go:build (!amd64 && !arm64) || purego || race

package websocket

// The functions of mask.go in plain Go: also where the race detector is to see
// every byte that is touched.

func mask(b []byte, key uint32) uint32 {
	next, _ := maskGeneric(b, b, key)
	return next
}

func maskCopy(dst, src []byte, key uint32) uint32 {
	next, _ := maskGeneric(dst, src, key)
	return next
}

func maskCopyASCII(dst, src []byte, key uint32) (next uint32, ascii bool) {
	return maskGeneric(dst, src, key)
}
