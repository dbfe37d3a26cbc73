package utf8stream

// The automaton of RFC 3629 §4. A state is a bit offset, and the step for a byte is a
// uint64 that holds, at the offset of each state, the state that follows:
//
//	next = steps[b] >> state & 63
//
// One step is then one shift, and the table lookup, which depends on the byte alone, is
// off the critical path. Nine states of six bits fill 54 bits.
const (
	boundary = 6 * iota // between characters
	need1               // one more byte 80..BF ends the character
	need2               // two more
	need3               // three more
	afterE0             // next A0..BF: below is an overlong form
	afterED             // next 80..9F: above is a surrogate
	afterF0             // next 90..BF: below is an overlong form
	afterF4             // next 80..8F: above is beyond U+10FFFF
	failed              // for good
)

// A row starts as reject, failing from every state, and adds, at the offset of each state
// that takes the byte, the difference between where it goes and failed.
const (
	reject = failed<<boundary | failed<<need1 | failed<<need2 | failed<<need3 |
		failed<<afterE0 | failed<<afterED | failed<<afterF0 | failed<<afterF4 | failed<<failed

	// Every byte 80..BF may be the last, the second last, the third last.
	continuation = reject + (boundary-failed)<<need1 + (need1-failed)<<need2 + (need2-failed)<<need3

	from80 = continuation + (need1-failed)<<afterED + (need2-failed)<<afterF4 // 80..8F
	from90 = continuation + (need1-failed)<<afterED + (need2-failed)<<afterF0 // 90..9F
	fromA0 = continuation + (need1-failed)<<afterE0 + (need2-failed)<<afterF0 // A0..BF

	ascii = reject + (boundary-failed)<<boundary // 00..7F
	lead2 = reject + (need1-failed)<<boundary    // C2..DF; C0 and C1 only begin overlong forms
	lead3 = reject + (need2-failed)<<boundary    // E1..EC, EE, EF
	lead4 = reject + (need3-failed)<<boundary    // F1..F3
	seqE0 = reject + (afterE0-failed)<<boundary
	seqED = reject + (afterED-failed)<<boundary
	seqF0 = reject + (afterF0-failed)<<boundary
	seqF4 = reject + (afterF4-failed)<<boundary
)

var steps = [256]uint64{
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 00
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 10
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 20
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 30
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 40
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 50
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 60
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii, // 70
	ascii, ascii, ascii, ascii, ascii, ascii, ascii, ascii,
	from80, from80, from80, from80, from80, from80, from80, from80, // 80
	from80, from80, from80, from80, from80, from80, from80, from80,
	from90, from90, from90, from90, from90, from90, from90, from90, // 90
	from90, from90, from90, from90, from90, from90, from90, from90,
	fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, // A0
	fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0,
	fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, // B0
	fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0, fromA0,
	reject, reject, lead2, lead2, lead2, lead2, lead2, lead2, // C0
	lead2, lead2, lead2, lead2, lead2, lead2, lead2, lead2,
	lead2, lead2, lead2, lead2, lead2, lead2, lead2, lead2, // D0
	lead2, lead2, lead2, lead2, lead2, lead2, lead2, lead2,
	seqE0, lead3, lead3, lead3, lead3, lead3, lead3, lead3, // E0
	lead3, lead3, lead3, lead3, lead3, seqED, lead3, lead3,
	seqF0, lead4, lead4, lead4, seqF4, reject, reject, reject, // F0
	reject, reject, reject, reject, reject, reject, reject, reject,
}
