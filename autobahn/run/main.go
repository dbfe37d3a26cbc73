// Command run tests the library with the Autobahn suite, as a server and as a
// client, and fails unless every case comes out as expected.json says.
//
// The suite is the original, crossbario's autobahntestsuite; README.md says how
// it is found. Reports are left in autobahn/reports.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A role is one of the two ways the library is tested in.
type role struct {
	name   string
	agent  string
	outdir string // the suite's report, relative to the folder of reports
	report report
}

func main() {
	cases := flag.String("cases", "*", "comma-separated `patterns` of the cases to run, such as 1.*,6.4.1")
	except := flag.String("except", "", "comma-separated `patterns` of the cases not to run")
	folder := flag.String("reports", ".", "`folder` of autobahn/reports for these reports; what is in it is removed")
	limit := flag.Duration("timeout", 25*time.Minute, "how long everything may take")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("not done after %v", *limit))
	defer cancel()

	begin := time.Now()
	mismatches, err := run(ctx, patterns(*cases), patterns(*except), *folder)
	took := time.Since(begin).Round(time.Second)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "autobahn: %v\n", err)
	case len(mismatches) > 0:
		fmt.Printf("%s\nautobahn: FAILED, %d cases are not as autobahn/expected.json says, in %v\n",
			strings.Join(mismatches, "\n"), len(mismatches), took)
	default:
		fmt.Printf("autobahn: every case is as autobahn/expected.json says, in %v\n", took)
		return
	}
	os.Exit(1)
}

// patterns splits a flag's value.
func patterns(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// run runs the cases that match one of the patterns, and none of those excepted,
// in both roles. It prints a summary and returns a line for each case that is
// not as expected.
func run(ctx context.Context, cases, except []string, folder string) ([]string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	exp, err := loadExpectations(filepath.Join(root, "autobahn", "expected.json"))
	if err != nil {
		return nil, err
	}
	chosen, err := exp.choose(cases, except)
	if err != nil {
		return nil, err
	}

	if !filepath.IsLocal(folder) {
		return nil, fmt.Errorf("the folder %q is outside of autobahn/reports", folder)
	}
	reports := filepath.Join(root, "autobahn", "reports", folder)
	if err := os.RemoveAll(reports); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(reports, 0o755); err != nil {
		return nil, err
	}
	s, err := findSuite(ctx, reports)
	if err != nil {
		return nil, err
	}
	fmt.Printf("autobahn: %d of the %d cases of suite %s, both roles, with %s\n", len(chosen.ids), len(exp.ids), exp.suite, s.about)

	roles := []*role{
		{name: roleServer, agent: "websocket-server", outdir: "servers"},
		{name: roleClient, agent: "websocket-client", outdir: "clients"},
	}
	if err := runSuite(ctx, s, root, chosen, roles[0], roles[1]); err != nil {
		return nil, err
	}

	var mismatches []string
	for _, r := range roles {
		if r.report, err = readReport(filepath.Join(reports, r.outdir, "index.json")); err != nil {
			return nil, err
		}
		mismatches = append(mismatches, exp.check(r.name, r.agent, chosen.ids, r.report)...)
	}
	return mismatches, writeSummary(os.Stdout, roles)
}

// runSuite builds the two programs under test and runs the suite against both
// of them, side by side. Nothing it started is left when it returns.
func runSuite(ctx context.Context, s *suite, root string, chosen *choice, server, client *role) (err error) {
	bin, err := os.MkdirTemp("", "websocket-autobahn")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	build := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "./autobahn/server", "./autobahn/client")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}

	// The fuzzing server comes first: between finding a free port and its
	// listening there, nothing else here takes one.
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	fuzzingServer, err := s.start(ctx, "fuzzingserver", map[string]any{
		"url":           "ws://" + addr,
		"outdir":        client.outdir,
		"cases":         chosen.cases,
		"exclude-cases": chosen.except,
	})
	if err != nil {
		return err
	}
	defer s.stop("fuzzingserver", fuzzingServer)
	if err := fuzzingServer.awaitListener(ctx, addr); err != nil {
		return err
	}

	serverUnderTest, err := start(ctx, "server", s.dir, root, filepath.Join(bin, "server"))
	if err != nil {
		return err
	}
	defer serverUnderTest.stop()
	url, err := serverUnderTest.awaitLine(ctx)
	if err != nil {
		return err
	}

	fuzzingClient, err := s.start(ctx, "fuzzingclient", map[string]any{
		"servers":       []map[string]any{{"url": url, "agent": server.agent}},
		"outdir":        server.outdir,
		"cases":         chosen.cases,
		"exclude-cases": chosen.except,
	})
	if err != nil {
		return err
	}
	defer s.stop("fuzzingclient", fuzzingClient)
	clientUnderTest, err := start(ctx, "client", s.dir, root, filepath.Join(bin, "client"),
		"-url", "ws://"+addr, "-agent", client.agent)
	if err != nil {
		return err
	}
	defer clientUnderTest.stop()

	return waitBoth(ctx, fuzzingClient, clientUnderTest)
}

// waitBoth waits for both programs to end with success. When one fails, the
// other is not waited for; when time is up, both are quoted.
func waitBoth(ctx context.Context, a, b *process) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	for _, p := range []*process{a, b} {
		go func() { ended <- p.wait(waiting) }()
	}
	first := <-ended
	if first != nil && ctx.Err() == nil {
		return first
	}
	return errors.Join(first, <-ended)
}

// moduleRoot returns the folder of the module that the current folder is in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return string(bytes.TrimSpace(out)), nil
}

// freeAddr returns a loopback address with a port that is free now.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
