package generator_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/generator"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

var request = load.Target{Mode: traffic.Plain}.Request(0)

// library starts a server that echoes.
func library(t *testing.T, name string) (address string, crowd *servers.Crowd) {
	l, err := servers.Find(name, servers.All, servers.Limits)
	require.NoError(t, err)
	crowd = servers.NewCrowd(true)
	address, err = l.Listen(servers.Style{Mode: traffic.Plain}, crowd.Echo())
	require.NoError(t, err)
	return address, crowd
}

func frames(t *testing.T, kind string) [][]byte {
	f, _, err := traffic.Frames(kind, traffic.Plain)
	require.NoError(t, err)
	return f
}

func TestPlay(t *testing.T) {
	address, crowd := library(t, "ours")
	for _, c := range []struct {
		kind         string
		conns, depth int
	}{
		{"tick", 100, 1}, // of several sizes
		{traffic.Sized("binary", 32), 10, 1},
		{traffic.Sized("binary", 32), 10, 2},
		{traffic.Sized("binary", 32), 10, 128},
		{traffic.Sized("binary", 1<<20), 4, 1}, // of which no write fits
		{traffic.Sized("binary", 64<<10), 3, 40},
	} {
		f, err := generator.Open(address, request, 150)
		require.NoError(t, err)
		crowd.Await(150)
		f.Play(frames(t, c.kind), c.conns, c.depth)
		for range 2 {
			tally, err := f.Run(time.Millisecond, 3*c.conns*c.depth)
			require.NoError(t, err, c)
			require.GreaterOrEqual(t, tally.Messages, 3*c.conns*c.depth)
			require.GreaterOrEqual(t, tally.Elapsed, time.Millisecond)
			require.Positive(t, tally.Latencies.Quantile(.5))
			require.LessOrEqual(t, tally.Latencies.Quantile(.5), tally.Latencies.Quantile(.99))
		}
		require.NoError(t, f.Close())
		crowd.Await(0)
	}
}

// TestRound has each connection send one message, and then the server one that
// nobody asked for.
func TestRound(t *testing.T) {
	const conns = 200
	address, crowd := library(t, "gorilla")
	f, err := generator.Open(address, request, conns)
	require.NoError(t, err)
	f.Play(frames(t, traffic.Sized("binary", 512)), conns, 1)
	for range 3 {
		tally, err := f.Run(0, 0)
		require.NoError(t, err)
		require.Equal(t, conns, tally.Messages)
	}
	for _, c := range crowd.Await(conns) {
		require.NoError(t, c.Send(servers.Binary, make([]byte, 70000)))
	}
	tally, err := f.Receive(0, conns)
	require.NoError(t, err)
	require.Equal(t, conns, tally.Messages)
	require.Zero(t, tally.Latencies.Quantile(1), "nobody asked")
	require.NoError(t, f.Close())
}

func TestChurn(t *testing.T) {
	address, crowd := library(t, "hijack")
	f, err := generator.Churn(address, request)
	require.NoError(t, err)
	tally, err := f.Run(time.Millisecond, 1000)
	require.NoError(t, err)
	require.GreaterOrEqual(t, tally.Messages, 1000)
	require.Positive(t, tally.Latencies.Quantile(.5))
	require.NoError(t, f.Close())
	crowd.Await(0)
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + traffic.Accept + "\r\n\r\n"

// scripted is a server that answers a request, and then the first bytes of a
// message, with these, one write for each.
func scripted(t *testing.T, answer string, writes ...string) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buffer := make([]byte, 1<<10)
		if _, err := c.Read(buffer); err != nil {
			return
		}
		_, _ = io.WriteString(c, answer)
		if _, err := c.Read(buffer); err != nil {
			return
		}
		for _, w := range writes {
			_, _ = io.WriteString(c, w)
		}
		if len(writes) > 0 {
			_, _ = c.Read(buffer) // the end
		}
	}()
	return listener.Addr().String()
}

func TestServersThatAreWrong(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"} {
		_, err := generator.Open(scripted(t, answer), request, 1)
		require.ErrorContains(t, err, "the server answered")
	}
	for answer, want := range map[string]string{
		"\x88\x02\x03\xea": "begins with 8802", // it closes
		"\x82\x83":         "begins with 8283", // it masks
		"\xa2\x01x":        "begins with a201", // RSV2
		"":                 "EOF",
	} {
		script := []string{answer}
		if answer == "" {
			script = nil
		}
		f, err := generator.Open(scripted(t, switching, script...), request, 1)
		require.NoError(t, err)
		f.Play([][]byte{[]byte("hello")}, 1, 1)
		_, err = f.Run(time.Minute, 1)
		require.ErrorContains(t, err, want)
		require.NoError(t, f.Close())
	}
	f, err := generator.Open(scripted(t, switching, "\x82\x00\x82\x00"), request, 1)
	require.NoError(t, err)
	f.Play([][]byte{[]byte("hello")}, 1, 1)
	_, err = f.Run(time.Minute, 1)
	require.ErrorContains(t, err, "2 answers to 1 messages")
	require.NoError(t, f.Close())

	_, err = generator.Open("127.0.0.1:1", request, 1)
	require.ErrorContains(t, err, "refused")
	_, err = generator.Open("nowhere", request, 1)
	require.Error(t, err)
}
