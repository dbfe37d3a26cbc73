package websocket

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed62ce5aa7/websocket/internal/httpfield"
)

// A Compression says how permessage-deflate (RFC 7692) is negotiated and used.
// Its zero value is what EnableCompression alone stands for: every message is
// compressed by itself, and a connection keeps nothing between messages.
//
// Nothing is kept by a client either, unless the server does not say that it will
// do without context takeover, as some do not: see ReceiveWindowBits.
//
// Context takeover makes small messages that are like each other much smaller,
// and costs memory for as long as the connection lives: to send, one and a half
// times 2^SendWindowBits bytes (6 KiB at 12 bits), to receive,
// 2^ReceiveWindowBits (4 KiB), each from the first compressed message on.
//
// Whoever can have text of his own compressed together with a secret, and see
// how long the result is, can find out the secret by guessing; with context
// takeover, if they are in different messages, too.
type Compression struct {
	// SendContextTakeover lets the messages that we send refer to earlier ones,
	// where the peer does not object.
	SendContextTakeover bool

	// ReceiveContextTakeover lets the peer's messages refer to its earlier ones.
	ReceiveContextTakeover bool

	// SendWindowBits bounds how far back the messages that we send refer, to
	// 2^SendWindowBits bytes: 8 to 15. Zero means 12 with context takeover and
	// 15 without. The peer may ask for less. Not every peer can have 8.
	SendWindowBits int

	// ReceiveWindowBits is what we ask the peer for in the other direction: 8 to
	// 15. Zero means 12 with context takeover and 15 without. A client that
	// cannot be asked, as Firefox, does without takeover then, unless this is
	// 15. A server that does not do as asked may use all of 32 KiB.
	ReceiveWindowBits int

	// Threshold is the least size, in bytes, of a message that is compressed.
	// Zero means 32 with context takeover and 128 without. A message that
	// compression does not make smaller is sent as it is, whatever its size;
	// but with context takeover, while there is little to refer to, one may
	// become up to two bytes larger for the sake of those that follow.
	Threshold int

	// Level is as in [Conn.SetCompressionLevel], but zero means the default.
	Level int
}

const (
	minWindowBits      = 8 // RFC 7692 §7.1.2
	maxWindowBits      = 15
	takeoverWindowBits = 12 // unless the program says otherwise

	defaultCompressionLevel = -1 // as in compress/flate
)

// withDefaults returns what a program's options stand for: nil if it wants no
// compression, or an error if what it wants cannot be had.
func (o *Compression) withDefaults(enabled bool) (*Compression, error) {
	switch {
	case o == nil && !enabled:
		return nil, nil
	case o == nil:
		o = &Compression{}
	}
	p := *o
	if p.SendWindowBits == 0 {
		p.SendWindowBits = defaultWindowBits(p.SendContextTakeover)
	}
	if p.ReceiveWindowBits == 0 {
		p.ReceiveWindowBits = defaultWindowBits(p.ReceiveContextTakeover)
	}
	if p.Level == 0 {
		p.Level = defaultCompressionLevel
	}
	switch {
	case !validWindowBits(p.SendWindowBits), !validWindowBits(p.ReceiveWindowBits):
		return nil, errors.New("websocket: invalid window bits in Compression: use 8 to 15")
	case p.Threshold < 0:
		return nil, errors.New("websocket: negative Threshold in Compression")
	case !validCompressionLevel(p.Level):
		return nil, errCompressionLevel
	}
	return &p, nil
}

func defaultWindowBits(takeover bool) int {
	if takeover {
		return takeoverWindowBits
	}
	return maxWindowBits
}

func validWindowBits(bits int) bool { return minWindowBits <= bits && bits <= maxWindowBits }

func validCompressionLevel(level int) bool { return -2 <= level && level <= 9 }

// defaultThreshold is where, on average, messages begin to become smaller.
func defaultThreshold(takeover bool) int {
	if takeover {
		return 32
	}
	return 128
}

// A deflateParams is one permessage-deflate element of
// Sec-WebSocket-Extensions, RFC 7692 §7.1.
type deflateParams struct {
	serverNoTakeover bool
	clientNoTakeover bool
	serverBits       int  // of server_max_window_bits; 0: not there
	clientBits       int  // of client_max_window_bits; 0: not there, or without a value
	clientBitsAny    bool // client_max_window_bits without a value
}

const deflateName = "permessage-deflate"

// parseDeflateParams reads the parameters of an offer or a response. Each may
// be there once, with a value that its definition allows.
func parseDeflateParams(params []httpfield.Param) (p deflateParams, ok bool) {
	seen := make(map[string]bool, 4)
	for _, param := range params {
		if seen[param.Name] {
			return p, false
		}
		seen[param.Name] = true
		switch {
		case param.Name == "server_no_context_takeover" && !param.HasValue:
			p.serverNoTakeover = true
		case param.Name == "client_no_context_takeover" && !param.HasValue:
			p.clientNoTakeover = true
		case param.Name == "client_max_window_bits" && !param.HasValue:
			p.clientBitsAny = true
		case param.Name == "client_max_window_bits":
			if p.clientBits = parseWindowBits(param.Value); p.clientBits == 0 {
				return p, false
			}
		case param.Name == "server_max_window_bits" && param.HasValue:
			if p.serverBits = parseWindowBits(param.Value); p.serverBits == 0 {
				return p, false
			}
		default:
			return p, false
		}
	}
	return p, true
}

// parseWindowBits reads a number from 8 to 15 without leading zeros (RFC 7692
// §7.1.2.1), or gives 0.
func parseWindowBits(s string) int {
	bits, err := strconv.Atoi(s)
	if err != nil || !validWindowBits(bits) || s != strconv.Itoa(bits) {
		return 0
	}
	return bits
}

// String is p as it stands in the header.
func (p deflateParams) String() string {
	s := deflateName
	if p.serverNoTakeover {
		s += "; server_no_context_takeover"
	}
	if p.clientNoTakeover {
		s += "; client_no_context_takeover"
	}
	if p.serverBits != 0 {
		s += fmt.Sprintf("; server_max_window_bits=%d", p.serverBits)
	}
	switch {
	case p.clientBitsAny:
		s += "; client_max_window_bits"
	case p.clientBits != 0:
		s += fmt.Sprintf("; client_max_window_bits=%d", p.clientBits)
	}
	return s
}

// acceptOffer answers the first of the client's offers that can be read: every
// one of those can be had. One that cannot is passed over (RFC 7692 §7.1), as
// other extensions are. There is no answer if o is nil. Otherwise the options
// come back as they are from now on in force.
func (o *Compression) acceptOffer(fields []string) (answer string, agreed *Compression) {
	if o == nil {
		return "", nil
	}
	offers, _ := httpfield.ParseExtensions(fields)
	for _, e := range offers {
		if e.Name != deflateName {
			continue
		}
		if offer, ok := parseDeflateParams(e.Params); ok {
			p := o.answer(offer)
			return p.String(), o.inForce(p.serverNoTakeover, p.clientNoTakeover, p.serverBits, p.clientBits)
		}
	}
	return "", nil
}

// answer is what a server says to an offer. The client may be bound to a window
// only if its offer says that it understands (RFC 7692 §7.1.2.2); what it may
// not keep from us, it need not be bound in.
func (o Compression) answer(offer deflateParams) deflateParams {
	a := deflateParams{
		serverNoTakeover: offer.serverNoTakeover || !o.SendContextTakeover,
		clientNoTakeover: offer.clientNoTakeover || !o.ReceiveContextTakeover,
	}
	if offer.serverBits != 0 {
		a.serverBits = min(offer.serverBits, o.SendWindowBits)
	}
	switch {
	case offer.clientBits != 0:
		a.clientBits = min(offer.clientBits, o.ReceiveWindowBits)
	case o.ReceiveWindowBits == maxWindowBits:
	case offer.clientBitsAny:
		a.clientBits = o.ReceiveWindowBits
	default:
		a.clientNoTakeover = true
	}
	return a
}

// inForce is what becomes of the options once both sides agreed on what may be
// sent and received; bits of 0 mean that nothing was said of them.
func (o Compression) inForce(sendNoTakeover, receiveNoTakeover bool, sendBits, receiveBits int) *Compression {
	o.SendContextTakeover = o.SendContextTakeover && !sendNoTakeover
	o.ReceiveContextTakeover = !receiveNoTakeover
	if sendBits != 0 {
		o.SendWindowBits = min(o.SendWindowBits, sendBits)
	}
	o.ReceiveWindowBits = maxWindowBits
	if receiveBits != 0 {
		o.ReceiveWindowBits = receiveBits
	}
	return &o
}

// offers are what a client offers, in order of preference. The last one is what
// every server understands.
func (o Compression) offers() []deflateParams {
	first := deflateParams{
		serverNoTakeover: !o.ReceiveContextTakeover,
		clientNoTakeover: !o.SendContextTakeover,
		clientBitsAny:    true,
	}
	if o.ReceiveWindowBits < maxWindowBits {
		first.serverBits = o.ReceiveWindowBits
	}
	if o.SendWindowBits < maxWindowBits {
		first.clientBits, first.clientBitsAny = o.SendWindowBits, false
	}
	if last := (deflateParams{clientBitsAny: true}); first != last {
		return []deflateParams{first, last}
	}
	return []deflateParams{first}
}

// offerField is the value of the client's Sec-WebSocket-Extensions.
func (o Compression) offerField() string {
	texts := []string{}
	for _, p := range o.offers() {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ", ")
}

var (
	errUnofferedExtension = errors.New("websocket: the server chose an extension that was not offered")
	errDeflateResponse    = errors.New("websocket: the server's permessage-deflate parameters are malformed")
)

// judgeAnswer judges what the server chose of the client's offers (RFC 7692
// §5.1), which are none where o is nil. There are servers that confirm nothing
// of what they accept, and the last of the offers demands nothing: every answer
// that can be read fits that one.
func (o *Compression) judgeAnswer(fields []string) (agreed *Compression, err error) {
	chosen, ok := httpfield.ParseExtensions(fields)
	if ok && len(chosen) == 0 {
		return nil, nil
	}
	if !ok || o == nil || len(chosen) > 1 || chosen[0].Name != deflateName {
		return nil, errUnofferedExtension
	}
	answer, ok := parseDeflateParams(chosen[0].Params)
	if !ok || answer.clientBitsAny {
		return nil, errDeflateResponse
	}
	return o.inForce(answer.clientNoTakeover, answer.serverNoTakeover, answer.clientBits, answer.serverBits), nil
}
