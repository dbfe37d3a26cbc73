package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

var errInjected = errors.New("injected")

// An echoWay is one of the ways to answer the next message with itself.
type echoWay struct {
	name string
	echo func(c *Conn) error
}

// answer turns a way to read and a way to write into one to echo.
func answer(write func(c *Conn, messageType int, p []byte) error) func(c *Conn) error {
	return func(c *Conn) error {
		messageType, p, err := c.AppendMessage(nil)
		if err != nil {
			return err
		}
		return write(c, messageType, p)
	}
}

var echoWays = []echoWay{
	{"AppendMessage, WriteMessage", answer((*Conn).WriteMessage)},
	{"ReadMessage, WriteMessage", func(c *Conn) error {
		messageType, p, err := c.ReadMessage()
		if err != nil {
			return err
		}
		return c.WriteMessage(messageType, p)
	}},
	{"NextReader, NextWriter", func(c *Conn) error {
		messageType, r, err := c.NextReader()
		if err != nil {
			return err
		}
		w, err := c.NextWriter(messageType)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, r)
		return errors.Join(err, w.Close())
	}},
	{"AppendMessage, WritePreparedMessage", answer(func(c *Conn, messageType int, p []byte) error {
		pm, err := NewPreparedMessage(messageType, p)
		if err != nil {
			return err
		}
		return c.WritePreparedMessage(pm)
	})},
	{"ReadJSON, WriteJSON", func(c *Conn) error {
		var v string
		if err := c.ReadJSON(&v); err != nil {
			return err
		}
		return c.WriteJSON(v)
	}},
}

// pipelined is n messages that a peer sends at once, and the frames that have them.
func (p *peer) pipelined(n int) (messages []string, frames [][]byte) {
	for i := range n {
		m := fmt.Sprintf("%q\n", fmt.Sprintf("message %d of those that come together", i))
		messages = append(messages, m)
		frames = append(frames, p.frame(finText, m))
	}
	return messages, frames
}

// corked has the connection answer the first of two messages that came together
// and read the second, so that the answer, "corked", is kept.
func (p *peer) corked(c *Conn) {
	p.t.Helper()
	p.corkedAnd(c)
	_, m, err := c.ReadMessage()
	require.NoError(p.t, err)
	require.Equal(p.t, "the second message", string(m))
	p.wantSilence("the answer to the first message is kept")
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	require.True(p.t, c.out.hasCorked())
}

// corkedAnd is corked, but the second message and the frames behind it are still to
// be read.
func (p *peer) corkedAnd(c *Conn, behind ...[]byte) {
	p.t.Helper()
	p.send(append([][]byte{p.frame(finText, "the first message"), p.frame(finText, "the second message")}, behind...)...)
	_, m, err := c.ReadMessage()
	require.NoError(p.t, err)
	require.Equal(p.t, "the first message", string(m))
	require.NoError(p.t, c.WriteMessage(TextMessage, []byte("corked")))
}

func (p *peer) writes() int { return p.ours.Stats().Writes }

// wantNothingKept expects that no message is kept by an idle connection, and no timer
// runs for one.
func wantNothingKept(t testing.TB, c *Conn) {
	t.Helper()
	synctest.Wait()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	require.Equal(t, writeIdle, c.out.state)
	require.Nil(t, c.out.batch)
	require.Empty(t, c.out.waiters.all())
	if k := c.out.corking; k != nil {
		require.Nil(t, k.buf)
		require.False(t, k.timer.Stop(), "the timer was armed")
	}
}

func TestAnswersGoOutTogether(t *testing.T) {
	for _, way := range echoWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				messages, frames := p.pipelined(100)
				before := onLoan.Load()
				for range 2 {
					p.send(frames...)
					start, writes := time.Now(), p.writes()
					for range messages {
						require.NoError(t, way.echo(c))
					}
					require.Equal(t, 1, p.writes()-writes)
					for _, m := range messages {
						p.want("in order", finText, m)
					}
					require.Zero(t, time.Since(start))
				}
				require.Equal(t, before, onLoan.Load())
				wantNothingKept(t, c)
			})
		})
	}
}

func TestCompressedAnswersGoOutTogether(t *testing.T) {
	for _, o := range []Compression{noTakeover, takeover12, bothTakeOver} {
		for _, way := range echoWays[:4] {
			t.Run(fmt.Sprintf("%+v %s", o, way.name), func(t *testing.T) {
				eachCompressed(t, o, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
					var messages []string
					var frames [][]byte
					for i := range 15 { // not more than the smallest window
						messages = append(messages, similar(i, []int{10, 200, 400}[i%3]))
						frames = append(frames, p.frame(zText, z.compress(messages[i])))
					}
					p.send(frames...)
					writes := p.writes()
					for range messages {
						require.NoError(t, way.echo(c))
					}
					require.Equal(t, 1, p.writes()-writes)
					for _, m := range messages {
						_, got, _, _ := p.message(z)
						require.Equal(t, m, got)
					}
					wantNothingKept(t, c)
				})
			})
		}
	}
}

// Where the program stops between its answers, they go out after corkTime.
func TestCorkedMessagesGoOutInTime(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		for range 2 {
			p.corked(c)
			time.Sleep(corkTime / 2) // by the bubble's clock
			p.wantSilence("half of the time is left")
			c.in.more.Store(true) // as if a third one were there
			require.NoError(t, c.WriteMessage(TextMessage, []byte("later, with the first")))
			time.Sleep(corkTime/2 - time.Nanosecond)
			p.wantSilence("a moment is left")
			writes := p.writes()
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			require.Equal(t, 1, p.writes()-writes)
			p.want("counted from the first that is kept", finText, "corked")
			p.want("together", finText, "later, with the first")
			wantNothingKept(t, c)
		}
	})
}

// Somebody who leads for long and sends nothing does not keep them.
func TestCorkedMessagesGoOutBehindALeader(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.corked(c)
		require.NoError(t, c.lead(false, nil, writeDeadline{}))
		time.Sleep(corkTime * 3 / 2) // by the bubble's clock
		p.wantSilence("they cannot go out")
		c.follow()
		time.Sleep(corkTime)
		synctest.Wait()
		require.NotZero(t, p.Buffered())
		p.want("soon", finText, "corked")
		wantNothingKept(t, c)
	})
}

// An answer is kept for a complete message only: the rest of any other may take long.
func TestAnswersAreNotKeptForPartOfAMessage(t *testing.T) {
	for name, behind := range map[string]func(p *peer) []byte{
		"nothing":           func(*peer) []byte { return nil },
		"part of a header":  func(p *peer) []byte { return p.frame(finText, "further")[:1] },
		"part of a payload": func(p *peer) []byte { b := p.frame(finText, "further"); return b[:len(b)-1] },
		"a fragment":        func(p *peer) []byte { return p.frame(beginText, "further") },
		"a ping":            func(p *peer) []byte { return p.frame(finPing, "further") },
		"a close frame":     func(p *peer) []byte { return p.frame(finClose, "") },
	} {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				messages, frames := p.pipelined(2)
				p.send(append(frames, behind(p))...)
				writes := p.writes()
				for _, m := range messages {
					require.NoError(t, echoWays[0].echo(c))
					if m == messages[0] {
						p.wantSilence("kept for the second one")
					}
				}
				require.Equal(t, 1, p.writes()-writes)
				for _, m := range messages {
					p.want("at once", finText, m)
				}
			})
		})
	}
}

// A program that goes on to read is asked for nothing more: what it wrote goes out
// before the read waits.
func TestCorkedMessagesGoOutBeforeAReadWaits(t *testing.T) {
	for _, way := range readWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				start := time.Now()
				p.corked(c) // the second message is not answered
				read := make(chan string)
				go func() {
					_, m, err := way.read(c)
					if err != nil {
						t.Error(err)
					}
					read <- string(m)
				}()
				p.want("before the read waits", finText, "corked")
				require.Zero(t, time.Since(start))
				wantNothingKept(t, c)
				p.send(p.frame(finText, "the third message"))
				require.Equal(t, "the third message", <-read)
			})
		})
	}
}

// The rest of a large message is read straight into its destination, past the buffer.
func TestCorkedMessagesGoOutBeforeADirectReadWaits(t *testing.T) {
	for _, way := range readWays {
		t.Run(way.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				start := time.Now()
				large := p.frame(finText, ascii(60_000))
				p.corkedAnd(c, large[:100])
				_, _, err := c.ReadMessage()
				require.NoError(t, err)
				read := make(chan int)
				go func() {
					_, m, err := way.read(c)
					if err != nil {
						t.Error(err)
					}
					read <- len(m)
				}()
				p.want("before the read waits", finText, "corked")
				require.Zero(t, time.Since(start))
				p.send(large[100:])
				require.Equal(t, 60_000, <-read)
			})
		})
	}
}

// A message that the program reads in part only, and answers.
func TestAnswersToMessagesReadInPart(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		start := time.Now()
		p.send(p.frame(finText, "the first message"), p.frame(finText, "the second message"))
		for range 2 {
			_, r, err := c.NextReader()
			require.NoError(t, err)
			_, err = io.ReadFull(r, make([]byte, 5))
			require.NoError(t, err)
			require.NoError(t, c.WriteMessage(TextMessage, []byte("answer")))
		}
		ended := readOn(c)
		p.want("the first", finText, "answer")
		p.want("the second", finText, "answer")
		require.Zero(t, time.Since(start))
		require.NoError(t, p.Close())
		require.Error(t, <-ended)
	})
}

// A peer that does not read does not hold up what it sends, nor the deadline of a read.
func TestReadsGoOnWhileCorkedMessagesAreBlocked(t *testing.T) {
	for _, room := range []int{0, 3} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(room)
			p.corked(c)
			start := time.Now()
			require.NoError(t, c.SetReadDeadline(start.Add(time.Second)))
			_, _, err := c.ReadMessage()
			wantTimeout(t, err)
			require.Equal(t, time.Second, time.Since(start))
			require.NoError(t, c.SetReadDeadline(time.Time{}))
			p.send(p.frame(finText, "another"))
			_, m, err := c.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, "another", string(m))
			require.Equal(t, time.Second, time.Since(start))

			answered := make(chan error)
			go func() { answered <- c.WriteMessage(TextMessage, []byte("waits behind it")) }()
			synctest.Wait()
			p.unblockWrites()
			p.want("nothing is lost", finText, "corked")
			p.want("in order", finText, "waits behind it")
			require.NoError(t, <-answered)
			wantNothingKept(t, c)
		})
	}
}

// A frame is what a connection can be made to send, and what the peer gets of it.
type frameKind struct {
	name string
	send func(c *Conn) error
	want func(p *peer)

	delay time.Duration // until it goes out
}

func one(first byte, payload string) func(p *peer) {
	return func(p *peer) {
		p.t.Helper()
		p.want("behind what is corked", first, payload)
	}
}

var frameKinds = []frameKind{
	{"a ping with a deadline", func(c *Conn) error {
		return c.WriteControl(PingMessage, []byte("x"), time.Now().Add(time.Minute))
	}, one(finPing, "x"), 0},
	{"a ping without a deadline", func(c *Conn) error { return c.WriteControl(PingMessage, []byte("x"), time.Time{}) }, one(finPing, "x"), 0},
	{"a ping as a message", func(c *Conn) error { return c.WriteMessage(PingMessage, []byte("x")) }, one(finPing, "x"), 0},
	{"a ping of a writer", func(c *Conn) error {
		w, err := c.NextWriter(PingMessage)
		if err != nil {
			return err
		}
		return w.Close()
	}, one(finPing, ""), 0},
	{"a pong", func(c *Conn) error { return c.PingHandler()("x") }, one(finPong, "x"), corkTime},
	{"a large message", func(c *Conn) error { return c.WriteMessage(BinaryMessage, []byte(ascii(20_000))) }, one(finBinary, ascii(20_000)), 0},
	{"a message larger than what is gathered", func(c *Conn) error { return c.WriteMessage(BinaryMessage, []byte(ascii(70_000))) }, one(finBinary, ascii(70_000)), 0},
	{"the largest message that is copied", func(c *Conn) error { return c.WriteMessage(BinaryMessage, []byte(ascii(smallFrame))) }, one(finBinary, ascii(smallFrame)), 0},
	{"fragments", func(c *Conn) error { return writeInHalves(c, "ab") }, func(p *peer) {
		p.want("behind what is corked", beginText, "ab"+strings.Repeat(" ", 20_000))
		p.want("the end", finContinue, "")
	}, 0},
	{"a close frame with a deadline", func(c *Conn) error {
		return c.WriteControl(CloseMessage, FormatCloseMessage(1000, ""), time.Now().Add(time.Minute))
	}, one(finClose, closePayload(1000, "")), 0},
	{"a close frame without a deadline", func(c *Conn) error {
		return c.WriteControl(CloseMessage, FormatCloseMessage(1000, ""), time.Time{})
	}, one(finClose, closePayload(1000, "")), 0},
	{"a close frame as a message", func(c *Conn) error { return c.WriteMessage(CloseMessage, nil) }, one(finClose, ""), 0},
	{"the echo of a close frame", func(c *Conn) error { return c.CloseHandler()(1001, "") }, one(finClose, closePayload(1001, "")), 0},
	{"a failure's close frame", func(c *Conn) error { c.sendClose(1002, ""); return nil }, one(finClose, closePayload(1002, "")), 0},
}

func TestNothingOvertakesCorkedMessages(t *testing.T) {
	for _, kind := range frameKinds {
		t.Run(kind.name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				start := time.Now()
				p.corked(c)
				sent := make(chan error, 1)
				go func() { sent <- kind.send(c) }()
				p.want("first", finText, "corked")
				kind.want(p)
				require.NoError(t, <-sent)
				require.Equal(t, kind.delay, time.Since(start))
				wantNothingKept(t, c)
			})
		})
	}
}

// A leader who in the end sends nothing leaves what is corked to the next one.
func TestBatchBehindCorkedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.corked(c)
		require.NoError(t, c.lead(false, nil, writeDeadline{})) // as for a message that is to be compressed
		done := make(chan error)
		go func() { done <- c.WriteMessage(TextMessage, []byte("waits")) }()
		synctest.Wait()
		c.follow()
		require.NoError(t, <-done)
		p.want("first", finText, "corked")
		p.want("second", finText, "waits")
		wantNothingKept(t, c)
	})
}

// A frame with a deadline of its own that cannot be met, as what is corked is
// blocked: it is not sent, and nothing is lost.
func TestOwnDeadlineBehindBlockedCorkedMessages(t *testing.T) {
	for _, room := range []int{0, 3} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			p.blockWrites(room)
			p.corked(c)
			start := time.Now()
			err := c.WriteControl(PingMessage, nil, start.Add(time.Second))
			require.Equal(t, errWriteTimeout, err)
			require.Equal(t, time.Second, time.Since(start))
			p.unblockWrites()
			p.want("nothing is lost", finText, "corked")
			require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
			p.want("the ping was not sent", finText, "next")
			wantNothingKept(t, c)
		})
	}
}

// Nor is anything kept while somebody waits, who would be held up by it.
func TestNothingIsCorkedWhileAFrameWaits(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		require.NoError(t, c.lead(false, nil, writeDeadline{})) // as for a message that is to be compressed
		start := time.Now()
		pinged := make(chan error)
		go func() { pinged <- c.WriteControl(PingMessage, nil, start.Add(time.Second)) }()
		synctest.Wait()
		c.in.more.Store(true)
		sent := make(chan error)
		go func() {
			defer c.follow()
			sent <- c.sendSmall(whole(opText), []byte("sent at once"), writeDeadline{})
		}()
		require.Equal(t, errWriteTimeout, <-pinged)
		require.Equal(t, time.Second, time.Since(start))
		p.unblockWrites()
		p.want("sent", finText, "sent at once")
		require.NoError(t, <-sent)
		wantNothingKept(t, c)
	})
}

// A pong is kept behind the messages that are, and goes out with them.
func TestPongsAmongCorkedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "the first message"), p.frame(finText, "the second message"),
			p.frame(finPing, "ping"), p.frame(finPing, "pong"), p.frame(finText, "the third message"), p.frame(finText, "the fourth message"))
		start, writes := time.Now(), p.writes()
		require.NoError(t, echoWays[0].echo(c))
		_, _, err := c.ReadMessage() // and do not answer, so that there is something to be kept behind
		require.NoError(t, err)
		require.NoError(t, echoWays[0].echo(c))
		require.NoError(t, echoWays[0].echo(c))
		require.Equal(t, 1, p.writes()-writes)
		p.want("in order", finText, "the first message")
		p.want("in order", finPong, "ping")
		p.want("in order", finPong, "pong")
		p.want("in order", finText, "the third message")
		p.want("in order", finText, "the fourth message")
		require.Zero(t, time.Since(start))
	})
}

// corkedFull is corked, but with so much kept that there is no room for a pong; behind it comes a ping.
func (p *peer) corkedFull(c *Conn) {
	p.t.Helper()
	frames := [][]byte{}
	for i := range 5 {
		frames = append(frames, p.frame(finText, fmt.Sprint("message number ", i)))
	}
	p.send(append(frames, p.frame(finPing, ascii(125)))...)
	left := fullBatch
	for i := range 5 {
		_, _, err := c.ReadMessage()
		require.NoError(p.t, err)
		if i < 4 {
			n := min(left-20, smallFrame)
			require.NoError(p.t, c.WriteMessage(BinaryMessage, []byte(ascii(n))))
			left -= len(wireFrame(finBinary, !p.masks, ascii(n)))
		}
	}
	require.Less(p.t, fullBatch-c.out.corking.buf.W, 100)
}

func TestPongBehindAsManyCorkedMessagesAsThereMayBe(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		p.corkedFull(c)
		start := time.Now()
		require.NoError(t, c.SetReadDeadline(start.Add(2*replyWait)))
		_, _, err := c.ReadMessage()
		wantTimeout(t, err)
		require.LessOrEqual(t, time.Since(start), 2*replyWait, "the read is not held up")
		p.unblockWrites()
		for range 4 {
			_, _, err := p.next()
			require.NoError(t, err)
		}
		p.want("behind them", finPong, ascii(125))
		wantNothingKept(t, c)
	})
}

// A pong that is owed already is replaced by a newer one, which does not pass it.
func TestOwedPongBehindCorkedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.corked(c)
		c.out.owedPong = emptied(bufpool.Get(bufpool.Size)) // its goroutine has not begun
		c.out.owedPong.W += copy(c.out.owedPong.Data[c.out.owedPong.W:], "older")
		c.sendPong([]byte("newer"))
		go c.sendOwedPong()
		p.want("first", finText, "corked")
		p.want("the newest", finPong, "newer")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
		p.want("no other", finText, "next")
		wantNothingKept(t, c)
	})
}

// The answer to a good message goes out before the connection is failed for what
// came behind it.
func TestAnswersBeforeABadFrame(t *testing.T) {
	bad := map[string]func(c *Conn, p *peer) ([]byte, int){
		"reserved opcode": func(_ *Conn, p *peer) ([]byte, int) { return p.frame(0x83, "bad opcode"), 1002 },
		"reserved bit":    func(_ *Conn, p *peer) ([]byte, int) { return p.frame(0xC1, "compressed"), 1002 },
		"wrong mask":      func(_ *Conn, p *peer) ([]byte, int) { return wireFrame(finText, !p.masks, "mask"), 1002 },
		"no UTF-8":        func(_ *Conn, p *peer) ([]byte, int) { return p.frame(finText, "\xFFnever text"), 1007 },
		"continuation":    func(_ *Conn, p *peer) ([]byte, int) { return p.frame(finContinue, "of nothing"), 1002 },
		"long ping":       func(_ *Conn, p *peer) ([]byte, int) { return p.frame(finPing, ascii(126)), 1002 },
		"over the limit": func(c *Conn, p *peer) ([]byte, int) {
			c.SetReadLimit(100)
			return p.frame(finText, ascii(101)), 1009
		},
	}
	for name, make := range bad {
		t.Run(name, func(t *testing.T) {
			for corked := range 2 { // whether an answer is kept by then
				eachConn(t, func(t *testing.T, c *Conn, p *peer) {
					frame, code := make(c, p)
					start := time.Now()
					if corked == 1 {
						p.corkedAnd(c, frame)
						_, _, err := c.ReadMessage()
						require.NoError(t, err)
					} else {
						p.send(p.frame(finText, "the first message"), frame)
						_, _, err := c.ReadMessage()
						require.NoError(t, err)
						require.NoError(t, c.WriteMessage(TextMessage, []byte("corked")))
					}
					_, _, err := c.ReadMessage()
					require.Error(t, err)
					p.want("the answer", finText, "corked")
					p.wantClose("then the close frame", code)
					require.Zero(t, time.Since(start))
					require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, nil))
					wantNothingKept(t, c)
				})
			}
		})
	}
}

func TestCloseSendsCorkedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		before := onLoan.Load()
		p.corked(c)
		start := time.Now()
		require.NoError(t, c.Close())
		p.want("before the end", finText, "corked")
		_, _, err := p.next()
		require.Equal(t, io.EOF, err)
		require.Zero(t, time.Since(start))
		require.Equal(t, before, onLoan.Load())
		require.ErrorIs(t, c.WriteMessage(TextMessage, nil), net.ErrClosed)
		wantNothingKept(t, c)
	})
}

// Close says so if it lost messages whose writes had returned. A socket is not waited
// for, and what cannot tell whether it would wait is given closeTime.
func TestCloseLosesCorkedMessages(t *testing.T) {
	for _, room := range []int{0, 3} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			before := onLoan.Load()
			p.blockWrites(room)
			p.corked(c)
			start := time.Now()
			err := c.Close()
			if c.transport.seam.raw() {
				require.Equal(t, errCorkedLost, err)
				require.Zero(t, time.Since(start))
			} else {
				wantTimeout(t, err)
				require.Equal(t, closeTime, time.Since(start))
			}
			require.NoError(t, c.Close())
			require.Error(t, c.WriteMessage(TextMessage, nil))
			require.Equal(t, before, onLoan.Load())
			wantNothingKept(t, c)
		})
	}
}

// A hookSeam lets a test take the place of tryWrite.
type hookSeam struct {
	seam
	try func(p []byte) int
}

func (s hookSeam) tryWrite(p []byte) int { return s.try(p) }

// Where Close sends part of a frame only, no other write goes on behind it, though the
// transport is not closed yet.
func TestNothingGoesOutBehindWhatCloseLost(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.corked(c)
		behind := make(chan error, 1)
		mem := c.transport.seam
		c.transport.seam = hookSeam{mem, func(b []byte) int {
			c.transport.seam = mem
			go func() { behind <- c.WriteMessage(TextMessage, []byte("behind")) }()
			synctest.Wait() // until it waits
			return mem.tryWrite(b[:3])
		}}
		require.Equal(t, errCorkedLost, c.uncorkToClose())
		require.ErrorIs(t, <-behind, net.ErrClosed)
		require.Equal(t, 3, p.Buffered())
	})
}

// A deadline of an earlier write that had to wait stays on the socket, and passes
// there. It is none for what Close sends.
func TestCloseSendsCorkedMessagesBehindAnOldDeadline(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		done := make(chan error)
		go func() { done <- c.WriteMessage(TextMessage, []byte("has to wait")) }()
		synctest.Wait()
		p.unblockWrites()
		p.want("goes out when there is room", finText, "has to wait")
		require.NoError(t, <-done)
		time.Sleep(time.Hour) // by the bubble's clock
		p.corked(c)
		require.NoError(t, c.Close())
		p.want("there is room", finText, "corked")
	})
}

// What is kept goes out by a goroutine of its own when the program waits for more to
// read, or has waited for long. If Close comes then, that one is given its time.
func TestCloseWhileCorkedMessagesGoOut(t *testing.T) {
	begin := map[string]func(c *Conn, p *peer){
		"the end of the stream": func(c *Conn, p *peer) {
			require.NoError(p.t, p.CloseWrite())
			_, _, err := c.ReadMessage()
			require.Equal(p.t, &CloseError{Code: 1006, Text: "unexpected EOF"}, err)
		},
		"a read deadline": func(c *Conn, p *peer) {
			require.NoError(p.t, c.SetReadDeadline(time.Now()))
			_, _, err := c.ReadMessage()
			wantTimeout(p.t, err)
		},
		"a ping that is too late": func(c *Conn, p *peer) {
			p.blockWrites(0)
			require.Equal(p.t, errWriteTimeout, c.WriteControl(PingMessage, nil, time.Now().Add(time.Millisecond)))
			p.unblockWrites()
		},
	}
	for name, then := range begin {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				p.corked(c)
				start := time.Now()
				then(c, p)
				require.NoError(t, c.Close())
				p.want("before the end", finText, "corked")
				require.LessOrEqual(t, time.Since(start), time.Millisecond)
				wantNothingKept(t, c)
				require.Equal(t, before, onLoan.Load())
			})
		})
	}
}

func TestCloseLosesCorkedMessagesThatGoOut(t *testing.T) {
	for _, room := range []int{0, 3} {
		for _, after := range []time.Duration{0, closeTime / 2, time.Second} {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				p.blockWrites(room)
				p.corked(c)
				ended := readOn(c)
				synctest.Wait()
				time.Sleep(after) // by the bubble's clock
				start := time.Now()
				require.Equal(t, errCorkedLost, c.Close())
				require.Equal(t, max(0, closeTime-after), time.Since(start))
				require.ErrorIs(t, <-ended, net.ErrClosed)
				require.NoError(t, c.Close())
				wantNothingKept(t, c)
				require.Equal(t, before, onLoan.Load())
			})
		}
	}
}

func TestCloseWhileCorkedMessagesFail(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		p.corked(c)
		ended := readOn(c)
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- c.Close() }()
		synctest.Wait()
		p.ours.Out().FailWritesAfter(0, errInjected)
		require.ErrorIs(t, <-closed, errInjected)
		require.Error(t, <-ended)
	})
}

// A failure that no write was there to be told of is for Close to tell.
func TestCloseSaysThatCorkedMessagesWereLost(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.ours.Out().FailWritesAfter(0, errInjected)
		p.corked(c)
		time.Sleep(corkTime) // by the bubble's clock
		synctest.Wait()
		require.ErrorIs(t, c.Close(), errInjected)
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.WriteMessage(TextMessage, nil), errInjected)
	})
}

// A transport that fails does so after the writes returned: the next call says so,
// and each after it.
func TestCorkedMessagesThatCannotBeSent(t *testing.T) {
	next := map[string]func(c *Conn) error{
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(TextMessage, nil) },
		"a large one":  func(c *Conn) error { return c.WriteMessage(TextMessage, []byte(ascii(100_000))) },
		"WriteControl": func(c *Conn) error { return c.WriteControl(PingMessage, nil, time.Now().Add(time.Minute)) },
		"a ping":       func(c *Conn) error { return c.WriteMessage(PingMessage, nil) },
		"NextWriter": func(c *Conn) error {
			w, err := c.NextWriter(TextMessage)
			if err != nil {
				return err
			}
			return w.Close()
		},
		"later": func(c *Conn) error {
			time.Sleep(corkTime) // by the bubble's clock
			synctest.Wait()
			return c.WriteMessage(TextMessage, nil)
		},
	}
	for name, write := range next {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				p.ours.Out().FailWritesAfter(2, errInjected)
				p.corked(c)
				err := write(c)
				require.ErrorIs(t, err, errInjected)
				require.Same(t, err, c.WriteMessage(TextMessage, nil))
				require.Same(t, err, c.WriteControl(PingMessage, nil, time.Time{}))
				require.Equal(t, before, onLoan.Load())
				wantNothingKept(t, c)
			})
		})
	}
}

// A panic of the program's transport ends nothing but the connection, also where it
// comes to a goroutine that the program knows nothing of.
func TestPanicOfTheTransportBehindCorkedMessages(t *testing.T) {
	after := map[string]func(c *Conn){
		"a read":  func(c *Conn) { _, _, _ = c.ReadMessage() },
		"a while": func(*Conn) { time.Sleep(corkTime) },
		"a ping":  func(c *Conn) { _ = c.WriteControl(PingMessage, nil, time.Now().Add(time.Minute)) },
	}
	for name, then := range after {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				c.hook().write = func([]byte) (int, error) { panic("transport") }
				p.corked(c)
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				then(c)
				synctest.Wait()
				require.Equal(t, errTransportPanicked, c.WriteMessage(TextMessage, nil))
				require.Equal(t, before, onLoan.Load())
				wantNothingKept(t, c)
			})
		})
	}
}

func TestNetConnEndsCorking(t *testing.T) {
	for name, get := range map[string]func(c *Conn) net.Conn{"NetConn": (*Conn).NetConn, "UnderlyingConn": (*Conn).UnderlyingConn} {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				p.corked(c)
				start := time.Now()
				require.Equal(t, c.transport.Conn, get(c))
				p.want("before the program writes past it", finText, "corked")
				messages, frames := p.pipelined(5)
				p.send(frames...)
				for _, m := range messages {
					require.NoError(t, echoWays[0].echo(c))
					synctest.Wait()
					require.NotZero(t, p.Buffered())
					p.want("at once", finText, m)
				}
				require.Zero(t, time.Since(start))
				wantNothingKept(t, c)
			})
		})
	}
}

// A program that wants to close a connection whose peer does not read is not held up for
// as long as a write would be.
func TestNetConnOfABlockedTransport(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.corked(c)
		p.blockWrites(3)
		start := time.Now()
		require.Equal(t, c.transport.Conn, c.NetConn())
		require.Equal(t, closeTime, time.Since(start))
		require.Equal(t, c.transport.Conn, c.NetConn())
		require.Equal(t, closeTime, time.Since(start), "in all")
		p.unblockWrites()
		p.want("what was corked goes on", finText, "corked")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
		p.want("and so does the connection", finText, "next")
	})
}

// Up to 64 KiB are kept, and a write that would be more waits for the transport.
func TestCorkedMessagesAreBounded(t *testing.T) {
	for _, size := range []int{300, 1000, 10_000, smallFrame} {
		eachConn(t, func(t *testing.T, c *Conn, p *peer) {
			messages, frames := p.pipelined(250) // which one read brings
			p.blockWrites(0)
			p.send(frames...)
			written := 0
			done := make(chan error)
			go func() {
				for range messages {
					_, _, err := c.ReadMessage()
					if err == nil {
						err = c.WriteMessage(BinaryMessage, []byte(ascii(size)))
					}
					if err != nil {
						done <- err
						return
					}
					written++
				}
				done <- nil
			}()
			synctest.Wait()
			frame := len(wireFrame(finBinary, !p.masks, ascii(size)))
			require.Equal(t, fullBatch/frame, written, "no message that cannot be kept returns before it is out")
			p.unblockWrites()
			for range messages {
				p.want("each", finBinary, ascii(size))
			}
			require.NoError(t, <-done)
			wantNothingKept(t, c)
		})
	}
}

// A deadline that has passed refuses a message and leaves those that are kept.
func TestPastWriteDeadlineBehindCorkedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.corked(c)
		require.NoError(t, c.SetWriteDeadline(time.Now()))
		require.Equal(t, errWriteTimeout, c.WriteMessage(TextMessage, []byte("refused")))
		require.Equal(t, errWriteTimeout, c.WriteMessage(TextMessage, []byte(ascii(20_000))))
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, c.WriteControl(PingMessage, nil, time.Time{}))
		p.want("kept", finText, "corked")
		p.want("nothing between", finPing, "")
	})
}

// A deadline that passes while messages are kept, whose writes met it, is not held
// against them.
func TestWriteDeadlineThatPassesCorkedMessages(t *testing.T) {
	for name, pass := range map[string]func(c *Conn) error{
		"by itself": func(*Conn) error { time.Sleep(corkTime / 2); return nil }, // by the bubble's clock
		"moved":     func(c *Conn) error { return c.SetWriteDeadline(time.Now().Add(-time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				require.NoError(t, c.SetWriteDeadline(time.Now().Add(corkTime/2)))
				p.corked(c)
				require.NoError(t, pass(c))
				time.Sleep(corkTime)
				p.want("in its time", finText, "corked")
				require.NoError(t, c.SetWriteDeadline(time.Time{}))
				require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
				p.want("nothing has happened", finText, "next")
			})
		})
	}
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(corkTime/2)))
		p.corked(c)
		time.Sleep(corkTime + closeTime)
		synctest.Wait()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		wantTimeout(t, c.WriteMessage(TextMessage, nil))
	})
}

// A deadline that passes before a byte of a message went out sticks if what is lost with
// it are messages that were kept, and does not if those are out.
func TestWriteDeadlineOfAMessageBehindCorkedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		p.corked(c)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		err := c.WriteMessage(TextMessage, []byte("with it"))
		wantTimeout(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.Same(t, err, c.WriteMessage(TextMessage, nil))
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.corkedFull(c)
		p.blockWrites(c.out.corking.buf.W)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		wantTimeout(t, c.WriteMessage(TextMessage, []byte(ascii(200))))
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		for range 4 {
			_, _, err := p.next()
			require.NoError(t, err)
		}
		p.unblockWrites()
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
		p.want("nothing is cut", finText, "next")
	})
}

// SetWriteDeadline interrupts what goes out by itself too.
func TestSetWriteDeadlineReachesCorkedMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(3)
		p.corked(c)
		time.Sleep(corkTime) // by the bubble's clock
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start))
		synctest.Wait()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		wantTimeout(t, c.WriteMessage(TextMessage, nil))
		require.Zero(t, time.Since(start))
		wantNothingKept(t, c)
	})
}

// One goroutine reads and answers, others write: each one's messages keep their
// order, in fewer writes than messages.
func TestAnswersAmongOtherMessages(t *testing.T) {
	const n = 60
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.ours.Out().SetBuffer(500)
		messages, frames := p.pipelined(n)
		p.send(frames...)
		var writers sync.WaitGroup
		writers.Go(func() {
			for i := range n {
				if err := echoWays[i%3].echo(c); err != nil {
					t.Error(err)
				}
			}
		})
		for w := range 4 {
			writers.Go(func() {
				for i := range n {
					if err := c.WriteMessage(BinaryMessage, fmt.Appendf(nil, "%d %d %s", w, i, ascii(w*w*100))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		next := make([]int, 5)
		for range n * len(next) {
			first, m, err := p.next()
			require.NoError(t, err)
			w, i := 4, next[4]
			if first == finText {
				require.Equal(t, messages[i], m)
			} else {
				_, err := fmt.Sscanf(m, "%d %d ", &w, &i)
				require.NoError(t, err)
			}
			require.Equal(t, next[w], i, "writer %d", w)
			next[w]++
		}
		writers.Wait()
		wantNothingKept(t, c)
	})
}

// A witness remembers what each of several writers wrote and what of it arrived. A
// writer's messages are numbered.
type witness struct {
	mu      sync.Mutex
	written [][]error // by writer and number
	arrived [][]int   // by writer, in order
	closing bool      // Close was called
	failed  bool      // a call, of those before that, has said that messages may be lost
}

func (x *witness) write(c *Conn, writer, size, way int) {
	x.mu.Lock()
	number := len(x.written[writer])
	x.written[writer] = append(x.written[writer], errInjected) // nobody knows yet
	before := !x.closing
	x.mu.Unlock()
	m := fmt.Appendf(nil, "%d %d %s", writer, number, ascii(size))
	var err error
	switch way {
	case 0:
		var w io.WriteCloser
		if w, err = c.NextWriter(BinaryMessage); err == nil {
			_, err = w.Write(m[:len(m)/2])
			if err == nil {
				_, err = w.Write(m[len(m)/2:])
			}
			closed := w.Close()
			for range 100 { // else the next NextWriter may close it
				if err != nil || !isClean(closed) {
					break
				}
				time.Sleep(100 * time.Microsecond) // by the bubble's clock
				closed = w.Close()
			}
			err = errors.Join(err, closed)
		}
	case 1:
		var pm *PreparedMessage
		if pm, err = NewPreparedMessage(BinaryMessage, m); err == nil {
			err = c.WritePreparedMessage(pm)
		}
	default:
		err = c.WriteMessage(BinaryMessage, m)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.written[writer][number] = err
	x.failed = x.failed || err != nil && before && !isClean(err)
}

// isClean reports whether a write failed before the transport was asked.
func isClean(err error) bool {
	_, ok := err.(timeoutError)
	return ok
}

// receive takes what the peer is sent, in its own time, to the end.
func (x *witness) receive(p *peer, z *flatePeer, r *rand.Rand) error {
	var message []byte
	var compressed bool
	for {
		if r.IntN(30) == 0 {
			time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond) // by the bubble's clock
		}
		first, body, err := p.next()
		switch {
		case err != nil:
			return nil
		case first&8 != 0:
			continue
		case first&0xF != 0 && len(message) > 0:
			return errors.New("RFC 6455 §5.4: messages are mixed")
		}
		compressed = compressed || first&rsv1Bit != 0
		if message = append(message, body...); first&finBit == 0 {
			continue
		}
		if compressed {
			message = []byte(z.inflate(string(message)))
		}
		var writer, number int
		fields := strings.SplitN(string(message), " ", 3)
		if _, err := fmt.Sscan(strings.Join(fields[:min(2, len(fields))], " "), &writer, &number); err != nil {
			return fmt.Errorf("%w: %.40q", err, message)
		}
		if text := fields[len(fields)-1]; len(fields) != 3 || text != ascii(len(text)) {
			return fmt.Errorf("message %d of writer %d is not what was written", number, writer)
		}
		x.mu.Lock()
		x.arrived[writer] = append(x.arrived[writer], number)
		x.mu.Unlock()
		message, compressed = message[:0], false
	}
}

func (x *witness) judge(t *testing.T) {
	for writer, arrived := range x.arrived {
		next := 0
		for _, number := range arrived {
			require.GreaterOrEqual(t, number, next, "in order, and once")
			for ; next < number; next++ {
				require.Error(t, x.written[writer][next], "message %d of writer %d was lost, %d was not", next, writer, number)
			}
			require.False(t, isClean(x.written[writer][number]), "it was refused and sent")
			next++
		}
		for ; next < len(x.written[writer]) && !x.failed; next++ {
			require.Error(t, x.written[writer][next], "message %d of writer %d was lost, and nobody was told", next, writer)
		}
	}
}

// Random mixes of all that writes, over networks good and bad: each writer's messages
// arrive once and in order, and where the last of them do not, a call has said so.
func TestCorkedMessagesAndBatchesAtRandom(t *testing.T) {
	var written, arrived, failed int
	seeds := 300
	if raceEnabled {
		seeds = 50 // it is slow
	}
	for seed := range uint64(seeds) {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Log("seed", seed)
				}
			}()
			x := writeAtRandom(t, seed)
			for writer := range x.written {
				written += len(x.written[writer])
				arrived += len(x.arrived[writer])
			}
			if x.failed {
				failed++
			}
		})
	}
	require.Greater(t, arrived, written/2)
	require.Greater(t, failed, seeds/10)
	require.Less(t, failed, seeds*3/4)
}

func writeAtRandom(t *testing.T, seed uint64) *witness {
	random := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	r := random(1)
	c, p := modes[seed%4].pair(t)
	z := &flatePeer{t: t}
	if o := []*Compression{nil, nil, &noTakeover, &bothTakeOver}[r.IntN(4)]; o != nil {
		c.startCompression(o)
		z.takeover = o.SendContextTakeover
	}
	out := p.ours.Out()
	out.SetBuffer([]int{0, 100, 3000, 64 << 10}[r.IntN(4)] + 100)
	if r.IntN(2) == 0 {
		out.LimitWrites(testnet.Random(seed, 1000))
	}
	switch r.IntN(8) {
	case 0:
		out.FailWritesAfter(r.IntN(20_000), errInjected)
	case 1:
		out.CutAfter(r.IntN(20_000), nil)
	}
	const writers = 4 // the first one is the reader
	x := &witness{written: make([][]error, writers), arrived: make([][]int, writers)}
	received := make(chan error, 1)
	go func() { received <- x.receive(p, z, random(2)) }()

	// The peer sends bursts of messages, with pings among them, and parts of messages.
	var sender sync.WaitGroup
	sender.Go(func() {
		r := random(3)
		for range 12 {
			var burst [][]byte
			for range r.IntN(20) {
				burst = append(burst, p.frame(finBinary, ascii([]int{0, 20, 30, 200, 9000}[r.IntN(5)])))
				if r.IntN(10) == 0 {
					burst = append(burst, p.frame(finPing, ascii(r.IntN(126))))
				}
			}
			b := bytes.Join(burst, nil)
			for _, part := range [][]byte{b[:len(b)/3], b[len(b)/3:]} {
				if _, err := p.Write(part); err != nil {
					return
				}
				time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
			}
		}
		_, _ = p.Write(p.frame(finClose, ""))
	})
	var all sync.WaitGroup
	sizes := []int{0, 10, 10, 100, 1000, 8000, 20_000, 70_000}
	sizes = sizes[:2+r.IntN(len(sizes)-1)]
	all.Go(func() {
		r := random(4)
		for {
			if r.IntN(4) == 0 {
				_ = c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(200)) * time.Microsecond))
			} else {
				_ = c.SetReadDeadline(time.Time{})
			}
			_, _, err := readWays[r.IntN(3)].read(c)
			if isDeadline(err) {
				continue
			} else if err != nil {
				return
			}
			for range r.IntN(3) {
				x.write(c, 0, sizes[r.IntN(len(sizes))], 1+r.IntN(8))
			}
			if r.IntN(20) == 0 {
				time.Sleep(time.Duration(r.IntN(250)) * time.Microsecond)
			}
		}
	})
	for w := 1; w < writers; w++ {
		all.Go(func() {
			r := random(10 + uint64(w))
			for range r.IntN(60) {
				way := 2
				if w == 1 { // the one with NextWriter
					way = r.IntN(3)
				}
				x.write(c, w, sizes[r.IntN(len(sizes))], way)
				switch r.IntN(12) {
				case 0:
					time.Sleep(time.Duration(r.IntN(250)) * time.Microsecond)
				case 1:
					_ = c.WriteControl(PingMessage, nil, time.Now().Add(time.Duration(r.IntN(2000))*time.Microsecond))
				}
			}
		})
	}
	switch r.IntN(10) {
	case 0:
		all.Go(func() {
			r := random(5)
			for range 5 {
				time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
				_ = c.SetWriteDeadline(time.Now().Add(time.Duration(r.IntN(1000)) * time.Microsecond))
				time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
				_ = c.SetWriteDeadline(time.Time{})
			}
		})
	case 1:
		all.Go(func() {
			time.Sleep(time.Duration(random(6).IntN(1000)) * time.Microsecond)
			_ = c.NetConn()
		})
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	if r.IntN(3) == 0 {
		time.Sleep(time.Duration(r.IntN(5000)) * time.Microsecond)
	} else {
		<-ended
	}
	x.mu.Lock()
	x.closing = true
	x.mu.Unlock()
	if err := c.Close(); err != nil {
		x.mu.Lock()
		x.failed = true
		x.mu.Unlock()
	}
	<-ended
	require.NoError(t, <-received)
	_ = p.Close()
	sender.Wait()
	wantNothingKept(t, c)
	require.Nil(t, c.out.owedPong)
	x.judge(t)
	return x
}
