package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A flatePeer compresses and inflates as the other side does, by compress/flate.
type flatePeer struct {
	t        testing.TB
	takeover bool
	sent     []byte // what the next message may refer to
	received []byte
}

func (f *flatePeer) compress(message string) string {
	var out bytes.Buffer
	w, err := flate.NewWriterDict(&out, 6, f.sent)
	require.NoError(f.t, err)
	_, err = io.WriteString(w, message)
	require.NoError(f.t, err)
	require.NoError(f.t, w.Flush())
	if f.takeover {
		f.sent = lastWindow(append(f.sent, message...))
	}
	p, ok := strings.CutSuffix(out.String(), "\x00\x00\xff\xff")
	require.True(f.t, ok)
	return p
}

func (f *flatePeer) inflate(payload string) string {
	f.t.Helper()
	require.NotEmpty(f.t, payload, "RFC 7692 §7.2.3.6: a compressed message has at least a byte")
	r := flate.NewReaderDict(strings.NewReader(payload+"\x00\x00\xff\xff"+"\x01\x00\x00\xff\xff"), f.received)
	p, err := io.ReadAll(r)
	require.NoError(f.t, err)
	if f.takeover {
		f.received = lastWindow(append(f.received, p...))
	}
	return string(p)
}

func lastWindow(p []byte) []byte { return bytes.Clone(p[max(0, len(p)-1<<15):]) }

// sendMeanwhile sends bytes that may be more than the network holds; it does not
// matter whether all of them are read.
func (p *peer) sendMeanwhile(frames ...[]byte) {
	b := bytes.Join(frames, nil)
	go func() { _, _ = p.Write(b) }()
}

// bothTakeOver is a connection on which either side keeps all the context that
// there is.
var bothTakeOver = Compression{true, true, 15, 15, 0, -1}

// eachCompressed is eachConn for a connection on which o was agreed.
func eachCompressed(t *testing.T, o Compression, f func(t *testing.T, c *Conn, p *peer, z *flatePeer)) {
	t.Helper()
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.startCompression(&o)
		f(t, c, p, &flatePeer{t: t, takeover: o.SendContextTakeover || o.ReceiveContextTakeover})
	})
}

// First bytes of the frames that begin a compressed message, RFC 7692 §6.
const (
	zText        = finText | rsv1Bit
	zBinary      = finBinary | rsv1Bit
	zBeginText   = beginText | rsv1Bit
	zBeginBinary = beginBinary | rsv1Bit
)

// RFC 7692 §7.2.3: its examples, and what else a sender may do.
var goodDeflate = []struct{ name, payloads, want string }{
	{"one block, §7.2.3.1", "\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"},
	{"stored, §7.2.3.3", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"},
	{"BFINAL, §7.2.3.4", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},
	{"two blocks, §7.2.3.5", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"},
	{"empty, §7.2.3.6", "\x00", ""},
	{"empty fixed block", "\x02\x00", ""},
	{"two streams with BFINAL", "\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "HelloHello"},
	{"BFINAL in the stripped block", "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x01", "Hello"},
}

func TestReadCompressed(t *testing.T) {
	for _, g := range goodDeflate {
		for _, way := range readWays {
			t.Run(g.name+"/"+way.name, func(t *testing.T) {
				for _, o := range []Compression{{false, false, 15, 15, 0, -1}, {false, true, 15, 8, 0, -1}, bothTakeOver} {
					eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
						for cut := range len(g.payloads) {
							p.send(p.frame(zBeginText, g.payloads[:cut]), p.frame(finPing, "x"), p.frame(moreData, ""), p.frame(finContinue, g.payloads[cut:]))
						}
						for range len(g.payloads) {
							messageType, m, err := way.read(c)
							require.NoError(t, err)
							require.Equal(t, TextMessage, messageType)
							require.Equal(t, g.want, string(m))
							p.want("a ping between fragments", finPong, "x")
						}
					})
				}
			})
		}
	}
}

// RFC 7692 §7.2.3.2: a message refers to the one before it, and to nothing where
// context is not taken over. Messages that are not compressed, and control
// frames, are no part of it (§6).
func TestReadTakesContextOver(t *testing.T) {
	for _, way := range readWays {
		eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
			p.send(p.frame(zText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), p.frame(finText, "World, not in the context"), p.frame(finPing, "nor this"),
				p.frame(zText, "\xf2\x00\x11\x00\x00"), p.frame(zText, "\xf2\x00\x11\x00\x00"))
			for _, want := range []string{"Hello", "World, not in the context", "Hello", "Hello"} {
				_, m, err := way.read(c)
				require.NoError(t, err)
				require.Equal(t, want, string(m))
			}
			p.want("the ping", finPong, "nor this")
		})
		eachCompressed(t, Compression{true, false, 15, 15, 0, -1}, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
			p.send(p.frame(zText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), p.frame(zText, "\xf2\x00\x11\x00\x00"))
			_, m, err := way.read(c)
			require.NoError(t, err)
			require.Equal(t, "Hello", string(m))
			_, _, err = way.read(c)
			require.Equal(t, errCorruptDeflate, err)
		})
	}
}

// The context holds what a program did not read of a message, too.
func TestReadDroppedMessagesAreContext(t *testing.T) {
	for _, read := range []int{0, 1, 40_000} {
		eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			first, second := noise(60_000, 1), noise(50_000, 1)
			p.sendMeanwhile(p.frame(zBinary, z.compress(first)), p.frame(zBinary, z.compress(second)))
			_, r, err := c.NextReader()
			require.NoError(t, err)
			_, err = io.CopyN(io.Discard, r, int64(read))
			require.NoError(t, err)
			_, m, err := c.ReadMessage()
			require.NoError(t, err)
			require.True(t, second == string(m))
		})
	}
}

// noise is n bytes that compress a little, the same for the same seed.
func noise(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuv"[r.IntN(32)]
	}
	return string(b)
}

func TestReadCompressedEverySizeInEveryWay(t *testing.T) {
	z := &flatePeer{t: t} // refers to nothing before a message, which does under takeover too
	messages, payloads := map[int]string{}, map[int]string{}
	sizes := []int{0, 1, 2, 125, 126, 1000, 16383, 16384, 16385, 16400, 16401, 32768, 40_000, 65_536, 65_553, 140_000}
	for _, size := range sizes {
		messages[size] = noise(size, uint64(size))
		payloads[size] = z.compress(messages[size])
	}
	for _, o := range []Compression{{false, false, 15, 15, 0, -1}, bothTakeOver} {
		for _, way := range readWays[:3] {
			t.Run(way.name, func(t *testing.T) {
				eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
					var frames [][]byte
					for _, size := range sizes {
						payload := payloads[size]
						cut := len(payload) / 3
						frames = append(frames, p.frame(zBeginText, payload[:cut]), p.frame(finContinue, payload[cut:]), p.frame(finText, "plain"))
					}
					p.sendMeanwhile(frames...)
					for _, size := range sizes {
						messageType, m, err := way.read(c)
						require.NoError(t, err)
						require.Equal(t, TextMessage, messageType)
						require.True(t, string(m) == messages[size], "%d bytes", size)
						_, m, err = way.read(c)
						require.NoError(t, err)
						require.Equal(t, "plain", string(m))
					}
				})
			})
		}
	}
}

// RFC 7692 §7.2.2: what is not the DEFLATE of a message fails the connection, by
// a code of its own, and is never delivered as one.
func TestReadCorruptDeflate(t *testing.T) {
	hello := "\xf2\x48\xcd\xc9\xc9\x07\x00"
	bad := map[string]string{
		"no bytes":                     "",
		"the tail was left":            hello + "\x00\x00\xff\xff",
		"the tail was left, one block": "\x00\x00\x00\xff\xff",
		"BFINAL and nothing behind":    "\xf3\x48\xcd\xc9\xc9\x07\x00",
		"reserved block type":          "\x06",
		"LEN is not NLEN":              "\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00",
		"before the message":           "\xf2\x00\x11\x00\x00",
		"random":                       "\xde\xad\xbe\xef\xde\xad\xbe\xef",
	}
	for cut := 1; cut < len(hello); cut++ {
		bad[fmt.Sprintf("cut after %d bytes", cut)] = hello[:cut]
	}
	for name, payload := range bad {
		for _, way := range readWays {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
					p.send(p.frame(zText, payload), p.frame(finText, "never read"))
					messageType, _, err := way.read(c)
					require.Equal(t, errCorruptDeflate, err)
					if !strings.HasPrefix(way.name, "NextReader") {
						require.Equal(t, -1, messageType)
					}
					p.wantClose(name, CloseInvalidFramePayloadData)
					_, _, err = c.ReadMessage()
					require.Equal(t, errCorruptDeflate, err, "it sticks")
				})
			})
		}
	}
}

// RFC 7692 §6: the bit is a compressed message's first frame's.
func TestReadCompressedBit(t *testing.T) {
	for name, frames := range map[string]func(p *peer) []byte{
		"ping":  func(p *peer) []byte { return p.frame(finPing|rsv1Bit, "\x00") },
		"pong":  func(p *peer) []byte { return p.frame(finPong|rsv1Bit, "\x00") },
		"close": func(p *peer) []byte { return p.frame(finClose|rsv1Bit, "\x00") },
		"continuation": func(p *peer) []byte {
			return append(p.frame(zBeginText, "\xf2\x48"), p.frame(finContinue|rsv1Bit, "\xcd\xc9\xc9\x07\x00")...)
		},
		"continuation of a plain message": func(p *peer) []byte {
			return append(p.frame(beginText, "a"), p.frame(finContinue|rsv1Bit, "\x00")...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
				p.send(frames(p))
				_, _, err := c.ReadMessage()
				require.Equal(t, errCompressedBit, err)
				p.wantClose(name, CloseProtocolError)
			})
		})
	}
	for _, first := range []byte{finText | rsv2Bit, finText | rsv3Bit, finText | rsvBits, finText | rsv1Bit | rsv2Bit} {
		eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
			p.send(p.frame(first, "\x00"))
			_, _, err := c.ReadMessage()
			require.Equal(t, errReservedBits, err)
		})
	}
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // nothing was negotiated
		p.send(p.frame(zText, "\x00"))
		_, _, err := c.ReadMessage()
		require.Equal(t, errReservedBits, err)
	})
}

// RFC 6455 §8.1 is about the text, so it is checked after inflating, and fails
// on the first bad byte.
func TestReadCompressedUTF8(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		bad  bool
	}{
		"valid":      {"κόσμε" + strings.Repeat("ü€𝄞", 9000), false},
		"bad byte":   {strings.Repeat("é", 9000) + "\xff", true},
		"cut rune":   {strings.Repeat("é", 9000) + "\xe2\x82", true},
		"surrogates": {"\xed\xa0\x80", true},
	} {
		for _, way := range readWays[:3] {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				eachCompressed(t, bothTakeOver, func(t *testing.T, conn *Conn, p *peer, z *flatePeer) {
					payload := z.compress(c.text)
					p.send(p.frame(zBeginText, payload[:1]), p.frame(finContinue, payload[1:]))
					_, m, err := way.read(conn)
					if c.bad {
						require.Equal(t, errInvalidUTF8, err)
						p.wantClose(name, CloseInvalidFramePayloadData)
						return
					}
					require.NoError(t, err)
					require.Equal(t, c.text, string(m))
				})
			})
		}
	}
	eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		p.send(p.frame(zBeginText, z.compress(strings.Repeat("a", 1000)+"\xff"+strings.Repeat("a", 1000))+"\x00"))
		_, _, err := c.ReadMessage()
		require.Equal(t, errInvalidUTF8, err, "with the end of the message still to come")
	})
	eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		c.skipUTF8 = true
		p.send(p.frame(zText, z.compress("\xff")))
		_, m, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "\xff", string(m))
	})
}

// stored is the payload of a message that is compressed by a sender that cannot:
// its bytes in blocks, each with five bytes before it.
func stored(message string, block int) string {
	var b strings.Builder
	for len(message) > 0 {
		n := min(len(message), block)
		b.Write([]byte{0, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)})
		b.WriteString(message[:n])
		message = message[n:]
	}
	return b.String() + "\x00"
}

// The limit is for what comes out, to the byte, however it was packed and
// wherever it is cut.
func TestReadLimitOfCompressedMessages(t *testing.T) {
	for _, limit := range []int{1, 2, 100, 16_384, 16_400, 40_000} {
		for _, way := range readWays[:3] {
			t.Run(fmt.Sprintf("%d/%s", limit, way.name), func(t *testing.T) {
				for _, pack := range []func(*flatePeer, string) string{
					(*flatePeer).compress,
					func(_ *flatePeer, m string) string { return stored(m, 65535) },
				} {
					for _, content := range []string{strings.Repeat("a", limit+1), noise(limit+1, 3)} {
						eachCompressed(t, Compression{false, false, 15, 15, 0, -1}, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
							c.SetReadLimit(int64(limit))
							fits, over := pack(z, content[:limit]), pack(z, content)
							p.sendMeanwhile(p.frame(zText, fits), p.frame(zBeginText, fits[:len(fits)/2]), p.frame(finContinue, fits[len(fits)/2:]), p.frame(zText, over))
							for range 2 {
								_, m, err := way.read(c)
								require.NoError(t, err)
								require.True(t, content[:limit] == string(m))
							}
							_, m, err := way.read(c)
							require.Equal(t, ErrReadLimit, err)
							require.LessOrEqual(t, len(m), limit, "bytes beyond the limit were delivered")
							p.wantClose("over the limit", CloseMessageTooBig)
						})
					}
				}
			})
		}
	}
}

// A message may be larger on the wire than inflated, by a sixteenth and 64 bytes,
// which is judged by its headers.
func TestReadLimitOnTheWire(t *testing.T) {
	const limit = 1000
	const wire = limit + limit/16 + 64
	for first, second := range map[int]int{wire: 1, wire - 1: 2, 0: wire + 1} {
		eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
			c.SetReadLimit(limit)
			// Empty stored blocks, of which none is output and each takes five bytes.
			payload := strings.Repeat("\x00\x00\x00\xff\xff", wire/5+1)
			if first > 0 {
				p.send(p.frame(zBeginBinary, payload[:first]))
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				_, _, err := c.ReadMessage()
				wantTimeout(t, err)
				require.NoError(t, c.SetReadDeadline(time.Time{}))
				p.send(p.header(finContinue, byte(second)))
			} else {
				p.send(p.header(zBinary, 126, byte(second>>8), byte(second&0xFF)))
			}
			_, _, err := c.ReadMessage()
			require.Equal(t, ErrReadLimit, err)
			p.wantClose("by the header", CloseMessageTooBig)
		})
	}
	require.Equal(t, int64(math.MaxInt64), maxCompressed(math.MaxInt64))
}

// What comes out of a bomb costs no more than the limit, and blocks that bring
// nothing out are counted.
func TestReadBombs(t *testing.T) {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, 9)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 4<<20))
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	for name, payload := range map[string]string{
		"zeros":               deflated.String(),
		"empty stored blocks": strings.Repeat("\x00\x00\x00\xff\xff", 6_000),
		"empty fixed blocks":  strings.Repeat("\x02\x08\x20\x80\x00", 6_000),
	} {
		for _, way := range readWays[:3] {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				eachCompressed(t, Compression{false, false, 15, 15, 0, -1}, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
					c.SetReadLimit(64 << 10)
					p.sendMeanwhile(p.frame(zBinary, payload))
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					_, m, err := way.read(c)
					runtime.ReadMemStats(&after)
					require.Equal(t, ErrReadLimit, err)
					require.LessOrEqual(t, len(m), 64<<10)
					require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "bytes allocated")
					p.wantClose(name, CloseMessageTooBig)
				})
			})
		}
	}
}

// A read that ran into its deadline goes on, at whichever byte that was, with
// whichever read method comes next.
func TestReadCompressedIsResumable(t *testing.T) {
	message := strings.Repeat("The same again, ", 3) + noise(40, 5)
	payload := (&flatePeer{t: t}).compress(message)
	for _, o := range []Compression{{false, false, 15, 15, 0, -1}, bothTakeOver} {
		for _, first := range readWays {
			for _, second := range readWays {
				t.Run(first.name+"/"+second.name, func(t *testing.T) {
					eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
						for at, total := 0, 1; at < total; at++ {
							wire := append(append(p.frame(zBeginText, payload[:len(payload)/2]), p.frame(finPing, "x")...), p.frame(finContinue, payload[len(payload)/2:])...)
							total = len(wire)
							p.send(wire[:at])
							require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
							_, had, err := first.read(c)
							wantTimeout(t, err)
							require.NoError(t, c.SetReadDeadline(time.Time{}))
							if strings.HasPrefix(first.name, "NextReader") && c.in.streamed && c.in.opcode != 0 {
								// The reader's own: what it had not read yet is its to read.
								p.send(wire[at:], p.frame(finText, "next"))
								rest, err := io.ReadAll(c.in.reader)
								require.NoError(t, err)
								require.Equal(t, message, string(had)+string(rest))
							} else {
								p.send(wire[at:], p.frame(finText, "next"))
								_, m, err := second.read(c)
								require.NoError(t, err)
								require.Equal(t, message, string(m), "stopped at %d", at)
							}
							_, m, err := second.read(c)
							require.NoError(t, err)
							require.Equal(t, "next", string(m))
							p.want("the ping", finPong, "x")
						}
					})
				})
			}
		}
	}
}

// The same with large messages of all kinds, and handlers that panic.
func TestReadsOfCompressedResumeAnywhere(t *testing.T) {
	for seed := range uint64(24) {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			c, p := modes[seed%4].pair(t)
			c.startCompression(&bothTakeOver)
			z := &flatePeer{t: t, takeover: true}
			var wanted []randomMessage
			var stream []byte
			for range 8 {
				message := noise(r.IntN([]int{20, 2000, 100_000}[r.IntN(3)]), seed%3)
				payload, first := message, byte(beginBinary)
				if r.IntN(4) > 0 {
					payload, first = z.compress(message), zBeginBinary
				}
				wanted = append(wanted, randomMessage{BinaryMessage, []byte(message)})
				for r.IntN(3) > 0 {
					n := r.IntN(len(payload) + 1)
					stream = append(stream, p.frame(first, payload[:n])...)
					stream = append(stream, p.frame(finPing, "x")...)
					payload, first = payload[n:], moreData
				}
				stream = append(stream, p.frame(first|finContinue, payload)...)
			}
			c.SetPingHandler(func(string) error {
				if r.IntN(3) == 0 {
					panic("handler")
				}
				return nil
			})
			x := &resumer{t: t, r: r, c: c, wanted: wanted}
			for len(x.wanted) > 0 {
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
				if err := x.step(); err != nil {
					require.ErrorIs(t, err, os.ErrDeadlineExceeded, "seed %d", seed)
					n := min(1+r.IntN([]int{3, 40, 3000, 30_000}[r.IntN(4)]), len(stream), 64<<10-p.ours.Buffered())
					p.send(stream[:n])
					stream = stream[n:]
				}
			}
		})
	}
}

// An idle connection without context takeover keeps nothing of compression, and
// one in the middle of a message gives all back when it is closed.
func TestCompressionLetsGo(t *testing.T) {
	eachCompressed(t, Compression{false, false, 15, 15, 0, -1}, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		p.send(p.frame(zText, z.compress(noise(1000, 1))))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		require.NoError(t, c.WriteMessage(TextMessage, []byte(noise(1000, 1))))
		require.Nil(t, c.contexts)
		require.Nil(t, c.in.inflation)
		require.Nil(t, c.in.buf)
	})
	for _, way := range readWays {
		eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			payload := z.compress(noise(100_000, 1))
			p.sendMeanwhile(p.frame(zBeginText, payload))
			ended := make(chan error)
			go func() {
				_, _, err := way.read(c)
				ended <- err
			}()
			synctest.Wait()
			require.NoError(t, c.Close())
			require.ErrorIs(t, <-ended, errConnClosed)
			require.Nil(t, c.in.inflation)
		})
	}
}

// The header of a compressed message, and fragments without payload behind it, take the
// codec and no buffer; what comes of its bytes does.
func TestCompressedMessageTakesNoBufferBeforeItsBytes(t *testing.T) {
	for _, way := range readWays {
		eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			payload := z.compress("hello")
			before := onLoan.Load()
			last := p.frame(finContinue, payload)
			header := len(last) - len(payload)
			p.send(p.frame(zBeginText, ""), p.frame(moreData, ""), last[:header])
			for range 2 { // the second read drops the message where the first one was NextReader
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				_, _, err := way.read(c)
				wantTimeout(t, err)
				require.LessOrEqual(t, onLoan.Load()-before, int64(1), way.name)
			}
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			p.send(last[header:], p.frame(finText, "next"))
			want := []string{"hello", "next"}
			if strings.HasPrefix(way.name, "NextReader") {
				want = want[1:]
			}
			for _, want := range want {
				_, m, err := c.ReadMessage()
				require.NoError(t, err)
				require.Equal(t, want, string(m))
			}
		})
	}
}

// The limit may be lowered while a compressed message is read.
func TestSetReadLimitWithinACompressedMessage(t *testing.T) {
	eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		p.sendMeanwhile(p.frame(zBinary, z.compress(noise(60_000, 1))))
		_, r, err := c.NextReader()
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, r, 10_000)
		require.NoError(t, err)
		c.SetReadLimit(100)
		_, err = io.Copy(io.Discard, r)
		require.Equal(t, ErrReadLimit, err)
		p.wantClose("lowered", CloseMessageTooBig)
	})
}

// A Read into nothing does not wait.
func TestReadCompressedIntoNothing(t *testing.T) {
	eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		payload := z.compress("hello")
		p.send(p.frame(zBeginText, payload[:1]))
		_, r, err := c.NextReader()
		require.NoError(t, err)
		n, err := r.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		p.send(p.frame(finContinue, payload[1:]))
		m, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "hello", string(m))
	})
}

// A whole message takes memory of its own once, and of its size, however large it
// is; and what a deadline interrupts is there for a reader too.
func TestLargeCompressedMessageTakesMemoryOnce(t *testing.T) {
	z := &flatePeer{t: t}
	message := similar(1, 5<<20)
	payload := z.compress(message)
	eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
		c.SetReadLimit(0)
		for _, cut := range []int{0, 1000, len(payload) / 2, len(payload) - 1} {
			for _, second := range readWays[:3] {
				p.sendMeanwhile(p.frame(zBeginText, payload[:cut]))
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				_, _, err := c.AppendMessage(make([]byte, 0, 1<<20))
				wantTimeout(t, err)
				require.NoError(t, c.SetReadDeadline(time.Time{}))
				p.sendMeanwhile(p.frame(finContinue, payload[cut:]))
				_, m, err := second.read(c)
				require.NoError(t, err)
				require.True(t, message == string(m), second.name)
			}
		}
		if raceEnabled {
			return // it empties pools
		}
		var before, after runtime.MemStats
		for i := range 3 { // the first fills the pools
			p.sendMeanwhile(p.frame(zText, payload))
			synctest.Wait()
			runtime.ReadMemStats(&before)
			_, m, err := c.ReadMessage()
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			require.True(t, message == string(m))
			require.LessOrEqual(t, cap(m), len(m)*9/8)
			if i == 2 {
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2*len(message)), "bytes allocated")
			}
		}
	})
}
