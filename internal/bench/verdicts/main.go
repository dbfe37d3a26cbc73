// Command verdicts has WebSocket libraries read the same streams of frames, valid and
// not, and compares what they make of them with what the RFCs say, as markdown on
// standard output.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/library"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 2 && args[0] == workArgument {
		return work(args[1], os.Stdin, out)
	}
	var all []string
	for _, l := range library.All {
		all = append(all, l.Name)
	}
	flags := flag.NewFlagSet("verdicts", flag.ContinueOnError)
	n := flags.Int("streams", 100_000, "streams, for each role")
	seed := flags.Uint64("seed", 1, "another makes other streams")
	libs := flags.String("libs", strings.Join(all, ","), "the libraries, separated by commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := strings.Split(*libs, ",")
	for _, name := range names {
		if _, err := library.Find(name); err != nil {
			return err
		}
	}
	found, err := readAll(*n, *seed, names)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "`go run ./verdicts -streams %d -seed %d -libs %s`%s.\n", *n, *seed, *libs, versions(names))
	found[server].write(out, "a server", names)
	found[client].write(out, "a client", names)
	if d := found[server].differ[ours] + found[client].differ[ours]; d > 0 {
		return fmt.Errorf("verdicts: %d of this library's verdicts are not the oracle's", d)
	}
	return nil
}

// ours is the name of this library.
const ours = "ours"

// A role is what reads a stream.
type role int

const (
	server role = iota
	client
)

// A finding is a tally for each role.
type finding [2]*tally

// readAll has the libraries read n streams in each role, in as many processes of each as
// there are processors.
func readAll(n int, seed uint64, names []string) (finding, error) {
	workers := min(runtime.NumCPU(), n)
	found := make([]finding, workers)
	failed := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { found[w], failed[w] = readSome(w, n, workers, seed, names) })
	}
	all.Wait()
	total := finding{newTally(), newTally()}
	for w := range workers {
		if failed[w] != nil {
			return total, failed[w]
		}
		for r := range total {
			total[r].merge(found[w][r])
		}
	}
	return total, nil
}

// readSome has the libraries read every so manieth stream, in a process each.
func readSome(first, n, step int, seed uint64, names []string) (finding, error) {
	found := finding{newTally(), newTally()}
	processes := map[string]*process{}
	for _, name := range names {
		processes[name] = &process{library: name}
		defer processes[name].stop()
	}
	g := streams.NewGenerator(seed)
	for i := first; i < n; i += step {
		for r := range found {
			s := g.Stream(i, role(r) == server)
			if err := found[r].read(s, processes); err != nil {
				return found, err
			}
		}
		if i%10_000 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d\n", i, n)
		}
	}
	return found, nil
}

// read has the libraries read a stream, all at the same time.
func (t *tally) read(s streams.Stream, processes map[string]*process) error {
	for _, p := range processes {
		if err := p.tell(s); err != nil {
			return err
		}
	}
	ruling := judge(s)
	differences := map[string]*difference{}
	for _, name := range slices.Sorted(maps.Keys(processes)) {
		v, err := processes[name].hear()
		if err != nil {
			return err
		}
		if d := compare(s, ruling, v); d != nil {
			differences[name] = d
		}
	}
	t.note(s, ruling, differences)
	return nil
}
