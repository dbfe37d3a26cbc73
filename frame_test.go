package websocket

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// lengthForms are the ways in which a length can be written: how many bytes it
// takes, and values around the edges of what that form may hold.
var lengthForms = []struct {
	code    byte // of the second header byte, or 0 for the length itself
	size    int
	lengths []uint64
}{
	{0, 0, []uint64{0, 1, 124, 125}},
	{126, 2, []uint64{0, 125, 126, 65535}},
	{127, 8, []uint64{0, 125, 126, 65535, 65536, 1 << 31, 1<<32 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}},
}

// A wireHeader is a header as its bytes, and what the test knows of it without
// asking the parser.
type wireHeader struct {
	bytes      []byte
	first      byte
	masked     bool
	length     uint64
	overlength bool
}

// eachWireHeader calls f with every combination of first byte, mask bit, form
// and length.
func eachWireHeader(f func(wireHeader)) {
	for first := range 256 {
		for _, masked := range []bool{false, true} {
			for _, form := range lengthForms {
				for _, length := range form.lengths {
					w := wireHeader{first: byte(first), masked: masked, length: length}
					second := form.code
					w.bytes = append(w.bytes, w.first, 0)
					switch form.size {
					case 0:
						second = byte(length)
					case 2:
						w.bytes = binary.BigEndian.AppendUint16(w.bytes, uint16(length))
						w.overlength = length <= 125
					case 8:
						w.bytes = binary.BigEndian.AppendUint64(w.bytes, length)
						w.overlength = length <= 65535
					}
					if masked {
						second |= 0x80
						w.bytes = append(w.bytes, 0x11, 0x22, 0x33, 0x44)
					}
					w.bytes[1] = second
					f(w)
				}
			}
		}
	}
}

// appendTo is appendHeader for all that a header can say, if that can be sent.
func (h header) appendTo(dst []byte) []byte {
	start := frameStart(h.opcode) | frameStart(h.rsv)
	if h.fin {
		start |= finBit
	}
	return appendHeader(dst, start, int(h.length), h.masked, h.key)
}

func TestParseHeaderReadsEveryHeader(t *testing.T) {
	eachWireHeader(func(w wireHeader) {
		want := header{
			fin:        w.first >= 0x80,
			rsv:        w.first & 0x70,
			opcode:     opcode(w.first % 16),
			masked:     w.masked,
			length:     w.length,
			overlength: w.overlength,
		}
		if w.masked {
			want.key = 0x44332211
		}
		h, n := parseHeader(append(w.bytes, "payload"...))
		if h != want || n != len(w.bytes) {
			t.Fatalf("% x: got %+v, %d bytes; want %+v, %d bytes", w.bytes, h, n, want, len(w.bytes))
		}
		for cut := range w.bytes {
			if h, n := parseHeader(w.bytes[:cut]); n != 0 || h != (header{}) {
				t.Fatalf("% x, cut to %d bytes: got %+v, %d", w.bytes, cut, h, n)
			}
		}
		if !w.overlength && w.length <= math.MaxInt {
			if got := h.appendTo([]byte("x")); !bytes.Equal(got[1:], w.bytes) || headerSize(int(h.length), h.masked) != len(w.bytes) {
				t.Fatalf("% x: appended as % x, size %d", w.bytes, got[1:], headerSize(int(h.length), h.masked))
			}
		}
	})
}

func TestParseWholeTakesWhatTheOthersTake(t *testing.T) {
	whole := 0
	eachWireHeader(func(w wireHeader) {
		if w.length > 1<<17 {
			w.length = 1 << 17
		}
		b := append(w.bytes[:len(w.bytes):len(w.bytes)], make([]byte, w.length+1)...)
		for _, server := range []bool{true, false} {
			for _, have := range []int{len(b), len(b) - 1, len(b) - 2, len(w.bytes), len(w.bytes) - 1, 1, 0} {
				if have < 0 || have > len(b) {
					continue
				}
				h, n := parseHeader(b[:have])
				want := n > 0 && checkHeader(h, headerState{server: server}) == nil && h.fin && h.opcode.isData() &&
					h.length < 1<<16 && n+int(h.length) <= have
				op, start, end := parseWhole(b[:have], server)
				if (start != 0) != want || want && (op != h.opcode || start != n || end != n+int(h.length)) {
					t.Fatalf("% x, %d bytes, server %t: opcode %d, payload %d:%d; the header is %+v", w.bytes, have, server, op, start, end, h)
				}
				if want {
					whole++
				}
			}
		}
	})
	require.Positive(t, whole)
}

// brokenRules is the oracle of checkHeader: it knows nothing of how that one
// decides, and names every rule of RFC 6455 §5 and RFC 7692 §6 that the header
// breaks.
func brokenRules(w wireHeader, st headerState) map[*ProtocolError]bool {
	broken := map[*ProtocolError]bool{}
	op := w.first & 0x0F
	control := op >= 8
	startsMessage := op == 1 || op == 2
	known := op <= 2 || op >= 8 && op <= 10
	rule := func(is bool, err *ProtocolError) {
		if is {
			broken[err] = true
		}
	}
	rule(w.first&0x20 != 0 || w.first&0x10 != 0, errReservedBits)
	rule(w.first&0x40 != 0 && !st.compressed, errReservedBits)
	rule(w.first&0x40 != 0 && st.compressed && !startsMessage, errCompressedBit)
	rule(!known, errReservedOpcode)
	rule(w.masked && !st.server, errMaskedFrame)
	rule(!w.masked && st.server, errUnmaskedFrame)
	rule(w.overlength, errOverlength)
	rule(w.length >= 1<<63, errLengthTopBit)
	rule(control && w.first < 0x80, errFragmentedControl)
	rule(control && w.length > 125, errControlLength)
	rule(op == 0 && !st.fragmented, errNothingToContinue)
	rule(startsMessage && st.fragmented, errInterruptedMessage)
	return broken
}

func TestCheckHeaderJudgesEveryHeader(t *testing.T) {
	seen := map[*ProtocolError]int{}
	headers := 0
	for state := range 8 {
		st := headerState{server: state&1 != 0, fragmented: state&2 != 0, compressed: state&4 != 0}
		eachWireHeader(func(w wireHeader) {
			headers++
			h, _ := parseHeader(w.bytes)
			broken, got := brokenRules(w, st), checkHeader(h, st)
			if len(broken) == 0 && got != nil || len(broken) > 0 && !broken[got] {
				t.Fatalf("% x in %+v: got %v, want one of %v", w.bytes, st, got, broken)
			}
			seen[got]++
		})
	}
	require.Equal(t, 8*256*2*18, headers)
	for _, err := range []*ProtocolError{
		nil, errReservedBits, errCompressedBit, errReservedOpcode, errUnmaskedFrame, errMaskedFrame, errOverlength,
		errLengthTopBit, errFragmentedControl, errControlLength, errNothingToContinue, errInterruptedMessage,
	} {
		require.NotZero(t, seen[err], "no header was judged: %v", err)
	}
}

func TestCheckHeaderErrorsNameTheirRule(t *testing.T) {
	require.EqualError(t, errMaskedFrame, "websocket: frame from a server is masked (RFC 6455 section 5.1)")
	require.Equal(t, CloseProtocolError, errMaskedFrame.Code)
}

func TestParseClosePayload(t *testing.T) {
	payload := func(code uint16, reason string) []byte {
		return append(binary.BigEndian.AppendUint16(nil, code), reason...)
	}
	t.Run("empty is 1005", func(t *testing.T) {
		code, reason, err := parseClosePayload(nil)
		require.Nil(t, err)
		require.Equal(t, CloseNoStatusReceived, code)
		require.Empty(t, reason)
	})
	t.Run("one byte", func(t *testing.T) {
		_, _, err := parseClosePayload([]byte{3})
		require.Same(t, errClosePayloadTooShort, err)
	})
	t.Run("reason that is not UTF-8", func(t *testing.T) {
		_, _, err := parseClosePayload(payload(1000, "\xff"))
		require.Same(t, errCloseReason, err)
		require.Equal(t, CloseInvalidFramePayloadData, err.Code)
	})
	t.Run("every code", func(t *testing.T) {
		for code := range 1 << 16 {
			// RFC 6455 §7.4.2 and the registry: 1000-1003, 1007-1014 have a
			// meaning on the wire, 3000-4999 are for libraries and programs.
			legal := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
			got, reason, err := parseClosePayload(payload(uint16(code), "why"))
			if legal && (err != nil || got != code || string(reason) != "why") || !legal && err != errCloseCode {
				t.Fatalf("code %d: %d, %q, %v", code, got, reason, err)
			}
		}
	})
}

func TestCheckCloseToSend(t *testing.T) {
	for code, ok := range map[int]bool{
		0: false, 999: false, 1000: true, 1001: true, 1004: true, 1005: false, 1006: false, 1011: true, 1014: true,
		1015: false, 1016: true, 2999: true, 3000: true, 4999: true, 5000: false, 65535: false,
	} {
		err := checkCloseToSend(binary.BigEndian.AppendUint16(nil, uint16(code)))
		require.Equal(t, ok, err == nil, "code %d: %v", code, err)
	}
	require.NoError(t, checkCloseToSend(nil))
	require.Equal(t, errCloseCodeUnsent, checkCloseToSend([]byte{3}))
}

func TestFormatCloseMessage(t *testing.T) {
	require.Equal(t, []byte{0x03, 0xE8, 'b', 'y', 'e'}, FormatCloseMessage(CloseNormalClosure, "bye"))
	require.Equal(t, []byte{0x03, 0xE8}, FormatCloseMessage(CloseNormalClosure, ""))
	require.Equal(t, []byte{}, FormatCloseMessage(CloseNoStatusReceived, "ignored"))
}

func FuzzHeader(f *testing.F) {
	for _, h := range []header{
		{opcode: opText, fin: true},
		{opcode: opBinary, length: 126, masked: true, key: 1 << 31},
		{opcode: opContinuation, length: 1 << 16, rsv: rsv1Bit},
		{opcode: opPing, fin: true, length: 125, masked: true},
	} {
		f.Add(h.appendTo(nil))
	}
	f.Add([]byte{0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n := parseHeader(b)
		if n == 0 {
			require.Equal(t, header{}, h)
			require.Less(t, len(b), maxHeaderSize)
			return
		}
		require.LessOrEqual(t, n, min(len(b), maxHeaderSize))
		again, m := parseHeader(b[:n])
		require.Equal(t, h, again, "bytes behind the header changed it")
		require.Equal(t, n, m)
		if h.length > math.MaxInt {
			return // more than there can be to send
		}
		encoded := h.appendTo(nil)
		require.Len(t, encoded, headerSize(int(h.length), h.masked))
		if h.overlength {
			require.Less(t, len(encoded), n)
		} else {
			require.Equal(t, b[:n], encoded)
		}
		for state := range 8 {
			st := headerState{server: state&1 != 0, fragmented: state&2 != 0, compressed: state&4 != 0}
			if checkHeader(h, st) == nil {
				require.Equal(t, st.server, h.masked)
				require.Less(t, h.length, uint64(1<<63))
				require.False(t, h.opcode.isControl() && (h.length > 125 || !h.fin))
			}
		}
	})
}
