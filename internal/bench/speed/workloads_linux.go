package main

import (
	"fmt"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/generator"
	"github.com/seed62ce5aa7/websocket/internal/bench/host"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// parts are all that is measured, in the order of the report.
func parts(quick bool) []part {
	return []part{pingPong(quick), pipelined(quick), text(quick), compressed(quick),
		broadcast(quick), writers(quick), handshakes(), idle(quick)}
}

func plain() host.Order {
	return host.Order{Style: servers.Style{Mode: traffic.Plain, CheckText: true}}
}

func pingPong(quick bool) *table {
	t := &table{title: "Ping-pong", baseline: "bare",
		note: "Binary messages; each connection sends the next one once the last has come back."}
	for _, size := range []int{16, 125, 512, 4 << 10, 64 << 10, 1 << 20} {
		for _, conns := range []int{1, 64, 1000} {
			if size == 1<<20 && conns == 1000 || quick && (conns != 64 && size != 512 || size == 125) {
				continue
			}
			c := &contest{name: fmt.Sprintf("%s × %d", bytes(size), conns), run: echo{plain(), traffic.Sized("binary", size), conns, 1}.run}
			switch {
			case size <= 512:
				c.budget = 1.07
			case conns == 64:
				c.budget = map[int]float64{4 << 10: 1.08, 64 << 10: 1.15, 1 << 20: .9}[size]
			}
			t.contests = append(t.contests, c)
		}
	}
	return t
}

func pipelined(quick bool) *table {
	const conns = 64
	t := &table{title: "Pipelined", baseline: "bare",
		note: fmt.Sprintf("Binary messages of 32 B on %d connections; each answer is followed by the next message, so that as many are in flight.", conns)}
	for _, depth := range []int{8, 32, 128} {
		if quick && depth != 32 {
			continue
		}
		t.contests = append(t.contests, &contest{
			name: fmt.Sprintf("%d in flight", depth), run: echo{plain(), traffic.Sized("binary", 32), conns, depth}.run,
			budget: map[int]float64{8: 1.5, 32: 1.5, 128: 1.8}[depth],
		})
	}
	return t
}

func text(quick bool) *table {
	const conns = 64
	t := &table{title: "Text", baseline: "bare", text: true,
		note: fmt.Sprintf("Text on %d connections, one message in flight on each. Latin text has accents on about one letter in eight. bare echoes as many random bytes.", conns)}
	for _, size := range []int{512, 64 << 10} {
		for _, what := range []string{"ascii", "latin", "cjk"} {
			if quick && what != "cjk" {
				continue
			}
			c := &contest{name: what + " " + bytes(size), run: echo{plain(), traffic.Sized(what, size), conns, 1}.run}
			if what != "ascii" {
				c.budget = map[int]float64{512: 1.08, 64 << 10: 1.25}[size]
			}
			t.contests = append(t.contests, c)
		}
	}
	return t
}

func compressed(quick bool) *table {
	const conns = 64
	t := &table{title: "Compressed", baseline: "bare", compressed: true, budgetOf: "gws",
		note: fmt.Sprintf("JSON on %d connections, one message in flight on each, permessage-deflate without context takeover, everybody at level 1 and every message compressed; gobwas does not check text here. bare echoes as many bytes, not compressed. ./compress has more.", conns)}
	for _, c := range []*contest{{name: "256 B", budget: .6}, {name: "4 KiB", budget: .95}, {name: "64 KiB", budget: 1}} {
		if quick && c.name != "4 KiB" {
			continue
		}
		kind := map[string]string{"256 B": "json256", "4 KiB": "json4K", "64 KiB": "json64K"}[c.name]
		c.run = echo{host.Order{Style: servers.Style{Mode: traffic.NoTakeover, CheckText: true}}, kind, conns, 1}.run
		t.contests = append(t.contests, c)
	}
	return t
}

// many is an order for many connections that are mostly idle.
func many(c competitor, keep bool) host.Order {
	o := plain()
	o.Keep = keep
	o.Style.Place = servers.Returned
	if c.lacks(servers.Returned) {
		o.Style.Place = servers.Fastest
	}
	return o
}

func broadcast(quick bool) *table {
	conns := 10_000
	if quick {
		conns = 1000
	}
	const payload = 512
	return &table{title: "Broadcast", baseline: "bare", unit: "delivery", units: "deliveries", library: true,
		note: fmt.Sprintf("One binary message of %s to %d connections, by what the library has for it: a prepared message, a compiled frame, or else a write for each. bare writes a frame to each.", bytes(payload), conns),
		contests: []*contest{{name: fmt.Sprint(conns), budget: 1.05, run: func(l *lab, c competitor) (window, error) {
			o := many(c, true)
			return l.session(c, o, traffic.Sized("binary", payload), conns, func(p *host.Process, f *generator.Fleet) (window, error) {
				return l.watch(c, p, func(d time.Duration) (sum generator.Tally, err error) {
					for begin := time.Now(); sum.Messages == 0 || sum.Elapsed < d; sum.Elapsed = time.Since(begin) {
						if err := p.Tell(host.Broadcast, conns, payload); err != nil {
							return sum, err
						}
						t, err := f.Receive(0, conns)
						if err != nil {
							return sum, err
						}
						if err := p.Done(); err != nil {
							return sum, err
						}
						sum.Messages += t.Messages
					}
					return sum, nil
				})
			})
		}}},
	}
}

func writers(quick bool) *table {
	const payload = 64
	t := &table{title: "Concurrent writers", baseline: "bare", library: true,
		note: fmt.Sprintf("Goroutines write binary messages of %s to one connection, each the next one once the last was written, on one processor. gorilla and gobwas allow one at a time, so theirs take turns with a mutex.", bytes(payload))}
	for _, goroutines := range []int{1, 16, 64, 512} {
		if quick && goroutines != 64 {
			continue
		}
		t.contests = append(t.contests, &contest{name: fmt.Sprint(goroutines), run: func(l *lab, c competitor) (window, error) {
			o := plain()
			o.Keep = true
			return l.session(c, o, traffic.Sized("binary", payload), 1, func(p *host.Process, f *generator.Fleet) (window, error) {
				if err := p.Do(host.Write, goroutines, payload); err != nil {
					return window{}, err
				}
				return l.watch(c, p, func(d time.Duration) (generator.Tally, error) { return f.Receive(d, 1) })
			})
		}})
	}
	return t
}

// session opens connections for messages of a kind, and measures.
func (l *lab) session(c competitor, o host.Order, kind string, conns int, measure func(*host.Process, *generator.Fleet) (window, error)) (window, error) {
	return l.steadily(func() (w window, err error) {
		p, err := c.start(l, o)
		if err != nil {
			return w, err
		}
		defer p.Stop()
		f, err := generator.Open(p.Address, c.target(p, o).Request(size(kind)), conns)
		if err != nil {
			return w, err
		}
		defer f.Close()
		return measure(p, f)
	})
}

func handshakes() *table {
	hijack := servers.Limits[1] // the first one, bare, is there for all
	return &table{title: "Handshakes", baseline: "hijack", unit: "handshake", units: "handshakes", extra: []competitor{{name: hijack.Name, library: hijack}},
		note: "Connecting, the opening handshake and the end of the connection, several at a time. Go's libraries are used through net/http, but for nbio, which brings its own. hijack is a net/http handler that takes the connection over and writes an answer that is always the same, bare is without net/http.",
		contests: []*contest{{name: "through net/http", budget: 1.1, run: func(l *lab, c competitor) (window, error) {
			return l.steadily(func() (w window, err error) {
				o := many(c, false)
				p, err := c.start(l, o)
				if err != nil {
					return w, err
				}
				defer p.Stop()
				to := c.target(p, o)
				if c.name != "hijack" {
					if _, err := load.Check(to, traffic.Sized("binary", 16), 1); err != nil {
						return w, err
					}
				}
				f, err := generator.Churn(p.Address, to.Request(16))
				if err != nil {
					return w, err
				}
				defer f.Close()
				return l.watch(c, p, func(d time.Duration) (generator.Tally, error) { return f.Run(d, 1) })
			})
		}}},
	}
}

// bytes is a size as it is said.
func bytes(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
