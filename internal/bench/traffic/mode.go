package traffic

import (
	"fmt"
	"slices"
	"strings"
)

// A Mode is what the client and the server agree on.
type Mode string

// The modes. A number is the bits of the window, in both directions.
const (
	Plain      Mode = "plain"
	NoTakeover Mode = "no takeover"
	Takeover12 Mode = "takeover 12"
	Takeover15 Mode = "takeover 15"
)

// Compresses reports whether messages are compressed.
func (m Mode) Compresses() bool { return m != Plain }

// Bits is the window that is taken over, or 0.
func (m Mode) Bits() int {
	switch m {
	case Takeover12:
		return 12
	case Takeover15:
		return 15
	}
	return 0
}

// Offer is what the client puts into Sec-WebSocket-Extensions.
func (m Mode) Offer() string {
	switch m {
	case NoTakeover:
		return "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	case Takeover12:
		return "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
	case Takeover15:
		return "permessage-deflate; client_max_window_bits"
	}
	return ""
}

// Check says whether the server's answer is the mode, and not something else
// that RFC 7692 would allow it.
func (m Mode) Check(answer string) error {
	if !m.Compresses() && answer == "" {
		return nil
	}
	parts := strings.Split(strings.ReplaceAll(answer, " ", ""), ";")
	has := func(part string) bool { return slices.Contains(parts, part) }
	ok := m.Compresses() && parts[0] == "permessage-deflate"
	for _, side := range []string{"server", "client"} {
		ok = ok && has(side+"_no_context_takeover") == (m.Bits() == 0)
		ok = ok && (m.Bits() != 12 || has(side+"_max_window_bits=12"))
	}
	if !ok {
		return fmt.Errorf("traffic: for %q, the server answered %q", m, answer)
	}
	return nil
}
