package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// A Reconnect stays connected: it dials, has Serve use the connection, and dials
// again when that is lost, or when there was none to be had.
//
// Before each further try it waits for a random time ("full jitter"), so that
// clients that were cut off together do not come back together: up to FirstWait
// at first, and up to twice as long after each failure, but not above LongWait.
type Reconnect struct {
	// Dial makes a connection, as websocket.Dialer's DialContext does.
	Dial func(ctx context.Context) (*websocket.Conn, *http.Response, error)

	// Serve uses the connection until it ends, or the context does, and returns
	// why. If it returns nil or a Stop, that is all. The connection is closed
	// behind it.
	Serve func(ctx context.Context, conn *websocket.Conn) error

	FirstWait time.Duration // zero means half a second
	LongWait  time.Duration // zero means 30 seconds

	// Lasted is how long a connection must have lasted for the waits to begin
	// anew: a server that accepts connections only to drop them is no better
	// than one that does not. Zero means 10 seconds.
	Lasted time.Duration

	// Note, if it is not nil, is told what went wrong and how long the wait is.
	Note func(err error, wait time.Duration)
}

// A Stop is what Serve returns to end Run, which then returns Err.
type Stop struct{ Err error }

func (s Stop) Error() string { return s.Err.Error() }

// Run returns when Serve says so, when the context has ended, with its error, or
// when there is no sense in trying again, with the reason.
func (r *Reconnect) Run(ctx context.Context) error {
	for failures := 0; ; failures++ {
		conn, response, err := r.Dial(ctx)
		switch {
		case err == nil:
			begin := time.Now()
			err = r.Serve(ctx, conn)
			_ = conn.Close()
			var stop Stop
			switch {
			case err == nil:
				return nil
			case errors.As(err, &stop):
				return stop.Err
			case time.Since(begin) >= cmp.Or(r.Lasted, 10*time.Second):
				failures = 0
			}
		case ctx.Err() == nil && hopeless(err, response):
			if response != nil {
				err = fmt.Errorf("%w: %s", err, response.Status)
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := retryAfter(response) + r.jitter(failures)
		if r.Note != nil {
			r.Note(err, wait)
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// jitter is how long to wait after so many failures, and one.
func (r *Reconnect) jitter(failures int) time.Duration {
	first, long := cmp.Or(r.FirstWait, time.Second/2), cmp.Or(r.LongWait, 30*time.Second)
	return rand.N(min(first<<min(failures, 20), long) + 1)
}

// hopeless reports whether the next dial would fail as this one did. A server
// that refuses with 4xx means us, and will not think better of it, unless it
// says that there were too many of us. Everything else may be mended without us:
// networks, names, certificates, servers.
func hopeless(err error, response *http.Response) bool {
	var malformed *url.Error
	if errors.As(err, &malformed) {
		return true
	}
	var failed *websocket.DialError
	if errors.As(err, &failed) {
		return failed.Reason == websocket.DialRequest || failed.Reason == websocket.DialRedirect
	}
	return response != nil && response.StatusCode/100 == 4 && response.StatusCode != http.StatusTooManyRequests
}

// longestRetryAfter is for servers whose clock is wrong, or who would be rid of
// us for ever.
const longestRetryAfter = 24 * time.Hour

// retryAfter is how long the server asks us to stay away at least, RFC 9110
// §10.2.3, in seconds or as a date. The jitter is added to it, since everybody
// was told the same.
func retryAfter(response *http.Response) time.Duration {
	if response == nil || response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	value := response.Header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = time.Until(date)
	}
	return min(max(wait, 0), longestRetryAfter)
}

// sleep waits, and reports false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
