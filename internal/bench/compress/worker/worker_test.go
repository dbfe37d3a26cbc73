package worker

import (
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// TestInMemory measures every library in every mode, which fails if what it
// reads is not what was sent, and sees that it compresses.
func TestInMemory(t *testing.T) {
	for _, l := range servers.Compressing {
		for _, mode := range l.Modes {
			t.Run(l.Name+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				for _, do := range []func(string, traffic.Mode, string, time.Duration) (measure.Sample, error){write, read} {
					s, err := do(l.Name, mode, "chat", time.Millisecond)
					require.NoError(t, err)
					require.Positive(t, s.CPU)
					if mode.Compresses() {
						require.Less(t, s.Ratio(), .95)
					} else {
						require.Greater(t, s.Ratio(), 1.)
					}
				}
			})
		}
	}
}

// TestServe asks a worker, as another process would.
func TestServe(t *testing.T) {
	in, requests := io.Pipe()
	replies, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(in, out) }()
	encoder, decoder := json.NewEncoder(requests), json.NewDecoder(replies)
	ask := func(q Request) (r Reply) {
		require.NoError(t, encoder.Encode(q))
		require.NoError(t, decoder.Decode(&r))
		return r
	}

	r := ask(Request{Do: "encode", Library: "ours fast", Kind: "json4K", Least: time.Millisecond})
	require.Empty(t, r.Error)
	require.Positive(t, r.Sample.Messages)
	require.Less(t, r.Sample.Ratio(), .5)
	r = ask(Request{Do: "decode", Library: "ours", Bits: 12, Kind: "chat", Least: time.Millisecond})
	require.Empty(t, r.Error)
	require.Positive(t, r.Sample.Messages)
	require.InDelta(t, 6<<10, ask(Request{Do: "encoder heap", Library: "ours fast", Bits: 12}).Heap, 2<<10)
	require.InDelta(t, 4<<10, ask(Request{Do: "decoder heap", Library: "ours", Bits: 12}).Heap, 2<<10)
	require.Positive(t, ask(Request{Do: "now"}).Reading.CPU)

	require.Contains(t, ask(Request{Do: "nothing"}).Error, "cannot do that")
	require.Contains(t, ask(Request{Do: "write", Library: "gorilla", Mode: traffic.Takeover12, Kind: "chat"}).Error, "the server answered",
		"what a library cannot do is no other measurement")
	require.NoError(t, requests.Close())
	require.NoError(t, <-ended)
}
