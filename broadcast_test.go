package websocket

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A message that is broadcast comes to each connection, in its turn, and waits for none.
func TestBroadcast(t *testing.T) {
	for _, m := range modes {
		t.Run(m.String(), func(t *testing.T) {
			checkBuffers(t)
			synctest.Test(t, func(t *testing.T) {
				const n = 20
				var conns []*Conn
				var peers []*peer
				var queues []*SendQueue
				for i := range n {
					c, p := m.pair(t)
					q := NewSendQueue(c, QueueLimits{Messages: 2, WhenFull: QueuePolicy(i % 4)})
					conns, peers, queues = append(conns, c), append(peers, p), append(queues, q)
				}
				for i := range 8 { // they do not read, two of each policy
					peers[i].blockWrites(0)
					require.NoError(t, queues[i].sendText("before"))
				}
				require.NoError(t, conns[19].Close())
				synctest.Wait()
				start := time.Now()
				want := []int{19, 19, 13, 13} // the first eight are full then, and only the two that drop the oldest take more
				for i := range 4 {
					pm, err := NewPreparedMessage(TextMessage, []byte(strconv.Itoa(i)))
					require.NoError(t, err)
					taken, err := Broadcast(func(yield func(*SendQueue) bool) {
						for _, q := range queues {
							if !yield(q) {
								return
							}
						}
					}, pm)
					require.NoError(t, err)
					require.Equal(t, want[i], taken)
					synctest.Wait()
				}
				require.Zero(t, time.Since(start))
				for i := 8; i < 19; i++ {
					for k := range 4 {
						peers[i].want("in order", finText, strconv.Itoa(k))
					}
				}
				for i, want := range [][]string{{"0", "1"}, {"0", "1"}, {"2", "3"}} {
					peers[i].unblockWrites()
					peers[i].want("it was there before", finText, "before")
					for _, m := range want {
						peers[i].want("by the policy", finText, m)
					}
				}
				_, _, dropped := queues[0].Depth()
				require.EqualValues(t, 2, dropped)
				peers[3].unblockWrites()
				peers[3].want("it was there before", finText, "before")
				peers[3].wantClose("by the policy", 1013)
			})
		})
	}
}

func TestBroadcastOfNothing(t *testing.T) {
	pm, err := NewPreparedMessage(TextMessage, nil)
	require.NoError(t, err)
	for _, bad := range []*PreparedMessage{nil, {}} {
		taken, err := Broadcast(nil, bad)
		require.Equal(t, errNotPrepared, err)
		require.Zero(t, taken)
	}
	taken, err := Broadcast(nil, pm)
	require.NoError(t, err)
	require.Zero(t, taken)
	taken, err = Broadcast(func(yield func(*SendQueue) bool) { _ = yield(nil) && yield(new(SendQueue)) }, pm)
	require.NoError(t, err)
	require.Zero(t, taken)
}

// However many connections there are, a message is compressed once for all that compress alike.
func TestBroadcastCompressesOnce(t *testing.T) {
	checkBuffers(t)
	synctest.Test(t, func(t *testing.T) {
		pm, err := NewPreparedMessage(TextMessage, []byte(similar(1, 1000)))
		require.NoError(t, err)
		var queues []*SendQueue
		for range 10 {
			for _, o := range []*Compression{nil, &noTakeover, &takeover12} {
				a, b := testnet.Pipe()
				c := newConn(a, connOptions{server: true, compression: o})
				c.transport.seam = memSeam{a}
				t.Cleanup(func() {
					_ = c.Close()
					_ = b.Close()
				})
				queues = append(queues, NewSendQueue(c, QueueLimits{}))
			}
		}
		taken, err := Broadcast(func(yield func(*SendQueue) bool) {
			for _, q := range queues {
				require.True(t, yield(q))
			}
		}, pm)
		require.NoError(t, err)
		require.Equal(t, 30, taken)
		require.Len(t, pm.compressed, 2)
	})
}
