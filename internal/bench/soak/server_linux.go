package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// What a server is told, a line each. It answers look with its state.
const (
	look  = "look"
	drain = "drain" // ends it, once every connection has
)

// A state is what a server says of itself.
type state struct {
	Connections int64
	Messages    int64 // echoed
	Killed      int64 // connections that the server cut
	Goroutines  int64
	Live        int64 // bytes of the heap, of what is not garbage
}

type echoServer struct {
	cutIn    int // of so many messages one has its connection cut, and not answered
	upgrader websocket.Upgrader
	messages atomic.Int64
	killed   atomic.Int64

	mu      sync.Mutex
	changed sync.Cond
	conns   map[*websocket.Conn]struct{}
}

// serve is the server's process: it writes its address, and obeys.
func serve(cutIn int, in io.Reader, out io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &echoServer{cutIn: cutIn, conns: make(map[*websocket.Conn]struct{})}
	s.changed.L = &s.mu
	handshakes := http.Server{Handler: s}
	go handshakes.Serve(listener)
	fmt.Fprintln(out, listener.Addr())
	for commands := bufio.NewScanner(in); commands.Scan(); {
		switch commands.Text() {
		case look:
			if err := json.NewEncoder(out).Encode(s.state()); err != nil {
				return err
			}
		case drain:
			if err := handshakes.Shutdown(context.Background()); err != nil {
				return err
			}
			s.drain()
			return json.NewEncoder(out).Encode(s.state())
		}
	}
	return errors.New("soak: nobody commands the server any more")
}

func (s *echoServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the response says it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	go s.echo(c)
}

func (s *echoServer) remove(c *websocket.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.changed.Broadcast()
}

func (s *echoServer) echo(c *websocket.Conn) {
	defer s.remove(c)
	defer c.Close()
	var p []byte
	for {
		messageType, m, err := c.AppendMessage(again(p))
		if err != nil {
			return
		}
		p = m
		if rand.IntN(s.cutIn) == 0 {
			s.killed.Add(1)
			return
		}
		switch err := c.WriteMessage(messageType, m); err {
		case nil:
			s.messages.Add(1)
		case websocket.ErrCloseSent: // what else comes is not answered any more
		default:
			return
		}
	}
}

// drain tells every connection to go away, and waits until it has. There are no new ones.
func (s *echoServer) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		go goingAway(c)
	}
	for len(s.conns) > 0 {
		s.changed.Wait()
	}
}

func goingAway(c *websocket.Conn) {
	// If it is cut, there is nobody to tell.
	_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, "restart"), time.Now().Add(time.Minute))
}

func (s *echoServer) state() state {
	live := liveHeap()
	s.mu.Lock()
	defer s.mu.Unlock()
	return state{
		Connections: int64(len(s.conns)),
		Messages:    s.messages.Load(),
		Killed:      s.killed.Load(),
		Goroutines:  int64(runtime.NumGoroutine()),
		Live:        live,
	}
}
