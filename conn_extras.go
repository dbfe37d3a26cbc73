package websocket

// extras are what few connections have, so that the others have no room for it: what a
// program put in place of the default handlers, and what some methods keep from their first
// call on. An extras value is not changed once a Conn points to it.
type extras struct {
	ping, pong func(appData string) error
	close      func(code int, text string) error

	reads *readDeadline // nil: SetReadDeadline was not called
	pings *pings        // nil: Ping was not called
	left  *readerLeft   // nil: CloseContext was not called
	queue *SendQueue    // the newest; nil: NewSendQueue was not called
}

func (c *Conn) setExtras(set func(*extras)) {
	for {
		old := c.extras.Load()
		x := extras{}
		if old != nil {
			x = *old
		}
		set(&x)
		if c.extras.CompareAndSwap(old, &x) {
			return
		}
	}
}

// loadExtras returns what there is, which may be nothing.
func (c *Conn) loadExtras() extras {
	if x := c.extras.Load(); x != nil {
		return *x
	}
	return extras{}
}

// extra returns the one of the connection's extras that at points to, made by its first user.
func extra[T any](c *Conn, at func(*extras) **T) *T {
	for {
		if x := c.loadExtras(); *at(&x) != nil {
			return *at(&x)
		}
		made := new(T)
		c.setExtras(func(x *extras) {
			if *at(x) == nil {
				*at(x) = made
			}
		})
	}
}
