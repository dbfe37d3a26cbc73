package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// A message of a connection is its number there, from 1 on, and bytes that follow from that
// and the connection's own number. Mostly it is small.
func message(dst []byte, connection, number uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, number)
	random := rand.New(rand.NewPCG(connection, number))
	size := random.IntN(300)
	switch random.IntN(100) {
	case 0:
		size = random.IntN(100_000)
	case 1, 2, 3, 4, 5:
		size = random.IntN(5000)
	}
	for size > 0 {
		dst = binary.BigEndian.AppendUint64(dst, random.Uint64())
		size -= 8
	}
	return dst
}

// large is the size of a message from which on its memory is not kept for long.
const large = 512

// again is the memory of a message for the next one. Of large ones half are let go: those
// of the largest message on each connection would add up for as long as connections live, and
// nobody could tell that from a leak.
func again(p []byte) []byte {
	if cap(p) > large && rand.IntN(2) == 0 {
		return nil
	}
	return p[:0]
}

// check says what is wrong with got, if it is to be the message of this number.
func check(got []byte, connection, number uint64) error {
	want := message(nil, connection, number)
	if bytes.Equal(got, want) {
		return nil
	}
	if len(got) >= 8 {
		if n := binary.BigEndian.Uint64(got); n != number {
			return fmt.Errorf("connection %d: %w: %d came for %d", connection, errMessage, n, number)
		}
	}
	return fmt.Errorf("connection %d: %w: %d came changed, %d bytes for %d", connection, errMessage, number, len(got), len(want))
}
