package testnet

// This file holds the faults of a direction other than delay: small pieces,
// small buffers, cuts and write errors.

import (
	"io"
	"math"
	"math/rand/v2"
)

// Limit bounds the pieces in which bytes are moved: it is called for the most
// bytes the next one may have. Less than 1 counts as 1; nil is no limit.
// It is called with the direction locked, so it must not use the connection,
// and it must not serve two directions unless it may be called concurrently.
type Limit func() int

// of returns how many of n > 0 bytes the next piece has.
func (l Limit) of(n int) int {
	if l == nil {
		return n
	}
	return min(n, max(1, l()))
}

// AtMost is the limit of n bytes per piece.
func AtMost(n int) Limit {
	return func() int { return n }
}

// Random is a limit that is drawn for each piece from 1 to most bytes, the
// same sequence for the same seed.
func Random(seed uint64, most int) Limit {
	r := rand.New(rand.NewPCG(seed, 0))
	return func() int { return 1 + r.IntN(max(1, most)) }
}

// faults is what a direction does to its bytes. The byte counts go down as
// bytes are written; never is out of reach.
type faults struct {
	readLimit, writeLimit Limit

	cutLeft  int64
	cutErr   error
	failLeft int64
	failErr  error
}

const never = math.MaxInt64

func noFaults() faults { return faults{cutLeft: never, failLeft: never} }

// LimitReads lets each Read and TryRead return no more than l allows.
func (d *Direction) LimitReads(l Limit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readLimit = l
}

// LimitWrites lets Write move its bytes into the buffer in pieces of what l
// allows. Write still moves all of them. Each piece is a chunk of its own for
// [Direction.SetLatency] and [Direction.SetGap]; pieces that have arrived are
// read together.
func (d *Direction) LimitWrites(l Limit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeLimit = l
}

// SetBuffer bounds the bytes that are written and not read; a Write blocks
// when there is no room. The default is 64 KiB. With 0 every Write blocks.
// A buffer that holds more than a new bound keeps it.
func (d *Direction) SetBuffer(bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = bytes
	d.cond.Broadcast()
}

// CutAfter ends the direction after n more bytes are written: the reader gets
// these and then err, or io.EOF if err is nil; a Write that has more fails as
// a broken pipe, with its count. The cut happens as soon as the n-th byte is
// written, with n == 0 at once. A negative n takes back a cut that has not
// happened.
func (d *Direction) CutAfter(n int, err error) {
	if err == nil {
		err = io.EOF
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutLeft, d.cutErr = countdown(n), err
	if n == 0 {
		d.finish(err)
	}
}

// FailWritesAfter lets every Write fail after n more bytes are written, with
// err, or as a broken pipe if err is nil. The reader gets these bytes and
// notices nothing. If the direction is also cut, Writes fail with err. A
// negative n ends the failing.
func (d *Direction) FailWritesAfter(n int, err error) {
	if err == nil {
		err = errBrokenPipe
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failLeft, d.failErr = countdown(n), err
	d.cond.Broadcast()
}

func countdown(n int) int64 {
	if n < 0 {
		return never
	}
	return int64(n)
}
