package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/seed62ce5aa7/websocket/internal/bench/generator"
	"github.com/seed62ce5aa7/websocket/internal/bench/host"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// An idleTable is what servers keep in memory for connections that do nothing.
type idleTable struct {
	conns, overTLS int
	rows           []*idleRow
}

type idleRow struct {
	competitor
	kept map[idleWay]kept
}

// kept is how many bytes a connection keeps, before its first message and after.
type kept struct{ before, after int64 }

// An idleWay is how connections are.
type idleWay string

const (
	returned  idleWay = "handler returned"
	inHandler idleWay = "in the handler"
	overTLS   idleWay = "TLS"
)

var idleWays = []idleWay{returned, inHandler, overTLS}

// idleBudgets are the bytes that ours may keep.
var idleBudgets = map[idleWay]int64{returned: 4200, inHandler: 9600, overTLS: 14500}

// idlePayload is the size of the one message.
const idlePayload = 512

func idle(quick bool) *idleTable {
	if quick {
		return &idleTable{conns: 2000, overTLS: 200}
	}
	return &idleTable{conns: 10_000, overTLS: 2000}
}

func (*idleTable) heading() string { return "Idle memory" }

// measure measures once: it does not depend on what else the machine does.
func (t *idleTable) measure(l *lab, all []competitor, round int) {
	if round > 0 {
		return
	}
	for _, c := range all {
		r := &idleRow{competitor: c, kept: make(map[idleWay]kept)}
		t.rows = append(t.rows, r)
		for _, way := range idleWays {
			o, ok := way.order(c)
			if !ok {
				continue
			}
			k, err := t.take(l, c, o)
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s, %s, %s: %v\n", t.heading(), way, c.name, err)
				continue
			}
			r.kept[way] = k
		}
	}
}

// order is for a server whose connections are that way, if there is one.
func (way idleWay) order(c competitor) (o host.Order, ok bool) {
	o = plain()
	switch way {
	case returned:
		o.Style.Place = servers.Returned
		return o, !c.lacks(servers.Returned)
	case inHandler:
		o.Style.Place = servers.InHandler
		return o, c.command == nil && !c.lacks(servers.InHandler)
	}
	o.TLS = true
	o.Style.Place = servers.Returned
	if c.lacks(servers.Returned) {
		o.Style.Place = servers.InHandler
	}
	return o, c.command == nil && !c.library.WithoutTLS
}

// take opens many connections to a server that has had some before, so that what
// it keeps for all of them is not counted.
func (t *idleTable) take(l *lab, c competitor, o host.Order) (k kept, err error) {
	p, err := c.start(l, o)
	if err != nil {
		return k, err
	}
	defer p.Stop()
	kind := traffic.Sized("binary", idlePayload)
	conns, open := t.conns, openFleet
	if o.TLS {
		conns, open = t.overTLS, openTLSFleet
	}
	some, err := open(c.target(p, o), kind, 64)
	if err != nil {
		return k, err
	}
	if err := some.round(); err != nil {
		return k, err
	}
	if err := some.close(); err != nil {
		return k, err
	}
	empty, err := memory(c, p, 0)
	if err != nil {
		return k, err
	}
	f, err := open(c.target(p, o), kind, conns)
	if err != nil {
		return k, err
	}
	defer f.close()
	before, err := memory(c, p, conns)
	if err != nil {
		return k, err
	}
	if err := f.round(); err != nil {
		return k, err
	}
	after, err := memory(c, p, conns)
	return kept{(before - empty) / int64(conns), (after - empty) / int64(conns)}, err
}

// memory is what a server takes that has thrown away what it could. A command is
// measured as it is.
func memory(c competitor, p *host.Process, open int) (int64, error) {
	if c.command == nil {
		if err := p.Do(host.Free, open); err != nil {
			return 0, err
		}
	}
	return p.Memory()
}

// A fleet is many connections, of which each sends a message and gets it back.
type fleet struct{ round, close func() error }

func openFleet(to load.Target, kind string, n int) (fleet, error) {
	frames, _, err := traffic.Frames(kind, to.Mode)
	if err != nil {
		return fleet{}, err
	}
	f, err := generator.Open(to.Address, to.Request(idlePayload), n)
	if err != nil {
		return fleet{}, err
	}
	f.Play(frames, n, 1)
	return fleet{func() error { _, err := f.Run(0, 0); return err }, f.Close}, nil
}

func openTLSFleet(to load.Target, kind string, n int) (fleet, error) {
	f, err := load.Dial(to, kind, n)
	if err != nil {
		return fleet{}, err
	}
	return fleet{func() error { _, err := f.Each(1); return err }, f.Close}, nil
}

func (t *idleTable) write(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\nBytes of the server in memory for each of %d connections (%d with TLS), before and after one message of %s each way; Go's servers after garbage collections, commands as they are. Sockets, which the kernel has, are not in it.\n\n",
		t.heading(), t.conns, t.overTLS, bytes(idlePayload))
	head := row{"who"}
	for _, way := range idleWays {
		head = append(head, string(way), "after")
	}
	head.write(w)
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|")
	for _, r := range t.rows {
		cells := row{r.name}
		for _, way := range idleWays {
			if k, ok := r.kept[way]; ok {
				cells = append(cells, fmt.Sprint(k.before), fmt.Sprint(k.after))
			} else {
				cells = append(cells, "", "")
			}
		}
		cells.write(w)
	}
	fmt.Fprintln(w)
}

// each calls f for every way that ours was measured in.
func (t *idleTable) each(f func(way idleWay, our kept)) {
	i := slices.IndexFunc(t.rows, func(r *idleRow) bool { return r.name == "ours" })
	if i < 0 {
		return
	}
	for _, way := range idleWays {
		if k, ok := t.rows[i].kept[way]; ok {
			f(way, k)
		}
	}
}

func (t *idleTable) budgets() (rows []row) {
	t.each(func(way idleWay, our kept) {
		most := max(our.before, our.after)
		rows = append(rows, row{t.heading() + ", " + string(way), fmt.Sprintf("≤ %d B", idleBudgets[way]), fmt.Sprintf("%d B", most), met(most <= idleBudgets[way])})
	})
	return rows
}

func (t *idleTable) notFirst() (rows []row) {
	t.each(func(way idleWay, our kept) {
		for _, r := range t.rows {
			k, ok := r.kept[way]
			if !ok || r.limit() {
				continue
			}
			for _, v := range []struct {
				when        string
				ours, their int64
			}{{"", our.before, k.before}, {", after a message", our.after, k.after}} {
				if v.ours > v.their {
					rows = append(rows, row{t.heading() + ", " + string(way) + v.when, r.name, fmt.Sprintf("%.2f", float64(v.ours)/float64(v.their)), beyondNoise(v.ours > v.their+memoryNoise)})
				}
			}
		}
	})
	return rows
}

// memoryNoise is what two measurements of the same may differ by.
const memoryNoise = 100
