package browser

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
)

// offers is what the browsers offer: Firefox does not say that it could be bound to
// a window.
var offers = map[string]string{
	chromium: "permessage-deflate; client_max_window_bits",
	firefox:  "permessage-deflate",
}

// TestCompression has pages talk to servers with different options, and looks at
// what was agreed on, and at how many bytes went over the wire.
func TestCompression(t *testing.T) {
	long, short := batches(1<<20), batches(1<<17) // 1 MiB is the server's limit
	eachBrowser(t, true, func(t *testing.T, page *remote) {
		for _, c := range []struct {
			name    string
			asked   websocket.Compression
			agreed  websocket.Compression // with Chromium
			answers map[string]string     // by browser
			long    bool                  // is the conversation
		}{{
			name:   "no takeover",
			agreed: agreed(false, 15, false, 15, 128),
			long:   true,
			answers: map[string]string{
				chromium: "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
				firefox:  "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			},
		}, {
			name:   "takeover",
			asked:  websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true},
			agreed: agreed(true, 12, true, 12, 32),
			long:   true,
			answers: map[string]string{
				chromium: "permessage-deflate; client_max_window_bits=12",
				firefox:  "permessage-deflate; client_no_context_takeover",
			},
		}, {
			name: "takeover, largest windows",
			asked: websocket.Compression{
				SendContextTakeover: true, SendWindowBits: 15,
				ReceiveContextTakeover: true, ReceiveWindowBits: 15,
			},
			agreed:  agreed(true, 15, true, 15, 32),
			long:    true,
			answers: map[string]string{chromium: "permessage-deflate", firefox: "permessage-deflate"},
		}, {
			name:   "takeover by the server",
			asked:  websocket.Compression{SendContextTakeover: true},
			agreed: agreed(true, 12, false, 15, 32),
			answers: map[string]string{
				chromium: "permessage-deflate; client_no_context_takeover",
				firefox:  "permessage-deflate; client_no_context_takeover",
			},
		}, {
			name:   "takeover by the browser",
			asked:  websocket.Compression{ReceiveContextTakeover: true, ReceiveWindowBits: 15},
			agreed: agreed(false, 15, true, 15, 128),
			answers: map[string]string{
				chromium: "permessage-deflate; server_no_context_takeover",
				firefox:  "permessage-deflate; server_no_context_takeover",
			},
		}, {
			name:   "no takeover, smallest windows",
			asked:  websocket.Compression{SendWindowBits: 8, ReceiveWindowBits: 8},
			agreed: agreed(false, 8, false, 8, 128),
			answers: map[string]string{
				chromium: "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=8",
				firefox:  "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			},
		}} {
			t.Run(c.name, func(t *testing.T) {
				conversation := short
				if c.long {
					conversation = long
				}
				k := newTalk(page, c.asked, conversation, writeInTurn)
				extensions := hold(t, page, k)
				require.Equal(t, offers[page.browser], k.offer)
				require.Equal(t, c.answers[page.browser], k.answer)
				require.Equal(t, shown(page.browser, k.answer), extensions[0])
				require.Equal(t, with(page.browser, c.agreed), k.agreed)
				requireShares(t, k)
			})
		}
		t.Run("windows", func(t *testing.T) { testWindows(t, page, short) })
		t.Run("fragments and pings", func(t *testing.T) { testFragmentsAndPings(t, page, long) })
		t.Run("changing", func(t *testing.T) { testChanging(t, page, short) })
		t.Run("one byte and more", func(t *testing.T) { testThreshold(t, page, short) })
		t.Run("over the limit", func(t *testing.T) { testOverTheLimit(t, page) })
	})
}

func agreed(sends bool, sendBits int, receives bool, receiveBits, threshold int) websocket.Compression {
	return websocket.Compression{
		SendContextTakeover: sends, SendWindowBits: sendBits,
		ReceiveContextTakeover: receives, ReceiveWindowBits: receiveBits,
		Threshold: threshold, Level: -1,
	}
}

// with is what is agreed on with a browser where Chromium would agree to c: who
// cannot be bound to a smaller window does without takeover.
func with(browser string, c websocket.Compression) websocket.Compression {
	if browser == firefox && c.ReceiveWindowBits < 15 {
		c.ReceiveContextTakeover, c.ReceiveWindowBits = false, 15
	}
	return c
}

// shown is the socket.extensions of a browser. Firefox shows the name alone.
func shown(browser, answer string) string {
	if browser == firefox {
		return "permessage-deflate"
	}
	return answer
}

// requireShares holds what went over the wire against what was agreed on. Small
// messages become much smaller only with takeover.
func requireShares(t *testing.T, k *talk) {
	t.Helper()
	require.Len(t, k.shares, 3)
	small, large, mixed := k.shares[0], k.shares[1], k.shares[2]
	for _, direction := range []struct {
		name                string
		takeover            bool
		small, large, mixed float64
	}{
		{"in", k.agreed.ReceiveContextTakeover, small.in, large.in, mixed.in},
		{"out", k.agreed.SendContextTakeover, small.out, large.out, mixed.out},
	} {
		if direction.takeover {
			require.Less(t, direction.small, 0.55, direction.name)
		} else {
			require.Greater(t, direction.small, 0.55, direction.name)
			require.Less(t, direction.small, 0.8, direction.name)
		}
		require.Less(t, direction.large, 0.3, direction.name)
		require.Less(t, direction.mixed, 0.35, direction.name)
	}
}

// testWindows talks at the same time over connections with windows of different
// sizes, which share what is pooled. A larger window makes messages smaller. All of
// them refer to earlier ones, which prepared messages do not.
func testWindows(t *testing.T, page *remote, conversation []batch) {
	write := func(conn *websocket.Conn, _ int, m message) error { return conn.WriteMessage(m.messageType, m.data) }
	var talks []*talk
	windows := []int{8, 9, 12, 15}
	for _, bits := range windows {
		talks = append(talks, newTalk(page, websocket.Compression{
			SendContextTakeover: true, SendWindowBits: bits,
			ReceiveContextTakeover: true, ReceiveWindowBits: bits,
		}, conversation, write))
	}
	extensions := hold(t, page, talks...)
	var in, small, large []float64
	for i, k := range talks {
		bits := windows[i]
		answer := "permessage-deflate; client_max_window_bits=" + strconv.Itoa(bits)
		switch {
		case bits == 15:
			answer = "permessage-deflate"
		case page.browser == firefox:
			answer = "permessage-deflate; client_no_context_takeover"
		}
		require.Equal(t, answer, k.answer)
		require.Equal(t, shown(page.browser, answer), extensions[i])
		require.Equal(t, with(page.browser, agreed(true, bits, true, bits, 32)), k.agreed)
		requireShares(t, k)
		small, large = append(small, k.shares[0].out), append(large, k.shares[1].out)
		in = append(in, k.shares[1].in)
	}
	require.IsDecreasing(t, small)
	require.IsDecreasing(t, large)
	if page.browser == chromium {
		require.IsDecreasing(t, in[1:], "its smallest window is 9 bits, also where 8 are agreed on")
		require.InDelta(t, in[0], in[1], 0.01)
	}
}

// testFragmentsAndPings has pings between the frames of compressed messages, which
// are no part of the context.
func testFragmentsAndPings(t *testing.T, page *remote, conversation []batch) {
	var p pinger
	k := newTalk(page, websocket.Compression{
		SendContextTakeover: true, ReceiveContextTakeover: true, ReceiveWindowBits: 15,
	}, conversation, p.write)
	hold(t, page, k)
	require.Equal(t, agreed(true, 12, true, 15, 32), k.agreed)
	requireShares(t, k)
	require.Greater(t, p.pings, 100)
	require.NotEmpty(t, p.pongs)
	require.Equal(t, strconv.Itoa(p.pings), p.pongs[len(p.pongs)-1])
}

// testChanging has messages sent as they are among those that refer to each other.
func testChanging(t *testing.T, page *remote, conversation []batch) {
	k := newTalk(page, websocket.Compression{
		SendContextTakeover: true, SendWindowBits: 15, ReceiveContextTakeover: true,
	}, conversation, writeChanging)
	hold(t, page, k)
	require.Less(t, k.shares[0].in, 0.8)
	require.InDelta(t, 0.75, k.shares[0].out, 0.15, "half of the messages are compressed")
}

// testThreshold compresses what is worth it by a byte, with the most effort.
func testThreshold(t *testing.T, page *remote, conversation []batch) {
	asked := websocket.Compression{
		SendContextTakeover: true, SendWindowBits: 15,
		ReceiveContextTakeover: true, ReceiveWindowBits: 15,
		Threshold: 1, Level: 9,
	}
	k := newTalk(page, asked, conversation, writeInTurn)
	hold(t, page, k)
	require.Equal(t, asked, k.agreed)
	requireShares(t, k)
}

// testOverTheLimit has the page send a message that is small on the wire and a byte
// too large when it is inflated.
func testOverTheLimit(t *testing.T, page *remote) {
	var in int64
	upgrader := websocket.Upgrader{EnableCompression: true}
	path, handled := page.upgrade(upgrader, func(conn *websocket.Conn, _ *http.Request, wire *traffic) error {
		before := wire.in.Load()
		_, _, err := conn.ReadMessage()
		in = wire.in.Load() - before
		return err
	})
	code := ask[int](t, page, fmt.Sprintf(`new Promise(resolve => {
		const ws = connect(%q);
		ws.onopen = () => ws.send("x".repeat((1 << 20) + 1));
		ws.onclose = event => resolve(event.code);
	})`, path))
	require.Equal(t, websocket.CloseMessageTooBig, code)
	err := await(t, handled)
	require.True(t, errors.Is(err, websocket.ErrReadLimit), "%v", err)
	require.Less(t, in, int64(10_000))
}
