// Command speed measures servers: this library's beside those of others, and
// beside a bare echo, in one run, as markdown on standard output. README.md in
// the folder above says how to read it.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/host"
	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

func main() {
	run := measureAll
	if len(os.Args) == 3 && os.Args[1] == host.Argument {
		run = func() error { return host.Serve(os.Args[2], os.Stdin, os.Stdout) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measureAll() error {
	quick := flag.Bool("quick", false, "three rounds of short windows, with fewer sizes and connections, whatever the other flags say of those")
	rounds := flag.Int("rounds", 15, "rounds; the budgets are meant for 15")
	window := flag.Duration("window", 200*time.Millisecond, "for how long is measured at a time")
	only := flag.String("only", "", "measure only the tables whose heading contains this")
	libs := flag.String("libs", "", "measure only these, separated by commas")
	var also commands
	flag.Var(&also, "also", "`name=command args`: another server, which writes its address (host:port) as its first line, and echoes; may be repeated")
	flag.Parse()
	if *quick {
		*rounds, *window = 3, 100*time.Millisecond
	}
	if flag.NArg() != 0 || *rounds < 1 || *window <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	competitors, notes := competitors(*libs, also)
	if len(competitors) == 0 {
		return fmt.Errorf("speed: no library is %q", *libs)
	}
	l := &lab{window: *window, disturbed: .15}
	if err := l.settle(); err != nil {
		return err
	}

	measured := slices.DeleteFunc(parts(*quick), func(p part) bool { return !strings.Contains(p.heading(), *only) })
	begin := time.Now()
	for round := range *rounds {
		for _, p := range measured {
			p.measure(l, competitors, round)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", round+1, *rounds, time.Since(begin).Round(time.Second))
	}
	if err := writeHeader(os.Stdout, l, *rounds, notes); err != nil {
		return err
	}
	for _, p := range measured {
		p.write(os.Stdout)
	}
	writeBudgets(os.Stdout, measured)
	writeNotFirst(os.Stdout, measured)
	return nil
}

// settle takes two processors, one of them for all of this process, and as many
// files as there can be, for itself and for the servers.
func (l *lab) settle() (err error) {
	if l.serverCPU, l.clientCPU, err = measure.TwoCPUs(); err != nil {
		return err
	}
	if err := measure.StayOn(l.clientCPU); err != nil {
		return err
	}
	return measure.ManyFiles()
}
