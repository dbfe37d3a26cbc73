package websocket

import (
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Frames that WebSocket libraries have taken for what they are not, beyond those of
// conn_read_test.go; docs/hostile.md has the list. A client's are masked with the key 0,
// so that their payload can be read here.

// hexBytes is bytes that are written in hex.
func hexBytes(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// A hostileFrame ends the connection, and nothing behind it is read.
type hostileFrame struct {
	name               string
	toServer, toClient string // in hex
	want               error
	close              int // the code that the peer is told
}

var hostileFrames = []hostileFrame{
	// RFC 6455 §5.5: a control frame has at most 125 bytes, of whatever kind, which is judged
	// before any of them is there.
	{"a pong of 126 bytes", "8AFE007E 00000000", "8A7E007E", errControlLength, 1002},
	{"a pong of 2^63-1 bytes", "8AFF7FFFFFFFFFFFFFFF 00000000", "8A7F7FFFFFFFFFFFFFFF", errControlLength, 1002},
	{"a close frame of 2^63-1 bytes", "88FF7FFFFFFFFFFFFFFF 00000000", "887F7FFFFFFFFFFFFFFF", errControlLength, 1002},

	// RFC 6455 §5.2: the shortest form of the length, in control frames too.
	{"125 bytes of a ping in the long form", "89FE007D 00000000", "897E007D", errOverlength, 1002},
	{"no byte in the longest form", "81FF0000000000000000 00000000", "817F0000000000000000", errOverlength, 1002},

	// RFC 6455 §5.1: masked from a client, not masked from a server, even where there is
	// nothing to mask and where the frame is the last one.
	{"no payload, and the mask is wrong", "8100", "818000000000", nil, 1002},
	{"a ping, and the mask is wrong", "8900", "898000000000", nil, 1002},
	{"a close frame, and the mask is wrong", "8802 03E8", "8882 00000000 03E8", nil, 1002},

	// RFC 6455 §5.2: the length is 63 bits, and none of them is lost on any machine.
	// CVE-2020-27813, CVE-2026-1528, CVE-2026-27889.
	{"2^63 bytes", "82FF8000000000000000 00000000 78", "827F8000000000000000 78", errLengthTopBit, 1002},
	{"2^64-16 bytes", "82FFFFFFFFFFFFFFFFF0 00000000 78", "827FFFFFFFFFFFFFFFF0 78", errLengthTopBit, 1002},
	{"2^32+1 bytes, of which 32 bits say 1", "82FF0000000100000001 00000000 78", "827F0000000100000001 78", ErrReadLimit, 1009},
	{"2^31 bytes, which 32 bits call negative", "82FF0000000080000000 00000000 78", "827F0000000080000000 78", ErrReadLimit, 1009},

	// RFC 6455 §8.1: text is UTF-8, also where the whole of it is in hand. GO-2025-4255.
	{"text that is FF FE", "8182 00000000 FFFE", "8102 FFFE", errInvalidUTF8, 1007},
	{"a slash in two bytes", "8182 00000000 C0AF", "8102 C0AF", errInvalidUTF8, 1007},
	{"a slash in three bytes", "8183 00000000 E080AF", "8103 E080AF", errInvalidUTF8, 1007},
	{"half of a surrogate pair", "8183 00000000 EDA080", "8103 EDA080", errInvalidUTF8, 1007},
	{"beyond U+10FFFF", "8184 00000000 F4908080", "8104 F4908080", errInvalidUTF8, 1007},
	{"text that ends inside a character", "8183 00000000 61E282", "8103 61E282", errInvalidUTF8, 1007},
	{"a continuation byte alone", "8181 00000000 80", "8101 80", errInvalidUTF8, 1007},
	{"a character that two messages share", "8181 00000000 CE 8181 00000000 BA", "8101 CE 8101 BA", errInvalidUTF8, 1007},
	{"a close reason that is not UTF-8", "8884 00000000 03E8 FFFE", "8804 03E8 FFFE", errCloseReason, 1007},
}

func TestHostileFrames(t *testing.T) {
	for _, f := range hostileFrames {
		for _, way := range readWays {
			t.Run(f.name+"/"+way.name, func(t *testing.T) {
				eachConn(t, func(t *testing.T, c *Conn, p *peer) {
					stream, want := f.toClient, f.want
					if p.masks {
						stream = f.toServer
					}
					if want == nil && p.masks {
						want = errUnmaskedFrame
					} else if want == nil {
						want = errMaskedFrame
					}
					p.send(p.frame(finText, "before"), hexBytes(t, stream), p.frame(finText, "behind"))
					_, m, err := way.read(c)
					require.NoError(t, err)
					require.Equal(t, "before", string(m))
					start := time.Now()
					_, _, err = way.read(c)
					require.Equal(t, want, err)
					require.Zero(t, time.Since(start), "it waited for more")
					p.wantClose("RFC 6455 §7.1.7: the peer is told", f.close)
					for range 2 {
						_, _, again := way.read(c)
						require.Equal(t, want, again, "it stays")
					}
					p.wantSilence("one close frame is enough")
				})
			})
		}
	}
}

// RFC 6455 §5.2 and §5.4: lengths of 63 bits whose sum has 64. Without a read limit there
// is nothing to refuse yet: the read waits, at no cost, for what was declared.
// CVE-2020-27813, CVE-2026-1528, CVE-2026-27889.
func TestHostileSumOfLengths(t *testing.T) {
	for _, way := range readWays {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.SetReadLimit(0)
			stream := "02 01 78 80 7F 7FFFFFFFFFFFFFFF"
			if p.masks {
				stream = "02 81 00000000 78 80 FF 7FFFFFFFFFFFFFFF 00000000"
			}
			p.send(hexBytes(t, stream))
			reads := p.ours.Stats().Reads
			for range 3 {
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				got := allocated(func() {
					_, _, err := way.read(c)
					wantTimeout(t, err)
				})
				require.Less(t, got, uint64(512<<10), "bytes allocated")
				if strings.HasPrefix(way.name, "NextReader") {
					break // a second one drops the first one's message
				}
			}
			require.Equal(t, int64(math.MaxInt64), c.in.size)
			require.Less(t, p.ours.Stats().Reads-reads, 10, "it asks without end")
		})
		eachConn(t, func(t *testing.T, c *Conn, p *peer) { // and with a limit, at once
			c.SetReadLimit(math.MaxInt64)
			stream := "02 01 78 80 7F 7FFFFFFFFFFFFFFF"
			if p.masks {
				stream = "02 81 00000000 78 80 FF 7FFFFFFFFFFFFFFF 00000000"
			}
			p.send(hexBytes(t, stream))
			_, _, err := way.read(c)
			require.Equal(t, ErrReadLimit, err)
			p.wantClose("the peer is told", CloseMessageTooBig)
		})
	}
}

// A message is delivered whole or not at all: one that is a byte or two over the limit is
// not cut to it. https://github.com/python-websockets/websockets/issues/1715
func TestHostileLimitEdges(t *testing.T) {
	const limit = 1000
	for _, o := range []*Compression{nil, &noTakeover} {
		for _, way := range readWays {
			for over := range 4 {
				for _, cuts := range [][]int{{0}, {1}, {limit - 1}, {limit}, {1, limit}, {limit - 2, limit - 1, limit}} {
					t.Run(fmt.Sprintf("compressed %t/%s/limit+%d/cut at %d", o != nil, way.name, over, cuts), func(t *testing.T) {
						serverConn(t, func(t *testing.T, c *Conn, p *peer) {
							c.SetReadLimit(limit)
							first, payload := byte(beginBinary), ascii(limit+over)
							if o != nil {
								c.startCompression(o)
								first, payload = zBeginBinary, stored(payload, 100)
							}
							begun := 0
							for _, cut := range cuts {
								p.send(p.frame(first, payload[begun:cut]))
								first, begun = moreData, cut
							}
							p.send(p.frame(finContinue, payload[begun:]))
							_, m, err := way.read(c)
							if over == 0 {
								require.NoError(t, err)
								require.Equal(t, ascii(limit), string(m))
								return
							}
							require.Equal(t, ErrReadLimit, err)
							p.wantClose("the peer is told", CloseMessageTooBig)
						})
					})
				}
			}
		}
	}
}

// A reader whose message is over the limit ends with the error, never with io.EOF, and so
// do those that are made of it.
func TestHostileLimitOfReaders(t *testing.T) {
	for over := 1; over <= 3; over++ {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.SetReadLimit(10)
			p.send(p.frame(beginText, `"12345678`), p.frame(finContinue, `"`+strings.Repeat(" ", over)))
			_, r, err := c.NextReader()
			require.NoError(t, err)
			_, err = io.CopyN(io.Discard, r, 10+1)
			require.Equal(t, ErrReadLimit, err)
			_, err = r.Read(make([]byte, 1))
			require.Equal(t, ErrReadLimit, err)
			var v string
			require.Equal(t, ErrReadLimit, c.ReadJSON(&v))
			_, err = io.ReadAll(JoinMessages(c, ""))
			require.Equal(t, ErrReadLimit, err)
		})
	}
}
