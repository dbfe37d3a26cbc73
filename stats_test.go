package websocket

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

func counted() connOptions { return connOptions{collectStats: true} }

func TestStats(t *testing.T) {
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		require.Zero(t, c.Stats())
		var sent, received Traffic
		wrote := func(payload int, err error) {
			t.Helper()
			require.NoError(t, err)
			sent.Messages++
			sent.PayloadBytes += int64(payload)
			sent.WireBytes += int64(p.Buffered())
			for p.Buffered() > 0 {
				_, _, err := p.next()
				require.NoError(t, err)
			}
			require.Equal(t, sent, c.Stats().Sent)
		}
		for _, size := range []int{0, 1, 1000, 16_000, 20_000, 60_000} {
			wrote(size, c.WriteMessage(TextMessage, []byte(ascii(size))))
			pm, err := NewPreparedMessage(TextMessage, []byte(ascii(size)))
			require.NoError(t, err)
			wrote(size, c.WritePreparedMessage(pm))
			w, err := c.NextWriter(BinaryMessage)
			require.NoError(t, err)
			_, err = w.Write([]byte(ascii(size)))
			require.NoError(t, err)
			wrote(size, w.Close())
			wrote(size, c.WriteMessageContext(t.Context(), TextMessage, []byte(ascii(size))))
		}
		wrote(3, c.WriteJSON(10))

		for _, size := range []int{0, 1, 1000, 20_000, 60_000} {
			for i, frames := range [][][]byte{
				{p.frame(finText, ascii(size))},
				{p.frame(beginText, ascii(size)[:size/2]), p.frame(finPong, "pong"), p.frame(finContinue, ascii(size)[size/2:])},
			} {
				for _, way := range readWays {
					p.send(frames...)
					received.WireBytes += int64(len(bytes.Join(frames, nil)))
					_, _, err := way.read(c)
					require.NoError(t, err)
					received.Messages++
					received.PayloadBytes += int64(size)
					require.Equal(t, received, c.Stats().Received, "%s, %d bytes, %d", way.name, size, i)
				}
			}
		}

		require.NoError(t, c.WriteControl(PingMessage, []byte("ping"), soon()))
		_, _, err := p.next()
		require.NoError(t, err)
		p.send(p.frame(finPing, ""), p.frame(finClose, closePayload(1001, "")))
		_, _, err = c.ReadMessage()
		require.Error(t, err)
		s := c.Stats()
		require.EqualValues(t, 1, s.PingsSent)
		require.EqualValues(t, 1, s.PingsReceived)
		require.Equal(t, 1001, s.CloseCode)
		require.True(t, s.ClosedByPeer)
		require.Equal(t, received.WireBytes+int64(len(p.frame(finPing, ""))+len(p.frame(finClose, closePayload(1001, "")))), s.Received.WireBytes)
		require.Greater(t, s.Sent.WireBytes, sent.WireBytes, "control frames are on the wire")
		require.Equal(t, sent.Messages, s.Sent.Messages, "but no messages")
	})
}

func TestStatsOfCloses(t *testing.T) {
	code := func(c *Conn) (int, bool) { s := c.Stats(); return s.CloseCode, s.ClosedByPeer }
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.WriteControl(CloseMessage, FormatCloseMessage(4000, "because"), soon()))
		p.send(p.frame(finClose, closePayload(1000, "")))
		_, _, err := c.ReadMessage()
		require.Error(t, err)
		got, byPeer := code(c)
		require.Equal(t, 4000, got, "the first one counts")
		require.False(t, byPeer)
	})
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(CloseMessage)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		got, byPeer := code(c)
		require.Equal(t, 1005, got, "it had none")
		require.False(t, byPeer)
	})
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(0xF1, ""))
		_, _, err := c.ReadMessage()
		require.Error(t, err)
		got, byPeer := code(c)
		require.Equal(t, 1002, got)
		require.False(t, byPeer)
	})
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, p.Close())
		_, _, err := c.ReadMessage()
		require.Error(t, err)
		got, byPeer := code(c)
		require.Equal(t, 1006, got)
		require.False(t, byPeer)
	})
	eachConnWith(t, counted, func(t *testing.T, c *Conn, _ *peer) {
		require.NoError(t, c.Close())
		got, _ := code(c)
		require.Equal(t, 1006, got)
	})
	eachConnWith(t, counted, func(t *testing.T, c *Conn, _ *peer) {
		c.startClose(CloseGoingAway, "")
		synctest.Wait()
		got, byPeer := code(c)
		require.Equal(t, 1001, got)
		require.False(t, byPeer)
	})
}

func TestStatsOfCompressedMessages(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		checkBuffers(t)
		synctest.Test(t, func(t *testing.T) {
			agreed := &Compression{SendContextTakeover: takeover, ReceiveContextTakeover: takeover, SendWindowBits: 12, ReceiveWindowBits: 12, Level: -1}
			a, b := testnet.Pipe()
			c, other := newConn(a, connOptions{compression: agreed, collectStats: true}), newConn(b, connOptions{compression: agreed, server: true, collectStats: true})
			defer c.Close()
			defer other.Close()
			other.SetReadLimit(0)
			end := reading(other)
			var payload int64
			for i, size := range []int{1, 500, 50_000, 3 << 20} {
				message := bytes.Repeat([]byte(similar(i, 100)), size/100+1)
				require.NoError(t, c.WriteMessage(TextMessage, message))
				pm, err := NewPreparedMessage(TextMessage, message)
				require.NoError(t, err)
				require.NoError(t, c.WritePreparedMessage(pm))
				w, err := c.NextWriter(TextMessage)
				require.NoError(t, err)
				_, err = w.Write(message)
				require.NoError(t, err)
				require.NoError(t, w.Close())
				payload += 3 * int64(len(message))
			}
			synctest.Wait()
			require.Empty(t, end)
			sent, received := c.Stats().Sent, other.Stats().Received
			require.Equal(t, sent, received, "both sides count alike")
			require.EqualValues(t, 12, sent.Messages)
			require.Equal(t, payload, sent.PayloadBytes, "as it was before compression")
			require.Less(t, sent.WireBytes, payload/2)
		})
	}
}

func TestStatsAreReadable(t *testing.T) {
	s := Stats{Received: Traffic{1, 2, 3}, Sent: Traffic{4, 5, 6}, PingsReceived: 7, PingsSent: 8, CloseCode: 1000, ClosedByPeer: true}
	encoded, err := json.Marshal(s)
	require.NoError(t, err)
	var back Stats
	require.NoError(t, json.Unmarshal(encoded, &back))
	require.Equal(t, s, back)
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("closed", "stats", s)
	require.Contains(t, text.String(), "stats.received.messages=1 stats.received.payload_bytes=2 stats.received.wire_bytes=3 "+
		"stats.sent.messages=4 stats.sent.payload_bytes=5 stats.sent.wire_bytes=6 "+
		"stats.pings_received=7 stats.pings_sent=8 stats.close_code=1000 stats.closed_by_peer=true")
	serverConn(t, func(t *testing.T, c *Conn, _ *peer) {
		require.NoError(t, c.WriteMessage(TextMessage, nil))
		require.Zero(t, c.Stats(), "nothing is counted unless it was asked for")
	})
}

func TestStatsOfWhatCameWithTheHandshake(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		frame := wireFrame(finText, true, "early")
		c, p := mode{server: true, raw: true}.openWith(t, connOptions{collectStats: true, buffered: frame})
		defer p.Close()
		defer c.Close()
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, Traffic{1, 5, int64(len(frame))}, c.Stats().Received)
	})
}

func TestStatsOfACloseFrameThatWasNotSent(t *testing.T) {
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		wantTimeout(t, c.WriteControl(CloseMessage, FormatCloseMessage(4000, ""), time.Now().Add(time.Second)))
		p.unblockWrites()
		require.Zero(t, c.Stats().CloseCode)
		p.send(p.frame(finClose, closePayload(1001, "")))
		_, _, err := c.ReadMessage()
		require.Error(t, err)
		require.Equal(t, 1001, c.Stats().CloseCode)
		require.True(t, c.Stats().ClosedByPeer)
	})
}

func TestStatsOfPingsOfAWriter(t *testing.T) {
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		w, err := c.NextWriter(PingMessage)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		p.want("a ping", finPing, "")
		require.EqualValues(t, 1, c.Stats().PingsSent)
		require.Zero(t, c.Stats().Sent.Messages)
	})
}

func TestStatsOfAQueue(t *testing.T) {
	eachConnWith(t, counted, func(t *testing.T, c *Conn, p *peer) {
		p.blockWrites(0)
		q := NewSendQueue(c, QueueLimits{Messages: 2, WhenFull: QueueDropOldest})
		for range 6 {
			require.NoError(t, q.Send(t.Context(), TextMessage, []byte(ascii(100))))
		}
		synctest.Wait()
		s := c.Stats()
		require.Equal(t, []int{3, 300}, []int{s.QueuedMessages, s.QueuedBytes}, "one is being sent and two wait")
		require.EqualValues(t, 3, s.DroppedMessages)
		require.Zero(t, s.Sent)
		p.unblockWrites()
		require.NoError(t, q.Flush(t.Context()))
		s = c.Stats()
		require.Zero(t, s.QueuedMessages)
		require.Zero(t, s.QueuedBytes)
		require.EqualValues(t, 3, s.DroppedMessages)
		require.Equal(t, Traffic{3, 300, int64(p.Buffered())}, s.Sent)
	})
}
