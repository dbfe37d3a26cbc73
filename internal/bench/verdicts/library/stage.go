package library

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// A Verdict is what a library made of a stream.
type Verdict struct {
	Messages []oracle.Message // that the program was given

	// Close is the code of the close frame that the peer was sent, or what oracle has in
	// its place, or one of those below.
	Close int
}

// What may be in the place of a close code, beside what oracle has.
const (
	Garbage       = -1 // the peer was sent what is no frame
	WronglyMasked = -2 // or a client's frame without a mask, or a server's with one
	Hangs         = -3 // the connection did not end
	Panicked      = -4
)

// patience is how long a stream may take. Most take a tenth of a millisecond.
const patience = 10 * time.Second

// A Stage has one library read streams, one after another, each on a connection of its
// own over a Unix socket.
type Stage struct {
	library  Library
	dir      string
	servers  net.Listener // of the library, by net/http
	clients  net.Listener // of the peer of the library's clients
	verdicts chan Verdict // of the connection that has ended
}

// NewStage returns one for a library. Close it.
func NewStage(l Library) (_ *Stage, err error) {
	s := &Stage{library: l, verdicts: make(chan Verdict, 1)}
	if s.dir, err = os.MkdirTemp("", "verdicts"); err != nil {
		return nil, err
	}
	if s.servers, err = net.Listen("unix", filepath.Join(s.dir, "servers")); err == nil {
		s.clients, err = net.Listen("unix", filepath.Join(s.dir, "clients"))
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	go http.Serve(s.servers, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := l.Accept(w, r)
		if err == nil { // else the response says it
			s.read(c)
		}
	}))
	return s, nil
}

// Close closes its listeners. A Stage that could not be made has not all of them.
func (s *Stage) Close() {
	for _, l := range []net.Listener{s.servers, s.clients} {
		if l != nil {
			_ = l.Close() // the process ends
		}
	}
	_ = os.RemoveAll(s.dir)
}

// read reads messages until there are no more.
func (s *Stage) read(c Conn) {
	var v Verdict
	defer func() {
		if recover() != nil {
			v.Close = Panicked
		}
		c.Close()
		s.verdicts <- v
	}()
	for {
		text, p, err := c.Next()
		if err != nil {
			return
		}
		v.Messages = append(v.Messages, oracle.NewMessage(text, p))
	}
}

// Run has the library read a stream. An error is one of the handshake.
func (s *Stage) Run(stream streams.Stream) (Verdict, error) {
	begin := s.beClient
	if !stream.Server {
		begin = s.beServer
	}
	nc, from, err := begin(stream.Compression)
	if nc != nil {
		defer nc.Close()
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("%s: %w", s.library.Name, err)
	}
	sent, hangs := converse(nc, from, stream)
	_ = nc.Close() // so that it ends in any case
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case v := <-s.verdicts:
		switch {
		case hangs:
			v.Close = Hangs
		case v.Close == 0:
			v.Close = closeCode(sent, !stream.Server)
		}
		return v, nil
	case <-late.C:
		return Verdict{}, fmt.Errorf("%s: a read goes on after the connection was closed: %x", s.library.Name, stream.Bytes)
	}
}

const (
	extensions = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	request    = "GET / HTTP/1.1\r\nHost: host\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + traffic.Key + "\r\n"
)

// beClient does the opening handshake with the library's server.
func (s *Stage) beClient(compression bool) (net.Conn, *bufio.Reader, error) {
	nc, err := net.Dial("unix", s.servers.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	_ = nc.SetDeadline(time.Now().Add(patience)) // it has deadlines
	hello := request + "\r\n"
	if compression {
		hello = request + extensions + "\r\n"
	}
	if _, err := nc.Write([]byte(hello)); err != nil {
		return nc, nil, err
	}
	from := bufio.NewReader(nc)
	response, err := http.ReadResponse(from, nil)
	switch {
	case err != nil:
		return nc, nil, err
	case response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != traffic.Accept:
		return nc, nil, fmt.Errorf("no upgrade but %s", response.Status)
	case (response.Header.Get("Sec-WebSocket-Extensions") != "") != compression:
		return nc, nil, errors.New("another compression than was asked for")
	}
	return nc, from, nil
}

// beServer does the opening handshake with the library's client.
func (s *Stage) beServer(compression bool) (net.Conn, *bufio.Reader, error) {
	there, err := net.Dial("unix", s.clients.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	nc, err := s.clients.Accept()
	if err != nil {
		_ = there.Close()
		return nil, nil, err
	}
	_ = nc.SetDeadline(time.Now().Add(patience)) // it has deadlines
	failed := make(chan error, 1)
	go func() {
		c, err := s.library.Dial(there, compression)
		failed <- err
		if err != nil {
			_ = there.Close()
			return
		}
		s.read(c)
	}()
	from := bufio.NewReader(nc)
	r, err := http.ReadRequest(from)
	if err != nil {
		_ = nc.Close() // for which the library waits
		return nil, nil, errors.Join(err, <-failed)
	}
	hello := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
		accept(r.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	if compression {
		hello += extensions
	}
	if _, err := nc.Write([]byte(hello + "\r\n")); err != nil {
		return nc, nil, err
	}
	return nc, from, <-failed
}
