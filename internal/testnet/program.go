package testnet

// This file holds the programs of others that tests run.

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A Program is somebody else's proxy, which runs as a process of its own.
type Program struct {
	Name, Debian string // of the program and its package

	// Configure writes what the program needs into a folder and returns its
	// arguments. It is to accept connections at the port of 127.0.0.1.
	Configure func(t *testing.T, dir, port string) []string
}

// Find is the path of the program. Without it the test is skipped, or fails if
// WEBSOCKET_REQUIRE_PROXIES is 1.
func (p Program) Find(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the processes of others are not a matter of the processor that is emulated")
	}
	for _, path := range []string{p.Name, "/usr/sbin/" + p.Name} { // which not everybody's path has
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("WEBSOCKET_REQUIRE_PROXIES") == "1" {
		t.Fatalf("%s is not installed, and WEBSOCKET_REQUIRE_PROXIES=1", p.Name)
	}
	t.Skipf("%s is not installed, which the Debian package %s has", p.Name, p.Debian)
	return ""
}

// Start runs the program until the test ends and returns its address.
func (p Program) Start(t *testing.T) (address string) {
	t.Helper()
	path := p.Find(t)
	const attempts = 3 // a free port may be taken before the program has it
	for range attempts {
		if address, ok := p.start(t, path); ok {
			return address
		}
	}
	t.Fatalf("%s does not accept connections", p.Name)
	return ""
}

func (p Program) start(t *testing.T, path string) (address string, ok bool) {
	t.Helper()
	address, port := freePort(t)
	dir := t.TempDir()
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd := exec.Command(path, p.Configure(t, dir, port)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // and it tidies up
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			said, _ := os.ReadFile(output.Name())
			t.Logf("%s said:\n%s", p.Name, said)
		}
	})
	return address, awaitProgram(address, ended)
}

// freePort is an address where nothing listens for now, and its port.
func freePort(t *testing.T) (address, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address = l.Addr().String()
	_, port, _ = net.SplitHostPort(address)
	return address, port
}

// awaitProgram tries to connect until something accepts, and gives up after a
// time or when the process has ended.
func awaitProgram(address string, ended <-chan struct{}) bool {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	giveUp := time.After(20 * time.Second)
	for {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			select {
			case <-ended: // it was somebody else
				return false
			default:
				return true
			}
		}
		select {
		case <-again.C:
		case <-ended:
			return false
		case <-giveUp:
			return false
		}
	}
}
