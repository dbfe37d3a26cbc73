//go:build darwin || linux

package utf8stream_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// What loads a byte before or behind the text dies here.
func TestAppendAtGuardPages(t *testing.T) {
	const largest = 700
	before, after := testnet.GuardedSlices(t, largest)
	eachLevel(t, func(t *testing.T) {
		for _, text := range []string{"a", "é", "€", "😀"} {
			all := strings.Repeat(text, largest)[:largest]
			for n := range largest + 1 {
				want, wantComplete := whole([]byte(all[:n]))
				for _, p := range [][]byte{before[largest-n:], after[:n]} {
					copy(p, all)
					ok, complete := whole(p)
					require.Equal(t, want, ok)
					require.Equal(t, wantComplete, complete)
				}
			}
		}
	})
}
