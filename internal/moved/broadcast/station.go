// Package broadcast is a radio station: it sends the same messages to many
// listeners, prepared once for all of them. It sets up everything about a
// connection that the library lets it set up, and, as old programs do, uses the
// deprecated functions too.
package broadcast

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

const writeWait = 10 * time.Second

// ErrBanned is how a connection ends that was closed in a rude way.
var ErrBanned = errors.New("broadcast: do not come back")

// An Order is what a listener can ask for. It gets it back when it is done.
type Order struct {
	Mute bool `json:"mute"`
}

// An Event is something that happened to a listener.
type Event struct {
	Kind string // ping, close (the peer's frame) or end (of reading)
	Code int
	Text string
	Err  error // of an end
}

// A Station is an http.Handler for listeners. Its fields are not to be changed
// once it is in use.
type Station struct {
	Origins     []string // hosts whose pages may listen, beside our own
	Buffers     websocket.BufferPool
	Compression int // level; 0 is no compression

	// On, if not nil, is told what happens.
	On func(Event)

	mu        sync.Mutex
	listeners map[*listener]bool
}

// A listener is one connection. Messages are written by one goroutine at a
// time, as the library may ask for.
type listener struct {
	conn *websocket.Conn

	mu    sync.Mutex // guards the writing of messages
	muted bool
}

func (s *Station) on(e Event) {
	if s.On != nil {
		s.On(e)
	}
}

// Listeners returns how many there are.
func (s *Station) Listeners() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listeners)
}

// ServeHTTP upgrades listeners, and tells everybody else how many there are.
func (s *Station) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		fmt.Fprintf(w, "%d listeners\n", s.Listeners())
		return
	}
	upgrader := websocket.Upgrader{
		HandshakeTimeout:  writeWait,
		ReadBufferSize:    512,
		WriteBufferSize:   512,
		WriteBufferPool:   s.Buffers,
		CheckOrigin:       s.mayListen,
		Error:             refuse,
		EnableCompression: s.Compression != 0,
	}
	header := http.Header{"X-Station": {"Radio Socket"}}
	if channel := choose(websocket.Subprotocols(r)); channel != "" {
		header.Set("Sec-WebSocket-Protocol", channel)
	}
	conn, err := upgrader.Upgrade(w, r, header)
	if err != nil {
		return // refuse has said why
	}
	s.serve(conn)
}

// choose takes the first channel that the client would like to hear.
func choose(offered []string) string {
	i := slices.IndexFunc(offered, func(p string) bool { return strings.HasPrefix(p, "channel.") })
	if i < 0 {
		return ""
	}
	return offered[i]
}

// mayListen lets in what is no page of a browser, and the pages of some hosts.
func (s *Station) mayListen(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	_, host, _ := strings.Cut(origin, "://")
	return origin == "" || host == r.Host || slices.Contains(s.Origins, host)
}

// refuse answers requests that are not upgraded.
func refuse(w http.ResponseWriter, _ *http.Request, status int, reason error) {
	_, ours := reason.(websocket.HandshakeError)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "handshake": ours, "reason": reason.Error()})
}

// Legacy is ServeHTTP as it was written before there was an Upgrader.
func (s *Station) Legacy(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" && !s.mayListen(r) {
		http.Error(w, "this is not for you", http.StatusForbidden)
		return
	}
	conn, err := websocket.Upgrade(w, r, nil, 512, 512)
	if _, ok := err.(websocket.HandshakeError); ok {
		http.Error(w, "this is for WebSockets", http.StatusBadRequest)
		return
	} else if err != nil {
		return
	}
	s.serve(conn)
}

// serve takes a listener's orders until the connection ends.
func (s *Station) serve(conn *websocket.Conn) {
	defer conn.Close()
	if err := s.setUp(conn); err != nil {
		why := websocket.FormatCloseMessage(websocket.CloseInternalServerErr, err.Error())
		_ = conn.WriteControl(websocket.CloseMessage, why, time.Now().Add(writeWait))
		return
	}
	l := &listener{conn: conn}
	s.mu.Lock()
	if s.listeners == nil {
		s.listeners = map[*listener]bool{}
	}
	s.listeners[l] = true
	s.mu.Unlock()

	err := l.takeOrders()
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	s.on(Event{Kind: "end", Err: err})
}

// setUp sets what can be set. The handlers do what they did before and a little
// more.
func (s *Station) setUp(conn *websocket.Conn) error {
	if tcp, ok := conn.UnderlyingConn().(*net.TCPConn); ok {
		if err := tcp.SetNoDelay(false); err != nil {
			return err
		}
	}
	conn.EnableWriteCompression(s.Compression != 0)
	if err := conn.SetCompressionLevel(s.Compression); err != nil {
		return err
	}
	conn.SetReadLimit(4096)

	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error {
		s.on(Event{Kind: "ping", Text: data})
		return pong(data)
	})
	echo := conn.CloseHandler()
	conn.SetCloseHandler(func(code int, text string) error {
		s.on(Event{Kind: "close", Code: code, Text: text})
		if code == 4000 {
			rude := websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "so are you")
			_ = conn.WriteControl(websocket.CloseMessage, rude, time.Now().Add(writeWait))
			return ErrBanned
		}
		return echo(code, text)
	})
	return nil
}

func (l *listener) takeOrders() error {
	for {
		var order Order
		if err := websocket.ReadJSON(l.conn, &order); err != nil {
			return err
		}
		if err := l.do(order); err != nil {
			return err
		}
	}
}

func (l *listener) do(order Order) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = order.Mute
	_ = l.conn.SetWriteDeadline(time.Now().Add(writeWait))
	return websocket.WriteJSON(l.conn, order)
}

// Play sends a message to all listeners that want to hear. It counts those
// that were sent it, and those that cannot be sent anything any more.
func (s *Station) Play(message []byte) (heard, closing int, err error) {
	kind := websocket.BinaryMessage
	if json.Valid(message) {
		kind = websocket.TextMessage
	}
	return s.send(kind, message, false)
}

// SignOff ends the programme for all listeners, the muted ones too.
func (s *Station) SignOff(why string) (heard, closing int, err error) {
	return s.send(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, why), true)
}

func (s *Station) send(kind int, data []byte, all bool) (heard, closing int, err error) {
	prepared, err := websocket.NewPreparedMessage(kind, data)
	if err != nil {
		return 0, 0, err
	}
	s.each(func(l *listener) error {
		if l.muted && !all {
			return nil
		}
		switch err := l.conn.WritePreparedMessage(prepared); err {
		case nil:
			heard++
		case websocket.ErrCloseSent:
			closing++
		default:
			return err
		}
		return nil
	})
	return heard, closing, nil
}

// Relay sends what r has as one message to each listener, piece by piece.
func (s *Station) Relay(r io.ReadSeeker) (heard int) {
	s.each(func(l *listener) error {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return nil
		}
		w, err := l.conn.NextWriter(websocket.BinaryMessage)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			_ = w.Close()
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		heard++
		return nil
	})
	return heard
}

// each does something with each listener, and parts from those that it fails
// for.
func (s *Station) each(do func(*listener) error) {
	s.mu.Lock()
	var all []*listener
	for l := range s.listeners {
		all = append(all, l)
	}
	s.mu.Unlock()
	for _, l := range all {
		l.mu.Lock()
		_ = l.conn.SetWriteDeadline(time.Now().Add(writeWait))
		if err := do(l); err != nil {
			_ = l.conn.Close()
		}
		l.mu.Unlock()
	}
}
