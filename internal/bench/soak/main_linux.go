// Command soak keeps many connections of this library's client to this library's server
// busy for a while, and looks whether every message comes back once, in order and whole.
// Connections come and go, read slowly, are cut from either side, and are told to go
// elsewhere when their server is replaced by a new process. It prints a report in markdown,
// and fails if there was anything else than that.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"
)

// serveArgument is what tells this program that it is the server; of how many messages one
// has its connection cut follows.
const serveArgument = "serve"

// cutIn is of how many messages one has the server cut the connection.
const cutIn = 20_000

func main() {
	err := serveIfAsked()
	if err == errNotAsked {
		err = soakByFlags()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errNotAsked = errors.New("soak: not the server")

// serveIfAsked is the whole program where that is the server.
func serveIfAsked() error {
	if len(os.Args) != 3 || os.Args[1] != serveArgument {
		return errNotAsked
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	return serve(n, os.Stdin, os.Stdout)
}

// A plan is what a soak does.
type plan struct {
	connections int
	duration    time.Duration
	restarts    int           // of the server, evenly
	pause       time.Duration // between the messages of a connection, in the mean
	growth      float64       // from the first half of the time to the second, that is no leak
}

func soakByFlags() error {
	p := plan{growth: 1.1}
	flag.IntVar(&p.connections, "connections", 10_000, "how many are open at a time")
	flag.DurationVar(&p.duration, "for", 10*time.Minute, "for how long")
	flag.IntVar(&p.restarts, "restarts", 3, "how often the server is replaced")
	flag.DurationVar(&p.pause, "pause", time.Second, "between two messages of a connection, in the mean")
	flag.Parse()
	if flag.NArg() != 0 || p.connections < 1 || p.duration <= 0 || p.restarts < 0 {
		flag.Usage()
		os.Exit(2)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	r, err := soak(p, program, serveArgument, strconv.Itoa(cutIn))
	if err != nil {
		return err
	}
	r.write(os.Stdout)
	return r.verdict()
}
