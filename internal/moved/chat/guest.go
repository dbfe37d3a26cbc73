package chat

import (
	"bytes"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// A guest is one connection to the room.
type guest struct {
	room    *Room
	conn    *websocket.Conn
	welcome chan struct{} // closed once the room knows the guest
	out     chan []byte   // what the guest is to hear; closed by the room
	goodbye []byte        // payload of the close frame, set before out is closed
}

// readPump takes what the guest says to the room, until the connection ends.
func (g *guest) readPump() error {
	config := &g.room.config
	alive := func(string) error {
		return g.conn.SetReadDeadline(time.Now().Add(config.PongWait))
	}
	g.conn.SetReadLimit(config.MaxMessage)
	g.conn.SetPongHandler(alive)
	if err := alive(""); err != nil {
		return err
	}
	for {
		_, message, err := g.conn.ReadMessage()
		if err != nil {
			return err
		}
		message = bytes.TrimSpace(bytes.ReplaceAll(message, []byte{'\n'}, []byte{' '}))
		if string(message) == "/leave" {
			g.room.leave <- g
			continue // until the close frames have been exchanged
		}
		g.room.broadcast <- message
	}
}

// writePump brings the guest what it is to hear, and pings. It ends when the
// room has said goodbye or the guest takes nothing more.
func (g *guest) writePump() {
	ticker := time.NewTicker(g.room.config.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case message, ok := <-g.out:
			g.moreTime()
			if !ok {
				if g.conn.WriteMessage(websocket.CloseMessage, g.goodbye) != nil {
					_ = g.conn.Close()
				}
				return
			}
			if g.say(message) != nil {
				_ = g.conn.Close() // which ends the readPump
				return
			}
		case <-ticker.C:
			g.moreTime()
			if g.conn.WriteMessage(websocket.PingMessage, nil) != nil {
				_ = g.conn.Close()
				return
			}
		}
	}
}

func (g *guest) moreTime() {
	_ = g.conn.SetWriteDeadline(time.Now().Add(g.room.config.WriteWait))
}

// say sends a message and those that wait behind it as one, a line each.
func (g *guest) say(message []byte) error {
	w, err := g.conn.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	for range len(g.out) {
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return err
		}
		if _, err := w.Write(<-g.out); err != nil {
			return err
		}
	}
	return w.Close()
}
