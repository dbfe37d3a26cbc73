// Package generator is the client of the speed measurements: one thread that
// polls all connections, sends frames that were made before, and of what comes
// back looks for the ends of messages only. It costs the same whoever answers.
package generator

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// patience is for how long nothing may come.
const patience = 20 * time.Second

// atOnce is how many handshakes are under way at a time.
const atOnce = 64

// A Tally is what came within some time.
type Tally struct {
	Messages  int // or handshakes
	Elapsed   time.Duration
	Latencies Latencies
}

// A Fleet are connections to one server. It is for one goroutine.
type Fleet struct {
	poller  *poller
	family  int
	to      unix.Sockaddr
	request []byte
	conns   []conn
	opened  int
	buffer  []byte

	frames  [][]byte // what each connection sends, one after the other, and again
	batch   []byte   // as many as may be in flight, if that is more than one
	players int      // connections that send
	depth   int      // messages in flight on each
	churns  bool     // a connection that is open is closed, and opened anew

	goesOn bool // what was answered is followed by the next
	asked  int  // messages or handshakes that are not answered yet
	tally  Tally
}

// Open connects n times with the request.
func Open(address, request string, n int) (*Fleet, error) {
	f, err := newFleet(address, request, n)
	for i := 0; i < min(n, atOnce) && err == nil; i++ {
		err = f.shake(&f.conns[i])
	}
	if err == nil {
		err = f.poll(func() bool { return f.opened == n })
	}
	return f, f.orClose(err)
}

// Churn is a fleet that, while it runs, connects, shakes hands, and closes, over
// and over, with several connections at a time.
func Churn(address, request string) (*Fleet, error) {
	f, err := newFleet(address, request, atOnce)
	f.churns = true
	return f, f.orClose(err)
}

func newFleet(address, request string, n int) (f *Fleet, err error) {
	f = &Fleet{request: []byte(request), conns: make([]conn, n), buffer: make([]byte, 256<<10)}
	if f.poller, err = newPoller(); err != nil {
		return f, err
	}
	if f.family, f.to, err = resolve(address); err != nil {
		return f, err
	}
	for i := range f.conns {
		f.conns[i] = conn{fd: -1, index: i}
	}
	return f, nil
}

// orClose closes what is no use after an error.
func (f *Fleet) orClose(err error) error {
	if err != nil {
		err = errors.Join(err, f.Close())
	}
	return err
}

// Close closes all connections.
func (f *Fleet) Close() error {
	var all []error
	for i := range f.conns {
		if fd := f.conns[i].fd; fd >= 0 {
			all = append(all, unix.Close(fd))
		}
	}
	return errors.Join(append(all, unix.Close(f.poller.fd))...)
}

// shake connects and sends the request.
func (f *Fleet) shake(c *conn) (err error) {
	*c = conn{fd: -1, index: c.index, answer: c.answer[:0], sent: append(c.sent[:0], time.Now())}
	if c.fd, err = connect(f.family, f.to); err != nil {
		return fmt.Errorf("generator: connect: %w", err)
	}
	if err := f.poller.watch(unix.EPOLL_CTL_ADD, c, unix.EPOLLIN); err != nil {
		return err
	}
	if err := c.write(f.request); err != nil {
		return err
	}
	if len(c.rest) > 0 {
		return errors.New("generator: the request does not fit the socket")
	}
	return nil
}

// shaken takes what has come of the answer to the request.
func (f *Fleet) shaken(c *conn, p []byte) error {
	c.answer = append(c.answer, p...)
	end := bytes.Index(c.answer, []byte("\r\n\r\n"))
	if end < 0 {
		return nil
	}
	if !bytes.HasPrefix(c.answer, []byte("HTTP/1.1 101 ")) || !bytes.Contains(c.answer, []byte(traffic.Accept)) {
		return fmt.Errorf("generator: the server answered %q", c.answer)
	}
	if f.churns {
		f.tally.Messages++
		f.tally.Latencies.add(time.Since(c.sent[0]))
		err := unix.Close(c.fd)
		c.fd = -1
		if err != nil || !f.goesOn {
			f.asked--
			return err
		}
		return f.shake(c)
	}
	c.open = true
	f.opened++
	if next := f.opened + atOnce - 1; next < len(f.conns) {
		return f.shake(&f.conns[next])
	}
	return nil
}

// Play is what the first n connections send when the fleet runs: the frames, with
// so many in flight on each. If that is more than one, they are all the first of
// the frames.
func (f *Fleet) Play(frames [][]byte, n, depth int) {
	f.frames, f.batch, f.players, f.depth = frames, nil, n, depth
	if depth > 1 {
		f.batch = bytes.Repeat(frames[0], depth)
	}
	for i := range n {
		f.conns[i].sent = make([]time.Time, depth)
	}
}

// Run begins, goes on for so long, and until at least so many messages came, and
// ends when everything was answered: what the server has taken then, it has taken
// for these messages.
func (f *Fleet) Run(d time.Duration, least int) (Tally, error) {
	begin := time.Now()
	f.tally, f.goesOn = Tally{}, true
	for i := range f.conns {
		c := &f.conns[i]
		var err error
		switch {
		case f.churns:
			f.asked++
			err = f.shake(c)
		case i < f.players:
			f.asked += f.depth
			err = f.send(c, f.depth)
		}
		if err != nil {
			return f.tally, err
		}
	}
	err := f.poll(func() bool { return f.tally.Messages >= least && time.Since(begin) >= d })
	if f.goesOn = false; err == nil {
		err = f.poll(func() bool { return f.asked == 0 })
	}
	f.tally.Elapsed = time.Since(begin)
	return f.tally, err
}

// Receive takes messages that the server sends unasked, for so long, and until so
// many came.
func (f *Fleet) Receive(d time.Duration, least int) (Tally, error) {
	begin := time.Now()
	f.tally = Tally{}
	err := f.poll(func() bool { return f.tally.Messages >= least && time.Since(begin) >= d })
	f.tally.Elapsed = time.Since(begin)
	return f.tally, err
}

// poll works until it is done.
func (f *Fleet) poll(done func() bool) error {
	last, messages := time.Now(), f.tally.Messages+f.opened
	for !done() {
		events, err := f.poller.ready()
		if err != nil {
			return err
		}
		for _, e := range events {
			c := &f.conns[e.Fd]
			if e.Events&unix.EPOLLOUT != 0 {
				if err := f.resume(c); err != nil {
					return err
				}
			}
			if e.Events&^unix.EPOLLOUT != 0 {
				if err := f.receive(c); err != nil {
					return err
				}
			}
		}
		if n := f.tally.Messages + f.opened; n != messages {
			last, messages = time.Now(), n
		} else if len(events) == 0 && time.Since(last) > patience {
			return fmt.Errorf("generator: nothing has come for %s", patience)
		}
	}
	return nil
}

// receive takes what has come, and sends as many messages as were answered.
func (f *Fleet) receive(c *conn) error {
	p, err := c.read(f.buffer)
	if err != nil {
		return err
	}
	if !c.open {
		return f.shaken(c, p)
	}
	n, err := c.receive(p)
	if n == 0 || err != nil {
		return err
	}
	f.tally.Messages += n
	if f.asked == 0 {
		return nil
	}
	if n > c.wait {
		return fmt.Errorf("generator: %d answers to %d messages", n, c.wait)
	}
	now := time.Now()
	for range n {
		f.tally.Latencies.add(now.Sub(c.sent[c.first]))
		c.first = (c.first + 1) % len(c.sent)
	}
	c.wait -= n
	if f.goesOn {
		return f.send(c, n)
	}
	f.asked -= n
	return nil
}

// send sends n messages, or owes them if the last ones have not all gone out.
func (f *Fleet) send(c *conn, n int) error {
	if len(c.rest) > 0 {
		c.owed += n
		return nil
	}
	now := time.Now()
	for range n {
		c.sent[(c.first+c.wait)%len(c.sent)] = now
		c.wait++
	}
	p := f.frames[c.next%len(f.frames)]
	if n > 1 || f.batch != nil {
		p = f.batch[:n*len(f.frames[0])]
	}
	c.next++
	if err := c.write(p); err != nil {
		return err
	}
	if len(c.rest) > 0 {
		return f.poller.watch(unix.EPOLL_CTL_MOD, c, unix.EPOLLIN|unix.EPOLLOUT)
	}
	return nil
}

// resume goes on with a write that did not fit.
func (f *Fleet) resume(c *conn) error {
	if err := c.write(c.rest); err != nil || len(c.rest) > 0 {
		return err
	}
	if err := f.poller.watch(unix.EPOLL_CTL_MOD, c, unix.EPOLLIN); err != nil {
		return err
	}
	owed := c.owed
	c.owed = 0
	if owed == 0 {
		return nil
	}
	return f.send(c, owed)
}
