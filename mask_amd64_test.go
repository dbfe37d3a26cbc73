//go:build !purego && !race

package websocket

import (
	"testing"

	"github.com/seed62ce5aa7/websocket/internal/cpu"
)

var maskLevels = []maskLevel{
	{"SSE2", func(t *testing.T) { forceAVX2(t, false) }},
	{"AVX2", func(t *testing.T) {
		if !cpu.AVX2 {
			t.Skip("this processor has no AVX2")
		}
		forceAVX2(t, true)
	}},
}

func forceAVX2(t *testing.T, on bool) {
	before := useAVX2
	useAVX2 = on
	t.Cleanup(func() { useAVX2 = before })
}
