package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

var messages = flag.Int("messages", 20_000, "how many messages TestNodePeer sends")

// A job is what peer.js is told.
type job struct {
	ID       int        `json:"id"`
	URL      string     `json:"url,omitempty"`
	Options  parameters `json:"options"`
	Messages int        `json:"messages"`
	Seed     uint32     `json:"seed"`
}

// A report is what it says.
type report struct {
	ID      int
	Address string // of its server
	Waits   bool   // for a client
	Error   string

	// What came of a connection.
	Extensions, Answer string
	Messages           int // that it sent back
	Fragments          int // in how many pieces more
	Pings, Pongs       int // that it sent and got
	Late               int // pongs behind one for a later ping
	Pinged             int
	Code               int
	Reason             string
	Agreed             *websocket.Compression // as it sees it
	Read, Written      int                    // bytes
}

// A nodePeer is a Node process with ws.
type nodePeer struct {
	jobs    *json.Encoder
	reports chan report // closed when the process has ended
	address string
	lastID  int
}

// findNode is the path of Node, and that of ws.
func findNode(t *testing.T) (node, ws string) {
	t.Helper()
	const variable = "WEBSOCKET_NODE_WS"
	node, err := exec.LookPath("node")
	if err == nil {
		ws = os.Getenv(variable)
		if ws == "" {
			err = fmt.Errorf("%s is not set: it is the path of Node's package ws", variable)
		} else {
			_, err = os.Stat(filepath.Join(ws, "package.json"))
		}
	}
	if err != nil {
		lack(t, "ws, on Node", err)
	}
	return node, ws
}

// lack ends a test for which there is no peer.
func lack(t *testing.T, peer string, err error) {
	t.Helper()
	if os.Getenv("WEBSOCKET_REQUIRE_PEERS") == "1" {
		t.Fatalf("%v, and WEBSOCKET_REQUIRE_PEERS=1", err)
	}
	t.Skipf("the peer is %s: %v", peer, err)
}

func startNodePeer(t *testing.T) *nodePeer {
	t.Helper()
	node, ws := findNode(t)
	cmd := exec.Command(node, filepath.Join("testdata", "peer.js"), ws)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &nodePeer{jobs: json.NewEncoder(in), reports: make(chan report, 16)}
	go p.readReports(out)
	t.Cleanup(func() {
		in.Close()
		for r := range p.reports {
			t.Errorf("node says, after the end: %+v", r)
		}
		if err := cmd.Wait(); err != nil || complaints.Len() > 0 {
			t.Errorf("node: %v\n%s", err, complaints.String())
		}
	})
	p.address = p.report(t, 0).Address
	return p
}

func (p *nodePeer) readReports(out io.Reader) {
	defer close(p.reports)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var r report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			r = report{Error: fmt.Sprintf("%v: %q", err, lines.Bytes())}
		}
		p.reports <- r
	}
}

// report waits for what the process says next, which is about a job.
func (p *nodePeer) report(t *testing.T, id int) report {
	t.Helper()
	select {
	case r, ok := <-p.reports:
		require.True(t, ok, "node has ended")
		require.Empty(t, r.Error)
		require.Equal(t, id, r.ID)
		return r
	case <-time.After(patience):
		require.FailNow(t, "node says nothing")
	}
	return report{}
}

// A weServer hands over the connections of our server.
type weServer struct {
	url      string
	upgrader atomic.Pointer[websocket.Upgrader] // for the next
	conns    chan accepted
}

type accepted struct {
	conn    *websocket.Conn
	request *http.Request
	err     error
}

func newServer() *weServer {
	s := &weServer{conns: make(chan accepted, 1)}
	s.upgrader.Store(&websocket.Upgrader{})
	return s
}

func startServer(t *testing.T) *weServer {
	s := newServer()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.url = "ws" + h.URL[len("http"):]
	return s
}

func (s *weServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := s.upgrader.Load().Upgrade(w, r, nil)
	s.conns <- accepted{conn, r, err}
}

// A link is a connection to the peer. Read and write buffers differ from one to
// the next.
type link struct {
	*websocket.Conn
	id     int
	answer string // of the server, where we are the client
}

func (p *nodePeer) connect(t *testing.T, server *weServer, m meeting, messages int, seed uint32) link {
	t.Helper()
	p.lastID++
	j := job{ID: p.lastID, Options: m.ws, Messages: messages, Seed: seed}
	size := int(seed % 3 * 20_000)
	if server == nil {
		require.NoError(t, p.jobs.Encode(j))
		require.True(t, p.report(t, j.ID).Waits)
		d := websocket.Dialer{Compression: &m.ours, WriteBufferSize: size, HandshakeTimeout: patience}
		conn, response, err := d.Dial(fmt.Sprintf("ws://%s/%d", p.address, j.ID), nil)
		require.NoError(t, err)
		return link{conn, j.ID, response.Header.Get("Sec-WebSocket-Extensions")}
	}
	server.upgrader.Store(&websocket.Upgrader{Compression: &m.ours, WriteBufferSize: size})
	j.URL = server.url
	require.NoError(t, p.jobs.Encode(j))
	select {
	case a := <-server.conns:
		require.NoError(t, a.err)
		return link{a.conn, j.ID, ""}
	case r := <-p.reports:
		require.FailNow(t, "ws does not connect", "%+v", r)
	case <-time.After(patience):
		require.FailNow(t, "ws does not connect")
	}
	return link{}
}

// A traffic is what went one way: bytes of messages, and bytes on the wire.
type traffic struct{ plain, wire int }

func (t *traffic) add(plain, wire int) {
	t.plain += plain
	t.wire += wire
}

func (t traffic) ratio() float64 { return float64(t.wire) / float64(t.plain) }

func (t traffic) String() string {
	return fmt.Sprintf("%d KiB as %d (%.2f)", t.plain>>10, t.wire>>10, t.ratio())
}

// hold talks on a new connection, and judges what was agreed on and what both
// sides have seen. Without a server of ours, ws is it.
func (p *nodePeer) hold(t *testing.T, server *weServer, m meeting, k *talk) (plain int, r report) {
	t.Helper()
	conn := p.connect(t, server, m, k.messages, uint32(k.seed))
	agreed, ok := conn.Compression()
	require.True(t, ok)
	require.Equal(t, m.agreed, agreed, "told %+v and %v", m.ours, m.ws)

	k.conn, k.bits, k.end = conn.Conn, agreed.SendWindowBits, done
	require.NoError(t, k.run(), "told %+v and %v", m.ours, m.ws)
	r = p.report(t, conn.id)
	answer, err := parseAnswer(r.Answer)
	require.NoError(t, err)
	require.Equal(t, m.answer, answer, "told %+v and %v", m.ours, m.ws)
	if server == nil {
		require.Equal(t, r.Answer, conn.answer)
	}
	require.Equal(t, "permessage-deflate", r.Extensions)
	require.Equal(t, k.messages, r.Messages)
	require.Equal(t, websocket.CloseNormalClosure, r.Code)
	require.Equal(t, k.pinged, r.Pinged)
	require.Equal(t, k.pinged, k.hit)
	require.NotZero(t, r.Pings)
	require.NotZero(t, r.Pongs)
	return k.plain, r
}

// ws, which is zlib underneath, sends back what we send: as client and as server,
// with and without the context taken over in either direction, with each pair of
// windows.
func TestNodePeer(t *testing.T) {
	testnet.CheckGoroutines(t)
	p := startNodePeer(t)
	server := startServer(t)
	all := sets()
	total := *messages
	if testing.Short() {
		total /= 10
	}
	each := max(2, (total+len(all)-1)/len(all))

	var ours, theirs traffic
	var sum report
	answers := map[string]int{}
	begun := time.Now()
	for i, s := range all {
		t.Run(s.String(), func(t *testing.T) {
			m := s.meeting(rand.New(rand.NewPCG(uint64(i), 3)))
			to := server
			if s.peerServes {
				to = nil
			}
			plain, r := p.hold(t, to, m, &talk{messages: each, seed: uint64(i + 1)})
			ours.add(plain, r.Read)
			theirs.add(plain, r.Written)
			sum.Messages += r.Messages
			sum.Fragments += r.Fragments
			sum.Pings += r.Pings
			sum.Pongs += r.Pongs
			sum.Late += r.Late
			sum.Pinged += r.Pinged
			for name := range m.answer {
				answers[name]++
			}
		})
	}
	if t.Failed() {
		return
	}
	t.Logf("%d messages, %d for each of %d sets of parameters, in %v", sum.Messages, each, len(all), time.Since(begun).Round(time.Second))
	t.Logf("ws sent %d fragments more; it answered %d pings of ours, and we %d of its %d, %d of them late", sum.Fragments, sum.Pinged, sum.Pongs, sum.Pings, sum.Late)
	t.Logf("we sent %v, ws %v; answers had %v", ours, theirs, answers)
	require.Less(t, ours.ratio(), 0.8)
	require.Less(t, theirs.ratio(), 0.8) // also by levels and strategies that compress little
	require.Len(t, answers, 4)
}

// Small messages that are like each other show who takes context over.
func TestNodePeerTakesOver(t *testing.T) {
	testnet.CheckGoroutines(t)
	p := startNodePeer(t)
	server := startServer(t)
	for _, serverTakeover := range []bool{false, true} {
		for _, clientTakeover := range []bool{false, true} {
			for _, to := range []*weServer{server, nil} {
				s := set{to == nil, serverTakeover, clientTakeover, 12, 12}
				t.Run(s.String(), func(t *testing.T) {
					m := s.meeting(rand.New(rand.NewPCG(5, 6)))
					m.ours.Threshold, m.agreed.Threshold = 1, 1
					m.ws["threshold"], m.ws["zlibDeflateOptions"] = 1, parameters{}
					plain, r := p.hold(t, to, m, &talk{messages: 400, seed: 8, alike: true})
					var ours, theirs traffic
					ours.add(plain, r.Read)
					theirs.add(plain, r.Written)
					t.Logf("we sent %v, ws %v", ours, theirs)
					require.Equal(t, m.agreed.SendContextTakeover, ours.ratio() < 0.7)
					require.Equal(t, m.agreed.ReceiveContextTakeover, theirs.ratio() < 0.7)
				})
			}
		}
	}
}

// A ws server that cannot do as our first offer says takes the last.
func TestNodePeerTakesTheLastOffer(t *testing.T) {
	testnet.CheckGoroutines(t)
	p := startNodePeer(t)
	for name, m := range refusals() {
		t.Run(name, func(t *testing.T) {
			p.hold(t, nil, m, &talk{messages: 50, seed: 7})
		})
	}
}
