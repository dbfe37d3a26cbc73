package servers_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// TestEcho has every library echo in every mode that it can do; what is so large
// that some send it in several frames, in one of them.
func TestEcho(t *testing.T) {
	for _, l := range servers.All {
		for _, mode := range l.Modes {
			t.Run(l.Name+"/"+string(mode), func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(l.Handler(mode, servers.Events{
					Opened:  func(servers.Conn) {},
					Message: func(c servers.Conn, p []byte) error { return c.Send(p) },
					Closed:  func(error) {},
				}))
				defer server.Close()
				address := strings.TrimPrefix(server.URL, "http://")
				for kind, n := range map[string]int{"tick": 100, "chat": 100, "json4K": 20, "json64K": 3} {
					if kind == "json64K" && mode != traffic.NoTakeover {
						continue
					}
					compressed, err := load.Check(address, mode, kind, n)
					require.NoError(t, err, kind)
					switch {
					case !mode.Compresses():
						require.Zero(t, compressed, kind)
					case kind == "tick": // some do not become smaller
					default:
						require.Equal(t, n, compressed, kind)
					}

					f, err := load.Dial(address, mode, kind, 2)
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
