package websocket

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartFrame(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		c.startFrame(opPing, []byte("at once"), func() {})
		p.want("the half is free", finPing, "at once")

		p.blockWrites(3)
		begin := time.Now()
		c.startFrame(opPing, []byte("cut at first"), func() {})
		c.startFrame(opPing, []byte("behind it"), func() {})
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
		c.startFrame(opPing, nil, func() {})
		p.wantSilence("no frame follows a close frame")
	})
}

func TestStartFrameOfAStuckTransport(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		p.blockWrites(0)
		done := make(chan struct{})
		c.startFrame(opPing, nil, func() { close(done) })
		<-done
		p.unblockWrites()
		require.NoError(t, c.SetWriteDeadline(time.Time{}))
		require.NoError(t, c.WriteMessage(TextMessage, []byte("next")), "nothing had gone out")
		p.want("the next message", finText, "next")
	})
}
