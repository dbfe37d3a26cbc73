package deflate

import "sync"

// OnLoan, if not nil, is told +1 for each Get and -1 for each Put of this package. It
// is for tests that look for leaks, and is set before the first Get.
var OnLoan func(delta int)

// lend tells OnLoan.
func lend(delta int) {
	if OnLoan != nil {
		OnLoan(delta)
	}
}

var inflaters = sync.Pool{New: func() any { return new(Inflater) }}

// GetInflater returns an Inflater at the beginning of a message. bits, 8 to 15, is the
// window that was agreed on: a distance above 2^bits is corrupt. w has what came before
// the message and may be referred to; nil is nothing.
func GetInflater(bits int, w *Window) *Inflater {
	lend(+1)
	z := inflaters.Get().(*Inflater)
	z.begin(bits, w)
	return z
}

// PutInflater takes back an Inflater that came from GetInflater, in whatever state.
func PutInflater(z *Inflater) {
	lend(-1)
	z.window = nil
	inflaters.Put(z)
}
