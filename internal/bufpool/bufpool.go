// Package bufpool lends the buffers that connections read into, build frames in
// and compress with. A connection holds one only while bytes are in hand.
package bufpool

import "sync"

// Headroom is what buffers have beyond a power of two of payload: the header
// before it.
const Headroom = 16

// Numbers of bytes in pooled buffers. Most are of the smallest size, with 16 KiB
// of payload. The others are for messages that have to be in one piece.
const (
	Size    = 16<<10 + Headroom
	Largest = 1<<20 + Headroom
)

var sizes = [...]int{Size, 64<<10 + Headroom, 256<<10 + Headroom, Largest}

var pools [len(sizes)]sync.Pool

// A Buffer is memory and the part of it that is in use, Data[R:W].
type Buffer struct {
	Data []byte
	R, W int
}

// Bytes returns the part in use.
func (b *Buffer) Bytes() []byte { return b.Data[b.R:b.W] }

// OnLoan, if not nil, is told +1 for each Get and -1 for each Put. It is for
// tests that look for leaks, and is set before the first Get.
var OnLoan func(delta int)

// Get returns an empty buffer of the smallest pooled size that has least bytes,
// or of least bytes where that is more than all of them. What its memory holds
// is arbitrary.
func Get(least int) *Buffer {
	if OnLoan != nil {
		OnLoan(+1)
	}
	for i := range sizes {
		if least <= sizes[i] {
			if b, ok := pools[i].Get().(*Buffer); ok {
				return b
			}
			least = sizes[i]
			break
		}
	}
	return &Buffer{Data: make([]byte, least)}
}

// Put takes back a buffer that came from Get and that nothing points into any
// more. One that is larger than the pooled sizes is left to the garbage
// collector.
func Put(b *Buffer) {
	if OnLoan != nil {
		OnLoan(-1)
	}
	for i, size := range sizes {
		if len(b.Data) == size {
			b.R, b.W = 0, 0
			pools[i].Put(b)
			return
		}
	}
}
