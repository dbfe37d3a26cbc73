package deflate

import (
	"errors"
	"fmt"
)

// A tokenReader decodes DEFLATE one bit at a time, written from RFC 1951 alone and
// for strictness, not speed: it is what the encoder's output is judged by.
type tokenReader struct {
	src    []byte
	bit    int
	out    []byte // all messages one after the other
	window int    // the largest distance allowed
	begin  int    // of what may be referred to, in out

	maxDist  int         // the largest distance seen
	blocks   [3]int      // by type
	inBlocks map[int]int // bytes by type
}

var errTokens = errors.New("no more bits")

func (r *tokenReader) bits(n int) (v int, err error) {
	for i := range n {
		if r.bit>>3 >= len(r.src) {
			return 0, errTokens
		}
		v |= int(r.src[r.bit>>3]>>(r.bit&7)&1) << i
		r.bit++
	}
	return v, nil
}

// symbol reads one symbol of the code that has the given lengths.
func (r *tokenReader) symbol(c *tokenCode) (int, error) {
	v, first, index := 0, 0, 0
	for l := 1; l <= 15; l++ {
		if r.bit>>3 >= len(r.src) {
			return 0, errTokens
		}
		v |= int(r.src[r.bit>>3] >> (r.bit & 7) & 1)
		r.bit++
		n := c.counts[l]
		if v-first < n {
			return c.symbols[index+v-first], nil
		}
		index += n
		first = (first + n) << 1
		v <<= 1
	}
	return 0, errors.New("no such code")
}

type tokenCode struct {
	counts  [16]int
	symbols []int
}

func newTokenCode(lengths []int) (*tokenCode, error) {
	c := new(tokenCode)
	space := 0
	for l := 1; l <= 15; l++ {
		for sym, n := range lengths {
			if n == l {
				c.symbols = append(c.symbols, sym)
				c.counts[l]++
				space += 1 << (15 - l)
			}
		}
	}
	if space != 1<<15 {
		return nil, fmt.Errorf("code fills %d of %d", space, 1<<15)
	}
	return c, nil
}

// message decodes one message, whose tail the caller has put back, and returns what
// came out of it.
func (r *tokenReader) message(src []byte) ([]byte, error) {
	r.src, r.bit = src, 0
	from := len(r.out)
	for r.bit < 8*len(src) {
		at := len(r.out)
		final, err := r.bits(1)
		if err != nil {
			return nil, err
		}
		if final != 0 {
			return nil, errors.New("BFINAL")
		}
		kind, err := r.bits(2)
		if err != nil {
			return nil, err
		}
		switch kind {
		case 0:
			err = r.stored()
		case 1:
			err = r.fixed()
		case 2:
			err = r.dynamic()
		default:
			return nil, errors.New("reserved type")
		}
		if err != nil {
			return nil, fmt.Errorf("bit %d, byte %d of output: %w", r.bit, len(r.out)-from, err)
		}
		r.blocks[kind]++
		if r.inBlocks != nil {
			r.inBlocks[kind] += len(r.out) - at
		}
	}
	return r.out[from:], nil
}

func (r *tokenReader) stored() error {
	pad, err := r.bits(-r.bit & 7)
	if err != nil || pad != 0 {
		return fmt.Errorf("padding %b: %w", pad, err)
	}
	n, err := r.bits(16)
	if err != nil {
		return err
	}
	if c, err := r.bits(16); err != nil || c != n^0xffff {
		return fmt.Errorf("LEN %x NLEN %x: %w", n, c, err)
	}
	at := r.bit >> 3
	if at+n > len(r.src) {
		return errTokens
	}
	r.out = append(r.out, r.src[at:at+n]...)
	r.bit += 8 * n
	return nil
}

func (r *tokenReader) fixed() error {
	lengths := make([]int, 288)
	for sym := range lengths {
		switch {
		case sym < 144:
			lengths[sym] = 8
		case sym < 256:
			lengths[sym] = 9
		case sym < 280:
			lengths[sym] = 7
		default:
			lengths[sym] = 8
		}
	}
	dists := make([]int, 32)
	for sym := range dists {
		dists[sym] = 5
	}
	return r.content(lengths, dists)
}

func (r *tokenReader) dynamic() error {
	v, err := r.bits(14)
	if err != nil {
		return err
	}
	lits, dists, n := v&31+257, v>>5&31+1, v>>10+4
	if lits > 286 || dists > 30 {
		return fmt.Errorf("HLIT %d HDIST %d", lits, dists)
	}
	own := make([]int, 19)
	for _, sym := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:n] {
		if own[sym], err = r.bits(3); err != nil {
			return err
		}
	}
	code, err := newTokenCode(own)
	if err != nil {
		return err
	}
	var lengths []int
	for len(lengths) < lits+dists {
		sym, err := r.symbol(code)
		if err != nil {
			return err
		}
		extra, base, value := 0, 1, sym
		switch sym {
		case 16:
			if len(lengths) == 0 {
				return errors.New("repeats nothing")
			}
			extra, base, value = 2, 3, lengths[len(lengths)-1]
		case 17:
			extra, base, value = 3, 3, 0
		case 18:
			extra, base, value = 7, 11, 0
		}
		more, err := r.bits(extra)
		if err != nil {
			return err
		}
		for range base + more {
			lengths = append(lengths, value)
		}
	}
	if len(lengths) != lits+dists {
		return errors.New("lengths repeat past their end")
	}
	return r.content(lengths[:lits], lengths[lits:])
}

func (r *tokenReader) content(litLengths, distLengths []int) error {
	lit, err := newTokenCode(litLengths)
	if err != nil {
		return fmt.Errorf("literals: %w", err)
	}
	dist, err := newTokenCode(distLengths)
	if err != nil {
		return fmt.Errorf("distances: %w", err)
	}
	for {
		sym, err := r.symbol(lit)
		if err != nil {
			return err
		}
		if sym < 256 {
			r.out = append(r.out, byte(sym))
			continue
		}
		if sym == 256 {
			return nil
		}
		if sym > 285 {
			return fmt.Errorf("symbol %d", sym)
		}
		// RFC 1951 §3.2.5, from its formula rather than from the table.
		length := sym - 257 + 3
		if sym == 285 {
			length = 258
		} else if k := sym - 257; k >= 8 {
			more, err := r.bits(k/4 - 1)
			if err != nil {
				return err
			}
			length = 3 + (4+k&3)<<(k/4-1) + more
		}
		k, err := r.symbol(dist)
		if err != nil {
			return err
		}
		if k > 29 {
			return fmt.Errorf("distance symbol %d", k)
		}
		distance := k + 1
		if k >= 4 {
			more, err := r.bits(k/2 - 1)
			if err != nil {
				return err
			}
			distance = 1 + (2+k&1)<<(k/2-1) + more
		}
		if distance > r.window || distance > len(r.out)-r.begin {
			return fmt.Errorf("distance %d of %d, window %d", distance, len(r.out)-r.begin, r.window)
		}
		r.maxDist = max(r.maxDist, distance)
		for range length {
			r.out = append(r.out, r.out[len(r.out)-distance])
		}
	}
}
