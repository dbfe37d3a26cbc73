//go:build darwin || linux

package testnet

import (
	"os"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// faultsAt reports whether reading the byte at p is a memory fault.
func faultsAt(p unsafe.Pointer) (faults bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			_, isFault := r.(interface{ Addr() uintptr })
			if !isFault {
				panic(r)
			}
			faults = true
		}
	}()
	sink = *(*byte)(p)
	return false
}

var sink byte // keeps the read from being optimized away

func TestGuardedSlices(t *testing.T) {
	page := os.Getpagesize()
	for _, n := range []int{1, 15, page - 1, page, page + 1, 3*page + 5} {
		before, after := GuardedSlices(t, n)
		for _, s := range [][]byte{before, after} {
			require.Len(t, s, n)
			require.Equal(t, n, cap(s))
			require.Equal(t, make([]byte, n), s)
			for i := range s {
				s[i] = byte(i)
			}
		}
		require.Equal(t, before, after)
		clear(before)
		require.Equal(t, byte(n-1), after[n-1], "they do not overlap")

		require.False(t, faultsAt(unsafe.Pointer(&before[n-1])))
		require.True(t, faultsAt(unsafe.Add(unsafe.Pointer(&before[n-1]), 1)))
		require.False(t, faultsAt(unsafe.Pointer(&after[0])))
		require.True(t, faultsAt(unsafe.Add(unsafe.Pointer(&after[0]), -1)))
	}
}

func TestGuardedSlicesOfNothing(t *testing.T) {
	before, after := GuardedSlices(t, 0)
	require.Empty(t, before)
	require.Empty(t, after)
}
