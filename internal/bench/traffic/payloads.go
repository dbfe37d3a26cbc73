package traffic

import (
	"bytes"
	"fmt"

	"github.com/seed62ce5aa7/websocket/internal/bench/codecs"
)

// A stream is messages of a kind in a window of that many bits.
type stream struct {
	kind string
	bits int
}

type payloads struct{ first, again [][]byte }

// Payloads returns a kind's messages compressed one after the other, as a client
// sends them: by compress/flate's level 6, and in a window of less than 15 bits,
// which that has not, by ours. bits is the window that is taken over, or 0.
//
// To begin with, first is to be read once. From then on again may be read any
// number of times: its first message refers to its last ones.
func Payloads(kind string, bits int) (first, again [][]byte, err error) {
	messages, err := Messages(kind)
	if err != nil {
		return nil, nil, err
	}
	made.Lock()
	defer made.Unlock()
	p, ok := made.payloads[stream{kind, bits}]
	if !ok {
		if p, err = compress(messages, bits); err != nil {
			return nil, nil, fmt.Errorf("traffic: %s: %w", kind, err)
		}
		made.payloads[stream{kind, bits}] = p
	}
	return p.first, p.again, nil
}

func compress(messages [][]byte, bits int) (all payloads, err error) {
	name := "compress/flate 6"
	switch bits {
	case 0:
	case 15:
		name += ", kept"
	default:
		name = "ours dense"
	}
	spec, err := codecs.Find(name, bits, true)
	if err != nil {
		return all, err
	}
	e, err := spec.NewEncoder()
	if err != nil {
		return all, err
	}
	for pass := range 2 {
		out := make([][]byte, len(messages))
		for i, m := range messages {
			p, compressed, err := e.Encode(make([]byte, 0, len(m)), m)
			if err != nil {
				return all, err
			}
			if !compressed {
				return all, fmt.Errorf("message %d does not become smaller", i)
			}
			out[i] = bytes.Clone(p)
		}
		if pass == 0 {
			all.first = out
		} else {
			all.again = out
		}
	}
	return all, nil
}
