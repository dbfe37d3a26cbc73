package websocket

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartFrame(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.startFrame(opPing, []byte("at once"), func(error) {})
		p.want("the half is free", finPing, "at once")

		p.blockWrites(3)
		begin := time.Now()
		c.startFrame(opPing, []byte("cut at first"), func(error) {})
		c.startFrame(opPing, []byte("behind it"), func(error) {})
		synctest.Wait()
		c.startClose(CloseGoingAway, "bye")
		require.Zero(t, time.Since(begin), "nothing is waited for")
		synctest.Wait()
		p.unblockWrites()
		for closed := false; !closed; {
			first, payload, err := p.next()
			require.NoError(t, err)
			if closed = first == finClose; closed {
				require.Equal(t, closePayload(1001, "bye"), payload)
			} else {
				require.Contains(t, []string{"cut at first", "behind it"}, payload)
			}
		}
		require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, nil))
		c.startFrame(opPing, nil, func(error) {})
		p.wantSilence("no frame follows a close frame")
	})
}

func TestStartFrameOfAStuckTransport(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		p.blockWrites(0)
		done := make(chan struct{})
		c.startFrame(opPing, nil, func(error) { close(done) })
		<-done
		p.unblockWrites()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")), "nothing had gone out")
		p.want("the next message", finText, "next")
	})
}

// A deadline that the program has set for a write of its own, which may be long ago, is none for
// what goes out by itself.
func TestStartFrameBehindAPassedDeadline(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1} {
		options := func() connOptions { return connOptions{writeTimeout: timeout} }
		eachConnWith(t, options, func(t *testing.T, c *Conn, p *peer) {
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
			require.NoError(t, c.WriteMessage(TextMessage, []byte("in time")))
			p.want("the program's", finText, "in time")
			time.Sleep(time.Minute)
			c.startFrame(opPing, []byte("at once"), func(error) {})
			p.want("the half is free", finPing, "at once")

			p.blockWrites(3)
			c.startFrame(opPing, []byte("later"), func(error) {})
			synctest.Wait()
			p.unblockWrites()
			p.want("the transport was not ready", finPing, "later")
			c.startClose(CloseGoingAway, "bye")
			p.want("goodbye", finClose, closePayload(1001, "bye"))
		})
	}
}

// Nor is the time that a large message takes on its way to a peer that is slow.
func TestStartFrameBehindASlowMessage(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		const size = 1 << 20
		written := make(chan error, 1)
		go func() { written <- c.WriteMessage(BinaryMessage, make([]byte, size)) }()
		synctest.Wait()
		begin := time.Now()
		c.startClose(CloseGoingAway, "")
		for left := headerSize(size, !c.server) + size; left > 0; {
			time.Sleep(20 * time.Second)
			n := min(left, 300<<10) // more than a step
			_, err := io.ReadFull(p, make([]byte, n))
			require.NoError(t, err)
			left -= n
		}
		require.Greater(t, time.Since(begin), defaultWriteTimeout)
		require.NoError(t, <-written)
		p.want("goodbye", finClose, closePayload(1001, ""))
	})
}
