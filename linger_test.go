package websocket

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A peer that breaks the protocol, and goes on sending, gets the close frame and then the end of
// the stream. Without care, the bytes that nobody has read would make a reset of that.
func TestCloseFrameOfAFailureIsNotOvertaken(t *testing.T) {
	testCloseFrameIsNotOvertaken(t, func(*testing.T, *Conn) {})
}

// That a deadline of the program's writes has passed makes no difference.
func TestCloseFrameOfAFailureBehindAPassedDeadline(t *testing.T) {
	testCloseFrameIsNotOvertaken(t, func(t *testing.T, c *Conn) { require.NoError(t, c.SetWriteDeadline(time.Now())) })
}

func testCloseFrameIsNotOvertaken(t *testing.T, prepare func(t *testing.T, c *Conn)) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		server := newConn(b, connOptions{server: true})
		prepare(t, server)
		sent, failed := make(chan struct{}), make(chan error, 1)
		go func() {
			_, _, err := server.ReadMessage()
			<-sent
			_ = server.Close()
			failed <- err
		}()
		for range 20 {
			_, err := a.Write(wireFrame(0xF1, true, ascii(1000))) // reserved bits
			require.NoError(t, err)
		}
		close(sent)
		require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Minute)))
		got, err := io.ReadAll(a)
		require.NoError(t, err, "no reset")
		require.Equal(t, "\x88", string(got[:1]))
		require.Equal(t, "\x03\xea", string(got[2:4]), "code 1002")
		_ = a.Close()
		var broken *ProtocolError
		require.ErrorAs(t, <-failed, &broken)
	})
}

// A peer that goes on and on holds up Close for no longer than is said.
func TestCloseAfterAFailureIsBounded(t *testing.T) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		server := newConn(b, connOptions{server: true})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				if _, err := a.Write(wireFrame(0xF1, true, ascii(100))); err != nil {
					return
				}
			}
		}()
		_, _, err := server.ReadMessage()
		require.Error(t, err)
		begin := time.Now()
		_ = server.Close()
		require.Less(t, time.Since(begin), 5*time.Second)
		<-stopped
		_ = a.Close()
	})
}
