package deflate

import "errors"

// Tail is what a sender takes off the end of a message and a receiver feeds behind it
// (RFC 7692 §7.2.1, §7.2.2): the end of an empty stored block. It must not be changed.
var Tail = []byte{0x00, 0x00, 0xff, 0xff}

var (
	// ErrFull says that the message goes on and there is no room for it.
	ErrFull = errors.New("deflate: no room for more output")

	// ErrCorrupt says that the input is not DEFLATE, or refers to what the window does
	// not have.
	ErrCorrupt = errors.New("deflate: corrupt input")

	// ErrEmptyBlocks says that the input consists of blocks without output, to a degree
	// that only makes sense to keep a receiver busy where no limit of size applies.
	ErrEmptyBlocks = errors.New("deflate: too many blocks without output")
)

// How many blocks without output there may be. Whoever flushes after every few bytes
// ends each flush with an empty stored block, so there may be as many as there are bytes
// of output. One with codes of its own takes a hundred times as long to read, and nobody
// needs any.
const (
	maxEmptyBlocks        = 1024 // and 1 for each byte of output
	maxEmptyDynamicBlocks = 64   // and 1 for each 64 bytes
)

// phase is where in the message an Inflater is: what the next bits of input are.
type phase uint8

const (
	atBlock       phase = iota // the header of a block
	atStored                   // LEN and NLEN (RFC 1951 §3.2.4)
	inStored                   // stored bytes
	atDynamic                  // HLIT, HDIST, HCLEN (RFC 1951 §3.2.7)
	inCodeLengths              // the lengths of the code of lengths
	inLengths                  // the lengths of the two codes
	inSymbols                  // symbols, or the rest of a match that had no room
)

// verdict is why a step of decoding ended.
type verdict uint8

const (
	goOn     verdict = iota // it is done; the phase says what is next
	needMore                // all input is used up
	full                    // there is output and no room for it
	endBlock                // of this block
	corrupt
)

// An Inflater decodes one message at a time. It stops at any byte of input and of output,
// and goes on from there.
type Inflater struct {
	// What was taken from the input and not used. Bits from nbits on are zero between
	// calls. Never more than 63 bits are counted.
	bits  uint64
	nbits uint

	phase   phase
	final   bool // the block is marked as the last (BFINAL)
	dynamic bool // it has its own codes
	marker  bool // the block that ended last was stored and empty
	err     error

	length   int // what is left of a match, or of a stored block
	distance int

	// The message.
	window       *Window
	windowBits   uint8  // 8 less
	total        uint64 // output before this call
	before       uint64 // output before this block
	empty        uint64 // blocks without output
	emptyDynamic uint64

	// The codes of the block.
	lit  *[decLitSize]uint32
	dist *[decDistSize]uint32

	// The header of a dynamic block while it is read.
	litSymbols, distSymbols, codeLengths int
	next                                 int   // symbol, or index of a length of the code of lengths
	previous                             uint8 // length
	listed                               int

	list    [decLitSymbols + decDistSymbols + 1]uint16 // see buildDecTable; one more is written to and not used
	sorted  [decLitSymbols]uint16
	counts  [2][16]uint16 // of each length, in the two codes
	preLens [19]uint8
	pre     [1 << 7]uint8 // symbol<<3 | bits, for the code of lengths

	ownLit  [decLitSize]uint32
	ownDist [decDistSize]uint32
}

// begin makes z ready for a message.
func (z *Inflater) begin(windowBits int, w *Window) {
	z.bits, z.nbits = 0, 0
	z.phase, z.final, z.marker, z.err = atBlock, false, false, nil
	z.length = 0
	z.window, z.windowBits = w, uint8(windowBits-8)
	z.total, z.before, z.empty, z.emptyDynamic = 0, 0, 0, 0
}

// Inflate decodes src, the next compressed bytes of the message, and appends what comes
// out to dst, within dst's capacity: it never reallocates. What dst's memory holds behind
// the slice that it returns is arbitrary. dst[start:] must hold the message's output so
// far, or at least the last 2^bits bytes of it: it is what the input may refer to, and
// the Window is what is behind it.
//
// It returns the extended slice and how many bytes of src it has used up. The error is
// nil if that is all of src, and ErrFull if dst is full and there is at least one more
// byte of output to come: then call again with more room and with src[n:], even where
// that is empty. If dst is full and src has nothing more to say, there is no error, so
// that a limit of size is exact where it is the end of dst's capacity.
//
// ErrCorrupt and ErrEmptyBlocks are final: what was appended before is right, and all
// further calls return the same error.
//
// A block that is marked as the last one (BFINAL) is not: the next begins at the next
// byte (RFC 7692 §7.2.3.4 and §7.2.3.5).
func (z *Inflater) Inflate(dst []byte, start int, src []byte) (out []byte, n int, err error) {
	if z.err != nil {
		return dst, 0, z.err
	}
	out = dst[:cap(dst)]
	o, i := len(dst), 0
	for {
		var v verdict
		switch z.phase {
		case atBlock:
			i, v = z.readHeader(src, i)
		case atStored:
			i, v = z.readStoredHeader(src, i)
		case inStored:
			o, i, v = z.readStored(out, o, src, i)
		case atDynamic:
			i, v = z.readDynamicHeader(src, i)
		case inCodeLengths:
			i, v = z.readCodeLengths(src, i)
		case inLengths:
			i, v = z.readLengths(src, i)
		case inSymbols:
			o, i, v = z.readSymbols(out, o, start, src, i)
		}
		switch v {
		case goOn:
			continue
		case endBlock:
			if z.endBlock(z.total + uint64(o-len(dst))) {
				continue
			}
			z.err = ErrEmptyBlocks
		case full:
			err = ErrFull
		case corrupt:
			z.err = ErrCorrupt
		}
		z.total += uint64(o - len(dst))
		if z.err != nil {
			err = z.err
		}
		return out[:o], i, err
	}
}

// endBlock ends a block, where the message has total bytes of output. It is false if
// there have been too many without any.
func (z *Inflater) endBlock(total uint64) bool {
	z.phase = atBlock
	if z.final {
		// What is left of the last byte means nothing (RFC 1951 §3.2.3).
		z.bits >>= z.nbits & 7
		z.nbits &^= 7
	}
	if total != z.before {
		z.before = total
		return true
	}
	if z.dynamic {
		z.emptyDynamic++
	} else {
		z.empty++
	}
	return z.empty <= maxEmptyBlocks+total && z.emptyDynamic <= maxEmptyDynamicBlocks+total/64
}

// Complete reports whether the message may end here, Tail included: at the beginning of a
// block, without a bit left over, and behind an empty stored block. The last because that
// is what Tail is the end of (RFC 7692 §7.2.1); in a message that was cut off within a
// stored block, it may be taken for content and end where the block ends.
func (z *Inflater) Complete() bool {
	return z.err == nil && z.phase == atBlock && z.nbits == 0 && z.marker
}
