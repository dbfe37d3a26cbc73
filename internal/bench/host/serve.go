// Package host runs servers in processes of their own, each on one processor, and
// tells them what to do.
package host

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
)

// Argument is what tells this program that it is a server; the order follows.
const Argument = "serve"

// An Order is what the process is to be.
type Order struct {
	Library string
	Style   servers.Style
	TLS     bool
	Keep    bool // connections are kept, for Broadcast and Write
}

// The commands, of which each is a line, as its answer is. N is how many
// connections are open, or how many goroutines write.
const (
	Free      = "free %d"         // collects garbage once N are open
	Broadcast = "broadcast %d %d" // sends a message of that size to N
	Write     = "write %d %d"     // has N goroutines write messages of that size to one connection
)

// done is the answer to what went well.
const done = "done"

// Serve runs a server. It writes its address, and then an answer to every line,
// until there are no more.
func Serve(order string, in io.Reader, out io.Writer) error {
	var o Order
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return err
	}
	s := server{crowd: servers.NewCrowd(o.Keep)}
	var err error
	if s.library, err = servers.Find(o.Library, servers.All, servers.Limits); err != nil {
		return err
	}
	if o.TLS {
		if o.Style.TLS, err = selfSigned(); err != nil {
			return err
		}
	}
	address, err := s.library.Listen(o.Style, s.crowd.Echo())
	if err != nil {
		return err
	}
	fmt.Fprintln(out, address)
	for lines := bufio.NewScanner(in); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		answer := done
		if err := s.do(lines.Text()); err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
}

type server struct {
	library servers.Library
	crowd   *servers.Crowd
}

func (s *server) do(command string) error {
	var n, size int
	if m, err := fmt.Sscanf(command, Broadcast, &n, &size); m == 2 && err == nil {
		return s.library.SendAll(s.crowd.Await(n), make([]byte, size))
	}
	if m, err := fmt.Sscanf(command, Write, &n, &size); m == 2 && err == nil {
		s.write(s.crowd.Await(1)[0], n, size)
		return nil
	}
	if m, err := fmt.Sscanf(command, Free, &n); m == 1 && err == nil {
		s.crowd.Await(n)
		for range 2 { // the first empties the pools, into where the second finds it
			runtime.GC()
		}
		debug.FreeOSMemory()
		return nil
	}
	return fmt.Errorf("host: cannot do %q", command)
}

// write has goroutines write for as long as the connection can. Where the library
// allows only one at a time, they take turns.
func (s *server) write(c servers.Conn, goroutines, size int) {
	send := c.Send
	if s.library.Exclusive {
		var turn sync.Mutex
		send = func(kind servers.Kind, p []byte) error {
			turn.Lock()
			defer turn.Unlock()
			return c.Send(kind, p)
		}
	}
	p := make([]byte, size)
	for range goroutines {
		go func() {
			for send(servers.Binary, p) == nil {
			}
		}()
	}
}
