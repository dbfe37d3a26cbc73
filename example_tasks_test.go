package websocket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// dialTo serves handler, connects to it and calls talk with the connection.
func dialTo(handler func(*websocket.Conn), talk func(*websocket.Conn)) {
	served := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		handler(conn)
	}))
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	talk(conn)
	conn.Close()
	<-served
}

// A message in pieces: written as they come, read as they are wanted.
func ExampleConn_NextWriter() {
	dialTo(func(conn *websocket.Conn) {
		w, err := conn.NextWriter(websocket.TextMessage)
		if err != nil {
			return
		}
		for i := range 3 {
			fmt.Fprintf(w, "line %d\n", i)
		}
		if err := w.Close(); err != nil { // this sends it
			return
		}
		_, _, _ = conn.ReadMessage()
	}, func(conn *websocket.Conn) {
		_, r, err := conn.NextReader()
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.Copy(os.Stdout, r)
	})
	// Output:
	// line 0
	// line 1
	// line 2
}

// JSON in both directions.
func ExampleConn_WriteJSON() {
	type sum struct{ A, B, Sum int }
	dialTo(func(conn *websocket.Conn) {
		var s sum
		for conn.ReadJSON(&s) == nil {
			s.Sum = s.A + s.B
			if conn.WriteJSON(s) != nil {
				return
			}
		}
	}, func(conn *websocket.Conn) {
		if err := conn.WriteJSON(sum{A: 1, B: 2}); err != nil {
			fmt.Println(err)
			return
		}
		var s sum
		err := conn.ReadJSON(&s)
		fmt.Println(s.Sum, err)
	})
	// Output: 3 <nil>
}

// A peer that is gone without a word: pings go out, every pong moves the read
// deadline on, and if none comes the read ends.
func ExampleConn_SetPongHandler() {
	const pongWait = 60 * time.Second
	dialTo(func(conn *websocket.Conn) {
		_, _, _ = conn.ReadMessage() // answers pings
	}, func(conn *websocket.Conn) {
		alive := make(chan struct{}, 1)
		_ = conn.SetReadDeadline(time.Now().Add(pongWait))
		conn.SetPongHandler(func(string) error {
			alive <- struct{}{}
			return conn.SetReadDeadline(time.Now().Add(pongWait))
		})
		go func() { _, _, _ = conn.ReadMessage() }()
		// In a program a ticker does this, a few times in each pongWait.
		if err := conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(10*time.Second)); err != nil {
			fmt.Println(err)
			return
		}
		<-alive
		fmt.Println("the peer is there")
	})
	// Output: the peer is there
}

// A read that may take its time: at the deadline do something else, and go on.
func ExampleConn_SetReadDeadline() {
	answer := make(chan struct{})
	var once sync.Once
	dialTo(func(conn *websocket.Conn) {
		<-answer
		_ = conn.WriteMessage(websocket.TextMessage, []byte("at last"))
		_, _, _ = conn.ReadMessage()
	}, func(conn *websocket.Conn) {
		for {
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, message, err := conn.ReadMessage()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				once.Do(func() {
					fmt.Println("not yet")
					close(answer)
				})
				continue
			}
			fmt.Println(string(message), err)
			return
		}
	})
	// Output:
	// not yet
	// at last <nil>
}

// One message to many connections, framed once.
func ExampleConn_WritePreparedMessage() {
	news, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte("news"))
	if err != nil {
		fmt.Println(err)
		return
	}
	subscriber := func(conn *websocket.Conn) {
		if err := conn.WritePreparedMessage(news); err != nil {
			return
		}
		_, _, _ = conn.ReadMessage()
	}
	for range 3 {
		dialTo(subscriber, func(conn *websocket.Conn) {
			_, message, err := conn.ReadMessage()
			fmt.Println(string(message), err)
		})
	}
	// Output:
	// news <nil>
	// news <nil>
	// news <nil>
}

// A server that speaks two subprotocols, for pages of two sites only.
func ExampleUpgrader() {
	allowed := map[string]bool{"https://example.com": true, "https://www.example.com": true}
	upgrader := websocket.Upgrader{
		Subprotocols: []string{"chat.v2", "chat.v1"},
		CheckOrigin: func(r *http.Request) bool {
			origin := r.Header.Get("Origin")
			return origin == "" || allowed[origin] // no Origin: not a browser
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		_, _, _ = conn.ReadMessage()
	}))
	defer server.Close()
	for _, origin := range []string{"https://example.com", "https://example.org"} {
		dialer := websocket.Dialer{Subprotocols: []string{"chat.v1", "chat.v2"}, HandshakeTimeout: 10 * time.Second}
		conn, response, err := dialer.DialContext(context.Background(),
			"ws"+strings.TrimPrefix(server.URL, "http"), http.Header{"Origin": {origin}})
		if err != nil {
			fmt.Println(origin, err, response.StatusCode)
			continue
		}
		fmt.Println(origin, conn.Subprotocol())
		conn.Close()
	}
	// Output:
	// https://example.com chat.v2
	// https://example.org websocket: bad handshake 403
}

// Small messages that are like each other, compressed with what went before: each
// side keeps 10 KiB for it. Without Compression, EnableCompression alone has each
// message stand for itself.
func ExampleCompression() {
	takeover := &websocket.Compression{SendContextTakeover: true, ReceiveContextTakeover: true}
	upgrader := websocket.Upgrader{Compression: takeover}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for i := range 3 {
			_ = conn.WriteJSON(map[string]any{"instrument": "ABC", "bid": 99 + i, "ask": 101 + i})
		}
		_, _, _ = conn.ReadMessage() // until the client closes
	}))
	defer server.Close()

	dialer := websocket.Dialer{Compression: takeover}
	conn, _, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	if agreed, ok := conn.Compression(); ok {
		fmt.Println("compressed, with windows of", 1<<agreed.SendWindowBits, "and", 1<<agreed.ReceiveWindowBits, "bytes")
	}
	for range 3 {
		_, p, err := conn.ReadMessage()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(string(p))
	}
	// Output:
	// compressed, with windows of 4096 and 4096 bytes
	// {"ask":101,"bid":99,"instrument":"ABC"}
	// {"ask":102,"bid":100,"instrument":"ABC"}
	// {"ask":103,"bid":101,"instrument":"ABC"}
}

// A hub: each message goes to all who are there, and one whose peer reads too slowly is closed
// before it costs more than its queue holds.
func ExampleBroadcast() {
	var mu sync.Mutex
	members := map[*websocket.SendQueue]bool{}
	joined := make(chan struct{})
	limits := websocket.QueueLimits{Messages: 256, WhenFull: websocket.QueueClose}
	member := func(conn *websocket.Conn) {
		queue := websocket.NewSendQueue(conn, limits)
		mu.Lock()
		members[queue] = true
		mu.Unlock()
		close(joined)
		defer func() {
			mu.Lock()
			delete(members, queue)
			mu.Unlock()
		}()
		_, _, _ = conn.ReadMessage() // until the connection ends, for whatever reason
	}
	dialTo(member, func(conn *websocket.Conn) {
		<-joined
		news, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte("news"))
		if err != nil {
			fmt.Println(err)
			return
		}
		mu.Lock()
		taken, err := websocket.Broadcast(maps.Keys(members), news) // it does not wait
		mu.Unlock()
		fmt.Println(taken, err)
		_, message, err := conn.ReadMessage()
		fmt.Println(string(message), err)
	})
	// Output:
	// 1 <nil>
	// news <nil>
}

// State of which only the newest counts: what a slow peer has missed is replaced.
func ExampleSendQueue() {
	dialTo(func(conn *websocket.Conn) {
		queue := websocket.NewSendQueue(conn, websocket.QueueLimits{Messages: 1, WhenFull: websocket.QueueDropOldest})
		for i := range 3 {
			if err := queue.Send(context.Background(), websocket.TextMessage, fmt.Append(nil, "state ", i)); err != nil {
				return
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = queue.Flush(ctx)
		_, _, _ = conn.ReadMessage()
	}, func(conn *websocket.Conn) {
		for {
			_, message, err := conn.ReadMessage()
			if err != nil {
				fmt.Println(err)
				return
			}
			if string(message) == "state 2" {
				fmt.Println(string(message))
				return
			}
		}
	})
	// Output: state 2
}

// A protocol of bytes over a WebSocket connection.
func ExampleNetConn() {
	dialTo(func(conn *websocket.Conn) {
		stream := websocket.NetConn(conn, websocket.BinaryMessage)
		defer stream.Close()
		lines := bufio.NewScanner(stream)
		for lines.Scan() {
			fmt.Fprintln(stream, strings.ToUpper(lines.Text()))
		}
	}, func(conn *websocket.Conn) {
		stream := websocket.NetConn(conn, websocket.BinaryMessage)
		defer stream.Close()
		_ = stream.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(stream, "one\ntw")
		fmt.Fprint(stream, "o\n")
		lines := bufio.NewScanner(stream)
		for range 2 {
			lines.Scan()
			fmt.Println(lines.Text())
		}
	})
	// Output:
	// ONE
	// TWO
}
