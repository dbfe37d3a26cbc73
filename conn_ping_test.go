package websocket

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// reading reads messages until that fails.
func reading(c *Conn) (failed <-chan error) {
	end := make(chan error, 1)
	go func() {
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				end <- err
				return
			}
		}
	}()
	return end
}

func TestPing(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var others []string
		c.SetPongHandler(func(data string) error {
			others = append(others, data)
			return nil
		})
		reading(c)
		for _, takes := range []time.Duration{0, time.Millisecond, time.Minute} {
			go func() {
				first, payload, err := p.next()
				require.NoError(t, err)
				require.Equal(t, byte(finPing), first)
				time.Sleep(takes)
				p.send(p.frame(finPong, "unsolicited"), p.frame(finPong, payload))
			}()
			roundTrip, err := c.Ping(t.Context())
			require.NoError(t, err)
			require.Equal(t, takes, roundTrip)
		}
		require.Equal(t, []string{"unsolicited", "unsolicited", "unsolicited"}, others, "the handler gets the others")
	})
}

// RFC 6455 §5.5.3: a peer may answer the newest ping alone.
func TestPongAnswersEarlierPings(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		reading(c)
		var all sync.WaitGroup
		payloads := make([]string, 3)
		for i := range payloads {
			all.Go(func() {
				_, err := c.Ping(t.Context())
				require.NoError(t, err)
			})
			_, payloads[i], _ = p.next()
			require.Len(t, payloads[i], 8)
		}
		last := make(chan error, 1)
		go func() {
			_, err := c.Ping(t.Context())
			last <- err
		}()
		_, payload, err := p.next()
		require.NoError(t, err)
		p.send(p.frame(finPong, payloads[2]))
		all.Wait()
		synctest.Wait()
		require.Empty(t, last, "but no later one")
		p.send(p.frame(finPong, payload))
		require.NoError(t, <-last)
	})
}

func TestPingWithoutAnswer(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		end := reading(c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Ping(ctx)
		require.Equal(t, context.DeadlineExceeded, err)
		require.Empty(t, c.loadExtras().pings.waiting)

		pinged := make(chan error, 1)
		go func() {
			_, err := c.Ping(t.Context())
			pinged <- err
		}()
		synctest.Wait()
		p.send(p.frame(finClose, closePayload(1000, "")))
		require.Equal(t, &CloseError{Code: 1000}, <-pinged, "what ends reading ends it")
		require.Equal(t, &CloseError{Code: 1000}, <-end)
		_, err = c.Ping(t.Context())
		require.Equal(t, &CloseError{Code: 1000}, err)
	})
	eachConn(t, func(t *testing.T, c *Conn, _ *peer) {
		end := reading(c)
		pinged := make(chan error, 1)
		go func() {
			_, err := c.Ping(t.Context())
			pinged <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-pinged, net.ErrClosed)
		<-end
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finClose, closePayload(1000, "")))
		_, _, err := c.ReadMessage()
		require.Error(t, err)
		_, err = c.Ping(t.Context())
		require.Equal(t, errNoPong, err, "reading ended before")
		_, err = c.Ping(noContext)
		require.Equal(t, errNoContext, err)
	})
}
