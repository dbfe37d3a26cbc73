package deflate

// Symbols of the code in which a dynamic block's header writes code lengths
// (RFC 1951 §3.2.7): 0 to 15 are lengths.
const (
	repeatLength = 16 // the previous one, 3 to 6 times
	zeros3       = 17 // 3 to 10 zeros
	zeros11      = 18 // 11 to 138 zeros
	numHeader    = 19
)

// headerOrder is the order in which the lengths of that code itself are sent.
var headerOrder = [numHeader]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

var headerExtra = [32]uint8{repeatLength: 2, zeros3: 3, zeros11: 7}

// A header is that of a dynamic block: the codes of the block, by their lengths.
type header struct {
	tokens [numLit + numDist]uint16 // a symbol, and its extra bits above the low five
	n      int
	lits   int // of how many symbols there is a length: one more than the last used
	dists  int
	orders int // of how many headerOrder
	freq   [32]uint32
	codes  [32]code
	used   [32]uint16
}

// make prepares the header for two codes, of which litUsed and distUsed are the
// symbols that have one, and returns its size in bits, those of the block's type
// included.
func (h *header) make(b *treeBuilder, lit, dist []code, litUsed, distUsed []uint16) int {
	h.n = 0
	clear(h.freq[:])
	h.lits = h.lengths(lit, litUsed)
	h.dists = h.lengths(dist, distUsed)
	clear(h.codes[:])
	used := occurring(h.used[:], h.freq[:])
	b.build(h.codes[:], h.freq[:], used, maxHeaderLen)
	size := 3 + 5 + 5 + 4
	for _, sym := range used {
		size += int(h.freq[sym]) * (int(h.codes[sym].len()) + int(headerExtra[sym]))
	}
	h.orders = numHeader
	for h.codes[headerOrder[h.orders-1]] == 0 {
		h.orders--
	}
	return size + 3*h.orders
}

// lengths adds the tokens for the lengths of codes up to the last one used, and
// returns how many lengths that is.
func (h *header) lengths(codes []code, used []uint16) int {
	next := 0
	for i := 0; i < len(used); {
		sym := int(used[i])
		if next < sym {
			h.zeros(sym - next)
		}
		l := codes[sym].len()
		run := 1
		for i++; i < len(used) && int(used[i]) == sym+run && codes[sym+run].len() == l; i++ {
			run++
		}
		next = sym + run
		h.token(uint16(l), 0)
		for run--; run >= 3; {
			n := min(run, 6)
			if run == 7 || run == 8 {
				n = run - 3 // so that no one or two are left over
			}
			h.token(repeatLength, uint16(n-3))
			run -= n
		}
		for ; run > 0; run-- {
			h.token(uint16(l), 0)
		}
	}
	return next
}

func (h *header) zeros(run int) {
	for run >= 11 {
		n := min(run, 138)
		h.token(zeros11, uint16(n-11))
		run -= n
	}
	if run >= 3 {
		h.token(zeros3, uint16(run-3))
		return
	}
	for ; run > 0; run-- {
		h.token(0, 0)
	}
}

func (h *header) token(sym, extra uint16) {
	h.tokens[h.n] = extra<<5 | sym
	h.n++
	h.freq[sym&31]++
}

// write writes the header.
func (h *header) write(w *bitWriter) {
	w.put(uint64(dynamicBlock<<1|(h.lits-257)<<3|(h.dists-1)<<8|(h.orders-4)<<13), 17)
	for i := 0; i < h.orders; {
		v, n := uint64(0), uint(0)
		for ; i < h.orders && n < 48; i++ {
			v |= uint64(h.codes[headerOrder[i]].len()) << n
			n += 3
		}
		w.put(v, n)
	}
	for t := h.tokens[:h.n]; len(t) > 0; {
		v, n := uint64(0), uint(0)
		for ; len(t) > 0 && n <= 48-maxHeaderLen-7; t = t[1:] {
			sym := t[0] & 31
			c := h.codes[sym]
			v |= (c.bits() | uint64(t[0]>>5)<<c.len()) << (n & 63)
			n += c.len() + uint(headerExtra[sym])
		}
		w.put(v, n)
	}
}
