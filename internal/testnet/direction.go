package testnet

// This file holds one direction of a connection: a bounded queue of bytes and
// the rules by which a reader takes from it and a writer adds to it.

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// defaultBuffer is the size of a direction's buffer in bytes, of the order of
// a socket's: a few messages fit, an unread megabyte does not.
const defaultBuffer = 64 << 10

// Direction is one direction of a connection, from the end that writes to the
// end that reads. Its methods choose faults, before the connection is used or
// at any time after, also while calls are blocked.
type Direction struct {
	mu   sync.Mutex // never held while blocked
	cond sync.Cond  // on mu; broadcast at every change that can end a wait

	// All below is guarded by mu.

	reader, writer end

	buf  []byte // buf[head:] was written and not read
	head int
	size int // bound of buffered()

	arrival // which bytes of buf can be read by now
	faults

	writing  bool // a Write has its turn
	finished bool // nothing more is accepted: CloseWrite, Close or a cut

	reads, tryReads, waitReads, writes int
	bytesRead, bytesWritten            int64
}

func newDirection() *Direction {
	d := &Direction{size: defaultBuffer, faults: noFaults()}
	d.cond.L = &d.mu
	return d
}

func (d *Direction) buffered() int { return len(d.buf) - d.head }

// read waits and takes.
func (d *Direction) read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	if len(p) == 0 && !d.reader.closed {
		return 0, nil
	}
	if err := d.awaitReady(); err != nil {
		return 0, err
	}
	return d.take(p)
}

// tryRead takes if it need not wait.
func (d *Direction) tryRead(p []byte) (n int, ok bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tryReads++
	if len(p) == 0 && !d.reader.closed {
		return 0, true, nil
	}
	if ok, err = d.ready(); err != nil || !ok {
		return 0, ok, err
	}
	n, err = d.take(p)
	return n, true, err
}

// waitRead waits and leaves all where it is.
func (d *Direction) waitRead() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waitReads++
	return d.awaitReady()
}

func (d *Direction) awaitReady() error {
	for {
		if ok, err := d.ready(); ok {
			return err
		}
		d.wait(&d.reader, d.nextDue())
	}
}

// ready reports whether a Read would return now, and the error it would
// return whatever has arrived.
func (d *Direction) ready() (bool, error) {
	switch {
	case d.reader.closed:
		return true, net.ErrClosed
	case d.reader.expired():
		return true, os.ErrDeadlineExceeded
	}
	d.deliver()
	return d.arrived > 0 || d.ended, nil
}

// take moves bytes to a reader that is ready, or tells it the end.
func (d *Direction) take(p []byte) (int, error) {
	if d.arrived == 0 {
		return 0, d.endErr
	}
	n := copy(p[:d.readLimit.of(min(len(p), d.arrived))], d.buf[d.head:])
	d.head += n
	d.arrived -= n
	d.bytesRead += int64(n)
	if d.head == len(d.buf) {
		d.buf, d.head = d.buf[:0], 0
	}
	d.cond.Broadcast()
	return n, nil
}

// write adds all of p, waiting for its turn and then for room.
func (d *Direction) write(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	for d.writing {
		if err := d.writeError(); err != nil {
			return 0, err
		}
		d.wait(&d.writer, time.Time{})
	}
	d.writing = true
	defer func() {
		d.writing = false
		d.cond.Broadcast()
	}()
	for {
		if err := d.writeError(); err != nil {
			return n, err
		}
		moved := d.push(p[n:])
		n += moved
		if n == len(p) {
			return n, nil
		}
		if moved == 0 {
			d.wait(&d.writer, time.Time{})
			continue
		}
		// Let the reader see this piece before the next is there.
		d.mu.Unlock()
		runtime.Gosched()
		d.mu.Lock()
	}
}

// tryWrite adds what there is room for, if it need not wait.
func (d *Direction) tryWrite(p []byte) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writing || d.writeError() != nil {
		return 0
	}
	n := d.push(p)
	if n > 0 {
		d.writes++
	}
	return n
}

// writeError returns the error a Write would fail with now.
func (d *Direction) writeError() error {
	switch {
	case d.writer.closed:
		return net.ErrClosed
	case d.writer.expired():
		return os.ErrDeadlineExceeded
	case d.failLeft == 0:
		return d.failErr
	case d.finished, d.reader.closed:
		return errBrokenPipe
	}
	return nil
}

// push moves into the buffer what the room and the faults allow.
func (d *Direction) push(p []byte) int {
	room := min(len(p), d.size-d.buffered())
	room = int(min(int64(room), d.cutLeft, d.failLeft))
	if room <= 0 {
		return 0
	}
	n := d.writeLimit.of(room)
	if len(d.buf)+n > cap(d.buf) {
		d.buf, d.head = append(d.buf[:0], d.buf[d.head:]...), 0
	}
	d.buf = append(d.buf, p[:n]...)
	d.send(chunk{n: n})
	d.bytesWritten += int64(n)
	d.failLeft -= int64(n)
	d.cutLeft -= int64(n)
	if d.cutLeft == 0 {
		d.finish(d.cutErr)
	}
	d.cond.Broadcast()
	return n
}

// finish lets the reader read err after what was written, and all writes fail.
func (d *Direction) finish(err error) {
	if d.finished {
		return
	}
	d.finished = true
	d.endErr = err
	d.send(chunk{end: true})
	d.cond.Broadcast()
}

func (d *Direction) closeWrite() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writer.closed {
		return net.ErrClosed
	}
	d.finish(io.EOF)
	return nil
}

func (d *Direction) closeWriter() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writer.close()
	d.finish(io.EOF) // wakes the writers; none waits if this was done before
}

func (d *Direction) closeReader() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reader.close()
	d.buf, d.head, d.arrival = nil, 0, arrival{}
	d.cond.Broadcast()
}

func (d *Direction) addReads(s *Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Reads, s.TryReads, s.WaitReads, s.BytesRead = d.reads, d.tryReads, d.waitReads, d.bytesRead
}

func (d *Direction) addWrites(s *Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Writes, s.BytesWritten = d.writes, d.bytesWritten
}
