package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bufpool"
)

func TestWriteEverySize(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		for _, n := range messageSizes {
			payload := []byte(ascii(n))
			kept := bytes.Clone(payload)
			go func() {
				if err := c.WriteMessage(BinaryMessage, payload); err != nil {
					t.Error(err)
				}
			}()
			p.want(fmt.Sprintf("one frame of %d bytes", n), finBinary, string(kept))
			synctest.Wait()
			require.True(t, bytes.Equal(kept, payload), "the caller's bytes are not changed")
		}
	})
}

func TestWriteSmallMessageIsOneWrite(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		for _, n := range []int{0, 125, 126, smallFrame, smallFrame + 1, copiedFrame - 100} {
			if n > smallFrame && c.server && !c.transport.seam.raw() {
				continue // it would keep the copy while it waits
			}
			before := p.ours.Stats().Writes
			require.NoError(t, c.WriteMessage(TextMessage, []byte(ascii(n))))
			require.Equal(t, before+1, p.ours.Stats().Writes, "header and payload of %d bytes go out together", n)
			p.want("the message", finText, ascii(n))
		}
	})
}

// Of a large frame, what a client masks on its way goes out from addresses that are to the
// system's, modulo 4 KiB, as they are in all other pieces, and not a little less: see
// copiedFrame.
func TestMaskedStepsDoNotAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := mode{raw: true}.pair(t)
		sent, pieces := 0, 0
		c.transport.seam = hookSeam{c.transport.seam, func(b []byte) int {
			page := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
			ahead := (uintptr(sent) - page) % 4096
			require.False(t, 0 < ahead && ahead < 64, "piece %d: %d bytes", pieces, ahead)
			sent += len(b)
			pieces++
			return len(b)
		}}
		require.NoError(t, c.WriteMessage(BinaryMessage, make([]byte, 5*copiedFrame+7)))
		require.Equal(t, 6, pieces)
	})
}

// A largestWrite is a transport that knows how long the longest Write was.
type largestWrite struct {
	net.Conn
	most int
}

func (c *largestWrite) Write(p []byte) (int, error) {
	c.most = max(c.most, len(p))
	return c.Conn.Write(p)
}

// However large a writer's buffer is, the progress of what does not fit can be seen.
func TestLargeWriteBufferIsSentInSteps(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		conn := &largestWrite{Conn: c.transport.Conn}
		c.replaceTransport(conn)
		c.writeOptions = newWriteOptions(1<<20, nil, nil)
		go func() { _, _ = io.Copy(io.Discard, p) }()
		w, err := c.NextWriter(BinaryMessage)
		require.NoError(t, err)
		for _, size := range []int{1 << 20, 3 << 20} { // the first is gathered
			_, err = w.Write(make([]byte, size))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		require.LessOrEqual(t, conn.most, writeStep)
	})
}

func TestWriteMasksAfreshEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{}.pair(t)
		keys := map[string]bool{}
		for range 100 {
			require.NoError(t, c.WriteMessage(TextMessage, []byte("same")))
			var b [10]byte
			_, err := io.ReadFull(p, b[:])
			require.NoError(t, err)
			keys[string(b[2:6])] = true
		}
		require.Greater(t, len(keys), 98)
	})
}

func TestWriteControlTypes(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.WriteControl(PingMessage, []byte("a"), time.Now().Add(time.Second)))
		p.want("ping", finPing, "a")
		require.NoError(t, c.WriteControl(PongMessage, []byte(ascii(125)), time.Time{}))
		p.want("pong", finPong, ascii(125))
		require.NoError(t, c.WriteMessage(PingMessage, nil))
		p.want("WriteMessage takes control types", finPing, "")
		w, err := c.NextWriter(PongMessage)
		require.NoError(t, err)
		_, err = w.Write([]byte("by "))
		require.NoError(t, err)
		_, err = w.Write([]byte("writer"))
		require.NoError(t, err)
		p.wantSilence("nothing goes out before Close")
		require.NoError(t, w.Close())
		p.want("NextWriter takes control types", finPong, "by writer")
	})
}

// Mistakes of the caller that leave the connection as it was.
func TestWriteErrorsThatDoNotStick(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		past, long := time.Now().Add(-time.Second), make([]byte, 126)
		mistakes := func(when string) {
			for _, messageType := range []int{-1, 0, 3, 7, 11, 15, 16, 17, 257, 256 + TextMessage} {
				require.Equal(t, errBadMessageType, c.WriteMessage(messageType, nil), when)
				_, err := c.NextWriter(messageType)
				require.Equal(t, errBadMessageType, err, when)
				require.Error(t, c.WriteControl(messageType, nil, time.Time{}), when)
			}
			require.Equal(t, errNotControl, c.WriteControl(TextMessage, nil, time.Time{}), when)
			for _, messageType := range []int{CloseMessage, PingMessage, PongMessage} {
				require.Equal(t, errControlTooLong, c.WriteMessage(messageType, long), when)
				require.Equal(t, errControlTooLong, c.WriteControl(messageType, long, time.Time{}), when)
			}
			for _, code := range []int{1005, 1006, 1015, 0, 5000} {
				payload := []byte(closePayload(code, ""))
				require.Equal(t, errCloseCodeUnsent, c.WriteMessage(CloseMessage, payload), when)
				require.Equal(t, errCloseCodeUnsent, c.WriteControl(CloseMessage, payload, time.Time{}), when)
			}
			wantTimeout(t, c.WriteControl(PingMessage, nil, past))
			require.NoError(t, c.SetWriteDeadline(past))
			wantTimeout(t, c.WriteMessage(TextMessage, nil))
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
		}
		mistakes("on an open connection")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
		p.want("the connection is as it was", finText, "fine")
		require.NoError(t, c.WriteMessage(CloseMessage, FormatCloseMessage(1000, "")))
		p.want("close", finClose, closePayload(1000, ""))
	})
}

func TestBadWritesWinOverErrCloseSent(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.WriteControl(CloseMessage, nil, time.Time{}))
		require.Equal(t, errBadMessageType, c.WriteMessage(99, nil))
		require.Equal(t, errControlTooLong, c.WriteControl(PingMessage, make([]byte, 126), time.Time{}))
		require.Equal(t, errCloseCodeUnsent, c.WriteControl(CloseMessage, []byte(closePayload(1006, "")), time.Time{}))
		wantTimeout(t, c.WriteControl(PingMessage, nil, time.Now().Add(-time.Second)))
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(-time.Second)))
		wantTimeout(t, c.WriteMessage(TextMessage, nil))
	})
}

// RFC 6455 §5.5.1: nothing follows a close frame, by whatever path it went.
func TestErrCloseSent(t *testing.T) {
	ways := map[string]func(c *Conn) error{
		"WriteControl": func(c *Conn) error { return c.WriteControl(CloseMessage, FormatCloseMessage(1000, ""), time.Time{}) },
		"WriteMessage": func(c *Conn) error { return c.WriteMessage(CloseMessage, FormatCloseMessage(1000, "")) },
		"NextWriter": func(c *Conn) error {
			w, err := c.NextWriter(CloseMessage)
			if err != nil {
				return err
			}
			if _, err := w.Write(FormatCloseMessage(1000, "")); err != nil {
				return err
			}
			return w.Close()
		},
	}
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				open, err := c.NextWriter(TextMessage)
				require.NoError(t, err)
				if name == "NextWriter" { // which closes it
					require.NoError(t, open.Close())
					p.want("the open writer", finText, "")
				}
				require.NoError(t, send(c))
				p.want("the close frame", finClose, closePayload(1000, ""))
				check := func() {
					require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, nil))
					require.Equal(t, ErrCloseSent, c.WriteMessage(CloseMessage, nil))
					require.Equal(t, ErrCloseSent, c.WriteControl(PingMessage, nil, time.Time{}))
					_, err := c.NextWriter(BinaryMessage)
					require.Equal(t, ErrCloseSent, err)
					if name != "NextWriter" {
						require.Equal(t, ErrCloseSent, open.Close())
					}
				}
				check()
				p.send(p.frame(finPing, "x"))
				require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
				_, _, err = c.ReadMessage()
				wantTimeout(t, err) // the ping handler swallows ErrCloseSent
				require.NoError(t, c.Close())
				check()
				require.Zero(t, p.Buffered())
			})
		})
	}
}

func TestNextWriterFragments(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		n, err := io.WriteString(w, ascii(16<<10))
		require.NoError(t, err)
		require.Equal(t, 16<<10, n)
		p.wantSilence("16 KiB are gathered")
		n, err = w.Write([]byte("and more"))
		require.NoError(t, err)
		require.Equal(t, len("and more"), n)
		p.want("the first fragment", beginText, ascii(16<<10)+"and more")
		_, err = w.Write([]byte("in between"))
		require.NoError(t, err)
		require.NoError(t, c.WriteControl(PingMessage, []byte("control"), time.Time{}))
		p.want("RFC 6455 §5.4: a control frame between fragments", finPing, "control")
		n, err = w.Write([]byte(ascii(60_000)))
		require.NoError(t, err)
		require.Equal(t, 60_000, n)
		p.want("the second fragment", moreData, "in between"+ascii(60_000))
		require.NoError(t, w.Close())
		p.want("the last fragment", finContinue, "")
		for range 2 {
			require.Equal(t, errWriterClosed, w.Close())
			_, err = w.Write([]byte("x"))
			require.Equal(t, errWriterClosed, err)
		}
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")))
		p.want("the next message", finText, "next")
	})
}

func TestNextWriterSmallMessageIsOneFrame(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		for _, size := range []int{0, 1, 16 << 10} {
			w, err := c.NextWriter(BinaryMessage)
			require.NoError(t, err)
			for _, b := range []byte(ascii(size)) {
				_, err := w.Write([]byte{b})
				require.NoError(t, err)
			}
			require.NoError(t, w.Close())
			p.want("one frame", finBinary, ascii(size))
		}
	})
}

func TestNextWriterFinishesTheOpenOne(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		first, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(first, "unfinished")
		require.NoError(t, err)
		second, err := c.NextWriter(BinaryMessage)
		require.NoError(t, err)
		p.want("the open message is ended", finText, "unfinished")
		_, err = io.WriteString(first, "more")
		require.Equal(t, errWriterClosed, err)
		require.Equal(t, errWriterClosed, first.Close())
		require.NoError(t, second.Close())
		p.want("the new one", finBinary, "")
	})
}

func TestControlWriterLimits(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(PingMessage)
		require.NoError(t, err)
		_, err = w.Write(make([]byte, 100))
		require.NoError(t, err)
		_, err = w.Write(make([]byte, 26))
		require.Equal(t, errControlTooLong, err)
		require.Equal(t, errControlTooLong, w.Close(), "part of the message is lost")
		w, err = c.NextWriter(CloseMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, closePayload(1006, ""))
		require.NoError(t, err)
		require.Equal(t, errCloseCodeUnsent, w.Close())
		require.Equal(t, errCloseCodeUnsent, w.Close())
		w, err = c.NextWriter(TextMessage)
		require.NoError(t, err, "the refused message is gone")
		require.NoError(t, w.Close())
		p.want("a message", finText, "")
		require.NoError(t, c.WriteMessage(TextMessage, nil), "the connection is as it was")
		p.want("a message", finText, "")
	})
}

// Messages pass a writer that has nothing on the wire yet.
func TestMessagesPassAGatheringWriter(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, "late")
		require.NoError(t, err)
		require.NoError(t, c.WriteMessage(TextMessage, []byte("early")))
		require.NoError(t, w.Close())
		p.want("passed", finText, "early")
		p.want("then the writer's", finText, "late")
	})
}

func TestMessagesWaitForAStreamingWriter(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, ascii(20_000))
		require.NoError(t, err)
		p.want("the first fragment", beginText, ascii(20_000))

		start := time.Now()
		err = c.WriteMessage(TextMessage, []byte("waits too long"))
		require.Equal(t, errStreamOpen, err, "the error names the open writer")
		wantTimeout(t, err)
		require.Equal(t, defaultWriteTimeout, time.Since(start))

		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Minute)))
		done := make(chan error)
		go func() { done <- c.WriteMessage(BinaryMessage, []byte("waits")) }()
		p.wantSilence("it waits")
		require.NoError(t, w.Close())
		require.NoError(t, <-done)
		p.want("the last fragment", finContinue, "")
		p.want("then the message that waited", finBinary, "waits")
	})
}

func TestSetWriteDeadlineMovesAWaitingWrite(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, ascii(20_000))
		require.NoError(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		done := make(chan error)
		go func() { done <- c.WriteMessage(BinaryMessage, nil) }()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start.Add(time.Hour)))
		synctest.Wait()
		require.NoError(t, c.SetWriteDeadline(start.Add(time.Minute)))
		require.Equal(t, errStreamOpen, <-done)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func writeInHalves(c *Conn, text string) error {
	w, err := c.NextWriter(TextMessage)
	if err != nil {
		return err
	}
	_, err1 := io.WriteString(w, text[:len(text)/2])
	_, err2 := io.WriteString(w, text[len(text)/2:]+strings.Repeat(" ", 20_000))
	return errors.Join(err1, err2, w.Close())
}

func TestConcurrentWriters(t *testing.T) {
	const writers, each = 16, 50
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var done sync.WaitGroup
		for i := range writers {
			done.Go(func() {
				for j := range each {
					var err error
					text := fmt.Sprintf("%d:%d:%s", i, j, ascii(i*2000))
					switch {
					case i == 7: // the one that uses NextWriter, in fragments
						err = writeInHalves(c, text)
					case i%2 == 0:
						err = c.WriteMessage(TextMessage, []byte(text))
					default:
						err = errors.Join(c.WriteMessage(TextMessage, []byte(text)),
							c.WriteControl(PingMessage, []byte("ping"), time.Time{}))
					}
					if err != nil {
						t.Errorf("writer %d, message %d: %v", i, j, err)
						return
					}
				}
			})
		}
		next := make([]int, writers)
		var message strings.Builder
		for messages := 0; messages < writers*each; {
			first, body, err := p.next()
			require.NoError(t, err)
			switch {
			case first&0xF == PingMessage:
				require.Equal(t, "ping", body)
				continue
			case message.Len() > 0:
				require.Equal(t, byte(0), first&0xF, "RFC 6455 §5.4: messages are not mixed")
			default:
				require.Equal(t, byte(TextMessage), first&0xF)
			}
			message.WriteString(body)
			if first&0x80 == 0 {
				continue
			}
			messages++
			var i, j int
			_, err = fmt.Sscanf(message.String(), "%d:%d:", &i, &j)
			require.NoError(t, err)
			require.Equal(t, next[i], j, "a writer's messages keep their order")
			next[i]++
			require.True(t, fmt.Sprintf("%d:%d:%s", i, j, ascii(i*2000)) == strings.TrimRight(message.String(), " "))
			message.Reset()
		}
		done.Wait() // for the last pings
	})
}

func TestDefaultWriteTimeout(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(10)
		start := time.Now()
		err := c.WriteMessage(TextMessage, []byte("more than ten bytes"))
		wantTimeout(t, err)
		require.Equal(t, 30*time.Second, time.Since(start))
		p.unblockWrites()
		require.Same(t, err, c.WriteMessage(TextMessage, nil), "a frame was cut, so it sticks")
		require.Same(t, err, c.WriteControl(CloseMessage, nil, time.Time{}))
	})
}

// The timeout is for progress, not for the message.
func TestDefaultWriteTimeoutIsForProgress(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		payload := ascii(1 << 20)
		done := make(chan error)
		go func() { done <- c.WriteMessage(TextMessage, []byte(payload)) }()
		start := time.Now()
		size := len(p.frame(finText, payload)) // as long as ours, but for the key
		if p.masks {
			size -= 4
		} else {
			size += 4
		}
		for read := 0; read < size; {
			time.Sleep(25 * time.Second) // by the bubble's clock: a slow peer
			n, err := io.ReadFull(p, make([]byte, min(260<<10, size-read)))
			require.NoError(t, err)
			read += n
		}
		require.NoError(t, <-done)
		require.Greater(t, time.Since(start), time.Minute)
	})
}

func TestWriteDeadlineBeforeAnyByteDoesNotStick(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		for _, write := range []func() error{
			func() error { return c.WriteMessage(TextMessage, []byte("lost")) },
			func() error { return c.WriteControl(PingMessage, nil, time.Now().Add(time.Second)) },
			func() error { return c.WriteControl(CloseMessage, nil, time.Now().Add(time.Second)) },
		} {
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
			start := time.Now()
			wantTimeout(t, write())
			require.Equal(t, time.Second, time.Since(start))
		}
		p.unblockWrites()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
		p.want("the connection is as it was", finText, "fine")
	})
}

func TestSetWriteDeadlineInterruptsABlockedWrite(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		for _, n := range []int{0, 5} {
			p.blockWrites(n)
			done := make(chan error)
			go func() { done <- c.WriteMessage(TextMessage, []byte("ten bytes.")) }()
			synctest.Wait()
			require.NoError(t, c.SetWriteDeadline(time.Now()))
			wantTimeout(t, <-done)
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
		}
		p.unblockWrites()
		wantTimeout(t, c.WriteMessage(TextMessage, nil)) // five bytes went out: it sticks
	})
}

func TestWriteControlKeepsItsOwnDeadline(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		time.Sleep(2 * time.Second) // by the bubble's clock
		require.NoError(t, c.WriteControl(PingMessage, []byte("x"), time.Now().Add(time.Second)))
		p.want("a write deadline of long ago is not a control frame's", finPing, "x")

		p.blockWrites(0)
		done := make(chan error)
		start := time.Now()
		go func() { done <- c.WriteControl(PingMessage, nil, start.Add(5*time.Second)) }()
		synctest.Wait()
		require.NoError(t, c.SetWriteDeadline(start))
		wantTimeout(t, <-done)
		require.Equal(t, 5*time.Second, time.Since(start), "nor is one that is set meanwhile")
	})
}

func TestZeroWriteControlDeadlineIsNone(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		done := make(chan error)
		go func() { done <- c.WriteControl(PingMessage, []byte("patient"), time.Time{}) }()
		time.Sleep(time.Hour) // by the bubble's clock
		p.unblockWrites()
		require.NoError(t, <-done)
		p.want("an hour later", finPing, "patient")
	})
}

func TestWriteErrorSticks(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		broken := errors.New("broken")
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		p.ours.Out().FailWritesAfter(0, broken)
		err = c.WriteMessage(TextMessage, nil)
		require.ErrorIs(t, err, broken)
		p.ours.Out().FailWritesAfter(-1, nil)
		require.Same(t, err, c.WriteMessage(TextMessage, nil))
		require.Same(t, err, c.WriteControl(PingMessage, nil, time.Time{}))
		require.Same(t, err, w.Close())
		_, err2 := c.NextWriter(TextMessage)
		require.Same(t, err, err2)

		p.send(p.frame(finPing, "x"), p.frame(finText, "reading goes on"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "reading goes on", string(got))
	})
}

func TestWriteErrorReachesTheWaitingWriters(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(3)
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- c.WriteMessage(TextMessage, []byte("hello")) }()
		}
		synctest.Wait()
		require.NoError(t, p.Close())
		first := <-done
		require.Error(t, first)
		require.Same(t, first, <-done)
		require.Same(t, first, <-done)
	})
}

func TestStreamCutByADeadlineSticks(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, ascii(20_000))
		require.NoError(t, err)
		p.blockWrites(0)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		err = w.Close()
		wantTimeout(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.Equal(t, err, c.WriteMessage(TextMessage, nil), "the message on the wire cannot be ended")
	})
}

func TestWriterSurvivesADeadlineWhileItWaits(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, "kept")
		require.NoError(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(-time.Second)))
		wantTimeout(t, w.Close())
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, w.Close())
		p.want("the call was repeated", finText, "kept")
	})
}

func TestPongIsSentAtOnce(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		go func() { _, _, _ = c.ReadMessage() }()
		p.send(p.frame(finPing, "1"), p.frame(finPing, ascii(125)), p.frame(finPing, ""))
		p.want("RFC 6455 §5.5.3: with the ping's payload", finPong, "1")
		p.want("every one, while the half is free", finPong, ascii(125))
		p.want("empty too", finPong, "")
	})
}

// A read never waits for the write half, and of the pongs that it owes the
// newest is enough (RFC 6455 §5.5.3).
func TestOwedPong(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(3)
		written := make(chan error)
		go func() { written <- c.WriteMessage(TextMessage, []byte("slow")) }()
		synctest.Wait()
		p.send(p.frame(finPing, "older"), p.frame(finPing, "newer"), p.frame(finText, "read meanwhile"))
		start := time.Now()
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "read meanwhile", string(got))
		require.Zero(t, time.Since(start), "it did not wait")
		p.unblockWrites()
		require.NoError(t, <-written)
		p.want("the write under way", finText, "slow")
		p.want("then the newest pong", finPong, "newer")
		p.wantSilence("and only that")
	})
}

func TestPongToAPeerThatDoesNotRead(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		p.send(p.frame(finPing, "x"), p.frame(finText, "hello"))
		start := time.Now()
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		require.LessOrEqual(t, time.Since(start), replyWait)
		p.unblockWrites()
		require.NoError(t, c.WriteMessage(TextMessage, []byte("fine")))
		p.want("the connection is as it was", finText, "fine")
	})
}

func TestCloseEchoWaitsForTheHalfUpToASecond(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(3)
		written := make(chan error)
		go func() { written <- c.WriteMessage(TextMessage, []byte("slow")) }()
		synctest.Wait()
		p.send(p.frame(finClose, closePayload(1000, "")))
		start := time.Now()
		_, _, err := c.ReadMessage()
		require.Equal(t, &CloseError{Code: 1000}, err)
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-written, net.ErrClosed)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(3)
		go func() { _ = c.WriteMessage(TextMessage, []byte("slow")) }()
		synctest.Wait()
		go func() {
			time.Sleep(500 * time.Millisecond) // by the bubble's clock
			p.unblockWrites()
		}()
		p.send(p.frame(finClose, closePayload(1000, "")))
		_, _, err := c.ReadMessage()
		require.Equal(t, &CloseError{Code: 1000}, err)
		p.want("the message", finText, "slow")
		p.want("the close frame is answered", finClose, closePayload(1000, ""))
	})
}

func TestCloseNeverWaits(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(3)
		results := make(chan error, 4)
		go func() { results <- c.WriteMessage(TextMessage, []byte("slow")) }()
		synctest.Wait()
		go func() { results <- c.WriteMessage(TextMessage, []byte("waits")) }()
		go func() { results <- c.WriteControl(PingMessage, nil, time.Time{}) }()
		go func() {
			_, _, err := c.ReadMessage()
			results <- err
		}()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Close())
		for range 4 {
			require.ErrorIs(t, <-results, net.ErrClosed)
		}
		require.Zero(t, time.Since(start))
		require.NoError(t, c.Close(), "once is enough")
		require.ErrorIs(t, c.WriteMessage(TextMessage, nil), net.ErrClosed)
		require.ErrorIs(t, c.WriteControl(PingMessage, nil, time.Time{}), net.ErrClosed)
	})
}

func TestCloseSendsNoCloseFrame(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.Close())
		_, _, err := p.next()
		require.Equal(t, io.EOF, err)
	})
}

// A panickingConn panics in Write while armed.
type panickingConn struct {
	net.Conn
	armed bool
}

func (c *panickingConn) Write(p []byte) (int, error) {
	if c.armed {
		panic("transport")
	}
	return c.Conn.Write(p)
}

func TestPanicOfTheTransportLeavesNothingLocked(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		conn := &panickingConn{Conn: c.transport.Conn, armed: true}
		c.replaceTransport(conn)
		require.PanicsWithValue(t, "transport", func() { _ = c.WriteMessage(TextMessage, nil) })
		conn.armed = false
		require.Equal(t, errTransportPanicked, c.WriteMessage(TextMessage, nil), "nobody knows what went out")
		require.Equal(t, errTransportPanicked, c.WriteControl(PingMessage, nil, time.Time{}))
		p.send(p.frame(finText, "x"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
	})
}

// A countingPool is a WriteBufferPool that knows what is out.
type countingPool struct {
	mu   sync.Mutex
	free []any
	out  int
}

func (p *countingPool) Get() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out++
	if len(p.free) == 0 {
		return nil
	}
	v := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	return v
}

func (p *countingPool) Put(v any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	p.free = append(p.free, v)
}

func TestWriteBufferPool(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		pool := &countingPool{}
		c.writeOptions = newWriteOptions(100, pool, nil)
		for range 3 {
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			require.Equal(t, 1, pool.out)
			_, err = io.WriteString(w, "hello")
			require.NoError(t, err)
			require.NoError(t, w.Close())
			p.want("the message", finText, "hello")
			require.Equal(t, 0, pool.out, "nothing is out while idle")
		}
		require.Len(t, pool.free, 1, "one buffer is enough")
		_, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		p.ours.Out().FailWritesAfter(0, nil)
		_, err = c.NextWriter(TextMessage)
		require.Error(t, err)
		require.Equal(t, 0, pool.out, "buffers come back after failed writes")
		_, err = c.NextWriter(TextMessage)
		require.Error(t, err)
		require.Equal(t, 0, pool.out)
	})
}

func TestWriteBufferSize(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.writeOptions = newWriteOptions(50_000, nil, nil)
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, ascii(50_000))
		require.NoError(t, err)
		p.wantSilence("it is gathered")
		require.NoError(t, w.Close())
		p.want("one frame", finText, ascii(50_000))
	})
	require.Nil(t, newWriteOptions(4096, nil, nil), "a default connection keeps no options")
	require.Equal(t, bufpool.Size-headerRoom, 16<<10)
}
