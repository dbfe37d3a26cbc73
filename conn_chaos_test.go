package websocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Random tests with fixed seeds. What runs is the same each time; who of
// several goroutines comes first is not.

type randomMessage struct {
	messageType int
	body        []byte
}

// randomStream is n messages, whole and in fragments, with pings among them.
func randomStream(r *rand.Rand, p *peer, n int) (messages []randomMessage, pings []string, stream []byte) {
	sizes := []int{0, 1, 2, 7, 100, 125, 126, 1000, 4095, 4096, 4097, 5000, 16384, 16500, 40000, 65535, 65536, 90000}
	for i := range n {
		m := randomMessage{messageType: 1 + r.IntN(2)}
		size := sizes[r.IntN(len(sizes))]
		if m.messageType == TextMessage {
			m.body = bytes.Repeat([]byte("aκ€😀z"), size/11)
		} else {
			m.body = []byte(ascii(size + i)[i:])
		}
		messages = append(messages, m)
		first, rest := byte(m.messageType), m.body
		for more := r.IntN(2) * r.IntN(5); more >= 0; more-- {
			for r.IntN(3) == 0 {
				ping := fmt.Sprintf("ping %d %s", len(pings), ascii(r.IntN(2)*100))
				pings = append(pings, ping)
				stream = append(stream, p.frame(finPing, ping)...)
			}
			part := r.IntN(len(rest) + 1)
			if more == 0 {
				first, part = first|0x80, len(rest)
			}
			stream = append(stream, p.frame(first, string(rest[:part]))...)
			first, rest = 0, rest[part:]
		}
	}
	return messages, pings, stream
}

// A resumer reads messages in ways that it draws anew after each deadline that
// passed and each panic of a handler.
type resumer struct {
	t      *testing.T
	r      *rand.Rand
	c      *Conn
	wanted []randomMessage
	reader io.Reader // of the first wanted message
	got    []byte    // by reader
}

func (x *resumer) delivered(messageType int, body []byte) {
	require.Equal(x.t, x.wanted[0].messageType, messageType)
	require.True(x.t, bytes.Equal(x.wanted[0].body, body), "%d bytes, want %d", len(body), len(x.wanted[0].body))
	x.wanted, x.reader, x.got = x.wanted[1:], nil, nil
}

// step reads once; a message that its reader leaves behind is dropped.
func (x *resumer) step() (err error) {
	defer func() {
		if v := recover(); v != nil {
			require.Equal(x.t, "handler", v)
			err = os.ErrDeadlineExceeded
		}
	}()
	if x.reader != nil {
		if x.r.IntN(20) > 0 {
			p := make([]byte, x.r.IntN([]int{2, 100, 8000}[x.r.IntN(3)]))
			n, err := x.reader.Read(p)
			x.got = append(x.got, p[:n]...)
			if err == io.EOF {
				x.delivered(x.wanted[0].messageType, x.got)
				return nil
			}
			return err
		}
		x.wanted, x.reader, x.got = x.wanted[1:], nil, nil
		if len(x.wanted) == 0 {
			return nil
		}
	}
	switch x.r.IntN(3) {
	case 0:
		messageType, p, err := x.c.ReadMessage()
		if err == nil {
			x.delivered(messageType, p)
		}
		return err
	case 1:
		dst := append(make([]byte, 0, x.r.IntN(30_000)), "dst"...)
		messageType, p, err := x.c.AppendMessage(dst)
		require.Equal(x.t, "dst", string(p[:3]))
		if err == nil {
			x.delivered(messageType, p[3:])
		}
		clear(dst[:cap(dst)]) // the memory is the caller's
		return err
	}
	messageType, reader, err := x.c.NextReader()
	if err == nil {
		require.Equal(x.t, x.wanted[0].messageType, messageType)
		x.reader = reader
	}
	return err
}

// Deadlines that pass and handlers that panic anywhere in a stream lose
// nothing, in whatever ways the reads go on.
func TestReadsResumeAnywhere(t *testing.T) {
	for seed := range uint64(60) {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			c, p := modes[seed%4].pair(t)
			messages, pings, stream := randomStream(r, p, 12)
			answered := 0
			c.SetPingHandler(func(appData string) error {
				require.Equal(t, pings[answered], appData, "seed %d: each ping once", seed)
				answered++
				if r.IntN(3) == 0 {
					panic("handler")
				}
				return nil
			})
			feed := func() {
				n := 1 + r.IntN([]int{3, 40, 3000, 30_000}[r.IntN(4)])
				n = min(n, len(stream), 64<<10-p.ours.Buffered())
				p.send(stream[:n])
				stream = stream[n:]
			}
			x := &resumer{t: t, r: r, c: c, wanted: messages}
			for len(x.wanted) > 0 {
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
				if err := x.step(); err != nil {
					require.ErrorIs(t, err, os.ErrDeadlineExceeded, "seed %d", seed)
					feed()
				}
			}
		})
	}
}

// A ledger knows which messages were written and which arrived.
type ledger struct {
	mu      sync.Mutex
	next    uint32
	written map[uint32]bool // true: with no error; false: nobody knows
	arrived map[uint32]int
}

// message is a new message of its number, its size and bytes that follow from
// them.
func (l *ledger) message(size int) (id uint32, m []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	return l.next, numbered(l.next, size)
}

func numbered(id uint32, size int) []byte {
	m := binary.BigEndian.AppendUint32(nil, id)
	m = binary.BigEndian.AppendUint32(m, uint32(size))
	return append(m, ascii(size + int(id%100))[id%100:]...)
}

func (l *ledger) write(id uint32, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, clean := err.(timeoutError); !clean {
		l.written[id] = err == nil
	}
}

func (l *ledger) arrive(m []byte) error {
	if len(m) < 8 {
		return fmt.Errorf("a message of %d bytes", len(m))
	}
	id := binary.BigEndian.Uint32(m)
	if !bytes.Equal(m, numbered(id, int(binary.BigEndian.Uint32(m[4:])))) {
		return fmt.Errorf("message %d is corrupt", id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived[id]++
	return nil
}

// receive takes what the connection sends, in its own time, until the end.
func (l *ledger) receive(p *peer, r *rand.Rand) error {
	var message []byte
	open := false
	for {
		if r.IntN(8) == 0 {
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond) // by the bubble's clock
		}
		first, body, err := p.next()
		switch {
		case err != nil:
			return nil
		case first&8 != 0:
			continue
		case open != (first&0xF == 0):
			return fmt.Errorf("RFC 6455 §5.4: frame %#x, a message is open: %v", first, open)
		}
		message = append(message, body...)
		if open = first&0x80 == 0; !open {
			if err := l.arrive(message); err != nil {
				return err
			}
			message = message[:0]
		}
	}
}

// writeInPieces writes a message by a NextWriter; an error of any step is the
// message's.
func writeInPieces(c *Conn, r *rand.Rand, m []byte) error {
	w, err := c.NextWriter(BinaryMessage)
	if err != nil {
		return err
	}
	for len(m) > 0 {
		n := min(len(m), 1+r.IntN(12_000))
		if _, err := w.Write(m[:n]); err != nil {
			return errors.Join(err, w.Close())
		}
		m = m[n:]
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("the next NextWriter may close it: %w", err)
	}
	return nil
}

// Writes of all kinds at once, to a slow peer that pings, with deadlines that
// pass and a Close in between: what was written without an error arrives once,
// what was refused never, and nothing is cut, mixed or corrupted.
func TestWritesAtOnce(t *testing.T) {
	written, arrived := 0, 0
	for seed := range uint64(24) {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			l := writesAtOnce(t, seed)
			written, arrived = written+int(l.next), arrived+len(l.arrived)
		})
	}
	require.Greater(t, arrived, written/2, "most connections live on")
}

func writesAtOnce(t *testing.T, seed uint64) *ledger {
	c, p := modes[seed%4].pair(t)
	p.ours.Out().SetBuffer(3000)
	p.ours.Out().LimitWrites(testnet.Random(seed, 700))
	l := &ledger{written: map[uint32]bool{}, arrived: map[uint32]int{}}
	received := make(chan error, 1)
	go func() { received <- l.receive(p, rand.New(rand.NewPCG(seed, 2))) }()
	ended := readOn(c)
	var writers sync.WaitGroup
	run := func(n int, f func(r *rand.Rand)) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			for range 20 {
				f(r)
			}
		})
	}
	run(3, func(r *rand.Rand) { // of the peer; it ends with the connection
		_, _ = p.Write(p.frame(finPing, ascii(r.IntN(126))))
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
	})
	for n := range 5 {
		run(10+n, func(r *rand.Rand) {
			id, m := l.message([]int{0, 100, 2000, 20_000}[r.IntN(4)])
			if n > 0 {
				l.write(id, c.WriteMessage(BinaryMessage, m))
			} else {
				l.write(id, writeInPieces(c, r, m))
			}
		})
		run(20+n, func(r *rand.Rand) {
			_ = c.WriteControl(PingMessage, []byte("x"), time.Now().Add(time.Duration(r.IntN(3000))*time.Microsecond))
		})
	}
	if seed%3 == 1 {
		run(4, func(r *rand.Rand) {
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			_ = c.SetWriteDeadline(time.Now().Add(time.Duration(r.IntN(20)) * time.Millisecond))
			time.Sleep(time.Millisecond)
			_ = c.SetWriteDeadline(time.Time{})
		})
	}
	if seed%5 == 4 {
		writers.Go(func() {
			time.Sleep(5 * time.Millisecond)
			_ = c.Close()
		})
	}
	writers.Wait()
	_ = c.Close()
	require.Error(t, <-ended)
	require.NoError(t, <-received, "seed %d", seed)
	for id, sure := range l.written {
		if sure {
			require.Equal(t, 1, l.arrived[id], "seed %d: message %d was written", seed, id)
		}
	}
	for id, n := range l.arrived {
		_, tried := l.written[id]
		require.True(t, tried, "seed %d: message %d was refused and sent", seed, id)
		require.Equal(t, 1, n, "seed %d: message %d", seed, id)
	}
	return l
}

// Every method against every other, right and wrong; -race and the bubble, in
// which nothing may be left, are the judges.
func TestMethodsAgainstMethods(t *testing.T) {
	for seed := range uint64(12) {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) { methodsAgainstMethods(t, seed) })
	}
}

func methodsAgainstMethods(t *testing.T, seed uint64) {
	c, p := modes[seed%4].pair(t)
	soon := func() time.Time { return time.Now().Add(time.Millisecond) }
	require.NoError(t, c.SetReadDeadline(soon()))
	require.NoError(t, c.SetWriteDeadline(soon()))
	go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
	go func() {
		f := bytes.Join([][]byte{p.frame(finPing, "p"), p.frame(beginText, "ab"), p.frame(finContinue, ascii(5000))}, nil)
		for {
			if _, err := p.Write(f); err != nil {
				return
			}
		}
	}()
	var pings atomic.Int64
	c.SetPingHandler(func(appData string) error {
		if appData != "p" {
			t.Errorf("the handler was given %q", appData)
		}
		if _, _, err := c.ReadMessage(); err == nil {
			t.Error("a read in a handler")
		}
		if pings.Add(1)%2 == 0 {
			_ = c.WriteMessage(TextMessage, nil)
		}
		return nil
	})
	var methods sync.WaitGroup
	run := func(n int, f func(r *rand.Rand)) {
		methods.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(n)))
			for range 100 {
				f(r)
			}
		})
	}
	run(1, func(*rand.Rand) { _, _, _ = c.ReadMessage() })
	run(2, func(*rand.Rand) { _, _, _ = c.AppendMessage(make([]byte, 3, 100)) })
	var reader atomic.Value
	run(3, func(*rand.Rand) {
		if _, r, err := c.NextReader(); err == nil {
			reader.Store(r)
		}
	})
	for n := range 2 {
		run(4+n, func(r *rand.Rand) {
			if x, ok := reader.Load().(io.Reader); ok {
				_, _ = x.Read(make([]byte, r.IntN(4000)))
			}
		})
	}
	types := []int{TextMessage, BinaryMessage, TextMessage, PingMessage, PongMessage, 0, 3}
	var writer atomic.Value
	run(6, func(r *rand.Rand) {
		if w, err := c.NextWriter(types[r.IntN(len(types))]); err == nil {
			writer.Store(w)
		}
	})
	for n := range 2 {
		run(7+n, func(r *rand.Rand) {
			if w, ok := writer.Load().(io.WriteCloser); ok {
				_, _ = w.Write(make([]byte, r.IntN(40_000)))
				_, _ = io.WriteString(w, "x")
				_ = w.Close()
			}
		})
	}
	run(9, func(r *rand.Rand) { _ = c.WriteMessage(types[r.IntN(len(types))], nil) })
	run(10, func(r *rand.Rand) { _ = c.WriteControl(9+r.IntN(2), nil, soon()) })
	run(11, func(*rand.Rand) { _, _ = c.SetReadDeadline(soon()), c.SetWriteDeadline(soon()) })
	run(12, func(*rand.Rand) {
		c.SetReadLimit(100_000)
		c.SetPongHandler(nil)
		c.SetCloseHandler(nil)
		_ = c.PongHandler()("")
		c.sendPong([]byte("another")) // as the default ping handler does
	})
	for i, name := range slices.Sorted(maps.Keys(methodCalls)) {
		switch name {
		case "Close", "CloseContext": // below
		case "Ping", "ReadMessageContext", "WriteMessageContext": // with contexts that end
		case "NetConn", "UnderlyingConn":
			if seed%2 == 0 { // they end corking
				run(20+i, func(r *rand.Rand) { _ = methodCalls[name](c, r) })
			}
		default:
			run(20+i, func(r *rand.Rand) { _ = methodCalls[name](c, r) })
		}
	}
	ending := func(r *rand.Rand) context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		steps := r.IntN(50)
		go func() {
			for range steps {
				runtime.Gosched()
			}
			cancel()
		}()
		return ctx
	}
	run(60, func(r *rand.Rand) { _, _ = c.Ping(ending(r)) })
	for n := range 3 {
		run(61+n, func(r *rand.Rand) { _, _, _ = c.ReadMessageContext(ending(r)) })
		run(65+n, func(r *rand.Rand) {
			_ = c.WriteMessageContext(ending(r), types[r.IntN(len(types))], make([]byte, r.IntN(100)))
		})
	}
	if seed%3 > 0 {
		methods.Go(func() {
			time.Sleep(time.Duration(seed) * time.Millisecond)
			switch {
			case seed%3 == 1:
				_ = c.WriteControl(CloseMessage, nil, soon())
			case seed%2 == 0:
				_ = c.CloseContext(ending(rand.New(rand.NewPCG(seed, 0))), CloseNormalClosure, "")
			default:
				_ = c.Close()
			}
		})
	}
	methods.Wait()
	_ = c.Close()
	_, _, err := c.ReadMessage()
	require.Error(t, err)
	require.Error(t, c.WriteMessage(TextMessage, nil))
	synctest.Wait()
	require.Empty(t, c.out.waiters.all())
	require.Nil(t, c.out.owedPong)
	require.Nil(t, c.out.writer)
	require.Nil(t, c.out.stream)
	require.Nil(t, c.in.reader)
}

// Close in the transport's Write, at each step of each kind of write, ends what
// is under way and leaves nothing.
func TestCloseInEachWrite(t *testing.T) {
	for at := 1; at <= 45; at++ {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
			h := c.hook()
			writes := 0
			h.write = func(b []byte) (int, error) {
				if writes++; writes == at {
					require.NoError(t, c.Close())
				}
				return h.Conn.Write(b)
			}
			_ = c.WriteMessage(BinaryMessage, make([]byte, 600_000))
			if w, err := c.NextWriter(BinaryMessage); err == nil {
				_, _ = w.Write(make([]byte, 50_000))
				_, _ = w.Write(make([]byte, 50_000))
				_ = w.Close()
			}
			_ = c.PingHandler()("x")
			_ = c.WriteControl(CloseMessage, nil, time.Time{})
			if at <= writes {
				require.ErrorIs(t, c.WriteMessage(TextMessage, nil), net.ErrClosed)
				require.Nil(t, c.out.writer)
			}
			require.NoError(t, c.Close())
			require.Error(t, c.WriteMessage(TextMessage, nil))
			require.Equal(t, before, onLoan.Load())
		})
	}
}
