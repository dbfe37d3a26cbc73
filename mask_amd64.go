//go:build !purego && !race

package websocket

import "github.com/seed62ce5aa7/websocket/internal/cpu"

// useAVX2 is read by mask_amd64.s.
var useAVX2 = cpu.AVX2
