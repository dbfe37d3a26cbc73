package websocket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/deflate"
)

// What peers have done to implementations of permessage-deflate, beyond the tests of
// conn_inflate_test.go, compress_test.go and internal/deflate; docs/hostile.md has the list.

// bomb is 4 MiB of zeros and ends at a byte, so that it may be repeated.
func bomb(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 4<<20))
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return b.String()
}

// RFC 7692 §8 and RFC 6455 §10.4: 512 MiB of zeros in half a megabyte of DEFLATE end at the
// read limit, with the memory of the limit, in one frame or many, before the last has come.
// CVE-2026-27571, https://github.com/lesismal/nbio/issues/421
func TestHostileBomb(t *testing.T) {
	const limit = 1 << 20
	payload := strings.Repeat(bomb(t), 128)
	require.Less(t, len(payload), 540<<10)
	frames := map[string]func(p *peer) []byte{
		"one frame": func(p *peer) []byte { return p.frame(zBinary, payload) },
		"frames of a hundred bytes": func(p *peer) []byte {
			b := p.frame(zBeginBinary, "")
			for i := range 100 {
				b = append(b, p.frame(moreData, payload[i*100:][:100])...)
			}
			return b
		},
		"frames of a byte": func(p *peer) []byte {
			b := p.frame(zBeginBinary, "")
			for i := range 8000 {
				b = append(b, p.frame(moreData, payload[i:i+1])...)
			}
			return b
		},
	}
	for name, frames := range frames {
		for _, o := range []Compression{noTakeover, bothTakeOver, {true, true, 8, 8, 0, -1}} {
			for _, way := range []readWay{readWays[0], readWays[1], {"a reader that is drained", func(c *Conn) (int, []byte, error) {
				messageType, r, err := c.NextReader()
				require.NoError(t, err)
				n, err := io.Copy(io.Discard, r)
				require.LessOrEqual(t, n, int64(limit))
				return messageType, nil, err
			}}} {
				t.Run(fmt.Sprintf("%s/%v/%s", name, o, way.name), func(t *testing.T) {
					eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
						c.SetReadLimit(limit)
						p.sendMeanwhile(frames(p))
						synctest.Wait()
						got := allocated(func() {
							_, _, err := way.read(c)
							require.Equal(t, ErrReadLimit, err)
						})
						if !raceEnabled { // which empties sync.Pool at random
							require.Less(t, got, uint64(2*limit), "bytes allocated")
						}
						p.wantClose("the peer is told", CloseMessageTooBig)
					})
				})
			}
		}
	}
}

// RFC 7692 §6.1: the DEFLATE of a message may be cut at any byte, and fragments be empty: the
// first, one in the middle, and the last, which then has but the FIN bit.
func TestHostileFragmentsOfDeflate(t *testing.T) {
	for _, g := range goodDeflate {
		for _, way := range readWays {
			t.Run(g.name+"/"+way.name, func(t *testing.T) {
				for _, o := range []Compression{noTakeover, bothTakeOver} {
					eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
						frames := [][]byte{p.frame(zBeginText, "")}
						for i := range len(g.payloads) {
							frames = append(frames, p.frame(moreData, g.payloads[i:i+1]), p.frame(finPing, ""), p.frame(moreData, ""))
						}
						frames = append(frames, p.frame(finContinue, ""), // the last is empty
							p.frame(zBeginText, g.payloads), p.frame(finContinue, ""),
							p.frame(finText, "plain"))
						p.send(frames...)
						for _, want := range []string{g.want, g.want, "plain"} {
							_, m, err := way.read(c)
							require.NoError(t, err)
							require.Equal(t, want, string(m))
						}
					})
				}
			})
		}
	}
}

// RFC 7692 §7.2.3.6: a compressed message has a byte at least; one that has none, in however
// many frames, is not an empty message.
func TestHostileEmptyDeflate(t *testing.T) {
	for toServer, toClient := range map[string]string{
		"C180 00000000":                             "C100",
		"4180 00000000 8080 00000000":               "4100 8000",
		"4280 00000000 0080 00000000 8080 00000000": "4200 0000 8000",
		"4180 00000000 8980 00000000 8080 00000000": "4100 8900 8000",
	} {
		for _, way := range readWays {
			eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
				stream := toClient
				if p.masks {
					stream = toServer
				}
				p.send(hexBytes(t, stream), p.frame(finText, "behind"))
				_, _, err := way.read(c)
				require.Equal(t, errCorruptDeflate, err)
				if strings.Contains(toClient, "89") {
					p.want("the ping", finPong, "")
				}
				p.wantClose(toClient, CloseInvalidFramePayloadData)
			})
		}
	}
}

// RFC 7692 §7.2.3.4 and §7.1.1: a message may end by BFINAL, or have two streams, and the next
// one refers to it all the same; nothing of it is left to be taken for the next one's. The second
// of each pair is an H and four bytes from five before.
func TestHostileContextBehindBFINAL(t *testing.T) {
	for _, way := range readWays {
		eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
			p.send(
				p.frame(zText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), p.frame(zText, "\xf2\x00\x11\x00\x00"),
				p.frame(zText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x01\x05\x00\xfa\xffWorld\x00"), p.frame(zText, "\xf2\x00\x11\x00\x00"),
				p.frame(zText, "\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x01"), p.frame(zText, "\xf2\x00\x11\x00\x00"),
				p.frame(zText, "\x00"), p.frame(zText, "\xf2\x00\x11\x00\x00"),
			)
			for _, want := range []string{"Hello", "Hello", "HelloWorld", "Horld", "Hello", "Hello", "", "Hello"} {
				_, m, err := way.read(c)
				require.NoError(t, err)
				require.Equal(t, want, string(m))
			}
		})
	}
}

// A connection that failed in the middle of a message leaves the pooled codec and buffers as
// if it had not been there, whatever the windows of the two.
func TestHostileDeflateLeavesNothingBehind(t *testing.T) {
	bad := map[string]error{
		"\xf2\x48\xcd": errCorruptDeflate, "\x06": errCorruptDeflate, "\xf2\x48\xcd\xc9\xc9\x07\x00\x06": errCorruptDeflate,
		stored("secret", 6)[:8]: errCorruptDeflate, "\xde\xad\xbe\xef\xde\xad\xbe\xef": errCorruptDeflate, "\xf2\x00\x11\x00\x00": errCorruptDeflate,
		strings.Repeat("\x00\x00\x00\xff\xff", 6000): ErrReadLimit, // blocks without output
	}
	for _, failing := range []Compression{noTakeover, bothTakeOver, {true, true, 8, 8, 0, -1}} {
		for _, next := range []Compression{noTakeover, bothTakeOver, {true, true, 9, 9, 0, -1}} {
			for payload, want := range bad {
				eachCompressed(t, failing, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
					p.send(p.frame(zBinary, payload))
					_, _, err := c.ReadMessage()
					require.Equal(t, want, err)
				})
				eachCompressed(t, next, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
					z.takeover = false
					for i := range 2 {
						p.send(p.frame(zText, z.compress(similar(i, 200))))
						_, m, err := c.ReadMessage()
						require.NoError(t, err)
						require.Equal(t, similar(i, 200), string(m))
					}
				})
				eachCompressed(t, next, func(t *testing.T, c *Conn, p *peer, _ *flatePeer) {
					p.send(p.frame(zText, "\xf2\x00\x11\x00\x00")) // refers to five bytes that were never there
					_, _, err := c.ReadMessage()
					require.Equal(t, errCorruptDeflate, err)
				})
			}
		}
	}
}

// RFC 7692 §5.1 and §7.1: an offer that cannot be taken is declined, by an upgrade without an
// extension, and no status of an error; what is taken is confirmed.
func TestHostileOffers(t *testing.T) {
	for offer, want := range map[string]string{
		"permessage-deflate; nonsense=1":                      "",
		"permessage-deflate; server_max_window_bits=16":       "",
		"permessage-deflate; server_max_window_bits=7":        "",
		"permessage-deflate; server_max_window_bits":          "",
		"permessage-deflate; server_no_context_takeover=true": "",
		"permessage-deflatex, x-webkit-deflate-frame":         "",
		"x-webkit-deflate-frame; no_context_takeover":         "",
		"": "",
		"permessage-deflate; server_max_window_bits=15; client_max_window_bits": "permessage-deflate; server_max_window_bits=15; client_max_window_bits=12",
		"permessage-deflate; server_max_window_bits=9; client_max_window_bits":  "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12",
		"permessage-deflate; server_max_window_bits=10":                         "permessage-deflate; client_no_context_takeover; server_max_window_bits=10",
		"permessage-deflate; nonsense=1, permessage-deflate":                    "permessage-deflate; client_no_context_takeover",
	} {
		t.Run(offer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				checkBuffers(t)
				u := &Upgrader{Compression: &Compression{SendContextTakeover: true, ReceiveContextTakeover: true, SendWindowBits: 15, ReceiveWindowBits: 12}}
				l, conns := hsUpgrades(t, u, nil)
				conn := l.dial(t)
				_, err := io.WriteString(conn, hsRequest("", "Sec-WebSocket-Extensions: "+offer))
				require.NoError(t, err)
				head, _ := hsReadHead(t, conn)
				require.True(t, strings.HasPrefix(head, "HTTP/1.1 101 "), head)
				line := "\r\nSec-WebSocket-Extensions: " + want + "\r\n"
				if want == "" {
					line = "Sec-WebSocket-Extensions"
				}
				require.Equal(t, want != "", strings.Contains(head, line), head)
				require.NoError(t, (<-conns).Close())
			})
		})
	}
}

// RFC 7692 §7.1.2.1: who has agreed to a window sends nothing that refers beyond it. Each
// message repeats itself, and the one before, just too far back.
func TestHostileSmallWindows(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, takeover := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				checkBuffers(t)
				u := &Upgrader{Compression: &Compression{SendContextTakeover: takeover, SendWindowBits: 15}}
				l, conns := hsUpgrades(t, u, nil)
				conn := l.dial(t)
				conn.In().SetBuffer(1 << 20)
				_, err := io.WriteString(conn, hsRequest("", fmt.Sprintf("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=%d", bits)))
				require.NoError(t, err)
				head, _ := hsReadHead(t, conn)
				require.Contains(t, head, fmt.Sprintf("; server_max_window_bits=%d", bits))
				ws := <-conns
				window := &deflate.Window{Bits: uint8(bits)}
				p := &peer{t: t, Conn: conn, masks: true}
				for i := range 5 {
					piece := noise(1<<bits+1+i, 1)
					message := piece + piece
					require.NoError(t, ws.WriteMessage(BinaryMessage, []byte(message)))
					first, payload, err := p.next()
					require.NoError(t, err)
					require.Equal(t, byte(zBinary), first)
					if !takeover {
						window = nil
					}
					z := deflate.GetInflater(bits, window)
					out, n, err := z.Inflate(make([]byte, 0, len(message)), 0, slices.Concat([]byte(payload), deflate.Tail))
					require.NoError(t, err, "a distance of more than 2^%d", bits)
					require.Equal(t, len(payload)+len(deflate.Tail), n)
					require.True(t, z.Complete())
					require.True(t, message == string(out))
					if window != nil {
						window.Write(out)
					}
					deflate.PutInflater(z)
				}
				require.NoError(t, ws.Close())
			})
		}
	}
}
