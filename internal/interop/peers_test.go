package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// A peer is a program that serves one connection or makes one, sends back what
// we send and says what came of it in lines of JSON. Its arguments are the URL to
// connect to, or nothing; the number of messages; a seed; the code and the reason
// to close with after these, or 0 if we close; and options, if it has any.
type peer struct {
	name     string
	variable string   // of the environment: the path of what is run
	before   []string // arguments that come before the others
}

var (
	pythonPeer = peer{"Python's websockets", "WEBSOCKET_PYTHON", []string{"testdata/peer.py"}}
	rustPeer   = peer{"Rust's tungstenite", "WEBSOCKET_TUNGSTENITE", nil}
)

func (p peer) find(t *testing.T) string {
	t.Helper()
	path := os.Getenv(p.variable)
	_, err := os.Stat(path)
	if path == "" {
		err = fmt.Errorf("%s is not set, see CONTRIBUTING.md", p.variable)
	}
	if err != nil {
		lack(t, p.name, err)
	}
	return path
}

// hold talks with the peer, and returns what was agreed on, as we see it, and what
// the peer has seen. first is the code and the reason of the side that closes.
func (p peer) hold(t *testing.T, serves bool, ours *websocket.Compression, options string, first websocket.CloseError, k *talk) (agreed *websocket.Compression, r report) {
	t.Helper()
	server := startServer(t)
	server.upgrader.Store(&websocket.Upgrader{Compression: ours})
	url, code := server.url, first.Code
	if serves {
		url = ""
	}
	if k.closing != nil {
		code = 0
	}
	args := append(slices.Clone(p.before), url, strconv.Itoa(k.messages), strconv.FormatUint(k.seed, 10), strconv.Itoa(code), first.Text, options)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	cmd := exec.CommandContext(ctx, p.find(t), args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		cancel()
		if cmd.ProcessState == nil { // the test has failed
			_ = cmd.Wait()
			t.Log(complaints.String())
		}
	}()
	said := json.NewDecoder(out)

	if serves {
		var at report
		require.NoError(t, said.Decode(&at))
		d := websocket.Dialer{Compression: ours, HandshakeTimeout: patience}
		k.conn, _, err = d.Dial("ws://"+at.Address, nil)
		require.NoError(t, err)
	} else {
		select {
		case a := <-server.conns:
			require.NoError(t, a.err)
			k.conn = a.conn
		case <-ctx.Done():
			require.FailNow(t, "the peer does not connect")
		}
	}
	k.bits = 15
	if c, ok := k.conn.Compression(); ok {
		agreed = &websocket.Compression{
			SendContextTakeover: c.SendContextTakeover, ReceiveContextTakeover: c.ReceiveContextTakeover,
			SendWindowBits: c.SendWindowBits, ReceiveWindowBits: c.ReceiveWindowBits,
		}
		k.bits = c.SendWindowBits
	}
	require.NoError(t, k.run())
	require.NoError(t, said.Decode(&r))
	require.NoError(t, cmd.Wait(), complaints.String())
	require.Empty(t, complaints.String())
	require.Equal(t, k.messages, r.Messages)
	require.Equal(t, k.pinged, k.hit)
	return agreed, r
}

// echo has the peer send back messages of all sizes, some in fragments, with
// pings from both sides.
func (p peer) echo(t *testing.T, serves bool, ours *websocket.Compression, options string) (agreed *websocket.Compression, r report) {
	t.Helper()
	messages := 300
	if testing.Short() {
		messages = 30
	}
	k := &talk{messages: messages, first: largeMessages(), seed: 9, end: done}
	agreed, r = p.hold(t, serves, ours, options, done, k)
	require.Equal(t, websocket.CloseNormalClosure, r.Code)
	require.NotZero(t, r.Fragments)
	require.NotZero(t, r.Pings)
	require.NotZero(t, r.Pongs)
	t.Logf("%d messages, %d KiB, %d fragments more, %d pings of ours, and %d pongs for %d of the peer's",
		r.Messages, k.plain>>10, r.Fragments, k.pinged, r.Pongs, r.Pings)
	return agreed, r
}

// Python's websockets, which has zlib underneath and compresses every message and
// fragment, sends back what we send: as it comes, without compression of ours, and
// with windows and takeover of its choice in either direction.
func TestPythonPeer(t *testing.T) {
	testnet.CheckGoroutines(t)
	pythonPeer.find(t)
	whole := &websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true, SendWindowBits: 15, ReceiveWindowBits: 15}
	for _, serves := range []bool{false, true} {
		for _, s := range []set{
			{serves, true, true, 9, 15},
			{serves, true, false, 15, 10},
			{serves, false, true, 11, 9},
			{serves, false, false, 15, 15},
		} {
			t.Run(s.String(), func(t *testing.T) {
				options := fmt.Sprintf(`{"server_no_context_takeover": %t, "client_no_context_takeover": %t, "server_max_window_bits": %d, "client_max_window_bits": %d}`,
					!s.serverTakeover, !s.clientTakeover, s.serverBits, s.clientBits)
				agreed, r := pythonPeer.echo(t, serves, whole, options)
				ours, its := s.agreed(!serves), s.agreed(serves)
				require.Equal(t, &ours, agreed)
				require.Equal(t, &its, r.Agreed)
			})
		}
		role := strings.Split(set{peerServes: serves}.String(), "/")[0]
		t.Run(role+"/as it comes", func(t *testing.T) {
			bits := 15
			if serves {
				bits = 12 // in both directions
			}
			s := set{serves, true, true, bits, bits}
			agreed, r := pythonPeer.echo(t, serves, whole, "")
			ours, its := s.agreed(!serves), s.agreed(serves)
			require.Equal(t, &ours, agreed)
			require.Equal(t, &its, r.Agreed)
		})
		t.Run(role+"/we do not compress", func(t *testing.T) {
			agreed, r := pythonPeer.echo(t, serves, nil, "")
			require.Nil(t, agreed)
			require.Nil(t, r.Agreed)
		})
	}
}

// Rust's tungstenite, which has no compression, sends back what we send, and pings
// between fragments.
func TestRustPeer(t *testing.T) {
	testnet.CheckGoroutines(t)
	rustPeer.find(t)
	for _, serves := range []bool{false, true} {
		t.Run(fmt.Sprintf("the peer serves: %t", serves), func(t *testing.T) {
			agreed, _ := rustPeer.echo(t, serves, &websocket.Compression{}, "")
			require.Nil(t, agreed)
		})
	}
}

// Either side closes with a code and a reason, which the other one reads. We send
// back the code, and both peers also the reason.
func TestClosingWithPeers(t *testing.T) {
	testnet.CheckGoroutines(t)
	ends := []websocket.CloseError{
		{Code: websocket.CloseNoStatusReceived}, // by a close frame of no bytes, which the peers cannot send
		{Code: websocket.CloseGoingAway},
		{Code: websocket.CloseInternalServerErr, Text: "größer été 東京 🙂"},
		{Code: 4999, Text: strings.Repeat("-", 123)},
	}
	for _, p := range []peer{pythonPeer, rustPeer} {
		t.Run(p.name, func(t *testing.T) {
			p.find(t)
			for _, serves := range []bool{false, true} {
				for _, end := range ends {
					for _, weClose := range []bool{true, false} {
						if !weClose && end.Code == websocket.CloseNoStatusReceived {
							continue
						}
						t.Run(fmt.Sprintf("serves: %t, we close: %t, %d", serves, weClose, end.Code), func(t *testing.T) {
							k := &talk{messages: 2, seed: 1, end: end}
							reason := ""
							if weClose {
								k.closing, reason = websocket.FormatCloseMessage(end.Code, end.Text), end.Text
							}
							_, r := p.hold(t, serves, nil, "", end, k)
							require.Equal(t, end.Code, r.Code)
							require.Equal(t, reason, r.Reason)
						})
					}
				}
			}
		})
	}
}
