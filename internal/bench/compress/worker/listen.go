package worker

import (
	"net"
	"net/http"
	"sync"

	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A census counts connections.
type census struct {
	mu      sync.Mutex
	changed sync.Cond
	open    int
}

func newCensus() *census {
	c := &census{}
	c.changed.L = &c.mu
	return c
}

func (c *census) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
	c.changed.Broadcast()
}

// await waits until so many are open.
func (c *census) await(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open != n {
		c.changed.Wait()
	}
}

// listen has a library echo, on a port of the loopback.
func (w *worker) listen(library string, mode traffic.Mode) (address string, err error) {
	l, err := servers.Find(library)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	w.census = newCensus()
	server := &http.Server{Handler: l.Handler(mode, servers.Events{
		Opened:  func(servers.Conn) { w.census.add(1) },
		Message: func(c servers.Conn, p []byte) error { return c.Send(p) },
		Closed:  func(error) { w.census.add(-1) },
	})}
	go server.Serve(listener) // for as long as the process lives
	return listener.Addr().String(), nil
}
