//go:build darwin || linux

package testnet

// This file holds memory in which a step out of bounds is a fault, for code
// that the compiler does not check. Package syscall has Mprotect on these
// systems alone.

import (
	"os"
	"syscall"
	"testing"
)

// GuardedSlices returns two slices of n zero bytes: the first ends right
// before a page that can be neither read nor written, the second begins right
// after one. They do not overlap, and are gone when the test has ended: what
// still refers to them then is not to be touched.
func GuardedSlices(t testing.TB, n int) (beforeGuard, afterGuard []byte) {
	t.Helper()
	page := os.Getpagesize()
	data := max(1, (n+page-1)/page) * page
	// data | guard | data
	mem, err := syscall.Mmap(-1, 0, data+page+data, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mapping guarded memory: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Errorf("unmapping guarded memory: %v", err)
		}
	})
	if err := syscall.Mprotect(mem[data:data+page], syscall.PROT_NONE); err != nil {
		t.Fatalf("protecting the guard page: %v", err)
	}
	return mem[data-n : data : data], mem[data+page : data+page+n : data+page+n]
}
