// Package bufpool lends the buffers that connections read into and build
// frames in. A connection holds one only while bytes are in hand.
package bufpool

import "sync"

// Size is the number of bytes in a pooled buffer: 16 KiB of payload and the
// header before it.
const Size = 16<<10 + 16

// A Buffer is memory and the part of it that is in use, Data[R:W].
type Buffer struct {
	Data []byte
	R, W int
}

// Bytes returns the part in use.
func (b *Buffer) Bytes() []byte { return b.Data[b.R:b.W] }

var pool = sync.Pool{New: func() any { return &Buffer{Data: make([]byte, Size)} }}

// OnLoan, if not nil, is told +1 for each Get and -1 for each Put. It is for
// tests that look for leaks, and is set before the first Get.
var OnLoan func(delta int)

// Get returns an empty buffer of Size bytes, or of least bytes where that is
// more. What its memory holds is arbitrary.
func Get(least int) *Buffer {
	if OnLoan != nil {
		OnLoan(+1)
	}
	if least > Size {
		return &Buffer{Data: make([]byte, least)}
	}
	return pool.Get().(*Buffer)
}

// Put takes back a buffer that came from Get and that nothing points into any
// more. One above Size is left to the garbage collector.
func Put(b *Buffer) {
	if OnLoan != nil {
		OnLoan(-1)
	}
	if len(b.Data) != Size {
		return
	}
	b.R, b.W = 0, 0
	pool.Put(b)
}
