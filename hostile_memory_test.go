package websocket

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

// What peers have done to the memory of WebSocket programs; docs/hostile.md has the
// list. The bytes of the frames are written out.

// inUse is how much memory there is in the heap and in stacks of what is needed.
func inUse() int64 {
	for range 3 { // which empty the pools too
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// RFC 6455 §10.4. A thousand connections declare as much as may be read, in a header of
// 14 bytes or, from a server, of 10, and send nothing more, or one byte.
// https://rustsec.org/advisories/RUSTSEC-2022-0035.html
func TestHostileDeclaredLengths(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes stacks larger and empties sync.Pool at random")
	}
	const conns = 1000
	headers := map[bool]string{
		true:  "\x82\xFF\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00", // 1 MiB, masked
		false: "\x82\x7F\x00\x00\x00\x00\x02\x00\x00\x00",                 // 32 MiB
	}
	for _, m := range modes {
		for name, o := range map[string]*Compression{"plain": nil, "compressed": &bothTakeOver} {
			for payload, most := range map[string]int64{
				"":     16 << 10, // the stack of the goroutine that reads, and the codec
				"\x02": 56 << 10, // and two buffers of 16 KiB at most: one to read into, one for what comes of it
			} {
				for _, way := range []readWay{readWays[0], readWays[2]} {
					t.Run(fmt.Sprintf("%v/%s/%s/%d bytes", m, name, way.name, len(payload)), func(t *testing.T) {
						checkBuffers(t)
						synctest.Test(t, func(t *testing.T) {
							frame := []byte(headers[m.server] + payload)
							all := make([]*Conn, conns)
							for i := range all {
								c, p := m.pair(t)
								if o != nil {
									c.startCompression(o)
									frame[0] = zBinary
								}
								p.send(frame)
								all[i] = c
							}
							ended := make(chan error, conns)
							before := inUse()
							for _, c := range all {
								go func() {
									_, _, err := way.read(c)
									ended <- err
								}()
							}
							synctest.Wait()
							require.Less(t, (inUse()-before)/conns, most, "bytes of memory for each connection")
							for _, c := range all {
								require.NoError(t, c.Close())
								require.ErrorIs(t, <-ended, errConnClosed)
							}
						})
					})
				}
			}
		}
	}
}

// RFC 6455 §5.4. A message in as many fragments as it has bytes is a message like any
// other, with memory for its bytes and not for its frames, and in linear time.
// https://github.com/advisories/GHSA-96hv-2xvq-fx4p, https://github.com/websockets/ws/issues/2331
func TestHostileFragments(t *testing.T) {
	fewer, more := 250_000, 1_000_000
	if raceEnabled {
		fewer, more = fewer/20, more/20
	}
	plain := func(n int) []byte {
		return append(append([]byte("\x02\x81\x00\x00\x00\x00x"),
			bytes.Repeat([]byte("\x00\x81\x00\x00\x00\x00x"), n-2)...), "\x80\x81\x00\x00\x00\x00x"...)
	}
	compressed := func(n int) []byte {
		var frames []byte
		first := byte(zBeginBinary)
		for _, b := range []byte(stored(strings.Repeat("x", n), 65_535)) {
			frames = append(frames, first, 0x81, 0, 0, 0, 0, b)
			first = moreData
		}
		frames[len(frames)-7] |= finBit
		return frames
	}
	ways := map[string]struct {
		read func(c *Conn) (int64, error)
		most func(n int) uint64 // bytes to allocate
	}{
		"ReadMessage": {func(c *Conn) (int64, error) {
			_, p, err := c.ReadMessage()
			return int64(len(p)), err
		}, func(n int) uint64 { return 4*uint64(n) + 64<<10 }},
		"NextReader": {func(c *Conn) (int64, error) {
			_, r, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			return io.Copy(io.Discard, r)
		}, func(int) uint64 { return 256 << 10 }}, // a collection in between empties pools
	}
	for kind, frames := range map[string]func(n int) []byte{"plain": plain, "compressed": compressed} {
		streams := map[int][]byte{fewer: frames(fewer), more: frames(more)}
		for name, way := range ways {
			t.Run(kind+"/"+name, func(t *testing.T) {
				checkBuffers(t)
				read := func(n int) (took time.Duration) {
					conn := &scriptedConn{in: streams[n], piece: func() int { return 16 << 10 }}
					c := newConn(conn, connOptions{server: true, compression: &noTakeover})
					got := allocated(func() {
						start := time.Now()
						length, err := way.read(c)
						took = time.Since(start)
						require.NoError(t, err)
						require.EqualValues(t, n, length)
					})
					require.NoError(t, c.Close())
					if !raceEnabled { // which empties sync.Pool at random
						require.LessOrEqual(t, got, way.most(n), "bytes allocated for %d fragments", n)
					}
					return took
				}
				// Four times the fragments may take sixteen times as long; what is quadratic takes
				// that always. The best of as many rounds as a busy machine needs.
				a, b := time.Hour, time.Hour
				for round := 0; round < 2 || round < 20 && b > 10*a; round++ {
					a, b = min(a, read(fewer)), min(b, read(more))
				}
				require.LessOrEqual(t, b, 10*a, "%v for %d fragments", a, fewer)
			})
		}
	}
}

// The same without an end: what is kept of a message that never ends is its bytes.
// https://github.com/websockets/ws/issues/2331
func TestHostileFragmentsWithoutEnd(t *testing.T) {
	const fragments = 131_000
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		stream := append(p.frame(beginText, "x"), bytes.Repeat(p.frame(moreData, "x"), fragments)...)
		before := inUse()
		ended := readOn(c)
		p.sendMeanwhile(stream)
		synctest.Wait()
		require.Zero(t, p.ours.Buffered(), "all of them were read")
		require.Less(t, inUse()-before, int64(2*fragments+256<<10), "bytes of memory")
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-ended, errConnClosed)
		runtime.KeepAlive(stream)
	})
}

// RFC 6455 §5.5.2 has the newest ping answered, and memory for one: a peer that pings
// without end and reads nothing costs no more. https://rustsec.org/advisories/RUSTSEC-2020-0043.html
func TestHostilePingsWithoutReading(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes stacks larger and empties sync.Pool at random")
	}
	const pings = 100_000
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		ping := p.frame(finPing, ascii(125)) // 89 7D, or 89 FD and the key
		ended := readOn(c)
		flood := func(pings int) int64 {
			for range pings / 100 {
				p.send(bytes.Repeat(ping, 100))
			}
			time.Sleep(2 * replyWait) // by the bubble's clock, for the read to lose patience
			synctest.Wait()
			require.Zero(t, p.ours.Buffered(), "all of them were read")
			return inUse()
		}
		few := flood(1000)
		require.Less(t, flood(pings)-few, int64(256<<10), "bytes of memory for pongs that wait")
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-ended, errConnClosed)
	})
}

// Pings and pongs between the fragments of a message, however many, are no part of what
// it takes (RFC 6455 §5.5).
func TestHostileControlFramesInAMessage(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		const frames = 100_000
		ping, pong := []byte("\x89\x80\x00\x00\x00\x00"), []byte("\x8A\x81\x00\x00\x00\x00x")
		go func() { _, _ = io.Copy(io.Discard, p) }()
		p.sendMeanwhile([]byte("\x01\x82\x00\x00\x00\x00he"), bytes.Repeat(append(ping, pong...), frames/2), []byte("\x80\x83\x00\x00\x00\x00llo"))
		var m []byte
		got := allocated(func() {
			var err error
			_, m, err = c.ReadMessage()
			require.NoError(t, err)
		})
		require.Equal(t, "hello", string(m))
		if !raceEnabled {
			require.Less(t, got, uint64(64*frames), "bytes allocated")
		}
	})
}

// What nobody reads stays in the transport, whose flow control then stops the peer: a
// connection takes nothing in before it is read, and no more than a buffer at a time.
// CVE-2026-33219.
func TestHostileBytesThatNobodyReads(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		f := p.frame(finBinary, ascii(1000))
		p.sendMeanwhile(bytes.Repeat(f, 1000))
		synctest.Wait()
		require.Zero(t, p.ours.Stats().BytesRead)
		require.NoError(t, c.WriteMessage(TextMessage, []byte("a write reads nothing")))
		require.Zero(t, p.ours.Stats().BytesRead)
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		synctest.Wait()
		require.LessOrEqual(t, p.ours.Stats().BytesRead, int64(bufpool.Size+16), "a buffer, behind a few bytes of the inline seam")
	})
}

// Buffers are lent by many connections, so whatever memory a frame is built in, it is the
// frame's bytes that go out and nothing else. https://github.com/advisories/GHSA-58qx-3vcg-4xpx
func TestHostileMemoryIsNotSent(t *testing.T) {
	poison := bytes.Repeat([]byte("SECRET. "), 64<<10)
	poisoned := func() {
		var buffers []*bufpool.Buffer
		for _, size := range []int{bufpool.Size, 64 << 10, 256 << 10} {
			for range 2 {
				buffers = append(buffers, bufpool.Get(size))
			}
		}
		for _, b := range buffers {
			copy(b.Data, poison)
			bufpool.Put(b)
		}
	}
	for _, o := range []*Compression{nil, &noTakeover, &bothTakeOver} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			z := &flatePeer{t: t}
			if o != nil {
				c.startCompression(o)
				z.takeover = o.SendContextTakeover
			}
			for _, n := range []int{0, 1, 125, 126, 1000, 16_385, 70_000} {
				for _, message := range []string{ascii(n), similar(n, n)} {
					poisoned()
					go func() {
						require.NoError(t, c.WriteMessage(BinaryMessage, []byte(message)))
						w, err := c.NextWriter(BinaryMessage)
						require.NoError(t, err)
						_, err = io.WriteString(w, message)
						require.NoError(t, err)
						require.NoError(t, w.Close())
						pm, err := NewPreparedMessage(BinaryMessage, []byte(message))
						require.NoError(t, err)
						require.NoError(t, c.WritePreparedMessage(pm))
					}()
					for range 3 {
						_, got, _, _ := p.message(z)
						require.True(t, message == got, "%d bytes", n)
					}
				}
			}
			for _, n := range []int{0, 1, 2, 8, 50, 124, 125} {
				poisoned()
				p.send(p.frame(finPing, ascii(n)), p.frame(finText, "x"))
				_, _, err := c.ReadMessage()
				require.NoError(t, err)
				p.want("the pong", finPong, ascii(n))
				require.NoError(t, c.WriteControl(PongMessage, []byte(ascii(n)), time.Time{}))
				p.want("a pong", finPong, ascii(n))
			}
			poisoned()
			written := owePong(t, c, p)
			p.unblockWrites()
			require.NoError(t, <-written)
			p.want("the write under way", finText, "slow")
			p.want("the pong that was owed", finPong, "owed")
			poisoned()
			require.NoError(t, c.WriteControl(CloseMessage, FormatCloseMessage(1001, "bye"), time.Time{}))
			p.want("the close frame", finClose, "\x03\xE9bye")
			p.wantSilence("and nothing behind it")
		})
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			poisoned()
			p.send(p.frame(finClose, "\x03\xE8and why"))
			_, _, err := c.ReadMessage()
			require.Equal(t, &CloseError{Code: 1000, Text: "and why"}, err)
			p.want("the answer is the code", finClose, "\x03\xE8")
			p.wantSilence("and nothing behind it")
		})
	}
}
