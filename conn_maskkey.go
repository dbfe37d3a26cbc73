package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// A keyBatch has masking keys to give away. RFC 6455 §5.3 wants them
// unpredictable, so they come from the system's source, many at a time.
type keyBatch struct {
	random [512]byte
	used   int
}

var keyBatches = sync.Pool{New: func() any {
	return &keyBatch{used: len(keyBatch{}.random)}
}}

// newMaskKey returns a masking key that nobody else gets.
func newMaskKey() uint32 {
	b := keyBatches.Get().(*keyBatch)
	if b.used == len(b.random) {
		_, _ = rand.Read(b.random[:]) // never fails; it ends the program instead
		b.used = 0
	}
	key := binary.LittleEndian.Uint32(b.random[b.used:])
	b.used += 4
	keyBatches.Put(b)
	return key
}
