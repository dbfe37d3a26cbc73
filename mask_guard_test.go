//go:build darwin || linux

package websocket

import (
	"bytes"
	"testing"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A kernel that loads or stores a byte before or behind what it was given dies
// here.
func TestMaskAtGuardPages(t *testing.T) {
	key := [4]byte{0x37, 0xFA, 0x21, 0x3D}
	memory := randomBytes(7, 5000)
	srcBefore, srcAfter := testnet.GuardedSlices(t, len(memory))
	dstBefore, dstAfter := testnet.GuardedSlices(t, len(memory))
	eachMaskKernel(t, func(t *testing.T, k maskKernel) {
		for n := range len(memory) + 1 {
			if n > maskLengths && n%61 != 0 && n != len(memory) {
				continue
			}
			want := maskNaive(memory[:n], key, 0)
			end := len(memory) - n
			for _, where := range []struct {
				name     string
				dst, src []byte
			}{
				{"up to a guard", dstBefore[end:], srcBefore[end:]},
				{"behind a guard", dstAfter[:n], srcAfter[:n]},
				{"from a guard to a guard", dstBefore[end:], srcAfter[:n]},
				{"to behind a guard, from before one", dstAfter[:n], srcBefore[end:]},
			} {
				check := func(what string, got []byte) {
					if !bytes.Equal(want, got) {
						t.Fatalf("%s, %s: %d bytes: wrong", where.name, what, n)
					}
				}
				copy(where.src, memory)
				k.plain(where.dst, where.src, keyAt(key, 0))
				check("copying", where.dst)
				clear(where.dst)
				k.ascii(where.dst, where.src, keyAt(key, 0))
				check("copying, ASCII", where.dst)
				k.plain(where.src, where.src, keyAt(key, 0))
				check("in place", where.src)
				copy(where.src, memory)
				k.ascii(where.src, where.src, keyAt(key, 0))
				check("in place, ASCII", where.src)
			}
		}
	})
}
