// Command compress measures permessage-deflate: this library's codec and
// connections beside those of others, in one run, as markdown on standard
// output. README.md says how to read it.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/compress/worker"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == worker.Argument {
		if err := worker.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() (err error) {
	quick := flag.Bool("quick", false, "three short rounds without the largest messages of codecs, whatever the other flags say")
	rounds := flag.Int("rounds", 15, "rounds; the budgets are meant for 15")
	least := flag.Duration("least", 40*time.Millisecond, "the least processor time of a sample")
	only := flag.String("only", "", "measure only the tables whose heading contains this")
	flag.Parse()
	if *quick {
		*rounds, *least = 3, 10*time.Millisecond
	}
	if flag.NArg() != 0 || *rounds < 1 || *least <= 0 {
		flag.Usage()
		os.Exit(2)
	}

	ps := &processes{}
	defer func() {
		if e := ps.stop(); err == nil {
			err = e
		}
	}()
	measured := slices.DeleteFunc(parts(ps, *quick), func(p part) bool { return !strings.Contains(p.heading(), *only) })
	begin := time.Now()
	for _, p := range measured {
		if err := p.prepare(); err != nil {
			return err
		}
	}
	for round := range *rounds {
		for _, p := range measured {
			if err := p.measure(round, *least); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", round+1, *rounds, time.Since(begin).Round(time.Second))
	}
	if err := writeHeader(os.Stdout, *rounds, *least); err != nil {
		return err
	}
	for _, p := range measured {
		p.write(os.Stdout)
	}
	writeFaster(os.Stdout, measured)
	return nil
}

// parts are all that is measured, in the order of the report.
func parts(ps *processes, quick bool) []part {
	return slices.Concat(codecTables(ps, quick), connTables(ps, quick), echoTables(ps), heapTables())
}

// processes are the workers, by a name that says what they run, for as long as
// the program runs.
type processes struct{ all map[string]*worker.Process }

// ask starts the process if there is none of that name.
func (ps *processes) ask(name string, q worker.Request) (worker.Reply, error) {
	p, ok := ps.all[name]
	if !ok {
		var err error
		if p, err = worker.Start(); err != nil {
			return worker.Reply{}, err
		}
		if ps.all == nil {
			ps.all = make(map[string]*worker.Process)
		}
		ps.all[name] = p
	}
	return p.Ask(q)
}

func (ps *processes) stop() (err error) {
	for _, p := range ps.all {
		if e := p.Stop(); err == nil {
			err = e
		}
	}
	return err
}
