// Package reconnect is the client of a feed: it subscribes, and when the
// connection is lost it dials again, waits longer each time, and goes on behind
// the last event that it has seen.
package reconnect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// The subprotocols that the client speaks.
const (
	Singles = "feed.v1" // an event a message
	Batches = "feed.v2" // a list of events a message
)

// An Event is one of a topic's, which are numbered from 1.
type Event struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
}

// A Subscription is the first message of a client.
type Subscription struct {
	Subscribe string `json:"subscribe"`
	After     int    `json:"after"`
}

// A Client follows one topic.
type Client struct {
	URL   string // ws or wss
	Topic string
	Token string         // for the server to know us by, if it wants to
	Jar   http.CookieJar // nil: no cookies

	NetDialContext   func(ctx context.Context, network, addr string) (net.Conn, error)
	HandshakeTimeout time.Duration

	Idle      time.Duration // the longest silence that is believed
	FirstWait time.Duration // before the second dial; doubled for each one after
	LongWait  time.Duration // the longest wait

	Handle func(Event)
	Note   func(why string) // why the connection was lost or a message dropped
}

// A Refused is the error when the server does not want us.
type Refused struct {
	Status int // of HTTP
	Body   string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("the feed refuses us: %d %s", e.Status, strings.TrimSpace(e.Body))
}

// errTryLater is a server that is not ready, and may have said when it will be.
type errTryLater struct {
	status int
	after  time.Duration
}

func (e *errTryLater) Error() string { return "the feed is not ready: " + strconv.Itoa(e.status) }

// Run follows the topic until the server ends it, for which it returns nil, does
// not want us, or the context ends.
func (c *Client) Run(ctx context.Context) error {
	last, wait := 0, c.FirstWait
	for {
		conn, err := c.dial(ctx)
		if err == nil {
			before := last
			err = c.follow(ctx, conn, &last)
			_ = conn.Close()
			if last > before {
				wait = c.FirstWait // it was worth it
			}
		}
		if refused := (*Refused)(nil); err == nil || errors.As(err, &refused) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.Note(reason(err))
		pause := wait
		if later := (*errTryLater)(nil); errors.As(err, &later) && later.after > 0 {
			pause = later.after
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		wait = min(2*wait, c.LongWait)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reason puts an error into a few words.
func reason(err error) string {
	if e, ok := err.(*websocket.CloseError); ok {
		return fmt.Sprintf("closed: %d %s", e.Code, e.Text)
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return "timeout"
	}
	return err.Error()
}

func (c *Client) dial(ctx context.Context) (*websocket.Conn, error) {
	dialer := websocket.Dialer{
		NetDialContext:   c.NetDialContext,
		HandshakeTimeout: c.HandshakeTimeout,
		Subprotocols:     []string{Batches, Singles},
		Jar:              c.Jar,
	}
	header := http.Header{}
	if c.Token != "" {
		header.Set("Authorization", "Bearer "+c.Token)
	}
	conn, response, err := dialer.DialContext(ctx, c.URL, header)
	if err == websocket.ErrBadHandshake {
		return nil, refusal(response)
	}
	return conn, err
}

// refusal is what a response means that is not the one of a handshake.
func refusal(response *http.Response) error {
	switch status := response.StatusCode; status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return &errTryLater{status, time.Duration(seconds) * time.Second}
	default:
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		return &Refused{status, string(body)}
	}
}

// follow subscribes and takes events until the connection ends.
func (c *Client) follow(ctx context.Context, conn *websocket.Conn, last *int) error {
	// The end of the context wakes the read.
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()

	_ = conn.SetWriteDeadline(time.Now().Add(c.Idle))
	if err := conn.WriteJSON(Subscription{c.Topic, *last}); err != nil {
		return err
	}
	for {
		_ = conn.SetReadDeadline(time.Now().Add(c.Idle))
		if ctx.Err() != nil {
			c.leave(conn)
			return ctx.Err()
		}
		events, err := readEvents(conn)
		switch {
		case err == nil:
			for _, e := range events {
				if e.Number > *last { // or we have had it
					*last = e.Number
					c.Handle(e)
				}
			}
		case isMalformed(err):
			c.Note("malformed: " + err.Error())
		case websocket.IsCloseError(err, websocket.CloseNormalClosure):
			return nil
		case ctx.Err() != nil:
			c.leave(conn)
			return ctx.Err()
		default:
			return err
		}
	}
}

func (c *Client) leave(conn *websocket.Conn) {
	goodbye := websocket.FormatCloseMessage(websocket.CloseGoingAway, "")
	_ = conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
}

// readEvents reads a message as the subprotocol has it.
func readEvents(conn *websocket.Conn) ([]Event, error) {
	if conn.Subprotocol() == Batches {
		var batch []Event
		err := conn.ReadJSON(&batch)
		return batch, err
	}
	var single Event
	err := conn.ReadJSON(&single)
	return []Event{single}, err
}

// isMalformed tells a message that is no event from a connection that is lost:
// the next message may be better.
func isMalformed(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind) || err == io.ErrUnexpectedEOF
}
