package host_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/host"
	"github.com/seed62ce5aa7/websocket/internal/bench/load"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// TestServe tells servers what to do, as another process would.
func TestServe(t *testing.T) {
	for _, library := range []string{"ours", "gorilla"} { // one that has writers wait, and one that has not
		in, commands := io.Pipe()
		answers, out := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- host.Serve(`{"Library":"`+library+`","Style":{"Mode":"plain"},"TLS":true,"Keep":true}`, in, out)
		}()
		lines := bufio.NewScanner(answers)
		require.True(t, lines.Scan())
		to := load.Target{Address: lines.Text(), Mode: traffic.Plain, TLS: true}
		do := func(command string, args ...any) string {
			_, err := fmt.Fprintf(commands, command+"\n", args...)
			require.NoError(t, err)
			require.True(t, lines.Scan())
			return lines.Text()
		}

		f, err := load.Dial(to, traffic.Sized("binary", 512), 3)
		require.NoError(t, err)
		require.Equal(t, "done", do(host.Free, 3))
		require.Equal(t, "done", do(host.Broadcast, 3, 512))
		count, err := f.Receive()
		require.NoError(t, err)
		require.EqualValues(t, 3*(4+512), count.Wire)
		require.NoError(t, f.Close())

		f, err = load.Dial(to, traffic.Sized("binary", 512), 1)
		require.NoError(t, err)
		require.Equal(t, "done", do(host.Write, 20, 64))
		for range 1000 {
			count, err := f.Receive()
			require.NoError(t, err)
			require.EqualValues(t, 2+64, count.Wire, "messages are not mixed")
		}
		require.NoError(t, f.Close())

		require.Contains(t, do("dance"), "cannot do")
		require.NoError(t, commands.Close())
		require.NoError(t, <-ended)
	}
}

func TestServeRefuses(t *testing.T) {
	for _, order := range []string{"", "{}", `{"Library":"nothing"}`} {
		require.Error(t, host.Serve(order, strings.NewReader(""), io.Discard), order)
	}
}
