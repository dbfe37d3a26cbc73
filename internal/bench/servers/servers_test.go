package servers_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

var places = []servers.Place{servers.Fastest, servers.InHandler, servers.Returned}

// listen starts a server and connects to it.
func listen(t *testing.T, l servers.Library, style servers.Style) (load.Target, *servers.Crowd) {
	crowd := servers.NewCrowd(true)
	address, err := l.Listen(style, crowd.Echo())
	require.NoError(t, err)
	return load.Target{Address: address, Mode: style.Mode, TLS: style.TLS != nil, Bare: l.Name == "bare"}, crowd
}

// TestCompressedEcho has every library echo in every mode that it can do; what is
// so large that some send it in several frames, in one of them.
func TestCompressedEcho(t *testing.T) {
	for _, l := range append(slices.Clone(servers.All), servers.Compressing[:2]...) { // those of ours that are not in All
		if l.Name == "bare" {
			continue // it answers as binary, and messages of one length
		}
		for _, mode := range l.Modes {
			t.Run(l.Name+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				to, _ := listen(t, l, servers.Style{Mode: mode})
				for kind, n := range map[string]int{"tick": 100, "chat": 100, "json4K": 20, "json64K": 3} {
					if kind == "json64K" && mode != traffic.NoTakeover {
						continue
					}
					compressed, err := load.Check(to, kind, n)
					require.NoError(t, err, kind)
					switch {
					case !mode.Compresses():
						require.Zero(t, compressed, kind)
					case kind == "tick": // some do not become smaller
					default:
						require.Equal(t, n, compressed, kind)
					}

					f, err := load.Dial(to, kind, 2)
					require.NoError(t, err)
					for range 3 {
						count, err := f.Each(n)
						require.NoError(t, err)
						require.Equal(t, 2*n, count.Messages)
						switch {
						case !mode.Compresses():
							require.Greater(t, count.Wire, count.Plain, kind)
						case kind != "tick":
							require.Less(t, count.Wire, count.Plain, kind)
						}
					}
					require.NoError(t, f.Close())
				}
			})
		}
	}
}

// TestEcho has every library echo binary messages and text, wherever its
// connections can be.
func TestEcho(t *testing.T) {
	for _, l := range servers.All {
		for _, place := range places {
			if slices.Contains(l.Without, place) {
				continue
			}
			t.Run(fmt.Sprint(l.Name, "/", place), func(t *testing.T) {
				t.Parallel()
				to, crowd := listen(t, l, servers.Style{Mode: traffic.Plain, CheckText: true, Place: place})
				for _, size := range []int{1, 16, 125, 126, 512, 4 << 10, 64 << 10, 1 << 20} {
					_, err := load.Check(to, traffic.Sized("binary", size), 2)
					require.NoError(t, err, size)
				}
				for _, what := range []string{"ascii", "latin", "cjk"} {
					if to.Bare {
						break
					}
					for _, size := range []int{512, 64 << 10} {
						_, err := load.Check(to, traffic.Sized(what, size), 2)
						require.NoError(t, err, "%s %d", what, size)
					}
				}
				require.Empty(t, crowd.Await(0), "every connection has ended")
			})
		}
	}
}

// TestEchoOverTLS leaves out what has a listener of its own.
func TestEchoOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Close()
	for _, l := range servers.All {
		if l.WithoutTLS {
			continue
		}
		to, _ := listen(t, l, servers.Style{TLS: server.TLS})
		to.Mode = traffic.Plain
		_, err := load.Check(to, traffic.Sized("binary", 512), 3)
		require.NoError(t, err, l.Name)
	}
}

// TestTextIsChecked sends what is no UTF-8 to those that say that they check it,
// and to those that say that they do not.
func TestTextIsChecked(t *testing.T) {
	for _, l := range servers.All {
		if l.Name == "bare" {
			continue
		}
		to, _ := listen(t, l, servers.Style{Mode: traffic.Plain, CheckText: true})
		c, err := net.Dial("tcp", to.Address)
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = io.WriteString(c, to.Request(0))
		require.NoError(t, err)
		r := bufio.NewReader(c)
		require.NoError(t, load.CheckResponse(r, to.Mode))
		_, err = io.WriteString(c, "\x81\x83\x00\x00\x00\x00\xe4\xb8\xff")
		require.NoError(t, err)
		require.NoError(t, c.(*net.TCPConn).CloseWrite())
		got, _ := io.ReadAll(r) // a reset ends it too
		if l.Lax {
			require.Contains(t, string(got), "\x81\x03\xe4\xb8\xff", l.Name)
		} else {
			require.NotContains(t, string(got), "\xe4\xb8\xff", l.Name)
		}
	}
}

// TestBroadcast has every library send to all, in its own way.
func TestBroadcast(t *testing.T) {
	const conns = 20
	for _, l := range servers.All {
		place := servers.Returned
		if slices.Contains(l.Without, place) {
			place = servers.Fastest
		}
		to, crowd := listen(t, l, servers.Style{Mode: traffic.Plain, Place: place})
		f, err := load.Dial(to, traffic.Sized("binary", 512), conns)
		require.NoError(t, err)
		opened := crowd.Await(conns)
		require.Len(t, opened, conns)
		p := make([]byte, 512)
		require.NoError(t, l.SendAll(opened, p), l.Name)
		require.NoError(t, l.SendAll(opened, p), l.Name)
		for range 2 {
			count, err := f.Receive()
			require.NoError(t, err, l.Name)
			require.Equal(t, conns, count.Messages, l.Name)
			require.EqualValues(t, conns*(512+4), count.Wire, l.Name)
		}
		require.NoError(t, f.Close())
	}
}

// TestCheckCompares has a server that answers text as binary.
func TestCheckCompares(t *testing.T) {
	l, err := servers.Find("bare", servers.Limits)
	require.NoError(t, err)
	to, _ := listen(t, l, servers.Style{Mode: traffic.Plain})
	_, err = load.Check(to, traffic.Sized("binary", 512), 2)
	require.NoError(t, err)
	_, err = load.Check(to, traffic.Sized("ascii", 512), 2)
	require.ErrorContains(t, err, "has opcode 1, and came back with 2")
}

// TestHijack shakes hands with what does nothing else.
func TestHijack(t *testing.T) {
	l, err := servers.Find("hijack", servers.Limits)
	require.NoError(t, err)
	to, crowd := listen(t, l, servers.Style{Mode: traffic.Plain})
	f, err := load.Dial(to, "tick", 3)
	require.NoError(t, err)
	require.Len(t, crowd.Await(3), 3)
	require.NoError(t, f.Close())
	require.Empty(t, crowd.Await(0))
	_, err = servers.Find("nothing", servers.All, servers.Compressing)
	require.Error(t, err)
}
