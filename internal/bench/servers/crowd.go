package servers

import "sync"

// A Crowd are the open connections of a server.
type Crowd struct {
	mu      sync.Mutex
	changed sync.Cond
	keep    bool
	open    int
	conns   map[Conn]struct{} // if they are kept
}

// NewCrowd makes one that only counts, or that also keeps the connections.
func NewCrowd(keep bool) *Crowd {
	c := &Crowd{keep: keep}
	c.changed.L = &c.mu
	if keep {
		c.conns = make(map[Conn]struct{})
	}
	return c
}

// Echo are the events of a server that sends back what comes in, and has its
// connections in the crowd.
func (c *Crowd) Echo() Events {
	return Events{
		Opened:  c.add,
		Message: func(conn Conn, kind Kind, p []byte) error { return conn.Send(kind, p) },
		Closed:  c.remove,
	}
}

func (c *Crowd) add(conn Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	if c.keep {
		c.conns[conn] = struct{}{}
	}
	c.changed.Broadcast()
}

func (c *Crowd) remove(conn Conn, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.keep {
		delete(c.conns, conn)
	}
	c.changed.Broadcast()
}

// Await waits until so many are open, and returns them if they are kept.
func (c *Crowd) Await(n int) []Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open != n {
		c.changed.Wait()
	}
	all := make([]Conn, 0, len(c.conns))
	for conn := range c.conns {
		all = append(all, conn)
	}
	return all
}
