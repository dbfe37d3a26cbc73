package oracle

// A Rule is something that the RFCs say, of which a stream may be a case.
type Rule struct {
	What    string // the stream had
	Section string
	Asks    string

	codes []int // of which one is sent where the rule is broken
}

// What a header may do wrong.
var (
	Unmasked = &Rule{"a frame of a client that is not masked",
		"RFC 6455 §5.1", "close the connection; 1002 MAY be sent", []int{protocolError, None}}
	Masked = &Rule{"a frame of a server that is masked",
		"RFC 6455 §5.1", "close the connection; 1002 MAY be sent", []int{protocolError, None}}
	Reserved = &Rule{"a reserved bit, and no extension",
		"RFC 6455 §5.2", "fail the connection", []int{protocolError}}
	ReservedBesideCompression = &Rule{"RSV2 or RSV3, where permessage-deflate was agreed on",
		"RFC 6455 §5.2", "fail the connection", []int{protocolError}}
	UnknownOpcode = &Rule{"an opcode that is reserved",
		"RFC 6455 §5.2", "fail the connection", []int{protocolError}}
	CompressedControl = &Rule{"RSV1 on a control frame, where permessage-deflate was agreed on",
		"RFC 7692 §6", "fail the connection", []int{protocolError}}
	CompressedContinuation = &Rule{"RSV1 on a continuation, where permessage-deflate was agreed on",
		"RFC 7692 §6", "fail the connection", []int{protocolError}}
	FragmentedControl = &Rule{"a control frame without FIN",
		"RFC 6455 §5.5", "control frames MUST NOT be fragmented", []int{protocolError}}
	LongControl = &Rule{"a control frame with more than 125 bytes",
		"RFC 6455 §5.5", "control frames MUST have 125 bytes or less", []int{protocolError}}
	NothingToContinue = &Rule{"a continuation of nothing",
		"RFC 6455 §5.4", "a message begins with another opcode than 0", []int{protocolError}}
	Interrupted = &Rule{"a message that begins inside of another",
		"RFC 6455 §5.4", "fragments of two messages MUST NOT be interleaved", []int{protocolError}}
	TopBit = &Rule{"a length with its top bit set",
		"RFC 6455 §5.2", "the bit MUST be 0", []int{protocolError}}
	NotShortest = &Rule{"a length that is not in its shortest form",
		"RFC 6455 §5.2", "the sender MUST use the shortest; what a receiver does is not said", []int{protocolError}}
)

// Close frames.
var (
	Close = &Rule{"a close frame with a code",
		"RFC 6455 §5.5.1", "answer with a close frame, typically of the same code", nil}
	CloseEmpty = &Rule{"a close frame without a code",
		"RFC 6455 §5.5.1", "answer with a close frame", nil}
	CloseCodeRegistered = &Rule{"a close frame with 1012, 1013 or 1014, which are in the registry of IANA",
		"RFC 6455 §7.4.2, §11.7", "answer with a close frame, typically of the same code", nil}
	CloseCodeUnassigned = &Rule{"a close frame with a code that nobody has given a meaning",
		"RFC 6455 §7.4.2", "not said: fail the connection, or answer with the same", nil}
	CloseCodeNotSent = &Rule{"a close frame with a code below 1000, or with 1005, 1006 or 1015",
		"RFC 6455 §7.4", "these codes are not used, or MUST NOT be sent", nil}
	CloseOfOneByte = &Rule{"a close frame with one byte of payload",
		"RFC 6455 §5.5.1", "a body begins with two bytes of code", nil}
	CloseReason = &Rule{"a close frame whose reason is not UTF-8",
		"RFC 6455 §5.5.1, §8.1", "fail the connection; which code is not said", []int{invalidData, protocolError}}
)

// Messages.
var (
	Plain = &Rule{"a message",
		"RFC 6455 §6.2", "deliver it", nil}
	Deflated = &Rule{"a compressed message",
		"RFC 7692 §7.2.2", "deliver it", nil}
	DeflatedInStreams = &Rule{"a compressed message in which a block has BFINAL",
		"RFC 7692 §7.2.1, §7.2.3.4", "deliver it with what is behind that block", nil}
	DeflatedOddly = &Rule{"a compressed message that swallows the four bytes that were taken off it, as content",
		"RFC 7692 §7.2.1, §7.2.2", "no sender makes it; what a receiver does is not said", corruptCodes}
	NotUTF8 = &Rule{"text that is not UTF-8",
		"RFC 6455 §8.1", "fail the connection", []int{invalidData}}
	NotUTF8Inflated = &Rule{"compressed text that is not UTF-8",
		"RFC 6455 §8.1", "fail the connection", []int{invalidData}}
	TooBig = &Rule{"a message over the limit",
		"RFC 6455 §10.4, §7.4.1", "be safe from it; 1009 is the code for that", []int{tooBig}}
	TooBigInflated = &Rule{"a compressed message that is over the limit once inflated",
		"RFC 6455 §10.4, §7.4.1", "be safe from it; 1009 is the code for that", []int{tooBig}}
	Corrupt = &Rule{"a compressed message that is not DEFLATE, or not all of it",
		"RFC 7692 §7.2.2, RFC 6455 §7.1.7", "fail the connection; which code is not said", corruptCodes}
)

// corruptCodes are those of RFC 6455 §7.4.1 that have something to do with it.
var corruptCodes = []int{invalidData, protocolError, 1003, 1011}

// The end of the stream.
var (
	End = &Rule{"no close frame, and the end of the stream between two messages",
		"RFC 6455 §7.1.5", "there is nobody to send anything to", nil}
	EndInMessage = &Rule{"the end of the stream between the frames of a message",
		"RFC 6455 §7.1.5", "nothing to deliver, nobody to send anything to", nil}
	EndInFrame = &Rule{"the end of the stream inside of a frame",
		"RFC 6455 §7.1.5", "nothing to deliver, nobody to send anything to", nil}
)

// Ignorable are the rules that a reader can do without and go on: what breaks them is
// then read as if it did not.
var Ignorable = []*Rule{
	Unmasked, Masked, Reserved, ReservedBesideCompression, CompressedControl, CompressedContinuation,
	NotShortest, CloseOfOneByte, CloseReason, NotUTF8, NotUTF8Inflated, TooBig, TooBigInflated,
}

// Rules are all rules, in the order of the RFCs' subjects.
var Rules = []*Rule{
	Unmasked, Masked, Reserved, ReservedBesideCompression, UnknownOpcode, CompressedControl, CompressedContinuation,
	FragmentedControl, LongControl, NothingToContinue, Interrupted, TopBit, NotShortest,
	Plain, Deflated, DeflatedInStreams, DeflatedOddly, NotUTF8, NotUTF8Inflated, TooBig, TooBigInflated, Corrupt,
	Close, CloseEmpty, CloseCodeRegistered, CloseCodeUnassigned, CloseCodeNotSent, CloseOfOneByte, CloseReason,
	End, EndInMessage, EndInFrame,
}
