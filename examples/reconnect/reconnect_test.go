package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/websockettest"
	"github.com/stretchr/testify/require"
)

// A site is a server in memory, so that a test in a bubble of testing/synctest
// can dial it, where waits take no time and are exact.
type site struct {
	begin time.Time
	dials []time.Duration // when they came
}

// A turn is what comes of a dial. It may be an error, an HTTP status that is no
// upgrade, or a connection that something is done with before it is closed.
type turn struct {
	err    error
	status int
	header http.Header
	talk   func(conn *websocket.Conn)
}

// newSite makes a site, and a Dialer for which it is at any address. The first
// dial takes the first turn, and so on; the last is for all that follow.
func newSite(t *testing.T, turns ...turn) (*site, *websocket.Dialer) {
	s := &site{begin: time.Now()}
	next := make(chan turn, 1)
	dialer := websockettest.NewDialer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turn := <-next
		if turn.status != 0 {
			for name, values := range turn.header {
				w.Header()[name] = values
			}
			http.Error(w, "not now", turn.status)
			return
		}
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if turn.talk != nil {
			turn.talk(conn)
		}
	}))
	dial := dialer.NetDialContext
	dialer.NetDialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		turn := turns[min(len(s.dials), len(turns)-1)]
		s.dials = append(s.dials, time.Since(s.begin))
		if turn.err != nil {
			return nil, turn.err
		}
		next <- turn
		return dial(ctx, network, address)
	}
	return s, dialer
}

// waits are the times between dials.
func (s *site) waits() (waits []time.Duration) {
	for i := 1; i < len(s.dials); i++ {
		waits = append(waits, s.dials[i]-s.dials[i-1])
	}
	return waits
}

const address = "ws://site.example/"

var errCable = errors.New("cable cut")

// untilEnd reads until the connection ends.
func untilEnd(_ context.Context, conn *websocket.Conn) error {
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return err
		}
	}
}

// to is a Reconnect that dials by d and reads.
func to(d *websocket.Dialer) *Reconnect {
	return &Reconnect{
		Dial: func(ctx context.Context) (*websocket.Conn, *http.Response, error) {
			return d.DialContext(ctx, address, nil)
		},
		Serve:     untilEnd,
		FirstWait: time.Second,
		LongWait:  10 * time.Second,
		Lasted:    time.Minute,
	}
}

// Whatever goes wrong, the client comes back, and waits for longer and longer.
func TestComesBack(t *testing.T) {
	for name, turn := range map[string]turn{
		"no connection":               {err: errCable},
		"no answer":                   {status: http.StatusBadGateway},
		"a restart":                   {status: http.StatusServiceUnavailable},
		"too many":                    {status: http.StatusTooManyRequests},
		"a page instead":              {status: http.StatusOK},
		"a connection that is closed": {},
		"a connection that is short": {talk: func(*websocket.Conn) {
			time.Sleep(59 * time.Second) // of the bubble
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				site, d := newSite(t, turn)
				r := to(d)
				var waits []time.Duration
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r.Note = func(err error, wait time.Duration) {
					require.Error(t, err)
					if waits = append(waits, wait); len(waits) == 12 {
						cancel()
					}
				}
				require.Equal(t, context.Canceled, r.Run(ctx))
				require.Len(t, site.dials, 12)
				require.Greater(t, slices.Max(waits), 2*time.Second, "they do not grow") // but for one in a million
				for i, between := range site.waits() {
					limit := min(time.Second<<i, 10*time.Second)
					require.LessOrEqual(t, waits[i], limit)
					took := waits[i]
					if turn.talk != nil {
						took += 59 * time.Second
					}
					require.Equal(t, took, between)
				}
			})
		})
	}
}

// The waits are spread over all of what they may be, from nothing on, so that
// clients that were cut off together do not come back together.
func TestJitter(t *testing.T) {
	r := &Reconnect{FirstWait: time.Second, LongWait: 10 * time.Second}
	for failures, seconds := range map[int]int{0: 1, 1: 2, 2: 4, 3: 8, 4: 10, 5: 10, 100: 10, 1_000_000: 10} {
		limit := time.Duration(seconds) * time.Second
		var quarters [4]int
		for range 1000 {
			wait := r.jitter(failures)
			require.True(t, 0 <= wait && wait <= limit)
			quarters[min(wait*4/limit, 3)]++
		}
		for _, n := range quarters {
			require.Greater(t, n, 150, "of 250")
		}
	}
	require.LessOrEqual(t, new(Reconnect).jitter(0), time.Second/2)
	require.LessOrEqual(t, new(Reconnect).jitter(100), 30*time.Second)
}

// A connection that lasted makes up for all failures before it.
func TestWaitsBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns []turn
		for range 8 {
			turns = append(turns, turn{err: errCable})
		}
		lasting := turn{talk: func(*websocket.Conn) { time.Sleep(time.Minute) }}
		_, d := newSite(t, append(turns, lasting, turn{err: errCable}, turn{err: errCable}, turn{status: http.StatusForbidden})...)
		r := to(d)
		var waits []time.Duration
		r.LongWait = time.Hour
		r.Note = func(_ error, wait time.Duration) { waits = append(waits, wait) }
		require.ErrorIs(t, r.Run(t.Context()), websocket.ErrBadHandshake)
		require.Len(t, waits, 11)
		require.LessOrEqual(t, waits[8], time.Second)
		require.LessOrEqual(t, waits[9], 2*time.Second)
		require.LessOrEqual(t, waits[10], 4*time.Second)
	})
}

// A server that does not want us is not asked again, and neither is one that
// cannot be asked.
func TestStopsWhereThereIsNoHope(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 410, 426, 451} {
		synctest.Test(t, func(t *testing.T) {
			site, d := newSite(t, turn{err: errCable}, turn{status: status})
			err := to(d).Run(t.Context())
			require.ErrorIs(t, err, websocket.ErrBadHandshake)
			require.ErrorContains(t, err, http.StatusText(status))
			require.Len(t, site.dials, 2)
		})
	}
	for _, bad := range []string{"http://site.example/", "ws://", "ws://site.example/%zz", "ws://[::1"} {
		r := &Reconnect{Serve: untilEnd, Dial: func(ctx context.Context) (*websocket.Conn, *http.Response, error) {
			return websocket.DefaultDialer.DialContext(ctx, bad, nil)
		}}
		require.Error(t, r.Run(t.Context()))
	}
	synctest.Test(t, func(t *testing.T) {
		site, d := newSite(t, turn{status: http.StatusFound, header: http.Header{"Location": {"ftp://site.example/"}}})
		d.MaxRedirects = 1
		err := to(d).Run(t.Context())
		var failed *websocket.DialError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, websocket.DialRedirect, failed.Reason)
		require.Len(t, site.dials, 1)
	})
}

// A server that says when to come back is not bothered before, nor by everybody
// at that instant. RFC 9110 §10.2.3.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		status int
		value  string // with a date two minutes ahead for "date"
		want   time.Duration
	}{
		{429, "120", 2 * time.Minute}, {503, "120", 2 * time.Minute}, {503, "date", 2 * time.Minute},
		{503, "0", 0}, {503, "", 0}, {503, "-5", 0}, {503, "soon", 0}, {503, "1.5", 0}, {503, "Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{503, "4294967295", 24 * time.Hour}, {503, "99999999999999999999", 0}, {503, "Fri, 31 Dec 9999 23:59:59 GMT", 24 * time.Hour},
		{500, "120", 0}, {502, "120", 0}, {200, "120", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			value := c.value
			if value == "date" {
				value = time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)
			}
			site, d := newSite(t, turn{status: c.status, header: http.Header{"Retry-After": {value}}}, turn{status: 403})
			require.ErrorIs(t, to(d).Run(t.Context()), websocket.ErrBadHandshake)
			require.Greater(t, site.waits()[0], c.want, "%+v", c) // the jitter is none once in 10⁹
			require.LessOrEqual(t, site.waits()[0], c.want+time.Second, "%+v", c)
		})
	}
}

// The end of the context ends a dial, a wait and a connection.
func TestContextEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // while it dials
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d := &websocket.Dialer{NetDialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		begin := time.Now()
		require.Equal(t, context.DeadlineExceeded, to(d).Run(ctx))
		require.Equal(t, time.Second, time.Since(begin))
	})
	synctest.Test(t, func(t *testing.T) { // while it waits
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, d := newSite(t, turn{status: 503, header: http.Header{"Retry-After": {"3600"}}})
		time.AfterFunc(time.Minute, cancel)
		begin := time.Now()
		require.Equal(t, context.Canceled, to(d).Run(ctx))
		require.Equal(t, time.Minute, time.Since(begin))
	})
	synctest.Test(t, func(t *testing.T) { // while it is refused
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, d := newSite(t, turn{status: 403})
		r := to(d)
		dial := r.Dial
		r.Dial = func(ctx context.Context) (*websocket.Conn, *http.Response, error) {
			defer cancel()
			return dial(ctx)
		}
		require.Equal(t, context.Canceled, r.Run(ctx))
	})
}

// Serve may have had enough, or met what no connection will mend.
func TestServeEndsRun(t *testing.T) {
	for _, c := range []struct{ serve, want error }{{nil, nil}, {Stop{errCable}, errCable}} {
		synctest.Test(t, func(t *testing.T) {
			closed := make(chan error, 1)
			site, d := newSite(t, turn{err: errCable}, turn{talk: func(conn *websocket.Conn) { closed <- untilEnd(t.Context(), conn) }})
			r := to(d)
			r.Serve = func(context.Context, *websocket.Conn) error { return c.serve }
			require.Equal(t, c.want, r.Run(t.Context()))
			require.Len(t, site.dials, 2)
			require.Error(t, <-closed, "the connection is left open")
		})
	}
}

// The program, with a server that restarts in the middle of it.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sends := func(messages ...string) func(conn *websocket.Conn) {
			return func(conn *websocket.Conn) {
				_, asked, err := conn.ReadMessage()
				require.NoError(t, err)
				require.Equal(t, "events, please", string(asked))
				for _, m := range messages {
					require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte(m)))
				}
			}
		}
		goodbye := make(chan error, 1)
		_, d := newSite(t,
			turn{talk: sends("one", "two\a")}, turn{err: errCable}, turn{status: http.StatusBadGateway},
			turn{talk: func(conn *websocket.Conn) {
				sends("three")(conn)
				time.AfterFunc(time.Second, cancel) // the user's Ctrl-C
				goodbye <- untilEnd(ctx, conn)
			}})
		var stdout, logged bytes.Buffer
		err := follow(ctx, d, address, "events, please", &stdout, log.New(&logged, "", 0))
		require.Equal(t, context.Canceled, err)
		require.True(t, websocket.IsCloseError(<-goodbye, websocket.CloseNormalClosure))
		require.Equal(t, "\"one\"\n\"two\\a\"\n\"three\"\n", stdout.String())
		require.Equal(t, 2, strings.Count(logged.String(), "connected to "+address), logged.String())
		require.Equal(t, 3, strings.Count(logged.String(), "trying again in "), logged.String())
	})
}

// What a server gives as its reason is printed, and not obeyed.
func TestFollowOfAServerThatTalksToTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d := newSite(t, turn{talk: func(conn *websocket.Conn) {
			reason := websocket.FormatCloseMessage(4000, "\x1b[2J\nall is well")
			require.NoError(t, conn.WriteMessage(websocket.CloseMessage, reason))
			_ = untilEnd(t.Context(), conn)
		}}, turn{status: http.StatusForbidden})
		var logged bytes.Buffer
		require.Error(t, follow(t.Context(), d, address, "", io.Discard, log.New(&logged, "", 0)))
		require.Contains(t, logged.String(), "all is well")
		require.NotContains(t, logged.String(), "\x1b")
		require.Equal(t, 2, strings.Count(logged.String(), "\n"), logged.String())
	})
}

// A program whose output is closed ends.
func TestFollowWithoutOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, d := newSite(t, turn{talk: func(conn *websocket.Conn) {
			require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte("one")))
			_ = untilEnd(t.Context(), conn)
		}})
		r, w := io.Pipe()
		require.NoError(t, r.Close())
		err := follow(t.Context(), d, address, "", w, log.New(io.Discard, "", 0))
		require.Equal(t, io.ErrClosedPipe, err)
		require.Len(t, site.dials, 1)
	})
}
