package deflate

import (
	"slices"
	"sync"
)

// A Level says how hard to look for repetitions.
type Level uint8

const (
	// Fast takes the first repetition that it comes across.
	Fast Level = iota

	// Dense compares several, and looks whether the next byte begins a longer
	// one: messages come out some percent smaller, in up to twice the time. In
	// windows of 8 and 9 bits it is Fast.
	Dense
)

// pairlessTable is how many entries of a table are too few to keep two positions
// for each hash, as Dense does.
const pairlessTable = 1 << (9 - 2)

// blockSize is how many bytes go into one block, and maxBlock how many may if
// none are left after them, so that none is tiny. Codes fit better to fewer bytes,
// but each block spends some 80 bytes to describe its own. A stored block has at
// most 65,535 (RFC 1951 §3.2.4).
const (
	blockSize = 48 << 10
	maxBlock  = blockSize + blockSize/4
)

// A Deflater has the memory that compression needs only while it runs. It is
// not safe for concurrent use.
type Deflater struct {
	seqs    [maxSeqs]seq // what the block in work is made of
	nseqs   int
	matched int // bytes that the matches of seqs stand for

	table [1 << maxTableBits]uint16 // for messages without a Context

	litFreq  [numLit]uint32
	distFreq [numDist]uint32
	litCode  [numLit]code
	distCode [numDist]code
	litUsed  [numLit]uint16 // the symbols that occur, ascending
	distUsed [numDist]uint16

	build  treeBuilder
	header header
} // 40 KB: below the limit of a size class of the allocator

var deflaters = sync.Pool{New: func() any { return new(Deflater) }}

// GetDeflater returns a Deflater from a pool.
func GetDeflater() *Deflater {
	lend(+1)
	return deflaters.Get().(*Deflater)
}

// PutDeflater takes back a Deflater that nothing uses any more.
func PutDeflater(d *Deflater) {
	lend(-1)
	deflaters.Put(d)
}

// AppendMessage appends src compressed as one message, without the four bytes
// of its tail (RFC 7692 §7.2.1), within dst's capacity: it never reallocates.
//
// No distance is above 2^bits; bits is 8 to 15. With a ctx, which must be for
// the same bits, the message refers to what was committed to ctx; it is then to
// be committed, if it is sent. Without, it refers to nothing before src.
//
// What dst's memory holds behind what is appended is arbitrary.
//
// If src would not become smaller, or not fit, ok is false and out is dst: the
// message is to be sent as it is. A ctx that has little to refer to may also take
// what becomes up to two bytes larger, where dst has room for that, so that later
// messages have something to refer to. If ok, at least one byte was appended.
func (d *Deflater) AppendMessage(dst, src []byte, ctx *Context, bits int, level Level) (out []byte, ok bool) {
	most := len(src) - 1
	if ctx != nil && ctx.wants(len(src)) {
		most = len(src) + primingCost
	}
	room := min(cap(dst)-len(dst), most)
	if room <= 0 {
		return dst, false
	}
	w := bitWriter{buf: dst[len(dst) : len(dst)+room]}
	var m matcher
	if ctx != nil && (len(src) < shortMessage || !looksRandom(src)) {
		m.useContext(ctx, len(src))
	} else { // nor must the context's table be filled with what will hardly be sent compressed
		m.useTable(d.table[:], len(src), bits)
	}
	ok = d.blocks(&w, &m, src, level) && w.end()
	if ctx != nil {
		ctx.compressed(ok)
	}
	if !ok {
		return dst, false
	}
	return dst[:len(dst)+w.n], true
}

// A Stream is the state of a message that is compressed in pieces: the bits that
// did not fill a byte. The zero Stream is the beginning of a message.
type Stream struct {
	bits  uint8
	nbits uint8
}

// MaxPiece is how many bytes a piece of n bytes may become, however badly it
// compresses.
func MaxPiece(n int) int { return n + n/1024 + 64 }

// AppendPiece appends the next piece of a message that is compressed in pieces,
// and st goes on to the next. The last ends the message, without the four bytes
// of its tail (RFC 7692 §7.2.1); pieces before it end within a byte, unflushed.
// The piece refers to what was committed to ctx, and the caller commits src to
// it before the next.
//
// dst is reallocated only if it has less room than MaxPiece. An empty src appends
// nothing, or, as the last, what makes a message of what was before: at least one
// byte, as a message is never zero bytes (RFC 7692 §7.2.3.6).
func (d *Deflater) AppendPiece(dst, src []byte, ctx *Context, st *Stream, level Level, last bool) []byte {
	dst = slices.Grow(dst, MaxPiece(len(src)))
	w := bitWriter{buf: dst[len(dst):cap(dst)], acc: uint64(st.bits), nbits: uint(st.nbits)}
	var m matcher
	m.useContext(ctx, len(src))
	d.blocks(&w, &m, src, level) // there is room: see MaxPiece
	if last {
		w.end()
		*st = Stream{}
	} else {
		w.flush()
		*st = Stream{bits: uint8(w.acc), nbits: uint8(w.nbits)}
	}
	return dst[:len(dst)+w.n]
}

// blocks writes src as blocks and reports whether there was room for them.
func (d *Deflater) blocks(w *bitWriter, m *matcher, src []byte, level Level) bool {
	for from := 0; from < len(src); {
		to := len(src)
		if to-from > maxBlock {
			to = from + blockSize
		}
		d.nseqs, d.matched = 0, 0
		if level == Fast || len(m.table) <= pairlessTable {
			to = d.matchFast(m, src, from, to)
		} else {
			to = d.matchDense(m, src, from, to)
		}
		if !d.writeBlock(w, src[from:to], level) {
			return false
		}
		from = to
	}
	return true
}
