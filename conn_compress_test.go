package websocket

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/deflate"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// message reads a whole message as the peer does. It fails the test if a frame
// has the compressed bit that must not.
func (p *peer) message(z *flatePeer) (messageType byte, message string, compressed bool, frames int) {
	p.t.Helper()
	for {
		first, payload, err := p.next()
		require.NoError(p.t, err)
		if opcode(first & 0xF).isControl() {
			require.Zero(p.t, first&rsvBits, "a control frame is never compressed")
			continue
		}
		require.Zero(p.t, first&(rsv2Bit|rsv3Bit))
		if frames == 0 {
			messageType, compressed = first&0xF, first&rsv1Bit != 0
		} else {
			require.Zero(p.t, first&0x4F, "RFC 7692 §6: a continuation has no compressed bit")
		}
		message += payload
		frames++
		if first&finBit != 0 {
			break
		}
	}
	if compressed {
		require.False(p.t, strings.HasSuffix(message, "\x00\x00\xff\xff"), "RFC 7692 §7.2.1: the tail is taken off")
		message = z.inflate(message)
	}
	return messageType, message, compressed, frames
}

// wantMessage expects one message, compressed or not.
func (p *peer) wantMessage(why string, z *flatePeer, message string, compressed bool) {
	p.t.Helper()
	_, got, was, _ := p.message(z)
	require.True(p.t, got == message, "%s: %d bytes, want %d", why, len(got), len(message))
	require.Equal(p.t, compressed, was, "%s: compressed", why)
}

// similar is a message of about n bytes that is like others and like itself.
func similar(i, n int) string {
	b := fmt.Appendf(make([]byte, 0, n+40), `{"type":"tick","n":%d`, i)
	for len(b) < n-1 {
		b = fmt.Appendf(b, `,"price%d":%d.%02d`, len(b)%7, 100+i%13, (i*len(b))%100)
	}
	return string(append(b, '}'))
}

var (
	noTakeover = Compression{false, false, 15, 15, 0, -1}
	takeover12 = Compression{true, true, 12, 12, 0, -1}
)

func TestWriteCompressed(t *testing.T) {
	for _, o := range []Compression{noTakeover, takeover12, bothTakeOver, {true, false, 8, 15, 0, 9}, {false, false, 9, 15, 0, 5}} {
		eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			for i, size := range []int{0, 1, 31, 127, 300, 1000, 16_383, 16_384, 16_385, 65_536, 140_000} {
				message := similar(i, size)
				if size < 31 {
					message = message[:size]
				}
				go func() { require.NoError(t, c.WriteMessage(BinaryMessage, []byte(message))) }()
				messageType, got, compressed, frames := p.message(z)
				require.EqualValues(t, BinaryMessage, messageType)
				require.True(t, got == message, "%d bytes", size)
				require.Equal(t, 1, frames)
				if size >= 300 || size < 31 {
					require.Equal(t, size >= 300, compressed, "%d bytes", size)
				}
			}
		})
	}
}

// The threshold is the size from which on messages are compressed.
func TestCompressionThreshold(t *testing.T) {
	for want, o := range map[int]Compression{
		128: noTakeover,
		32:  takeover12,
		33:  {true, true, 12, 12, 33, -1},
		1:   {false, false, 15, 15, 1, -1},
	} {
		eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			c.writeOptions = newWriteOptions(0, nil, &o)
			agreed, ok := c.Compression()
			require.True(t, ok)
			require.Equal(t, want, agreed.Threshold)
			want := max(want, 20) // less does not become smaller
			if want > 20 {
				require.NoError(t, c.WriteMessage(TextMessage, bytes.Repeat([]byte("a"), want-1)))
				p.wantMessage("below", z, strings.Repeat("a", want-1), false)
			}
			require.NoError(t, c.WriteMessage(TextMessage, bytes.Repeat([]byte("a"), want)))
			p.wantMessage("at the threshold", z, strings.Repeat("a", want), true)
			pm, err := NewPreparedMessage(TextMessage, bytes.Repeat([]byte("a"), want))
			require.NoError(t, err)
			require.NoError(t, c.WritePreparedMessage(pm))
			p.wantMessage("prepared", z, strings.Repeat("a", want), true)
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			_, err = io.WriteString(w, strings.Repeat("a", want))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			p.wantMessage("by a writer", z, strings.Repeat("a", want), true)
		})
	}
}

// RFC 7692 §6: messages may be sent as they are at any time, and the context of
// the others is as if they had not been.
func TestWriteCompressionOnAndOff(t *testing.T) {
	eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		send := func(why string, compressed bool) {
			t.Helper()
			require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(1, 200))), why)
			p.wantMessage(why, z, similar(1, 200), compressed)
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err, why)
			_, err = io.WriteString(w, similar(2, 200))
			require.NoError(t, err, why)
			require.NoError(t, w.Close(), why)
			p.wantMessage(why, z, similar(2, 200), compressed)
			pm, err := NewPreparedMessage(TextMessage, []byte(similar(3, 200)))
			require.NoError(t, err, why)
			require.NoError(t, c.WritePreparedMessage(pm), why)
			p.wantMessage(why, z, similar(3, 200), compressed)
		}
		send("at first", true)
		c.EnableWriteCompression(false)
		send("off", false)
		c.EnableWriteCompression(true)
		send("on again", true)
		for level := -2; level <= 9; level++ {
			require.NoError(t, c.SetCompressionLevel(level))
			agreed, _ := c.Compression()
			require.Equal(t, level, agreed.Level)
			send(fmt.Sprintf("level %d", level), level != 0)
		}
		require.Equal(t, errCompressionLevel, c.SetCompressionLevel(10))
		require.Equal(t, errCompressionLevel, c.SetCompressionLevel(-3))
		require.NoError(t, c.WriteMessage(PingMessage, bytes.Repeat([]byte("a"), 125)))
		p.want("a ping", finPing, strings.Repeat("a", 125))
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { // nothing was negotiated
		c.EnableWriteCompression(true)
		require.NoError(t, c.SetCompressionLevel(9))
		require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(1, 1000))))
		p.want("plain", finText, similar(1, 1000))
		_, ok := c.Compression()
		require.False(t, ok)
	})
}

// A message that compression would not make smaller is sent as it is, and leaves
// the context untouched.
func TestWriteIncompressible(t *testing.T) {
	random := make([]byte, 100_000)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for _, o := range []Compression{noTakeover, takeover12, bothTakeOver} {
		eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			for i, n := range []int{128, 1000, 16_384, 16_385, 100_000} {
				go func() {
					require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(i, 300))))
					require.NoError(t, c.WriteMessage(BinaryMessage, random[:n]))
					w, err := c.NextWriter(BinaryMessage)
					require.NoError(t, err)
					_, err = w.Write(random[:n])
					require.NoError(t, err)
					require.NoError(t, w.Close())
				}()
				p.wantMessage("similar", z, similar(i, 300), true)
				p.wantMessage("random", z, string(random[:n]), false)
				p.wantMessage("random, by a writer", z, string(random[:n]), false)
			}
		})
	}
}

// With context takeover, what was sent before makes messages smaller.
func TestTakeoverMakesMessagesSmaller(t *testing.T) {
	sizes := func(o Compression) (sizes []int) {
		serverConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.startCompression(&o)
			for i := range 20 {
				require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(i, 150))))
				_, payload, err := p.next()
				require.NoError(t, err)
				sizes = append(sizes, len(payload))
			}
		})
		return sizes
	}
	alone, after := sizes(noTakeover), sizes(takeover12)
	require.Equal(t, alone[0], after[0], "the first has nothing to refer to")
	for i := 1; i < len(alone); i++ {
		require.Less(t, 5*after[i], 4*alone[i], "message %d", i)
	}
}

// A writer compresses what it gathers, fragment by fragment, with the bit on the
// first of them alone; control frames may pass between.
func TestNextWriterCompresses(t *testing.T) {
	for _, o := range []Compression{noTakeover, takeover12, bothTakeOver, {true, true, 8, 8, 0, 9}} {
		for _, size := range []int{16_384, 16_385, 70_000} {
			t.Run(fmt.Sprintf("%v/%d", o, size), func(t *testing.T) {
				eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
					message := (noise(size/3, 1) + similar(1, size-size/3))[:size]
					r := rand.New(rand.NewPCG(uint64(size), 1))
					ways := []func(w io.Writer){
						func(w io.Writer) {
							n, err := io.WriteString(w, message)
							require.NoError(t, err)
							require.Equal(t, len(message), n)
						},
						func(w io.Writer) {
							for rest := message; len(rest) > 0; {
								n := min(len(rest), r.IntN(40_000))
								_, err := w.Write([]byte(rest[:n]))
								require.NoError(t, err)
								rest = rest[n:]
								require.NoError(t, c.WriteControl(PingMessage, []byte(similar(1, 100)), time.Time{}))
							}
						},
						func(w io.Writer) {
							n, err := w.(io.ReaderFrom).ReadFrom(iotest.HalfReader(strings.NewReader(message)))
							require.NoError(t, err)
							require.EqualValues(t, len(message), n)
						},
					}
					for _, way := range ways {
						go func() {
							w, err := c.NextWriter(TextMessage)
							require.NoError(t, err)
							way(w)
							require.NoError(t, w.Close())
							require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(2, 300))))
						}()
						messageType, got, compressed, frames := p.message(z)
						require.EqualValues(t, TextMessage, messageType)
						require.True(t, got == message)
						require.True(t, compressed)
						require.Equal(t, (size+16_383)/16_384, frames)
						p.wantMessage("behind it", z, similar(2, 300), true)
					}
				})
			})
		}
	}
}

// A larger WriteBufferSize makes fewer fragments of a compressed message too.
func TestNextWriterCompressesInItsBufferSize(t *testing.T) {
	eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		c.writeOptions = newWriteOptions(100_000, nil, nil)
		go func() {
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			_, err = io.WriteString(w, similar(1, 250_000))
			require.NoError(t, err)
			require.NoError(t, w.Close())
		}()
		_, got, compressed, frames := p.message(z)
		require.True(t, got == similar(1, 250_000))
		require.True(t, compressed)
		require.Equal(t, 3, frames)
	})
}

// What was compressed and not sent is no context: the write may be repeated.
func TestWriteTimeoutLeavesTheContext(t *testing.T) {
	eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		write := map[string]func(message string) error{
			"WriteMessage": func(message string) error { return c.WriteMessage(TextMessage, []byte(message)) },
			"NextWriter": func(message string) error {
				w, err := c.NextWriter(TextMessage)
				require.NoError(t, err)
				_, err = io.WriteString(w, message)
				require.NoError(t, err)
				return w.Close()
			},
			"WritePreparedMessage": func(message string) error {
				pm, err := NewPreparedMessage(TextMessage, []byte(message))
				require.NoError(t, err)
				return c.WritePreparedMessage(pm)
			},
		}
		for name, write := range write {
			require.NoError(t, write(similar(1, 200)))
			p.wantMessage(name, z, similar(1, 200), true)
			p.blockWrites(0)
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
			wantTimeout(t, write(noise(300, 9)))
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
			p.unblockWrites()
			for i := range 3 {
				require.NoError(t, write(noise(100, 9)+similar(i, 200)))
				p.wantMessage(name, z, noise(100, 9)+similar(i, 200), true)
			}
		}
	})
}

// Messages above all pooled sizes of buffers, and frames that go out in more than
// one step.
func TestLargeCompressedMessage(t *testing.T) {
	eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		message := noise(1_200_000, 1)
		for range 2 {
			go func() { require.NoError(t, c.WriteMessage(BinaryMessage, []byte(message))) }()
			p.wantMessage("large", z, message, true)
		}
		c.SetReadLimit(2 << 20)
		p.sendMeanwhile(p.frame(zBinary, z.compress(message)))
		_, m, err := c.ReadMessage()
		require.NoError(t, err)
		require.True(t, message == string(m))
	})
}

// Writers at once keep the context in the order of their frames.
func TestConcurrentCompressedWriters(t *testing.T) {
	for _, o := range []Compression{noTakeover, takeover12} {
		eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			const writers, each = 8, 30
			pm, err := NewPreparedMessage(TextMessage, []byte(similar(99, 900)))
			require.NoError(t, err)
			var all sync.WaitGroup
			for i := range writers {
				all.Go(func() {
					for j := range each {
						message := similar(i*each+j, 100+j*40)
						switch j % 3 {
						case 0:
							require.NoError(t, c.WritePreparedMessage(pm))
						case 1:
							require.NoError(t, c.WriteControl(PingMessage, []byte(message[:100]), time.Time{}))
						}
						require.NoError(t, c.WriteMessage(TextMessage, []byte(message)))
					}
				})
			}
			got := map[string]int{}
			for range writers * (each + each/3) {
				_, message, _, _ := p.message(z)
				got[message]++
			}
			all.Wait()
			require.Equal(t, writers*each/3, got[similar(99, 900)])
			for i := range writers {
				for j := range each {
					require.Equal(t, 1, got[similar(i*each+j, 100+j*40)])
				}
			}
		})
	}
}

// A prepared message is compressed once for each set of parameters, refers to
// nothing, and is context for what follows.
func TestPreparedMessageIsCompressedOnce(t *testing.T) {
	pm, err := NewPreparedMessage(TextMessage, []byte(similar(1, 3000)))
	require.NoError(t, err)
	for _, o := range []Compression{noTakeover, bothTakeOver, takeover12, {true, true, 12, 12, 0, 9}} {
		eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			for i := range 3 {
				require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(i, 1000))))
				p.wantMessage("before", z, similar(i, 1000), true)
				require.NoError(t, c.WritePreparedMessage(pm))
				p.wantMessage("prepared", z, similar(1, 3000), true)
			}
		})
	}
	require.Len(t, pm.compressed, 3, "15 bits, 12 bits, 12 bits dense")
	for form, f := range pm.compressed {
		require.NotNil(t, f, "%+v", form)
	}

	incompressible, err := NewPreparedMessage(BinaryMessage, []byte(noise(130, 1)))
	require.NoError(t, err)
	eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		random := make([]byte, 1000)
		r := rand.New(rand.NewPCG(1, 1))
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		incompressible, err = NewPreparedMessage(BinaryMessage, random)
		require.NoError(t, err)
		require.NoError(t, c.WritePreparedMessage(incompressible))
		p.wantMessage("as it is", z, string(random), false)
	})
	eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
		ping, err := NewPreparedMessage(PingMessage, bytes.Repeat([]byte("a"), 125))
		require.NoError(t, err)
		require.NoError(t, c.WritePreparedMessage(ping))
		p.want("a control frame", finPing, strings.Repeat("a", 125))
	})
}

// Close in the middle of a compressed message of a writer gives back what that
// holds.
func TestCloseWithACompressingWriter(t *testing.T) {
	for _, o := range []Compression{noTakeover, takeover12} {
		for _, size := range []int{100, 20_000, 300_000} {
			eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
				p.blockWrites(2000)
				wrote := make(chan error)
				go func() {
					w, err := c.NextWriter(TextMessage)
					require.NoError(t, err)
					_, err = io.WriteString(w, noise(size, 1))
					if err == nil {
						synctest.Wait()
						err = w.Close()
					}
					wrote <- err
				}()
				time.Sleep(time.Second) // of the bubble
				require.NoError(t, c.Close())
				<-wrote
			})
		}
	}
}

// Nothing is allocated per message, with context takeover and without.
func TestCompressedEchoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pool at random")
	}
	for _, o := range []Compression{noTakeover, takeover12, bothTakeOver} {
		eachMode(t, func(t *testing.T, c *Conn, p *peer) {
			c.startCompression(&o)
			z := &flatePeer{t: t}
			buf := make([]byte, 0, 64<<10)
			for _, size := range []int{64, 512, 4 << 10, 16 << 10, 60_000} {
				frame := p.frame(zBinary, z.compress(similar(1, size)))
				drain := make([]byte, 64<<10)
				got := testing.AllocsPerRun(50, func() {
					if _, err := p.Write(frame); err != nil {
						t.Fatal(err)
					}
					messageType, m, err := c.AppendMessage(buf)
					if err != nil || len(m) < size {
						t.Fatal(err, len(m))
					}
					if err := c.WriteMessage(messageType, m); err != nil {
						t.Fatal(err)
					}
					for p.Buffered() > 0 {
						if _, err := p.Read(drain); err != nil {
							t.Fatal(err)
						}
					}
				})
				require.Zero(t, got, "allocations for an echo of %d bytes", size)
			}
		})
	}
}

// Two of our connections, with all sizes of windows and writers and readers of
// all kinds.
func TestCompressionAgainstItself(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, takeover := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%v", bits, takeover), func(t *testing.T) {
				checkBuffers(t)
				synctest.Test(t, func(t *testing.T) {
					a, b := testnet.Pipe()
					o := Compression{takeover, takeover, bits, bits, 1, bits % 10}
					server, client := newConn(a, connOptions{server: true, compression: &o}), newConn(b, connOptions{compression: &o})
					r := rand.New(rand.NewPCG(uint64(bits), 5))
					var messages []string
					for i := range 40 {
						n := r.IntN([]int{100, 3000, 70_000}[r.IntN(3)])
						messages = append(messages, []string{similar(i, n), noise(n, uint64(i%5))}[r.IntN(2)])
					}
					go func() {
						for i, m := range messages {
							if i%3 > 0 {
								require.NoError(t, client.WriteMessage(TextMessage, []byte(m)))
								continue
							}
							w, err := client.NextWriter(TextMessage)
							require.NoError(t, err)
							_, err = io.Copy(w, strings.NewReader(m))
							require.NoError(t, err)
							require.NoError(t, w.Close())
						}
					}()
					for i, m := range messages {
						_, got, err := readWays[i%3].read(server)
						require.NoError(t, err)
						require.True(t, m == string(got), "message %d", i)
					}
					require.NoError(t, server.Close())
					require.NoError(t, client.Close())
				})
			})
		}
	}
}

// A peer that refers back further than was agreed fails the connection.
func TestReadBeyondTheAgreedWindow(t *testing.T) {
	for _, way := range readWays {
		eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			p.sendMeanwhile(p.frame(zBinary, z.compress(noise(5000, 1)+noise(5000, 1))))
			_, _, err := way.read(c)
			require.Equal(t, errCorruptDeflate, err)
		})
	}
}

// The memory of a context is that of its window, and is not there before it is
// needed.
func TestContextsAreMadeWhenNeeded(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.startCompression(&takeover12)
		untouched := contexts{sent: deflate.Context{Bits: 12}, received: deflate.Window{Bits: 12}}
		require.NoError(t, c.WriteMessage(TextMessage, []byte("small")))
		p.send(p.frame(finText, "small"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, untouched, *c.contexts)
	})
	require.LessOrEqual(t, unsafe.Sizeof(contexts{}), uintptr(96), "what there is besides")
	require.Equal(t, deflate.Fast, deflate.Level(0), "the default")
}

// A Write that comes while another one's fragment is on its way loses nothing.
func TestWritesOfOneCompressingWriterAtOnce(t *testing.T) {
	eachCompressed(t, noTakeover, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		w, err := c.NextWriter(BinaryMessage)
		require.NoError(t, err)
		p.blockWrites(0)
		var all sync.WaitGroup
		all.Go(func() {
			_, err := io.WriteString(w, noise(20_000, 1))
			require.NoError(t, err)
		})
		synctest.Wait()
		all.Go(func() {
			n, err := io.WriteString(w, strings.Repeat("B", 1000))
			require.NoError(t, err)
			require.Equal(t, 1000, n)
		})
		synctest.Wait()
		p.unblockWrites()
		all.Wait()
		require.NoError(t, w.Close())
		_, got, compressed, _ := p.message(z)
		require.True(t, compressed)
		require.Len(t, got, 21_000)
		require.Equal(t, 1000, strings.Count(got, "B"))
	})
}

// A WriteBufferSize that is meant to be without end is as large as can be.
func TestWriteBufferSizeWithoutEnd(t *testing.T) {
	for _, size := range []int{math.MaxInt, math.MaxInt - headerRoom, math.MaxInt32} {
		for _, o := range []*Compression{nil, &noTakeover, &takeover12} {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				z := &flatePeer{t: t, takeover: o == &takeover12}
				if o != nil {
					c.startCompression(o)
				}
				c.writeOptions = newWriteOptions(size, nil, nil)
				go func() {
					w, err := c.NextWriter(BinaryMessage)
					require.NoError(t, err)
					for range 4 {
						_, err := io.WriteString(w, similar(1, 10_000))
						require.NoError(t, err)
					}
					require.NoError(t, w.Close())
				}()
				_, got, compressed, frames := p.message(z)
				require.True(t, strings.Repeat(similar(1, 10_000), 4) == got)
				require.Equal(t, o != nil, compressed)
				require.Equal(t, 1, frames)
			})
		}
	}
}

// A message above the largest buffers that are kept goes out in fragments, whether
// it becomes smaller or not, and control frames pass between them.
func TestLargeMessageIsCompressedInPieces(t *testing.T) {
	for _, o := range []Compression{noTakeover, takeover12} {
		eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			large := similar(1, 1<<20+1)
			for range 2 {
				go func() {
					require.NoError(t, c.WriteMessage(TextMessage, []byte(large)))
					require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(1, 200))))
				}()
				messageType, got, compressed, frames := p.message(z)
				require.EqualValues(t, TextMessage, messageType)
				require.True(t, large == got)
				require.True(t, compressed)
				require.Greater(t, frames, 1)
				p.wantMessage("behind it", z, similar(1, 200), true)
			}
			require.Nil(t, c.out.stream)
		})
	}
	serverConn(t, func(t *testing.T, c *Conn, p *peer) { // with nobody to read it
		c.startCompression(&takeover12)
		p.blockWrites(100_000)
		wrote := make(chan error)
		go func() { wrote <- c.WriteMessage(BinaryMessage, []byte(noise(2<<20, 1))) }()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.Error(t, <-wrote)
	})
}

// A large message whose last fragment could not be sent in time cannot be ended, so
// that nothing may follow.
func TestLargeMessageCutByADeadline(t *testing.T) {
	for _, after := range []int{1, 30, 64} { // of 65 fragments
		serverConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.startCompression(&noTakeover)
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Hour)))
			p.blockWrites(1000)
			wrote := make(chan error)
			go func() { wrote <- c.WriteMessage(BinaryMessage, []byte(noise(1<<20+1, 1))) }()
			for range after - 1 {
				_, _, err := p.next()
				require.NoError(t, err)
			}
			synctest.Wait() // the next fragment is on its way
			led := make(chan error)
			go func() { led <- c.lead(true, nil, writeDeadline{own: true}) }()
			synctest.Wait() // it is next in line
			_, _, err := p.next()
			require.NoError(t, err)
			require.NoError(t, <-led)
			wantTimeout(t, <-wrote)
			c.follow()
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
			wantTimeout(t, c.WriteMessage(TextMessage, []byte("never")))
		})
	}
}

// What cannot be written is not compressed first, and writers that wait hold no
// compressed message where they have to wait for the context.
func TestCompressionWaitsForItsTurn(t *testing.T) {
	eachCompressed(t, takeover12, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
		before := onLoan.Load()
		require.NoError(t, c.lead(false, nil, writeDeadline{}))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { require.ErrorIs(t, c.WriteMessage(TextMessage, []byte(similar(1, 300))), errConnClosed) })
		}
		synctest.Wait()
		require.Equal(t, before, onLoan.Load())
		require.NoError(t, c.Close())
		c.follow()
		all.Wait()
	})
	if raceEnabled {
		return // it makes allocations of its own
	}
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.startCompression(&noTakeover)
		require.NoError(t, c.WriteControl(CloseMessage, nil, time.Time{}))
		gets := 0
		old := bufpool.OnLoan
		bufpool.OnLoan = func(delta int) { gets++; old(delta) }
		defer func() { bufpool.OnLoan = old }()
		require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, []byte(similar(1, 300))))
		require.Zero(t, gets, "buffers that were asked for")
	})
}

// poolFunc is a BufferPool whose Put is a function of the test's.
type poolFunc func()

func (f poolFunc) Get() any { return nil }
func (f poolFunc) Put(any)  { f() }

// The program's own pool may use the connection, and may panic, when a buffer
// comes back.
func TestBufferPoolMayWrite(t *testing.T) {
	for _, size := range []int{10, 40_000} {
		eachCompressed(t, noTakeover, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			puts := 0
			c.writeOptions = newWriteOptions(0, poolFunc(func() {
				puts++
				require.NoError(t, c.WriteControl(PingMessage, []byte("put"), time.Now().Add(time.Second)))
			}), nil)
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			_, err = io.WriteString(w, similar(1, size))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.Equal(t, 1, puts)
			p.wantMessage("the message", z, similar(1, size), size > 10)
			p.want("the pool's", finPing, "put")
		})
		eachCompressed(t, noTakeover, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
			c.writeOptions = newWriteOptions(0, poolFunc(func() { panic("pool") }), nil)
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			_, err = io.WriteString(w, similar(1, size))
			require.NoError(t, err)
			require.PanicsWithValue(t, "pool", func() { _ = w.Close() })
			p.wantMessage("the message", z, similar(1, size), size > 10)
			require.NoError(t, c.WriteMessage(TextMessage, []byte(similar(2, 300))))
			p.wantMessage("the next", z, similar(2, 300), true)
		})
	}
}

// A writer's message below the threshold is sent as it is.
func TestNextWriterBelowTheThreshold(t *testing.T) {
	eachCompressed(t, noTakeover, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, strings.Repeat("a", 127))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		p.wantMessage("below", z, strings.Repeat("a", 127), false)
	})
}
