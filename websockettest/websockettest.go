// Package websockettest has connections in memory for the tests of programs that use
// package websocket: a pair of connections, and a Dialer that reaches an http.Handler.
//
// Both do what they do with a network, opening handshake and net/http included, but for
// the network, over which a direction holds up to 64 KiB that nobody has read. Whoever
// waits on them waits durably, as package testing/synctest has it, and they leave no
// goroutine behind. So a test in a bubble sees deadlines and keep-alives come at once
// and to the nanosecond, and synctest.Wait waits until all has arrived.
//
// An hour with a handler that sends the time every minute, which takes no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		conn, _, err := websockettest.NewDialer(t, handler).Dial("ws://clock.example/", nil)
//		if err != nil {
//			t.Fatal(err)
//		}
//		for range 60 {
//			if _, _, err := conn.ReadMessage(); err != nil {
//				t.Fatal(err)
//			}
//		}
//	})
package websockettest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Pipe returns the two ends of a connection, which u and d have made; nil stands for the
// zero value of either. They are closed when the test ends. If the handshake fails, so
// does the test. The dial functions and the Proxy of d are not used.
func Pipe(t testing.TB, u *websocket.Upgrader, d *websocket.Dialer) (server, client *websocket.Conn) {
	t.Helper()
	upgraded := make(chan *websocket.Conn, 1)
	n := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := u.Upgrade(w, r, nil); err == nil {
			upgraded <- c
		}
	}))
	defer n.stop()
	var dialer websocket.Dialer
	if d != nil {
		dialer = *d
	}
	dialer.NetDialContext, dialer.Proxy = n.dial, nil
	client, response, err := dialer.Dial("ws://websocket.test/", nil)
	if err != nil {
		status := "no response"
		if response != nil {
			status = response.Status
		}
		t.Fatalf("websockettest: %v (%s)", err, status)
	}
	server = <-upgraded
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return server, client
}

// NewDialer returns a Dialer whose connections go to handler, as requests to an
// http.Server, whatever the host of the URL, and from one and the same address. So do those for wss URLs, without TLS. The other
// fields of the Dialer are for the caller to set. When the test ends, its connections
// are closed, later dials fail, and the calls of handler are waited for.
func NewDialer(t testing.TB, handler http.Handler) *websocket.Dialer {
	t.Helper()
	n := serve(handler)
	t.Cleanup(n.stop)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := n.dial(ctx, network, address)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
		return conn, err
	}
	return &websocket.Dialer{NetDialContext: dial, NetDialTLSContext: dial}
}

// A network is what an http.Server listens to and connections are dialed over.
type network struct {
	server *http.Server
	conns  chan net.Conn
	served chan struct{} // closed when nothing is accepted any more

	mu       sync.Mutex // guards the closing of closed against begin
	closed   chan struct{}
	close    func()
	handlers sync.WaitGroup // calls that began before closed was
}

func serve(handler http.Handler) *network {
	n := &network{conns: make(chan net.Conn), closed: make(chan struct{}), served: make(chan struct{})}
	n.close = sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		close(n.closed)
	})
	n.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.begin() {
			defer n.handlers.Done()
			handler.ServeHTTP(w, r)
		}
	})}
	go func() {
		defer close(n.served)
		_ = n.server.Serve(n) // until stop
	}()
	return n
}

func (n *network) begin() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.closed:
		return false
	default:
		n.handlers.Add(1)
		return true
	}
}

// stop ends the server and waits until its handlers have returned. What they have
// upgraded is left alone.
func (n *network) stop() {
	_ = n.server.Close()
	n.close() // if the server had not begun to listen
	<-n.served
	n.handlers.Wait()
}

func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	client, server := testnet.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Accept implements net.Listener.
func (n *network) Accept() (net.Conn, error) {
	select {
	case conn := <-n.conns:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (n *network) Close() error {
	n.close()
	return nil
}

// Addr implements net.Listener.
func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }
