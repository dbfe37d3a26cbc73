package interop

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/seed62ce5aa7/websocket"
)

// A set is what is to be agreed on.
type set struct {
	peerServes                     bool // ws, or the peer of flate_test.go, and we are the client
	serverTakeover, clientTakeover bool
	serverBits, clientBits         int
}

// sets are all that there are.
func sets() (all []set) {
	for _, peerServes := range []bool{false, true} {
		for _, serverTakeover := range []bool{false, true} {
			for _, clientTakeover := range []bool{false, true} {
				for serverBits := 8; serverBits <= 15; serverBits++ {
					for clientBits := 8; clientBits <= 15; clientBits++ {
						all = append(all, set{peerServes, serverTakeover, clientTakeover, serverBits, clientBits})
					}
				}
			}
		}
	}
	return all
}

func (s set) String() string {
	role, server, client := "the peer is the client", "server alone", "client alone"
	if s.peerServes {
		role = "the peer is the server"
	}
	if s.serverTakeover {
		server = "server takes over"
	}
	if s.clientTakeover {
		client = "client takes over"
	}
	return fmt.Sprintf("%s/%s, %s/%d and %d bits", role, server, client, s.serverBits, s.clientBits)
}

// agreed is what the server, or the client, has to be told that was agreed on.
func (s set) agreed(server bool) websocket.Compression {
	c := websocket.Compression{
		SendContextTakeover: s.serverTakeover, ReceiveContextTakeover: s.clientTakeover,
		SendWindowBits: s.serverBits, ReceiveWindowBits: s.clientBits,
	}
	if !server {
		c.SendContextTakeover, c.ReceiveContextTakeover = c.ReceiveContextTakeover, c.SendContextTakeover
		c.SendWindowBits, c.ReceiveWindowBits = c.ReceiveWindowBits, c.SendWindowBits
	}
	return c
}

// parameters are those of permessage-deflate in the answer, or ws's options.
type parameters map[string]any

// A meeting is how a set comes about: what both sides are told.
type meeting struct {
	ours   websocket.Compression
	ws     parameters
	answer parameters            // what the server has to say
	agreed websocket.Compression // what has to be in force
}

// parseAnswer reads the value of Sec-WebSocket-Extensions, of which the peers
// send one element without quotes.
func parseAnswer(field string) (parameters, error) {
	parts := strings.Split(field, ";")
	if parts[0] != "permessage-deflate" {
		return nil, fmt.Errorf("not an answer: %q", field)
	}
	p := parameters{}
	for _, part := range parts[1:] {
		name, value, has := strings.Cut(strings.TrimSpace(part), "=")
		if _, again := p[name]; again {
			return nil, fmt.Errorf("%s twice: %q", name, field)
		}
		p[name] = true
		if has {
			n, err := strconv.Atoi(value)
			if err != nil {
				return nil, err
			}
			p[name] = n
		}
	}
	return p, nil
}

// meeting chooses one of the ways to a set: who asks for what, and who would
// take more.
func (s set) meeting(r *rand.Rand) meeting {
	m := meeting{ws: parameters{}, answer: parameters{}}
	m.takeover("server", s.serverTakeover, s.peerServes, r)
	m.takeover("client", s.clientTakeover, !s.peerServes, r)
	if s.peerServes {
		m.wsServes(s, r)
	} else {
		m.weServe(s, r)
	}
	m.ours.Threshold = []int{0, 1, 20, 1000}[r.IntN(4)]
	m.ours.Level = []int{0, 1, 6, -2}[r.IntN(4)]
	m.agreed = s.agreed(!s.peerServes)
	m.agreed.Threshold, m.agreed.Level = m.ours.Threshold, m.ours.Level
	if m.ours.Threshold == 0 {
		m.agreed.Threshold = 128
		if m.agreed.SendContextTakeover {
			m.agreed.Threshold = 32
		}
	}
	if m.ours.Level == 0 {
		m.agreed.Level = -1
	}
	m.ws["threshold"] = []int{0, 1, 100, 1024}[r.IntN(4)]
	m.ws["zlibDeflateOptions"] = parameters{
		"level": r.IntN(10), "memLevel": 1 + r.IntN(9), "strategy": []int{0, 0, 0, 2, 3, 4}[r.IntN(6)],
	}
	return m
}

// takeover has the side that is given take its context over, or not because one
// of the two does not want it, or both.
func (m *meeting) takeover(side string, does, wsSends bool, r *rand.Rand) {
	weRefuse, wsRefuses := false, false
	if !does {
		weRefuse, wsRefuses = true, true
		switch r.IntN(3) {
		case 0:
			weRefuse = false
		case 1:
			wsRefuses = false
		}
		m.answer[side+"_no_context_takeover"] = true
	}
	if wsSends {
		m.ours.ReceiveContextTakeover = !weRefuse
	} else {
		m.ours.SendContextTakeover = !weRefuse
	}
	if wsRefuses {
		m.ws[side+"NoContextTakeover"] = true
	}
}

// more is from bits to 15.
func more(bits int, r *rand.Rand) int { return bits + r.IntN(16-bits) }

func (m *meeting) weServe(s set, r *rand.Rand) {
	switch r.IntN(3) {
	case 0: // ws asks
		m.ws["serverMaxWindowBits"], m.ours.SendWindowBits = s.serverBits, more(s.serverBits, r)
		m.answer["server_max_window_bits"] = s.serverBits
	case 1: // we do it, unasked and unsaid
		m.ours.SendWindowBits = s.serverBits
	case 2: // we do more than ws asks
		m.ws["serverMaxWindowBits"], m.ours.SendWindowBits = more(s.serverBits, r), s.serverBits
		m.answer["server_max_window_bits"] = s.serverBits
	}
	way := r.IntN(3)
	if s.clientBits == 15 && r.IntN(2) == 0 {
		way = 3
	}
	switch way {
	case 0: // ws says that it could
		m.ours.ReceiveWindowBits = s.clientBits
		if s.clientBits < 15 {
			m.answer["client_max_window_bits"] = s.clientBits
		}
	case 1: // ws says that it will
		m.ws["clientMaxWindowBits"], m.ours.ReceiveWindowBits = s.clientBits, more(s.clientBits, r)
		m.answer["client_max_window_bits"] = s.clientBits
	case 2: // we ask for less than that
		m.ws["clientMaxWindowBits"], m.ours.ReceiveWindowBits = more(s.clientBits, r), s.clientBits
		m.answer["client_max_window_bits"] = s.clientBits
	case 3: // ws cannot, as Firefox, and does without takeover where we want less
		m.ws["clientMaxWindowBits"], m.ours.ReceiveWindowBits = false, 15
		if !s.clientTakeover {
			m.ours.ReceiveWindowBits = 8 + r.IntN(8)
			m.ours.ReceiveContextTakeover = m.ours.ReceiveContextTakeover || m.ours.ReceiveWindowBits < 15
		}
	}
}

func (m *meeting) wsServes(s set, r *rand.Rand) {
	switch r.IntN(3) {
	case 0: // we ask
		m.ours.ReceiveWindowBits = s.serverBits
		if s.serverBits < 15 {
			m.answer["server_max_window_bits"] = s.serverBits
		}
	case 1: // ws does it unasked, and says so
		m.ws["serverMaxWindowBits"], m.ours.ReceiveWindowBits = s.serverBits, 15
		m.answer["server_max_window_bits"] = s.serverBits
	case 2: // ws does more than we ask
		m.ws["serverMaxWindowBits"], m.ours.ReceiveWindowBits = s.serverBits, more(s.serverBits, r)
		m.answer["server_max_window_bits"] = s.serverBits
	}
	switch r.IntN(4) {
	case 0: // we say that we will
		m.ours.SendWindowBits = s.clientBits
		if s.clientBits < 15 {
			m.answer["client_max_window_bits"] = s.clientBits
		}
	case 1: // ws asks
		m.ws["clientMaxWindowBits"], m.ours.SendWindowBits = s.clientBits, 15
		m.answer["client_max_window_bits"] = s.clientBits
	case 2: // ws asks for less than we say
		m.ws["clientMaxWindowBits"], m.ours.SendWindowBits = s.clientBits, more(s.clientBits, r)
		m.answer["client_max_window_bits"] = s.clientBits
	case 3: // we do it, and ws is silent
		m.ws["clientMaxWindowBits"], m.ours.SendWindowBits = false, s.clientBits
	}
}

// refusals are what a ws server is told that makes it pass over our first offer
// and take the last, which promises and demands nothing.
func refusals() map[string]meeting {
	whole := parameters{"server_max_window_bits": 12, "client_max_window_bits": 13}
	return map[string]meeting{
		"a larger window of the server's than we ask for": {
			ours:   websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true, ReceiveWindowBits: 9},
			ws:     parameters{"serverMaxWindowBits": 12, "clientMaxWindowBits": 13},
			answer: whole,
			agreed: websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true, SendWindowBits: 12, ReceiveWindowBits: 12, Threshold: 32, Level: -1},
		},
		"a larger window of the client's than we want": {
			ours:   websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true, SendWindowBits: 10},
			ws:     parameters{"serverMaxWindowBits": 12, "clientMaxWindowBits": 13},
			answer: whole,
			agreed: websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true, SendWindowBits: 10, ReceiveWindowBits: 12, Threshold: 32, Level: -1},
		},
		"no window at all, and no way to do without takeover": {
			ours:   websocket.Compression{SendWindowBits: 11, ReceiveWindowBits: 9},
			ws:     parameters{"serverMaxWindowBits": false, "serverNoContextTakeover": false, "clientMaxWindowBits": false},
			answer: parameters{},
			agreed: websocket.Compression{ReceiveContextTakeover: true, SendWindowBits: 11, ReceiveWindowBits: 15, Threshold: 128, Level: -1},
		},
	}
}
