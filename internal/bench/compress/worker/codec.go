package worker

import (
	"fmt"
	"runtime"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/codecs"
	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// frameHeader is how large the header of a server's frame is.
func frameHeader(payload int) int64 {
	switch {
	case payload <= 125:
		return 2
	case payload <= 65535:
		return 4
	}
	return 10
}

// encode measures an encoder alone. What it sends counts with a frame's header.
func encode(name string, bits int, kind string, least time.Duration) (measure.Sample, error) {
	spec, err := codecs.Find(name, bits, true)
	if err != nil {
		return measure.Sample{}, err
	}
	messages, err := traffic.Messages(kind)
	if err != nil {
		return measure.Sample{}, err
	}
	e, err := spec.NewEncoder()
	if err != nil {
		return measure.Sample{}, err
	}
	dst := make([]byte, 0, 128<<10)
	return measure.Take(least, func() (n measure.Count, err error) {
		for _, m := range messages {
			p, compressed, err := e.Encode(dst, m)
			if err != nil {
				return n, err
			}
			size := len(p)
			if !compressed {
				size = len(m)
			}
			n.Add(measure.Count{Messages: 1, Plain: int64(len(m)), Wire: int64(size) + frameHeader(size)})
		}
		return n, nil
	})
}

// decode measures a decoder alone.
func decode(name string, bits int, kind string, least time.Duration) (measure.Sample, error) {
	spec, err := codecs.Find(name, bits, false)
	if err != nil {
		return measure.Sample{}, err
	}
	messages, err := traffic.Messages(kind)
	if err != nil {
		return measure.Sample{}, err
	}
	first, again, err := traffic.Payloads(kind, bits)
	if err != nil {
		return measure.Sample{}, err
	}
	d, err := spec.NewDecoder()
	if err != nil {
		return measure.Sample{}, err
	}
	dst := make([]byte, 0, 128<<10)
	payloads := first
	return measure.Take(least, func() (n measure.Count, err error) {
		for i, p := range payloads {
			m, err := d.Decode(dst, p)
			if err != nil {
				return n, err
			}
			if len(m) != len(messages[i]) {
				return n, fmt.Errorf("worker: %s decoded %d bytes as %d", name, len(messages[i]), len(m))
			}
			n.Add(measure.Count{Messages: 1, Plain: int64(len(m)), Wire: int64(len(p)) + frameHeader(len(p))})
		}
		payloads = again
		return n, nil
	})
}

// codecHeap is what a connection keeps for a codec: that of many, each of which
// has had messages, by the number of them.
func codecHeap(name string, bits int, encodes bool) (int64, error) {
	const many = 20
	spec, err := codecs.Find(name, bits, encodes)
	if err != nil {
		return 0, err
	}
	messages, err := traffic.Messages("chat")
	if err != nil {
		return 0, err
	}
	payloads, _, err := traffic.Payloads("chat", bits)
	if err != nil {
		return 0, err
	}
	dst := make([]byte, 0, 128<<10)
	all := make([]any, many)
	before := measure.Heap()
	for i := range all {
		if encodes {
			e, err := spec.NewEncoder()
			if err != nil {
				return 0, err
			}
			for _, m := range messages[:200] {
				if _, _, err := e.Encode(dst, m); err != nil {
					return 0, err
				}
			}
			all[i] = e
			continue
		}
		d, err := spec.NewDecoder()
		if err != nil {
			return 0, err
		}
		for _, p := range payloads[:200] {
			if _, err := d.Decode(dst, p); err != nil {
				return 0, err
			}
		}
		all[i] = d
	}
	after := measure.Heap()
	runtime.KeepAlive(all)
	runtime.KeepAlive(messages)
	runtime.KeepAlive(payloads)
	runtime.KeepAlive(dst)
	return (after - before) / many, nil
}
