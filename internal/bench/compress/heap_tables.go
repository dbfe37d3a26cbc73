package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/compress/worker"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

const (
	heapKind     = "json4K"
	heapConns    = 1000
	heapMessages = 10 // 40 KB each way
)

// heapBudgets are the bytes that compression may keep for a connection.
var heapBudgets = map[traffic.Mode]int64{traffic.NoTakeover: 0, traffic.Takeover12: 10300}

// noise is what two counts of the same may differ by, per connection.
const noise = 64

// A heapTable is what servers keep for connections that had traffic.
type heapTable struct{ rows []heapRow }

type heapRow struct {
	library string
	mode    traffic.Mode
	kept    int64
	over    int64 // what the same library keeps for a plain connection
}

func heapTables() []part { return []part{&heapTable{}} }

func (*heapTable) heading() string {
	return fmt.Sprintf("Heap of %d connections after %d messages of 4 KiB each way", heapConns, heapMessages)
}

func (*heapTable) measure(int, time.Duration) error { return nil }

func (t *heapTable) prepare() error {
	for _, l := range servers.Compressing {
		if l.Name == "ours dense" {
			continue // levels do not differ in what they keep
		}
		var plain int64
		for _, mode := range l.Modes {
			kept, err := serverHeap(l.Name, mode)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", l.Name, mode, err)
			}
			if mode == traffic.Plain {
				plain = kept
			}
			t.rows = append(t.rows, heapRow{l.Name, mode, kept, kept - plain})
		}
	}
	return nil
}

// serverHeap is what a connection adds to the heap of a server that has had
// others before, so that what it keeps for all of them is not counted.
func serverHeap(library string, mode traffic.Mode) (kept int64, err error) {
	p, err := worker.Start()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	server, err := p.Ask(worker.Request{Do: "listen", Library: library, Mode: mode})
	if err != nil {
		return 0, err
	}
	visit := func(conns int) (*load.Fleet, error) {
		f, err := load.Dial(load.Target{Address: server.Address, Mode: mode}, heapKind, conns)
		if err == nil {
			_, err = f.Each(heapMessages)
		}
		return f, err
	}
	f, err := visit(64)
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	before, err := p.Ask(worker.Request{Do: "heap", Open: 0})
	if err != nil {
		return 0, err
	}
	if f, err = visit(heapConns); err != nil {
		return 0, err
	}
	after, err := p.Ask(worker.Request{Do: "heap", Open: heapConns})
	if err != nil {
		return 0, err
	}
	return (after.Heap - before.Heap) / heapConns, f.Close()
}

func (t *heapTable) write(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n| who | mode | heap/connection | over plain | budget |\n|---|---|--:|--:|---|\n", t.heading())
	for _, r := range t.rows {
		over, verdict := "", ""
		if r.mode != traffic.Plain {
			over = fmt.Sprint(r.over)
		}
		if limit, ok := heapBudgets[r.mode]; ok && r.library == "ours" {
			verdict = fmt.Sprintf("≤ %d, %s", limit, met(r.over <= limit+noise))
		}
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s |\n", r.library, r.mode, r.kept, over, verdict)
	}
	fmt.Fprintln(w)
}
