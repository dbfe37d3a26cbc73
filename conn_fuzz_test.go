package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime/metrics"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A script is what a fuzzer has a program do, a byte for each choice.
type script []byte

// n is a choice of limit things; the first, once the script is over.
func (s *script) n(limit int) int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b) % limit
}

// around returns a function that gives the bytes of b one by one, for ever.
func around(b []byte) func() byte {
	at := 0
	return func() byte {
		at++
		return b[(at-1)%len(b)]
	}
}

// pieceSizes has each Read return as much as a byte of sizes says: 1 to 199 bytes, or
// hundreds; and, for 0, nothing, if that is allowed.
func pieceSizes(sizes []byte, stalls bool) func() int {
	if len(sizes) == 0 {
		return func() int { return math.MaxInt }
	}
	next := around(sizes)
	return func() int {
		switch v := int(next()); {
		case v >= 200:
			return 100 * (v - 199)
		case v == 0 && !stalls:
			return 1
		default:
			return v
		}
	}
}

var (
	errHandler   = errors.New("handler")
	errTransport = errors.New("transport")
)

// A player does with a connection what its script says. What a program must be able to
// rely on, it requires.
type player struct {
	t      *testing.T
	c      *Conn
	conn   *scriptedConn
	script script

	said      heard // by the peer
	exact     bool  // said.partial is all that there is
	next      int   // of said.messages: the first that was not delivered, nor begun by a reader
	reader    io.Reader
	stale     io.Reader // one that has lost its message
	got       []byte    // by reader, of message next-1
	err       error     // the first that is no deadline
	disturbed bool      // by the program; the stream may end sooner than the peer said

	sent []randomMessage // written without an error
	open randomMessage   // what was written to the writer
	w    *messageWriter  // which is open, or nil
	lost bool            // Close said that something was
}

// message is the next one to write.
func (x *player) message(size int) randomMessage {
	body := fmt.Sprintf("%d %s", len(x.sent), similar(x.script.n(3), size))
	return randomMessage{1 + x.script.n(2), []byte(body)}
}

func (x *player) write(m randomMessage, write func() error) {
	if write() == nil {
		x.sent = append(x.sent, m)
	}
}

func (x *player) writeMessage(size int) {
	m := x.message(size)
	x.write(m, func() error { return x.c.WriteMessage(m.messageType, m.body) })
}

// settle is called after what may have ended the writer.
func (x *player) settle() {
	if x.w == nil {
		return
	}
	x.c.out.mu.Lock()
	err := x.w.err
	x.c.out.mu.Unlock()
	switch {
	case err == nil:
		return
	case err == errWriterClosed && opcode(x.open.messageType).isData():
		x.sent = append(x.sent, x.open)
	}
	x.w, x.open = nil, randomMessage{}
}

func (x *player) close() {
	x.disturbed = true
	if x.c.Close() != nil {
		x.lost = true
	}
}

// act is what a handler does.
func (x *player) act(what int) error {
	switch what {
	case 0:
		x.disturbed = true
		return errHandler
	case 1:
		x.writeMessage(10)
	case 2:
		x.close()
	case 3:
		panic(errHandler)
	case 4:
		_, _, err := x.c.ReadMessage()
		require.Error(x.t, err, "a read in a handler")
	case 5:
		_ = x.c.WriteControl(PongMessage, nil, time.Now().Add(time.Second))
	}
	return nil
}

// reads runs a step that reads, in which a handler may panic.
func (x *player) reads(step func() error) {
	defer func() {
		if v := recover(); v != nil && v != errHandler {
			panic(v)
		}
	}()
	x.failed(step())
}

// failed holds that an error of a read that is no deadline stays.
func (x *player) failed(err error) {
	switch {
	case err == nil:
		require.Nil(x.t, x.err, "something is read behind an error")
	case err == io.EOF: // of a reader
	case x.err == nil && !isDeadline(err):
		x.err = err
	case x.err != nil:
		require.Same(x.t, x.err, err, "the first error stays")
	}
}

func (x *player) drop() {
	if x.reader != nil {
		x.stale = x.reader
	}
	x.reader, x.got = nil, nil
}

func (x *player) readMessage(read func(c *Conn) (int, []byte, error)) {
	x.drop()
	x.reads(func() error {
		messageType, p, err := read(x.c)
		if err != nil {
			require.Equal(x.t, -1, messageType)
			return err
		}
		require.Less(x.t, x.next, len(x.said.messages), "a message that nobody sent: %q", p)
		require.Equal(x.t, x.said.messages[x.next].messageType, messageType)
		require.Equal(x.t, string(x.said.messages[x.next].body), string(p))
		x.next++
		return nil
	})
}

func (x *player) appendMessage(room int) {
	dst := append(make([]byte, 0, 3+room), "dst"...)
	x.readMessage(func(c *Conn) (int, []byte, error) {
		messageType, p, err := c.AppendMessage(dst)
		require.Equal(x.t, "dst", string(p[:3]))
		if err != nil {
			require.Len(x.t, p, 3)
		}
		return messageType, p[3:], err
	})
}

func (x *player) nextReader() {
	x.drop()
	x.reads(func() error {
		messageType, r, err := x.c.NextReader()
		if err != nil {
			require.Nil(x.t, r)
			return err
		}
		if x.next < len(x.said.messages) {
			require.Equal(x.t, x.said.messages[x.next].messageType, messageType)
		}
		x.reader = r
		x.next++
		return nil
	})
}

func (x *player) readSome(size int) {
	if x.reader == nil {
		return
	}
	x.reads(func() error {
		p := make([]byte, size)
		n, err := x.reader.Read(p)
		x.got = append(x.got, p[:n]...)
		if x.next <= len(x.said.messages) {
			want := x.said.messages[x.next-1].body
			require.True(x.t, bytes.HasPrefix(want, x.got), "%q of %q", x.got, want)
			if err == io.EOF {
				require.Len(x.t, x.got, len(want), "the end of a message")
				x.drop()
			}
			return err
		}
		require.Equal(x.t, len(x.said.messages)+1, x.next, "a message that nobody sent")
		require.NotEqual(x.t, io.EOF, err, "the end of a message that has none")
		common := min(len(x.got), len(x.said.partial))
		require.Equal(x.t, string(x.said.partial[:common]), string(x.got[:common]))
		require.False(x.t, x.exact && common < len(x.got), "more than there is")
		return err
	})
}

func (x *player) writeSome(size int) {
	if x.w == nil {
		return
	}
	body := x.message(size).body
	if _, err := x.w.Write(body); err == nil {
		x.open.body = append(x.open.body, body...)
	}
	x.settle()
}

func (x *player) nextWriter() {
	messageType := []int{TextMessage, BinaryMessage, TextMessage, BinaryMessage, PingMessage, CloseMessage, 0, 77}[x.script.n(8)]
	w, err := x.c.NextWriter(messageType)
	x.settle()
	if err == nil {
		require.Nil(x.t, x.w, "the writer before this one is closed")
		x.w, x.open = w.(*messageWriter), randomMessage{messageType: messageType}
	}
}

// step does one thing.
func (x *player) step() {
	c, past := x.c, time.Unix(1, 0)
	switch x.script.n(26) {
	case 0:
		x.readMessage((*Conn).ReadMessage)
	case 1:
		x.appendMessage(x.script.n(20))
	case 2:
		x.appendMessage(100 * x.script.n(256))
	case 3, 4:
		x.nextReader()
	case 5, 6, 7:
		x.readSome([]int{0, 1, 7, 100, 5000}[x.script.n(5)])
	case 8:
		if x.stale != nil {
			n, err := x.stale.Read(make([]byte, 10))
			require.Zero(x.t, n)
			require.Error(x.t, err)
		}
	case 9, 10:
		x.writeMessage(x.script.n(256))
	case 11:
		x.writeMessage(300 * x.script.n(256))
	case 12:
		_ = c.WriteControl(9+x.script.n(2), make([]byte, x.script.n(140)), time.Now().Add(time.Second))
	case 13:
		x.nextWriter()
	case 14, 15:
		x.writeSome([]int{0, 1, 100, 9000, 30_000}[x.script.n(5)])
	case 16:
		if x.w != nil {
			_ = x.w.Close()
			x.settle()
		}
	case 17:
		limit := []int64{0, 1, 10, 200, fuzzLimit, -1}[x.script.n(6)]
		x.disturbed = x.disturbed || limit > 0
		c.SetReadLimit(limit)
	case 18:
		_ = c.SetReadDeadline(past)
	case 19:
		_ = c.SetReadDeadline(time.Time{})
	case 20:
		_ = c.SetWriteDeadline([]time.Time{past, time.Now().Add(time.Minute)}[x.script.n(2)])
	case 21:
		what := x.script.n(7)
		h := func(string) error { return x.act(what) }
		if what == 6 {
			h = nil
		}
		[]func(func(string) error){c.SetPingHandler, c.SetPongHandler}[x.script.n(2)](h)
	case 22:
		what := x.script.n(7)
		h := func(int, string) error { return x.act(what) }
		if what == 6 {
			h = nil
		}
		c.SetCloseHandler(h)
	case 23:
		time.Sleep([]time.Duration{corkTime, time.Second, time.Minute}[x.script.n(3)]) // by the bubble's clock
	case 24:
		c.EnableWriteCompression(x.script.n(2) == 0)
		_ = c.SetCompressionLevel(x.script.n(12) - 2)
		m := x.message(x.script.n(256))
		pm, err := NewPreparedMessage(m.messageType, m.body)
		require.NoError(x.t, err)
		x.write(m, func() error { return c.WritePreparedMessage(pm) })
	case 25:
		switch x.script.n(4) {
		case 0:
			x.close()
		case 1:
			c.NetConn()
		default:
			_ = c.WriteControl(CloseMessage, FormatCloseMessage(1000+x.script.n(20), "bye"), time.Now().Add(time.Second))
		}
	}
}

// play plays the script, and then reads on to the end and closes.
func (x *player) play() {
	c := x.c
	for steps := 0; len(x.script) > 0 && steps < 200; steps++ {
		x.step()
		synctest.Wait()
	}
	x.conn.mu.Lock()
	x.conn.piece = func() int { return math.MaxInt }
	x.conn.mu.Unlock()
	_ = c.SetReadDeadline(time.Time{})
	c.SetPingHandler(nil)
	c.SetPongHandler(nil)
	c.SetCloseHandler(nil)
	if x.reader != nil {
		for range 10 {
			x.readSome(1000)
		}
	}
	for reads := 0; x.err == nil; reads++ {
		require.LessOrEqual(x.t, reads, len(x.said.messages)+1, "a read that gets nowhere")
		x.readMessage((*Conn).ReadMessage)
	}
	x.readMessage((*Conn).ReadMessage)
	x.appendMessage(0)
	x.nextReader()
	require.Nil(x.t, x.reader)
	if !x.disturbed {
		require.Equal(x.t, fmt.Sprintf("%T %v", x.said.err, x.said.err), fmt.Sprintf("%T %v", x.err, x.err))
		require.GreaterOrEqual(x.t, x.next, len(x.said.messages), "messages that were lost")
	}
	synctest.Wait()
}

// over holds what there is to hold once the connection has come to its end: what went out
// are frames, and the messages that were written.
func (x *player) over(masked bool, z *flatePeer) {
	x.c.out.mu.Lock()
	failed := x.c.out.err
	x.c.out.mu.Unlock()
	x.lost = x.c.Close() != nil || x.lost
	synctest.Wait()
	require.Nil(x.t, x.c.out.owedPong)
	require.Nil(x.t, x.c.out.writer)
	require.Nil(x.t, x.c.out.stream)
	require.Empty(x.t, x.c.out.waiters.all())
	frames, cut := sentFrames(x.t, masked, x.conn.out.Bytes())
	messages := sentMessages(x.t, frames, z)
	want := x.sent
	if x.lost || failed != nil && failed != ErrCloseSent && failed != errConnClosed {
		require.LessOrEqual(x.t, len(messages), len(want), "a message that was refused")
		want = want[:len(messages)] // what was corked may be lost
	} else {
		require.False(x.t, cut, "part of a frame")
	}
	require.Len(x.t, messages, len(want))
	for i, m := range want {
		require.Equal(x.t, m.messageType, messages[i].messageType)
		require.Equal(x.t, string(m.body), string(messages[i].body))
	}
}

// hearOurselves is what NextReader makes of a stream that is there in one piece.
func hearOurselves(server bool, o *Compression, stream []byte) (h heard) {
	c := newConn(&scriptedConn{in: stream, piece: func() int { return math.MaxInt }}, connOptions{server: server, compression: o})
	defer c.Close()
	c.SetReadLimit(0)
	for {
		messageType, r, err := c.NextReader()
		if err != nil {
			h.err = err
			return h
		}
		p, err := io.ReadAll(r)
		if err != nil {
			h.partial, h.err = p, err
			return h
		}
		h.messages = append(h.messages, randomMessage{messageType, p})
	}
}

// heapAllocated is the number of bytes that were ever allocated.
func heapAllocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// Bits of the setup that FuzzConn is given; above them, the size of the window.
const (
	setupServer = 1 << iota
	setupRaw
	setupCompressed
	setupTakeover
	setupBits
)

// FuzzConn is a whole connection: the bytes that come in, the pieces in which they do,
// what the transport makes of what goes out, and what the program does.
func FuzzConn(f *testing.F) {
	add := func(setup byte, script, pieces, takes []byte, stream ...[]byte) {
		f.Add(setup, script, pieces, takes, bytes.Join(stream, nil))
	}
	random := func(seed, n int) []byte { return randomBytes(uint64(seed), n) }
	for _, setup := range []byte{setupServer, 0} {
		p := &peer{masks: setup != 0}
		add(setup, nil, nil, nil, p.frame(finText, "hello"), p.frame(finBinary, ascii(300)), p.frame(finClose, closePayload(1000, "bye")))
		add(setup, nil, nil, nil, p.frame(beginText, "κό"), p.frame(finPing, "x"), p.frame(moreData, ""), p.frame(finContinue, "σμε"), p.frame(finPong, "y"))
		add(setup, nil, nil, nil, p.frame(finText, "\xf4\x90\x80\x80"), p.frame(finText, "never read"))
		add(setup, nil, nil, nil, p.frame(finClose, ""), p.frame(finText, ""))
		add(setup, nil, nil, nil, p.frame(beginBinary, ascii(fuzzLimit)), p.frame(finContinue, "x"))
		add(setup, nil, nil, nil, p.frame(0xC1, "compressed?"), p.frame(finText, ""))
		add(setup, nil, nil, nil, p.header(finBinary, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF))
		add(setup, nil, nil, nil, p.header(finBinary, 127, 0, 0, 0, 0, 4, 0, 0, 0), []byte(ascii(5000)))
		add(setup, nil, nil, nil, p.frame(beginText, "\xce"), p.frame(finContinue, "\xba"), p.frame(beginText, "\xce"), p.frame(finContinue, ""))
		// A writer has part of its message on the wire, and the rest fails: nothing may follow.
		add(setup, []byte{13, 0, 14, 4, 0, 0, 20, 0, 14, 4, 0, 0, 20, 1, 9, 50, 0, 0}, nil, nil, p.frame(finText, ""))
		// Messages are corked behind one that is read, and overtaken by nothing.
		add(setup, []byte{0, 9, 50, 0, 0, 9, 50, 0, 0, 13, 0, 14, 4, 0, 0, 16, 12, 0, 3}, nil, nil, bytes.Repeat(p.frame(finText, ""), 3))
		for seed := range 24 {
			r := rand.New(rand.NewPCG(uint64(seed), 3))
			_, _, stream := randomStream(r, p, 3)
			add(setup|setupRaw*byte(seed%2), random(seed, 90), random(seed+100, seed/3), random(seed+200, seed%4*5), stream[:min(len(stream), fuzzStream)])
		}
		for _, takeover := range []byte{setupTakeover, 0} {
			z := &flatePeer{t: f, takeover: takeover != 0}
			setup := setup | setupCompressed | takeover
			with := func(bits byte) byte { return setup | (bits-minWindowBits)*setupBits }
			for i, g := range goodDeflate {
				cut := len(g.payloads) / 2
				add(with(15), random(i, 10), random(i, 5), nil, p.frame(zBeginText, g.payloads[:cut]), p.frame(finPing, "x"), p.frame(finContinue, g.payloads[cut:]), p.frame(finText, "y"))
			}
			add(with(15), nil, nil, nil, p.frame(zText, z.compress(similar(1, 500))), p.frame(zText, z.compress(similar(2, 500))))
			add(with(8), nil, nil, nil, p.frame(zBinary, z.compress(similar(1, 200))), p.frame(zBinary, z.compress(noise(200, 1))[:9]))
			add(with(15), nil, nil, nil, p.frame(zText, z.compress(similar(1, fuzzLimit+1))))
			add(with(15), nil, nil, nil, p.frame(zText, z.compress("caf\xe9")))
			add(with(12), nil, nil, nil, p.frame(zBinary, strings.Repeat("\x00\x00\x00\xff\xff", 1100)))
			for seed := range 12 {
				bits := byte(minWindowBits + seed%8)
				add(with(bits)|setupRaw*byte(seed%2), random(seed+300, 90), random(seed+400, seed/2), random(seed+500, seed%4*5), ownStream(f, with(bits), seed))
			}
		}
	}
	f.Fuzz(fuzzConn)
}

// fuzzStream is how long streams are at most. More makes a fuzzer slow, not wiser.
const fuzzStream = 16 << 10

func compressionOf(setup byte) *Compression {
	if setup&setupCompressed == 0 {
		return nil
	}
	takeover, bits := setup&setupTakeover != 0, minWindowBits+int(setup/setupBits)%8
	return &Compression{takeover, takeover, bits, bits, 0, -1}
}

// ownStream is what our own side of a connection sends to one of that setup.
func ownStream(t testing.TB, setup byte, seed int) []byte {
	conn := &scriptedConn{}
	c := newConn(conn, connOptions{server: setup&setupServer == 0, compression: compressionOf(setup)})
	for i := range 5 {
		require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(i, 100*seed))))
		require.NoError(t, c.WriteControl(PingMessage+i%2, []byte("ping or pong"), time.Time{}))
		w, err := c.NextWriter(BinaryMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, noise(10*seed, uint64(i)))
		require.NoError(t, err)
		if seed%5 == 0 {
			_, err = io.WriteString(w, similar(i, 20_000))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
	}
	require.NoError(t, c.WriteControl(CloseMessage, FormatCloseMessage(1001, "bye"), time.Time{}))
	require.NoError(t, c.Close())
	return conn.out.Bytes()[:min(conn.out.Len(), fuzzStream)]
}

func fuzzConn(t *testing.T, setup byte, script, pieces, takes, stream []byte) {
	if len(stream) > fuzzStream {
		return
	}
	server, o := setup&setupServer != 0, compressionOf(setup)
	checkBuffers(t)

	// Whatever the pieces and the way to read, a program sees the same.
	var want []string
	if o == nil {
		want = hear(server, fuzzLimit, stream).events
	}
	for name, piece := range map[string]func() int{
		"whole":  func() int { return math.MaxInt },
		"bytes":  func() int { return 1 },
		"pieces": pieceSizes(pieces, false),
	} {
		for _, way := range readWays[:3] {
			got := events(t, server, o, stream, piece, way.read)
			if want == nil {
				want = got
			}
			require.Equal(t, want, got, "%s, %s", name, way.name)
		}
	}
	if o != nil {
		flateAgrees(t, server, o, stream)
	}
	synctest.Test(t, func(t *testing.T) { playConn(t, setup, script, pieces, takes, stream) })
}

// playConn has a program use a connection in every way there is.
func playConn(t *testing.T, setup byte, script, pieces, takes, stream []byte) {
	server, o := setup&setupServer != 0, compressionOf(setup)
	conn := &scriptedConn{in: stream, piece: pieceSizes(pieces, true)}
	x := &player{t: t, c: newConn(conn, connOptions{server: server, compression: o}), conn: conn, script: script}
	try := func(n int) int { return n }
	if len(takes) > 0 {
		next := around(takes)
		try = func(n int) int {
			switch v := next(); {
			case v < 200:
				return n
			case v < 240:
				return n / 2
			}
			return 0
		}
		conn.take = func(n int) (int, error) {
			switch v := next(); {
			case v < 230:
				return n, nil
			case v < 240:
				return 0, os.ErrDeadlineExceeded
			case v < 246:
				return n / 2, os.ErrDeadlineExceeded
			case v < 252:
				return n / 2, errTransport
			}
			return 0, errTransport
		}
	}
	if setup&setupRaw != 0 {
		x.c.transport.seam = scriptedSeam{conn, try}
	}
	x.c.SetReadLimit(0)
	if o == nil {
		x.said, x.exact = hear(server, 0, stream), true
	} else {
		x.said = hearOurselves(server, o, stream)
	}
	before := heapAllocated()
	x.play()
	// What a byte of deflate may come to, and what is kept of it meanwhile; the program's
	// own messages; and buffers, should the garbage collector have emptied their pools.
	most := uint64(len(stream)*64 + min(len(script), 1000)*400<<10 + 8<<20)
	if o != nil {
		most += uint64(len(stream) * 1032 * 16)
	}
	require.Less(t, heapAllocated()-before, most, "bytes allocated")
	var z *flatePeer
	if o != nil {
		z = &flatePeer{t: t, takeover: o.SendContextTakeover}
	}
	x.over(!server, z)
}

// flateAgrees holds the first message, if it is compressed and in one frame, against
// compress/flate.
func flateAgrees(t *testing.T, server bool, o *Compression, stream []byte) {
	h, n := parseHeader(stream)
	if n == 0 || o.ReceiveWindowBits < maxWindowBits || h.opcode != opBinary || !h.fin || h.rsv != rsv1Bit ||
		h.masked != server || h.length > uint64(len(stream)-n) {
		return
	}
	payload := bytes.Clone(stream[n : n+int(h.length)])
	mask(payload, h.key)
	r := flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	message, err := io.ReadAll(io.LimitReader(r, fuzzLimit+1))
	c := newConn(&scriptedConn{in: stream, piece: func() int { return math.MaxInt }}, connOptions{server: server, compression: o})
	c.SetReadLimit(fuzzLimit)
	if _, got, ours := c.ReadMessage(); ours == nil {
		// It stops at the first block with BFINAL, where RFC 7692 §7.2.3.4 goes on.
		require.True(t, bytes.HasPrefix(got, message), "%q, %q %v", got, message, err)
	}
	require.NoError(t, c.Close())
}
