package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what should happen at once. It only
// matters when a test fails.
const patience = 30 * time.Second

// program is the path of the built program, which the tests run as its users do.
var program string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)

	program = filepath.Join(dir, "echo")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	args := []string{"build", "-o", program}
	if raceEnabled() {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// raceEnabled tells whether the tests were built with -race. Then the program
// is, too, and a race that the detector finds in it makes its exit code 66.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// process is the program while it runs.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer // to be read after wait
}

// start runs the program, and kills it if it outlives the test or patience; reads
// of its output end then.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p := &process{cmd: exec.CommandContext(ctx, program, args...)}
	p.cmd.WaitDelay = patience
	// The race detector's pause of a second at each exit adds up here.
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.stdin, p.stdout = stdin, bufio.NewReader(stdout)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		cancel()
		if p.cmd.ProcessState == nil { // the test failed before its wait
			_ = p.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("stderr of %v:\n%s", p.cmd.Args, &p.stderr)
		}
	})
	return p
}

// startServer runs the server on a free port and returns its address.
func startServer(t *testing.T, args ...string) (p *process, addr string) {
	t.Helper()
	p = start(t, append(args, "-addr", "localhost:0")...)
	return p, servedAddr(t, p.readLine(t))
}

// servedAddr takes the address out of the line that the server prints.
func servedAddr(t *testing.T, line string) string {
	t.Helper()
	addr, ok := strings.CutPrefix(line, "echo: serving http://")
	require.True(t, ok, "%q", line)
	addr, ok = strings.CutSuffix(addr, "/")
	require.True(t, ok, "%q", line)
	return addr
}

func (p *process) readLine(t *testing.T) string {
	t.Helper()
	line, err := p.stdout.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSuffix(line, "\n")
}

func (p *process) writeLine(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(p.stdin, line+"\n")
	require.NoError(t, err)
}

// interrupt presses Ctrl-C.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signal to send to one process")
	}
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
}

// wait waits for the end of the program and returns its exit code and what was
// left of its output.
func (p *process) wait(t *testing.T) (code int, stdout, stderr string) {
	t.Helper()
	rest, err := io.ReadAll(p.stdout)
	require.NoError(t, err)
	err = p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return p.cmd.ProcessState.ExitCode(), string(rest), p.stderr.String()
}
