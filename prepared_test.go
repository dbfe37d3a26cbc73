package websocket

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPreparedMessage(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		for _, size := range messageSizes {
			data := []byte(ascii(size))
			pm, err := NewPreparedMessage(TextMessage, data)
			require.NoError(t, err)
			for i := range data {
				data[i] = '#' // the caller's memory is the caller's
			}
			for range 2 {
				go func() {
					if err := c.WritePreparedMessage(pm); err != nil {
						t.Error(err)
					}
				}()
				p.want("the message as it was prepared", finText, ascii(size))
				synctest.Wait()
			}
		}
	})
}

func TestPreparedControlMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		ping, err := NewPreparedMessage(PingMessage, []byte("x"))
		require.NoError(t, err)
		goodbye, err := NewPreparedMessage(CloseMessage, FormatCloseMessage(1001, ""))
		require.NoError(t, err)
		w, err := c.NextWriter(TextMessage)
		require.NoError(t, err)
		_, err = io.WriteString(w, ascii(20_000))
		require.NoError(t, err)
		p.want("a fragment", beginText, ascii(20_000))
		require.NoError(t, c.WritePreparedMessage(ping))
		p.want("a control frame may pass between fragments", finPing, "x")
		require.NoError(t, c.WritePreparedMessage(goodbye))
		p.want("close", finClose, closePayload(1001, ""))
		require.Equal(t, ErrCloseSent, c.WritePreparedMessage(ping))
		require.Equal(t, ErrCloseSent, c.WriteMessage(TextMessage, nil))
	})
}

func TestPreparedMessageRefusesWhatWriteMessageDoes(t *testing.T) {
	for _, tc := range []struct {
		messageType int
		data        []byte
		want        error
	}{
		{0, nil, errBadMessageType}, {3, nil, errBadMessageType}, {-1, nil, errBadMessageType}, {256 + TextMessage, nil, errBadMessageType},
		{PingMessage, make([]byte, 126), errControlTooLong}, {CloseMessage, FormatCloseMessage(1006, ""), errCloseCodeUnsent},
	} {
		pm, err := NewPreparedMessage(tc.messageType, tc.data)
		require.Nil(t, pm)
		require.Equal(t, tc.want, err)
	}
	serverConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.Equal(t, errNotPrepared, c.WritePreparedMessage(nil))
		require.Equal(t, errNotPrepared, c.WritePreparedMessage(&PreparedMessage{}))
		pm, err := NewPreparedMessage(TextMessage, nil)
		require.NoError(t, err)
		require.NoError(t, c.SetWriteDeadline(time.Now()))
		wantTimeout(t, c.WritePreparedMessage(pm))
		require.Equal(t, errNoConn, new(Conn).WritePreparedMessage(pm))
	})
}

// RFC 6455 §5.3: a client's frames have fresh keys, prepared or not.
func TestPreparedMessageIsMaskedAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := mode{}.pair(t)
		pm, err := NewPreparedMessage(TextMessage, []byte("same"))
		require.NoError(t, err)
		var frames [2][10]byte
		for i := range frames {
			require.NoError(t, c.WritePreparedMessage(pm))
			_, err := io.ReadFull(p, frames[i][:])
			require.NoError(t, err)
		}
		require.False(t, bytes.Equal(frames[0][2:6], frames[1][2:6]), "a key comes twice once in 2^32 runs")
	})
}

func TestPreparedMessageToManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pm, err := NewPreparedMessage(BinaryMessage, []byte(ascii(40_000)))
		require.NoError(t, err)
		var peers []*peer
		var sends sync.WaitGroup
		for i := range 20 {
			c, p := mode{server: i%2 == 0}.pair(t)
			peers = append(peers, p)
			sends.Go(func() {
				if err := c.WritePreparedMessage(pm); err != nil {
					t.Error(err)
				}
			})
		}
		sends.Wait()
		for _, p := range peers {
			p.want("the same message to each", finBinary, ascii(40_000))
		}
	})
}

func TestWritePreparedMessageDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pool at random")
	}
	pm, err := NewPreparedMessage(TextMessage, []byte("hello"))
	require.NoError(t, err)
	eachMode(t, func(t *testing.T, c *Conn, p *peer) {
		drain := make([]byte, 100)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if err := c.WritePreparedMessage(pm); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Read(drain); err != nil {
				t.Fatal(err)
			}
		}))
	})
}
