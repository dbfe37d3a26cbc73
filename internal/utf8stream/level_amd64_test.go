//go:build !purego && !race

package utf8stream

import (
	"testing"

	"github.com/seed62ce5aa7/websocket/internal/cpu"
)

var Levels = []Level{
	{"automaton", func(t *testing.T) { forceBlocks(t, false) }},
	{"AVX2", func(t *testing.T) {
		if !cpu.AVX2 {
			t.Skip("this processor has no AVX2")
		}
		forceBlocks(t, true)
	}},
}

func forceBlocks(t *testing.T, on bool) {
	before := useBlocks
	useBlocks = on
	t.Cleanup(func() { useBlocks = before })
}
