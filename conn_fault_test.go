package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A transport that fails at any byte of a whole session, coming in and going out, and
// peers that do not do their part.
//
// Held elsewhere: deadlines and panics of handlers at random, many of them in a stream
// (TestReadsResumeAnywhere); the Close of a program in each Write of the transport
// (TestCloseInEachWrite); Reads and Writes that break the rules of io
// (TestTransportsWithOddReads, TestTransportsWithOddWrites), panic
// (TestPanicOfTheTransportLeavesNothingLocked) or are TLS's
// (TestWriteTimeoutOverTLSSticks); failures among messages that go out together
// (TestCorkedMessagesThatCannotBeSent, TestDeadlineOfABatchThatHasBegun); and the
// opening handshake cut short (TestResponseIsCut, TestRequestCannotBeWritten).

var errReset = errors.New("reset")

// A part is a frame of a session, and what is known once it has come.
type part struct {
	frame   []byte
	message *randomMessage // whose last frame it is
	ping    string
	closes  bool
}

// session is what a peer says from its first message to its close frame.
func session(p *peer) (parts []part, stream []byte) {
	z := &flatePeer{t: p.t, takeover: true}
	text := func(s string) *randomMessage { return &randomMessage{TextMessage, []byte(s)} }
	binary := func(s string) *randomMessage { return &randomMessage{BinaryMessage, []byte(s)} }
	first, second := z.compress(similar(1, 300)), z.compress(similar(2, 500))
	parts = []part{
		{frame: p.frame(finText, "κόσμε"), message: text("κόσμε")},
		{frame: p.frame(beginBinary, ascii(140))},
		{frame: p.frame(finPing, "between fragments"), ping: "between fragments"},
		{frame: p.frame(moreData, "")},
		{frame: p.frame(finContinue, "end"), message: binary(ascii(140) + "end")},
		{frame: p.frame(zText, first), message: text(similar(1, 300))},
		{frame: p.frame(zBeginText, second[:10])},
		{frame: p.frame(finPing, ""), ping: ""},
		{frame: p.frame(finContinue, second[10:]), message: text(similar(2, 500))},
		{frame: p.frame(finBinary, ascii(directRead+200)), message: binary(ascii(directRead + 200))},
		{frame: p.frame(finPong, "unasked")},
		{frame: p.frame(finClose, closePayload(1000, "bye")), closes: true},
	}
	for _, part := range parts {
		stream = append(stream, part.frame...)
	}
	return parts, stream
}

// A faultReader reads messages, each in one way, and goes on where a deadline stopped it.
type faultReader struct {
	c           *Conn
	way         int // 0 ReadMessage, 1 AppendMessage, 2 NextReader
	messageType int
	reader      io.Reader // of NextReader; nil between messages
	got         []byte
	messages    []randomMessage
}

func (r *faultReader) read() error {
	switch r.way {
	case 0, 1:
		read := (*Conn).ReadMessage
		if r.way == 1 {
			read = func(c *Conn) (int, []byte, error) { return c.AppendMessage(make([]byte, 0, 150)) }
		}
		messageType, m, err := read(r.c)
		if err == nil {
			r.messages = append(r.messages, randomMessage{messageType, m})
		}
		return err
	}
	if r.reader == nil {
		messageType, reader, err := r.c.NextReader()
		if err != nil {
			return err
		}
		r.messageType, r.reader, r.got = messageType, reader, nil
	}
	for {
		p := make([]byte, 1000)
		n, err := r.reader.Read(p)
		r.got = append(r.got, p[:n]...)
		if err == io.EOF {
			r.messages = append(r.messages, randomMessage{r.messageType, r.got})
			r.reader = nil
			return nil
		} else if err != nil {
			return err
		}
	}
}

// all reads to the first error.
func (r *faultReader) all() error {
	for {
		if err := r.read(); err != nil {
			return err
		}
	}
}

// A readFault does something to a stream at byte at, has r read, and says what error it
// came to, should the close frame not have come before.
type readFault struct {
	name string
	want func(err error) bool
	run  func(r *faultReader, p *peer, stream []byte, at int) error
	all  bool // everything arrives in the end
	over bool // the connection is closed
}

func lastErr(err error) bool {
	e, ok := err.(*CloseError)
	return ok && *e == CloseError{Code: 1006, Text: "unexpected EOF"}
}

var readFaults = []readFault{
	{name: "the end", want: lastErr, run: func(r *faultReader, p *peer, stream []byte, at int) error {
		p.send(stream[:at])
		_ = p.CloseWrite()
		return r.all()
	}},
	{name: "an error", want: func(err error) bool { return errors.Is(err, errReset) }, run: func(r *faultReader, p *peer, stream []byte, at int) error {
		p.Out().CutAfter(at, errReset)
		_, _ = p.Write(stream)
		return r.all()
	}},
	{name: "a deadline", want: lastErr, all: true, run: func(r *faultReader, p *peer, stream []byte, at int) error {
		p.send(stream[:at])
		_ = r.c.SetReadDeadline(time.Now().Add(time.Second))
		for range 2 {
			if err := r.all(); at < len(stream) {
				wantTimeout(p.t, err)
			}
		}
		_ = r.c.SetReadDeadline(time.Time{})
		p.send(stream[at:])
		_ = p.CloseWrite()
		return r.all()
	}},
	{name: "a pause", want: lastErr, all: true, run: func(r *faultReader, p *peer, stream []byte, at int) error {
		ended := make(chan error)
		go func() { ended <- r.all() }()
		p.send(stream[:at])
		synctest.Wait()
		p.send(stream[at:])
		_ = p.CloseWrite()
		return <-ended
	}},
	{name: "Close", want: func(err error) bool { return err == errConnClosed }, over: true, run: func(r *faultReader, p *peer, stream []byte, at int) error {
		ended := make(chan error)
		go func() { ended <- r.all() }()
		p.send(stream[:at])
		synctest.Wait()
		_ = r.c.Close()
		return <-ended
	}},
}

// eachPosition is how far tests of every position go from one to the next. The race
// detector, under which they are slow, is there for goroutines and not for positions.
func eachPosition() int {
	if raceEnabled || testing.Short() {
		return 41
	}
	return 1
}

// Whatever befalls the bytes that come in, and wherever: the messages that came whole are
// delivered, each ping of them is answered, the error says what happened and stays, and
// writes do not notice.
func TestReadFaultAtEachByte(t *testing.T) {
	for i, m := range modes {
		for j, fault := range readFaults {
			t.Run(m.String()+"/"+fault.name, func(t *testing.T) {
				checkBuffers(t)
				synctest.Test(t, func(t *testing.T) {
					parts, stream := session(&peer{t: t, masks: m.server})
					for at := 0; at <= len(stream); at += eachPosition() {
						readFaultAt(t, m, fault, parts, stream, at, (at+i+j)%3)
					}
				})
			})
		}
	}
}

func readFaultAt(t *testing.T, m mode, fault readFault, parts []part, stream []byte, at, way int) {
	c, p := m.open(t)
	c.startCompression(&bothTakeOver)
	before := onLoan.Load()
	name := func() string { return fmt.Sprintf("byte %d, way %d", at, way) }

	var want []randomMessage
	var answers []sentFrame
	closed, end := false, 0
	for _, part := range parts {
		if end += len(part.frame); end > at && !fault.all {
			break
		}
		switch {
		case part.message != nil:
			want = append(want, *part.message)
		case part.frame[0] == finPing:
			answers = append(answers, sentFrame{finPong, []byte(part.ping)})
		case part.closes:
			closed = true
			answers = append(answers, sentFrame{finClose, []byte(closePayload(1000, ""))})
		}
	}

	r := &faultReader{c: c, way: way}
	err := fault.run(r, p, stream, at)
	if closed {
		require.Equal(t, &CloseError{Code: 1000, Text: "bye"}, err, name())
	} else {
		require.True(t, fault.want(err), "%s: %v", name(), err)
	}
	require.Len(t, r.messages, len(want), name())
	for i := range want {
		require.True(t, want[i].messageType == r.messages[i].messageType && bytes.Equal(want[i].body, r.messages[i].body), "%s: message %d", name(), i)
	}
	_, _, again := c.ReadMessage()
	require.Same(t, err, again, name())
	_, _, again = c.NextReader()
	require.Same(t, err, again, name())
	switch err := c.WriteMessage(TextMessage, []byte("alive")); {
	case fault.over && !closed:
		require.Equal(t, errConnClosed, err, name())
	case closed:
		require.Equal(t, ErrCloseSent, err, name())
	default:
		require.NoError(t, err, name())
		answers = append(answers, sentFrame{finText, []byte("alive")})
	}
	require.Equal(t, answers, p.sentTo(), name())
	require.NoError(t, c.Close())
	require.Equal(t, before, onLoan.Load(), "%s: buffers", name())
	_ = p.Close()
}

// sentTo is the frames that the peer was sent and has not read, all of which are whole.
func (p *peer) sentTo() []sentFrame {
	frames, cut := sentFrames(p.t, !p.masks, p.drain())
	require.False(p.t, cut)
	return frames
}

// drain is the bytes that the peer was sent and has not read.
func (p *peer) drain() []byte {
	b := make([]byte, p.Buffered())
	_, err := io.ReadFull(p, b)
	require.NoError(p.t, err)
	return b
}

// A sentStep is one thing that a program writes.
type sentStep struct {
	name string
	do   func(c *Conn) error
}

// sentSteps are what a program writes from its first message to its close frame.
func sentSteps(t *testing.T) []sentStep {
	pm, err := NewPreparedMessage(TextMessage, []byte(similar(3, 300)))
	require.NoError(t, err)
	message := func(messageType int, m string) func(c *Conn) error {
		return func(c *Conn) error { return c.WriteMessage(messageType, []byte(m)) }
	}
	control := func(messageType int, payload string) func(c *Conn) error {
		return func(c *Conn) error {
			return c.WriteControl(messageType, []byte(payload), time.Now().Add(defaultWriteTimeout))
		}
	}
	return []sentStep{
		{"a message", message(TextMessage, "κόσμε")},
		{"a ping", control(PingMessage, "are you there?")},
		{"a compressed message", message(TextMessage, similar(1, 400))},
		{"a prepared message", func(c *Conn) error { return c.WritePreparedMessage(pm) }},
		{"a message that refers to it", message(TextMessage, similar(2, 300))},
		{"fragments", func(c *Conn) error {
			c.EnableWriteCompression(false)
			w, err := c.NextWriter(BinaryMessage)
			if err != nil {
				return err
			}
			for _, n := range []int{500, 17_000, 300} {
				if _, err := io.WriteString(w, ascii(n)); err != nil {
					again := w.Close()
					if again != err {
						return errors.Join(err, again, errors.New("not the same error"))
					}
					return err
				}
			}
			return w.Close()
		}},
		{"a large message", message(BinaryMessage, largeText)},
		{"a close frame", control(CloseMessage, closePayload(1000, "bye"))},
	}
}

// largeText is more than three of the steps in which a client masks.
var largeText = ascii(90_000) + ascii(90_000) + ascii(20_000)

// A reference is what sentSteps send where nothing goes wrong.
type reference struct {
	frames []sentFrame
	starts []int // of each step, and the end
	edges  []int // of frames, and of steps of a frame
}

func writeReference(t *testing.T, m mode) (ref reference) {
	c, p := m.open(t)
	c.startCompression(&bothTakeOver)
	p.ours.Out().SetBuffer(1 << 20)
	var sent []byte
	for _, step := range sentSteps(t) {
		ref.starts = append(ref.starts, len(sent))
		require.NoError(t, step.do(c), step.name)
		sent = append(sent, p.drain()...)
	}
	ref.starts = append(ref.starts, len(sent))
	var cut bool
	ref.frames, cut = sentFrames(t, !m.server, sent)
	require.False(t, cut)
	require.Len(t, ref.messages(t), 6)
	end := 0
	for _, f := range ref.frames {
		for at := end; at < end+len(f.payload); at += copiedFrame {
			ref.edges = append(ref.edges, at)
		}
		end += headerSize(len(f.payload), !m.server) + len(f.payload)
		ref.edges = append(ref.edges, end)
	}
	require.Equal(t, len(sent), end)
	require.NoError(t, c.Close())
	require.NoError(t, p.Close())
	return ref
}

func (ref reference) messages(t *testing.T) []randomMessage {
	return sentMessages(t, ref.frames, &flatePeer{t: t, takeover: true})
}

// positions are all of small frames and those around the edges of the others. What is far
// within a large payload is all the same, so of that there are some.
func (ref reference) positions() (positions []int) {
	next := 0
	for at := 0; at <= ref.starts[len(ref.starts)-1]; at++ {
		near := at <= ref.starts[5]
		for _, edge := range ref.edges {
			near = near || edge-30 <= at && at <= edge+30
		}
		if near || at%3989 == 0 {
			if next%eachPosition() == 0 {
				positions = append(positions, at)
			}
			next++
		}
	}
	return positions
}

// A writeFault does something to the transport once at bytes have gone out.
type writeFault struct {
	name  string
	start func(c *Conn, p *peer, at int)
	do    func(c *Conn, p *peer, step sentStep) error
	want  func(t *testing.T, err error)
	mends bool // the transport goes on later, and the program too if nothing was cut
}

func stalls(c *Conn, p *peer, at int) { p.ours.Out().SetBuffer(at) }

var writeFaults = []writeFault{
	{name: "an error", start: func(c *Conn, p *peer, at int) {
		p.ours.Out().SetBuffer(1 << 20)
		p.ours.Out().FailWritesAfter(at, errReset)
	}, want: func(t *testing.T, err error) { require.ErrorIs(t, err, errReset) }},
	{name: "the write deadline", start: stalls, mends: true, do: func(c *Conn, p *peer, step sentStep) error {
		start := time.Now()
		if err := c.SetWriteDeadline(start.Add(2 * time.Second)); err != nil {
			return err
		}
		err := step.do(c)
		if err != nil && step.name != "a ping" && step.name != "a close frame" { // which have their own
			require.Equal(p.t, 2*time.Second, time.Since(start))
		}
		return err
	}, want: func(t *testing.T, err error) { wantTimeout(t, err) }},
	{name: "the default deadline", start: stalls, mends: true, do: func(c *Conn, p *peer, step sentStep) error {
		start := time.Now()
		err := step.do(c)
		if err != nil {
			require.Equal(p.t, defaultWriteTimeout, time.Since(start))
		}
		return err
	}, want: func(t *testing.T, err error) { wantTimeout(t, err) }},
	{name: "Close", start: stalls, do: func(c *Conn, p *peer, step sentStep) error {
		written := make(chan error, 1)
		go func() { written <- step.do(c) }()
		synctest.Wait()
		select {
		case err := <-written:
			return err
		default:
		}
		start := time.Now()
		require.NoError(p.t, c.Close())
		err := <-written
		require.Zero(p.t, time.Since(start))
		return err
	}, want: func(t *testing.T, err error) { require.Equal(t, errConnClosed, err) }},
	{name: "a full transport, for a moment", start: func(c *Conn, p *peer, at int) {
		p.ours.Out().SetBuffer(1 << 20)
		mem := c.transport.seam
		if !mem.raw() {
			return // it is never asked how much there is room for
		}
		c.transport.seam = hookSeam{mem, func(b []byte) int {
			if left := at - int(p.ours.Stats().BytesWritten); 0 <= left && left < len(b) {
				b = b[:left]
			}
			return mem.tryWrite(b)
		}}
	}},
}

// Whatever befalls the bytes that go out, and wherever: the peer has got the beginning of
// what was written, the call under way says why it failed, and every later one the same
// if a frame was cut, and only then.
func TestWriteFaultAtEachByte(t *testing.T) {
	for _, m := range modes {
		for _, fault := range writeFaults {
			t.Run(m.String()+"/"+fault.name, func(t *testing.T) {
				checkBuffers(t)
				synctest.Test(t, func(t *testing.T) {
					ref, steps := writeReference(t, m), sentSteps(t)
					for _, at := range ref.positions() {
						writeFaultAt(t, m, fault, ref, steps, at)
					}
				})
			})
		}
	}
}

func writeFaultAt(t *testing.T, m mode, fault writeFault, ref reference, steps []sentStep, at int) {
	c, p := m.open(t)
	c.startCompression(&bothTakeOver)
	before := onLoan.Load()
	fault.start(c, p, at)
	var got []byte
	var failed error
	again := false
	for i, step := range steps {
		name := fmt.Sprintf("byte %d, %s", at, step.name)
		var err error
		if fault.do == nil {
			err = step.do(c)
		} else {
			err = fault.do(c, p, step)
		}
		if at >= ref.starts[i+1] || fault.want == nil {
			require.NoError(t, err, name)
			continue
		}
		require.Error(t, err, name)
		fault.want(t, err)
		got = p.drain()
		require.Equal(t, at, len(got), name)
		if fault.mends && at == ref.starts[i] { // nothing of it is out
			again = true
			p.ours.Out().SetBuffer(1 << 20)
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
			for _, step := range steps[i:] {
				require.NoError(t, step.do(c), "%s, again: %s", name, step.name)
			}
			break
		}
		failed = err
		p.ours.Out().SetBuffer(1 << 20)
		p.ours.Out().FailWritesAfter(-1, nil)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		for _, step := range steps {
			require.Same(t, failed, step.do(c), "%s, then %s", name, step.name)
		}
		break
	}
	got = append(got, p.drain()...)
	frames, cut := sentFrames(t, !m.server, got)
	switch {
	case failed != nil:
		require.Equal(t, at, len(got))
	case !again:
		require.Equal(t, ref.starts[len(steps)], len(got), "byte %d", at)
	}
	if again { // what is compressed a second time may come out otherwise
		require.False(t, cut)
		require.Equal(t, ref.messages(t), sentMessages(t, frames, &flatePeer{t: t, takeover: true}), "byte %d", at)
	} else {
		require.LessOrEqual(t, len(frames), len(ref.frames))
		for i, f := range frames {
			require.True(t, f.first == ref.frames[i].first && bytes.Equal(f.payload, ref.frames[i].payload), "byte %d: frame %d", at, i)
		}
	}
	if fault.name != "Close" || failed == nil {
		p.send(p.frame(finText, "alive"))
		_, text, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "alive", string(text))
	}
	require.NoError(t, c.Close())
	require.Equal(t, before, onLoan.Load(), "byte %d: buffers", at)
	_ = p.Close()
}

// A peer that never reads costs its writers 30 seconds, whatever their number, and no
// memory but theirs. Reads go on meanwhile.
func TestPeerThatNeverReads(t *testing.T) {
	const writers = 50
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		var done sync.WaitGroup
		start := time.Now()
		for i := range writers {
			done.Go(func() {
				for {
					var err error
					switch i % 4 {
					case 0:
						err = c.WriteMessage(BinaryMessage, []byte(largeText[:50_000]))
					case 1:
						err = c.WriteMessage(TextMessage, []byte("small"))
					case 2:
						err = c.WriteControl(PingMessage, nil, start.Add(defaultWriteTimeout))
					default:
						err = writeInHalves(c, "in halves")
					}
					if err != nil {
						return
					}
				}
			})
		}
		synctest.Wait()
		require.LessOrEqual(t, onLoan.Load()-before, int64(writers), "pooled buffers")
		p.send(p.frame(finText, "read meanwhile"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "read meanwhile", string(got))
		require.Zero(t, time.Since(start))
		done.Wait()
		require.LessOrEqual(t, time.Since(start), 2*defaultWriteTimeout)
		require.NoError(t, c.Close())
		require.Equal(t, before, onLoan.Load())
	})
}

// A peer that takes a byte a minute makes no progress that counts.
func TestPeerThatReadsAByteAMinute(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for room := 1; ; room++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Minute):
					p.ours.Out().SetBuffer(room)
				}
			}
		}()
		start := time.Now()
		wantTimeout(t, c.WriteMessage(BinaryMessage, make([]byte, 100_000)))
		require.Equal(t, defaultWriteTimeout, time.Since(start), "nothing is out: the connection is as it was")
		time.Sleep(15 * time.Second) // by the bubble's clock: there is room for a byte in 15 seconds more
		start = time.Now()
		err := c.WriteMessage(BinaryMessage, make([]byte, 100_000))
		wantTimeout(t, err)
		require.Equal(t, defaultWriteTimeout, time.Since(start))
		require.Same(t, err, c.WriteMessage(TextMessage, nil), "a byte is out")
		close(stop)
		<-stopped
	})
}

// The way to notice a peer that never says anything, that the documentation of every
// library has: pings, and a read deadline that each pong moves.
func TestPeerThatNeverSends(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before, start := onLoan.Load(), time.Now()
		const patience = time.Minute
		alive := func(string) error { return c.SetReadDeadline(time.Now().Add(patience)) }
		c.SetPongHandler(alive)
		require.NoError(t, alive(""))
		ticker := time.NewTicker(patience / 2)
		defer ticker.Stop()
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
					if c.WriteControl(PingMessage, nil, time.Now().Add(time.Second)) != nil {
						return
					}
				}
			}
		}()
		go func() { // for a while it does answer
			for range 10 {
				if first, payload, err := p.next(); err == nil && first == finPing {
					p.send(p.frame(finPong, payload))
				}
			}
		}()
		_, _, err := c.ReadMessage()
		wantTimeout(t, err)
		require.Equal(t, 10*patience/2+patience, time.Since(start), "ten pongs, and then none")
		synctest.Wait()
		require.Equal(t, before, onLoan.Load())
	})
}

// A peer that pings for ever is answered for ever, and does not hold up a deadline.
func TestPeerThatPingsForEver(t *testing.T) {
	const every = time.Millisecond
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before, start := onLoan.Load(), time.Now()
		ping := bytes.Repeat(p.frame(finPing, "x"), 3)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				if _, err := p.Write(ping); err != nil {
					return
				}
				time.Sleep(every) // by the bubble's clock
			}
		}()
		pongs := make(chan int, 1)
		go func() {
			n := 0
			for {
				first, _, err := p.next()
				if err != nil {
					pongs <- n
					return
				}
				require.Equal(t, byte(finPong), first)
				n++
			}
		}()
		require.NoError(t, c.SetReadDeadline(start.Add(5*time.Second)))
		_, _, err := c.ReadMessage()
		wantTimeout(t, err)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.LessOrEqual(t, onLoan.Load()-before, int64(1), "what is in hand")
		require.NoError(t, c.Close())
		require.GreaterOrEqual(t, <-pongs, 3*4900)
		<-ended
	})
}

// A peer that sends a byte a minute is read for as long as the program lets it, in the
// memory of what has come.
func TestPeerThatSendsAByteAMinute(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before, start := onLoan.Load(), time.Now()
		p.Out().LimitWrites(testnet.AtMost(1))
		p.Out().SetGap(time.Minute)
		stream := append(p.frame(finText, "slow"), p.header(finBinary, 127, 0, 0, 0, 0, 0, 0x0F, 0, 0)...)
		p.send(stream, []byte(ascii(200)))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "slow", string(got))
		require.NoError(t, c.SetReadDeadline(start.Add(2*time.Hour)))
		allocs := allocated(func() { _, _, err = c.ReadMessage() })
		wantTimeout(t, err)
		require.Equal(t, 2*time.Hour, time.Since(start))
		require.LessOrEqual(t, onLoan.Load()-before, int64(1))
		require.Less(t, allocs, uint64(16*bufpool.Size), "bytes allocated for a message of 960 KiB of which some came")
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		ended := readOn(c)
		time.Sleep(time.Hour) // by the bubble's clock
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-ended, net.ErrClosed)
		require.Equal(t, before, onLoan.Load())
	})
}
