package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// countingText is "0,1,2,…", in which a lost or doubled byte shows.
var countingText = func() string {
	var b []byte
	for i := 0; len(b) < 4<<20; i++ {
		b = append(strconv.AppendInt(b, int64(i), 10), ',')
	}
	return string(b)
}()

// ascii is n bytes of text.
func ascii(n int) string { return countingText[:n] }

var messageSizes = []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 1000, 4095, 4096, 4097,
	16383, 16384, 16385, 16400, 16401, 65535, 65536, 65537, 200_000, 1 << 20}

func TestReadEverySizeInEveryWay(t *testing.T) {
	for _, way := range readWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				for _, n := range messageSizes {
					if n > 70_000 && way.name == "NextReader, 1 byte each" {
						continue // the same path, slowly
					}
					payload := ascii(n)
					go p.send(p.frame(finText, payload), p.frame(finBinary, "x"))
					messageType, got, err := way.read(c)
					require.NoError(t, err)
					require.Equal(t, TextMessage, messageType)
					require.True(t, payload == string(got), "%d bytes: %.40q", n, got)
					messageType, got, err = way.read(c)
					require.NoError(t, err)
					require.Equal(t, BinaryMessage, messageType)
					require.Equal(t, "x", string(got))
				}
			})
		})
	}
}

// A message is the same however the network and the peer cut it.
func TestReadFragmentsInPieces(t *testing.T) {
	payload := ascii(40_000)
	for _, way := range readWays {
		for _, piece := range []int{1, 2, 7, 1000, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", way.name, piece), func(t *testing.T) {
				eachConn(t, func(t *testing.T, c *Conn, p *peer) {
					p.Out().LimitReads(testnet.AtMost(piece))
					go p.send(
						p.frame(beginText, payload[:10]),
						p.frame(finPing, "a ping inside a message"),
						p.frame(moreData, ""),
						p.frame(moreData, payload[10:30_000]),
						p.frame(finPong, ""),
						p.frame(finContinue, payload[30_000:]),
						p.frame(finText, "next"),
					)
					_, got, err := way.read(c)
					require.NoError(t, err)
					require.True(t, payload == string(got))
					_, got, err = way.read(c)
					require.NoError(t, err)
					require.Equal(t, "next", string(got))
					p.want("RFC 6455 §5.5.2: a ping is answered, inside a message too", finPong, "a ping inside a message")
				})
			})
		}
	}
}

// RFC 6455 §5.1, §5.2, §5.4, §5.5: what a header can do wrong ends the
// connection with 1002, before any byte of the payload is there.
func TestReadRefusesBadHeaders(t *testing.T) {
	cases := []struct {
		name   string
		frames func(p *peer) []byte
		want   *ProtocolError
	}{
		{"RSV1", func(p *peer) []byte { return p.frame(0xC1, "x") }, errReservedBits},
		{"RSV2", func(p *peer) []byte { return p.frame(0xA1, "x") }, errReservedBits},
		{"RSV3", func(p *peer) []byte { return p.frame(0x91, "x") }, errReservedBits},
		{"RSV1 on a ping", func(p *peer) []byte { return p.frame(0xC9, "") }, errReservedBits},
		{"opcode 3", func(p *peer) []byte { return p.frame(0x83, "") }, errReservedOpcode},
		{"opcode 7", func(p *peer) []byte { return p.frame(0x87, "") }, errReservedOpcode},
		{"opcode 11", func(p *peer) []byte { return p.frame(0x8B, "") }, errReservedOpcode},
		{"opcode 15", func(p *peer) []byte { return p.frame(0x8F, "") }, errReservedOpcode},
		{"wrong masking", func(p *peer) []byte { return wireFrame(finText, !p.masks, "hi") }, nil},
		{"fragmented ping", func(p *peer) []byte { return p.frame(0x09, "") }, errFragmentedControl},
		{"fragmented close", func(p *peer) []byte { return p.frame(0x08, "") }, errFragmentedControl},
		{"long ping", func(p *peer) []byte { return p.frame(finPing, ascii(126))[:8] }, errControlLength},
		{"long close", func(p *peer) []byte { return p.frame(finClose, ascii(126))[:8] }, errControlLength},
		{"continuation of nothing", func(p *peer) []byte { return p.frame(finContinue, "x") }, errNothingToContinue},
		{"message in a message", func(p *peer) []byte {
			return append(p.frame(beginText, "x"), p.frame(finText, "y")...)
		}, errInterruptedMessage},
		{"continuation after the end", func(p *peer) []byte {
			return append(append(p.frame(beginText, "x"), p.frame(finContinue, "y")...), p.frame(moreData, "z")...)
		}, errNothingToContinue},
		{"16-bit length of 125", func(p *peer) []byte { return p.header(finText, 126, 0, 125) }, errOverlength},
		{"64-bit length of 65535", func(p *peer) []byte { return p.header(finText, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF) }, errOverlength},
		{"64-bit length with the top bit", func(p *peer) []byte { return p.header(finText, 127, 0x80, 0, 0, 0, 0, 0, 0, 16) }, errLengthTopBit},
		{"64-bit length of all ones", func(p *peer) []byte {
			return p.header(finBinary, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
		}, errLengthTopBit},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				want := tc.want
				if want == nil && p.masks {
					want = errUnmaskedFrame
				} else if want == nil {
					want = errMaskedFrame
				}
				p.send(tc.frames(p))
				var err error
				for err == nil {
					_, _, err = c.ReadMessage()
				}
				require.Same(t, want, err)
				p.wantClose("RFC 6455 §7.1.7: the peer is told", CloseProtocolError)
				_, _, again := c.ReadMessage()
				require.Same(t, err, again, "the error stays")
				require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, nil))
			})
		})
	}
}

// header is the start of a frame with a length in a form of the test's choice.
func (p *peer) header(first, second byte, length ...byte) []byte {
	if p.masks {
		second |= 0x80
	}
	b := append([]byte{first, second}, length...)
	if p.masks {
		b = append(b, testKey[:]...)
	}
	return b
}

// RFC 6455 §5.5.1 and §7.4: what a close frame may hold.
func TestReadClose(t *testing.T) {
	cases := []struct {
		name, payload string
		want          error
		echo          string
	}{
		{"no code", "", &CloseError{Code: 1005}, ""},
		{"code", closePayload(1000, ""), &CloseError{Code: 1000}, closePayload(1000, "")},
		{"code and reason", closePayload(1001, "bye ⊗"), &CloseError{Code: 1001, Text: "bye ⊗"}, closePayload(1001, "")},
		{"program's code", closePayload(4999, ascii(123)), &CloseError{Code: 4999, Text: ascii(123)}, closePayload(4999, "")},
		{"one byte", "\x03", errClosePayloadTooShort, "1002"},
		{"1005 on the wire", closePayload(1005, ""), errCloseCode, "1002"},
		{"1006 on the wire", closePayload(1006, ""), errCloseCode, "1002"},
		{"1015 on the wire", closePayload(1015, ""), errCloseCode, "1002"},
		{"999", closePayload(999, ""), errCloseCode, "1002"},
		{"5000", closePayload(5000, ""), errCloseCode, "1002"},
		{"bad reason", closePayload(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"), errCloseReason, "1007"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				p.send(p.frame(finClose, tc.payload), p.frame(finText, "nothing may follow a close frame"))
				_, _, err := c.ReadMessage()
				require.Equal(t, tc.want, err)
				switch tc.echo {
				case "1002":
					p.wantClose("the peer is told", 1002)
				case "1007":
					p.wantClose("the peer is told", 1007)
				default:
					p.want("the close frame is answered by its code alone", finClose, tc.echo)
				}
				_, _, again := c.ReadMessage()
				require.Same(t, err, again)
				p.wantSilence("one close frame is enough")
			})
		})
	}
}

func TestReadCloseDoesNotEchoTwice(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.WriteControl(CloseMessage, FormatCloseMessage(1000, "done"), time.Time{}))
		p.want("our close frame", finClose, closePayload(1000, "done"))
		p.send(p.frame(finText, "still on its way"), p.frame(finClose, closePayload(1000, "")))
		_, got, err := c.ReadMessage()
		require.NoError(t, err, "RFC 6455 §5.5.1: the peer may have more to say")
		require.Equal(t, "still on its way", string(got))
		_, _, err = c.ReadMessage()
		require.Equal(t, &CloseError{Code: 1000}, err)
		p.wantSilence("we have sent our close frame")
	})
}

// RFC 6455 §8.1: text is UTF-8, and the first byte that cannot be is the end.
func TestReadFailsOnTheFirstBadByte(t *testing.T) {
	for _, way := range readWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				long := strings.Repeat("κόσμε", 2000)
				f := p.frame(beginText, long+"\xf4\x90"+long)
				bad := len(f) - len(long) // just behind the bad byte
				go p.send(f[:bad])
				_, _, err := way.read(c)
				require.Same(t, errInvalidUTF8, err, "the rest of the frame need not come")
				p.wantClose("the peer is told", CloseInvalidFramePayloadData)
			})
		})
	}
}

func TestReadUTF8OverFragments(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(beginText, "\xce"), p.frame(finPing, "\xff"), p.frame(moreData, ""), p.frame(finContinue, "\xba"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err, "a character may be cut by fragments")
		require.Equal(t, "κ", string(got))

		p.send(p.frame(finBinary, "\xff\xfe"))
		_, got, err = c.ReadMessage()
		require.NoError(t, err, "binary is not text")
		require.Equal(t, "\xff\xfe", string(got))

		p.send(p.frame(beginText, "\xce"), p.frame(finContinue, ""))
		_, _, err = c.ReadMessage()
		require.Same(t, errInvalidUTF8, err, "a message cannot end inside a character")
	})
}

// A piece that is ASCII is wrong where the piece before it ended inside a character.
func TestReadASCIIInsideACharacter(t *testing.T) {
	for _, ascii := range []string{"a", strings.Repeat("a", 20_000)} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			go p.send(p.frame(beginText, ascii+"\xce"), p.frame(moreData, "\xba"+ascii), p.frame(moreData, ascii),
				p.frame(finContinue, "\xce\xba"))
			_, got, err := c.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, ascii+"κ"+ascii+ascii+"κ", string(got))

			bad := slices.Concat(p.frame(beginText, "\xce"), p.frame(moreData, ascii), p.frame(finContinue, "\xba"))
			go p.Write(bad) // which the failure may cut
			_, _, err = c.ReadMessage()
			require.Same(t, errInvalidUTF8, err)
		})
	}
}

func TestReadChecksWhatIsDropped(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "abc\xff"), p.frame(finText, "next"))
		_, _, err := c.NextReader()
		require.NoError(t, err)
		_, _, err = c.NextReader()
		require.Same(t, errInvalidUTF8, err)
	})
}

func TestSkipUTF8Check(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.skipUTF8 = true
		p.send(p.frame(finText, "\xff"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "\xff", string(got))
	})
}

func TestReadEndOfStream(t *testing.T) {
	whole := func(p *peer) []byte {
		return append(p.frame(beginText, "hello"), p.frame(finContinue, "world")...)
	}
	for _, way := range readWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, _ *Conn, p *peer) {
				for cut := range whole(p) {
					c, p := mode{server: p.masks}.pair(t)
					p.send(whole(p)[:cut])
					require.NoError(t, p.Close())
					_, _, err := way.read(c)
					require.Equal(t, &CloseError{Code: 1006, Text: "unexpected EOF"}, err)
					_, _, again := c.ReadMessage()
					require.Same(t, err, again)
					require.NoError(t, c.Close())
				}
			})
		})
	}
}

func TestReadTransportError(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		reset := errors.New("reset")
		p.Out().CutAfter(3, reset)
		_, _ = p.Write(p.frame(finText, "hello"))
		_, _, err := c.ReadMessage()
		require.ErrorIs(t, err, reset)
		for range 2000 {
			_, _, again := c.ReadMessage()
			require.Same(t, err, again, "the error stays, however often one asks")
		}
	})
}

// A deadline that fires at any byte of a stream loses nothing: the next read,
// of whatever kind, goes on.
func TestReadIsResumable(t *testing.T) {
	frames := func(p *peer) []byte {
		return bytes.Join([][]byte{
			p.frame(beginText, "he"), p.frame(finPing, "ping"), p.frame(moreData, "llo"),
			p.frame(finContinue, " κ"), p.frame(finBinary, ""),
		}, nil)
	}
	for _, first := range readWays[:3] {
		for _, second := range readWays {
			t.Run(first.name+" then "+second.name, func(t *testing.T) {
				eachConn(t, func(t *testing.T, c *Conn, p *peer) {
					stream := frames(p)
					for cut := range stream {
						p.send(stream[:cut])
						require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
						messageType, got, err := first.read(c)
						done := 0
						if err == nil {
							require.Equal(t, TextMessage, messageType)
							require.Equal(t, "hello κ", string(got))
							done++
							_, got, err = first.read(c)
						}
						wantTimeout(t, err)
						require.NoError(t, c.SetReadDeadline(time.Time{}))
						p.send(stream[cut:])
						if done == 0 {
							if first.name == "NextReader" {
								// Its reader had the beginning, and a new
								// NextReader would drop the rest.
								rest, err := resumeReader(c)
								require.NoError(t, err)
								got = append(got, rest...)
							} else {
								_, got, err = second.read(c)
								require.NoError(t, err)
							}
							require.Equal(t, "hello κ", string(got))
						}
						messageType, got, err = second.read(c)
						require.NoError(t, err)
						require.Equal(t, BinaryMessage, messageType)
						require.Empty(t, got)
						p.want("the ping is answered once", finPong, "ping")
					}
					p.wantSilence("nothing is answered twice")
				})
			})
		}
	}
}

// resumeReader goes on with the reader of the current message.
func resumeReader(c *Conn) ([]byte, error) {
	if c.in.reader == nil { // the deadline passed before there was one
		_, r, err := c.NextReader()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	return io.ReadAll(c.in.reader)
}

func TestAppendMessageReturnsDstUnchangedAtADeadline(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		f := p.frame(finText, "hello")
		p.send(f[:len(f)-2])
		dst := append(make([]byte, 0, 100), "dst"...)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		messageType, got, err := c.AppendMessage(dst)
		wantTimeout(t, err)
		require.Equal(t, -1, messageType)
		require.Equal(t, "dst", string(got))
		copy(dst[:cap(dst)], bytes.Repeat([]byte("#"), cap(dst))) // the memory is the caller's again
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		p.send(f[len(f)-2:])
		_, got, err = c.AppendMessage([]byte("other "))
		require.NoError(t, err)
		require.Equal(t, "other hello", string(got))
	})
}

// Also where the message was in hand and had memory of its own already.
func TestAppendMessageReturnsDstUnchangedAtBadText(t *testing.T) {
	for _, dst := range [][]byte{nil, make([]byte, 0, 4), append(make([]byte, 0, 4), 'x'), make([]byte, 0, 100)} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.send(p.frame(finText, "hello \xFF"))
			messageType, got, err := c.AppendMessage(dst)
			require.ErrorIs(t, err, errInvalidUTF8)
			require.Equal(t, -1, messageType)
			require.Equal(t, dst, got) // which tells nil from empty
			require.Equal(t, cap(dst), cap(got))
		})
	}
}

func TestSetReadDeadlineInterruptsABlockedRead(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		done := make(chan error)
		go func() {
			_, _, err := c.ReadMessage()
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, c.SetReadDeadline(time.Unix(1, 0)))
		wantTimeout(t, <-done)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		p.send(p.frame(finText, "after"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "after", string(got))
	})
}

func TestReadMessageOnError(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.SetReadDeadline(time.Now()))
		messageType, got, err := c.ReadMessage()
		wantTimeout(t, err)
		require.Equal(t, -1, messageType)
		require.Nil(t, got)
		messageType, r, err := c.NextReader()
		wantTimeout(t, err)
		require.Equal(t, -1, messageType)
		require.Nil(t, r)
	})
}

func TestReadLimit(t *testing.T) {
	for _, way := range readWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				c.SetReadLimit(100)
				go p.send(
					p.frame(finText, ascii(100)),
					p.frame(beginText, ascii(99)), p.frame(finPing, ascii(125)), p.frame(moreData, ""), p.frame(finContinue, "x"),
					p.frame(beginText, ascii(100)), p.frame(finContinue, ""),
					p.frame(beginText, ascii(50)), p.frame(moreData, ascii(50)), p.frame(finContinue, "x")[:6],
				)
				for range 3 {
					_, got, err := way.read(c)
					require.NoError(t, err, "exactly the limit passes, however it is cut")
					require.Len(t, got, 100)
				}
				_, _, err := way.read(c)
				require.Equal(t, ErrReadLimit, err)
				p.want("pings of a message are answered", finPong, ascii(125))
				p.wantClose("the peer is told", CloseMessageTooBig)
				_, _, err = c.ReadMessage()
				require.Equal(t, ErrReadLimit, err)
			})
		})
	}
}

func TestReadLimitIsJudgedByTheHeader(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.header(finBinary, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF))
		_, _, err := c.ReadMessage()
		require.Equal(t, ErrReadLimit, err)
		p.wantClose("the peer is told", CloseMessageTooBig)
	})
}

func TestReadLimitCannotOverflow(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.SetReadLimit(1<<63 - 1)
		p.send(p.frame(beginBinary, "x"), p.header(finContinue, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF))
		_, _, err := c.ReadMessage()
		require.Equal(t, ErrReadLimit, err)
	})
}

func TestDefaultReadLimits(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		limit := uint32(1 << 20)
		if !p.masks {
			limit = 32 << 20
		}
		over := limit + 1
		p.send(p.header(finBinary, 127, 0, 0, 0, 0, byte(over>>24), byte(over>>16), byte(over>>8), byte(over)))
		_, _, err := c.ReadMessage()
		require.Equal(t, ErrReadLimit, err)
		c, p = mode{server: p.masks}.pair(t)
		p.send(p.header(finBinary, 127, 0, 0, 0, 0, byte(limit>>24), byte(limit>>16), byte(limit>>8), byte(limit)))
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		_, _, err = c.ReadMessage()
		wantTimeout(t, err) // it waits for the payload
	})
}

func TestNoReadLimit(t *testing.T) {
	for _, limit := range []int64{0, -1} {
		serverConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.SetReadLimit(limit)
			go p.send(p.frame(finBinary, ascii(3<<20)))
			_, got, err := c.ReadMessage()
			require.NoError(t, err)
			require.True(t, ascii(3<<20) == string(got))
		})
	}
}

// A message of nothing but empty fragments comes to an end.
func TestReadFragmentLimit(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.SetReadLimit(0)
		go func() {
			_, _ = p.Write(p.frame(beginBinary, ""))
			for range 1023 + 10 {
				_, _ = p.Write(p.frame(moreData, "x"))
				_, _ = p.Write(p.frame(moreData, ""))
			}
		}()
		// After k pairs there are 1+2k frames and k bytes: one frame too many
		// with k = 1024.
		_, r, err := c.NextReader()
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.Equal(t, ErrReadLimit, err)
		require.Len(t, got, 1024)
		p.wantClose("the peer is told", CloseMessageTooBig)
	})
}

func TestReadManyFragments(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		one := p.frame(moreData, "x")
		go p.send(p.frame(beginBinary, "x"), bytes.Repeat(one, 100_000), p.frame(finContinue, "x"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.True(t, strings.Repeat("x", 100_002) == string(got))
	})
}

func TestConcurrentReadersGetAnError(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		done := make(chan error)
		go func() {
			_, _, err := c.ReadMessage()
			done <- err
		}()
		synctest.Wait()
		for _, way := range readWays {
			_, _, err := way.read(c)
			require.Equal(t, errConcurrentRead, err)
		}
		p.send(p.frame(finText, "x"))
		require.NoError(t, <-done, "the first reader is not disturbed")
	})
}

func TestStaleReader(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "first"), p.frame(finText, "second"), p.frame(beginText, "thi"), p.frame(finContinue, "rd"),
			p.frame(finText, "fourth"))
		_, first, err := c.NextReader()
		require.NoError(t, err)
		_, err = first.Read(make([]byte, 2))
		require.NoError(t, err)
		_, second, err := c.NextReader()
		require.NoError(t, err)
		var b [10]byte
		n, err := first.Read(b[:])
		require.Equal(t, 0, n)
		require.Equal(t, io.EOF, err, "its message was left behind")
		got, err := io.ReadAll(second)
		require.NoError(t, err)
		require.Equal(t, "second", string(got))
		_, _, err = c.NextReader() // and not read
		require.NoError(t, err)
		n, err = second.Read(b[:])
		require.Equal(t, 0, n)
		require.Equal(t, io.EOF, err, "a reader is its own message's only")
		_, got, err = c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "fourth", string(got), "what is not read is dropped")
	})
}

func TestReadAfterClose(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "in hand"), p.frame(finText, "never read"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		for _, way := range readWays {
			_, _, err := way.read(c)
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorContains(t, err, "use of closed network connection")
		}
	})
}

func TestCloseInterruptsABlockedRead(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "hello")[:3])
		done := make(chan error)
		go func() {
			_, _, err := c.ReadMessage()
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func TestBytesBehindTheHandshakeAreRead(t *testing.T) {
	for _, size := range []int{1, 100, 16_000, 16_384, 16_400, 50_000} {
		checkBuffers(t)
		ours, theirs := testnet.Pipe()
		payload := ascii(size)
		stream := append(wireFrame(finText, true, payload), wireFrame(finText, true, "second")...)
		for _, cut := range []int{1, 3, len(stream) / 2, len(stream)} {
			c := newConn(ours, connOptions{server: true, buffered: stream[:cut]})
			_, err := theirs.Write(stream[cut:])
			require.NoError(t, err)
			_, got, err := c.ReadMessage()
			require.NoError(t, err)
			require.True(t, payload == string(got))
			_, got, err = c.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, "second", string(got))
		}
	}
}

// The memory that a message takes follows what came of it, not what its header
// declares, and the number of allocations follows the fourfold.
func TestMemoryFollowsReceivedBytes(t *testing.T) {
	const declared = 16 << 20
	for received := 1; received <= declared; received *= 7 {
		serverConn(t, func(t *testing.T, c *Conn, p *peer) {
			c.SetReadLimit(0)
			p.send(p.header(finBinary, 127, 0, 0, 0, 0, declared>>24&0xFF, declared>>16&0xFF, declared>>8&0xFF, declared&0xFF))
			go p.send(make([]byte, received))
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
			_, _, err := c.ReadMessage()
			wantTimeout(t, err)
			require.Len(t, *c.in.gathered, received)
			require.LessOrEqual(t, cap(*c.in.gathered), max(4*received+bufpool.Size, firstRoom))
			require.Nil(t, c.in.buf, "nothing is in hand")
		})
	}
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.header(finBinary, 127, 0, 0, 0, 0, 0, 0x10, 0, 0)) // 1 MiB, and nothing of it
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		_, _, err := c.ReadMessage()
		wantTimeout(t, err)
		require.Nil(t, c.in.gathered)
		require.Nil(t, c.in.buf)
	})
}
