package websocket

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHandlersAreNeverNil(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		for range 2 {
			require.NotNil(t, c.PingHandler())
			require.NotNil(t, c.PongHandler())
			require.NotNil(t, c.CloseHandler())
			c.SetPingHandler(nil)
			c.SetPongHandler(nil)
			c.SetCloseHandler(nil)
		}
		require.NoError(t, c.PongHandler()("ignored"))
	})
}

// Programs wrap the default handlers.
func TestDefaultHandlersCanBeWrapped(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var seen []string
		ping, closing := c.PingHandler(), c.CloseHandler()
		c.SetPingHandler(func(appData string) error {
			seen = append(seen, "ping "+appData)
			return ping(appData)
		})
		c.SetPongHandler(func(appData string) error {
			seen = append(seen, "pong "+appData)
			return nil
		})
		c.SetCloseHandler(func(code int, text string) error {
			seen = append(seen, "close "+text)
			require.Equal(t, CloseGoingAway, code)
			return closing(code, text)
		})
		p.send(p.frame(finPing, "1"), p.frame(finPong, "2"), p.frame(finClose, closePayload(1001, "3")))
		_, _, err := c.ReadMessage()
		require.Equal(t, &CloseError{Code: 1001, Text: "3"}, err)
		require.Equal(t, []string{"ping 1", "pong 2", "close 3"}, seen)
		p.want("by the default ping handler", finPong, "1")
		p.want("by the default close handler", finClose, closePayload(1001, ""))
	})
}

func TestCloseHandlerReplacesTheDefault(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var gotCode int
		c.SetCloseHandler(func(code int, text string) error { gotCode = code; return nil })
		p.send(p.frame(finClose, ""))
		_, _, err := c.ReadMessage()
		require.Equal(t, &CloseError{Code: CloseNoStatusReceived}, err)
		require.Equal(t, CloseNoStatusReceived, gotCode)
		p.wantSilence("the handler is the program's, and sent nothing")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("bye")))
	})
}

func TestHandlerErrorIsWhatTheReadReturns(t *testing.T) {
	mine := errors.New("mine")
	for _, tc := range []struct {
		name  string
		first byte
		set   func(c *Conn)
	}{
		{"ping", finPing, func(c *Conn) { c.SetPingHandler(func(string) error { return mine }) }},
		{"pong", finPong, func(c *Conn) { c.SetPongHandler(func(string) error { return mine }) }},
		{"close", finClose, func(c *Conn) { c.SetCloseHandler(func(int, string) error { return mine }) }},
	} {
		for _, way := range readWays {
			t.Run(tc.name+"/"+way.name, func(t *testing.T) {
				eachConn(t, func(t *testing.T, c *Conn, p *peer) {
					tc.set(c)
					p.send(p.frame(beginText, "x"), p.frame(tc.first, ""), p.frame(finContinue, "y"))
					_, _, err := way.read(c)
					require.Equal(t, mine, err)
					_, _, err = way.read(c)
					require.Equal(t, mine, err, "it stays")
				})
			})
		}
	}
}

// A handler may write, close, set handlers and limits; a read in it gets an
// error.
func TestHandlersMayUseTheConnection(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.SetPingHandler(func(appData string) error {
			_, _, err := c.ReadMessage()
			require.Equal(t, errConcurrentRead, err)
			c.SetReadLimit(50)
			c.SetPingHandler(nil)
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Minute)))
			w, err := c.NextWriter(TextMessage)
			require.NoError(t, err)
			_, err = io.WriteString(w, ascii(20_000))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.NoError(t, c.WriteMessage(BinaryMessage, []byte(appData)))
			return c.WriteControl(PongMessage, []byte(appData), time.Time{})
		})
		p.send(p.frame(finPing, "x"), p.frame(finPing, "y"), p.frame(finText, "hello"))
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "hello", string(got))
		p.want("a fragment", beginText, ascii(20_000))
		p.want("the last one", finContinue, "")
		p.want("a message", finBinary, "x")
		p.want("the pong", finPong, "x")
		p.want("by the default again", finPong, "y")
		c.SetPongHandler(func(string) error { return c.Close() })
		p.send(p.frame(finPong, ""))
		_, _, err = c.ReadMessage()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestPanicOfAHandlerLeavesNothingLocked(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.SetPingHandler(func(string) error { panic("ping") })
		c.SetPongHandler(func(string) error { panic("pong") })
		p.send(p.frame(beginText, "hel"), p.frame(finPing, "x"), p.frame(moreData, "l"), p.frame(finPong, "x"), p.frame(finContinue, "o"))
		for _, want := range []string{"ping", "pong"} {
			require.PanicsWithValue(t, want, func() { _, _, _ = c.ReadMessage() })
		}
		c.SetCloseHandler(func(int, string) error { panic("close") })
		_, got, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "hello", string(got), "nothing is lost")
		require.NoError(t, c.WriteMessage(TextMessage, []byte("write")))
		p.want("writes go on", finText, "write")
		p.send(p.frame(finText, "again"), p.frame(finClose, ""))
		_, got, err = c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, "again", string(got))
		require.PanicsWithValue(t, "close", func() { _, _, _ = c.ReadMessage() })
		require.NoError(t, c.Close())
	})
}

// Handlers and limits may be set from any goroutine; -race watches.
func TestSettersFromOtherGoroutines(t *testing.T) {
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		stop := make(chan struct{})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for n := int64(100); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				c.SetPingHandler(func(string) error { return nil })
				c.SetPongHandler(nil)
				c.SetCloseHandler(nil)
				c.SetReadLimit(n)
				_ = c.SetReadDeadline(time.Now().Add(time.Hour))
				_ = c.SetWriteDeadline(time.Now().Add(time.Hour))
				_ = c.PingHandler()("x")
			}
		}()
		for range 200 {
			p.send(p.frame(finPing, "x"), p.frame(finPong, "x"), p.frame(finText, "hello"))
			_, _, err := c.ReadMessage()
			require.NoError(t, err)
			require.NoError(t, c.WriteMessage(TextMessage, []byte("hello")))
			_, _, err = p.next()
			require.NoError(t, err)
		}
		close(stop)
		<-stopped
		synctest.Wait()
	})
}
