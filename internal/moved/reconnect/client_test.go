package reconnect_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62ce5aa7/websocket"
	"github.com/seed62ce5aa7/websocket/internal/moved/pipenet"
	"github.com/seed62ce5aa7/websocket/internal/moved/reconnect"
	"github.com/stretchr/testify/require"
)

// A feed is a server whose answers are written down: the first dial gets the
// first one, and so on. It runs in a bubble, so times are exact.
type feed struct {
	*pipenet.Listener
	t       *testing.T
	begin   time.Time
	answers []answer
	dials   []time.Duration // when they came
	next    chan answer     // to the dial that is under way
}

// An answer gets what it is asked, and the client's subscription if it is a
// live one.
type answer struct {
	refuse func(w http.ResponseWriter)
	live   func(conn *websocket.Conn, s reconnect.Subscription)
	check  func(r *http.Request)
	cookie string
	speaks []string
	noDial error
}

func newFeed(t *testing.T, answers ...answer) *feed {
	f := &feed{Listener: pipenet.Listen(), t: t, begin: time.Now(), answers: answers, next: make(chan answer, 1)}
	server := httptest.NewUnstartedServer(f)
	_ = server.Listener.Close()
	server.Listener = f.Listener
	server.Start()
	t.Cleanup(server.Close)
	return f
}

// dial is the client's way to the server. It notes the time.
func (f *feed) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	f.dials = append(f.dials, time.Since(f.begin))
	if len(f.dials) > len(f.answers) {
		return nil, errors.New("the feed has no more answers")
	}
	a := f.answers[len(f.dials)-1]
	if a.noDial != nil {
		return nil, a.noDial
	}
	f.next <- a
	return f.DialContext(ctx, network, addr)
}

func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := <-f.next
	if a.check != nil {
		a.check(r)
	}
	if a.refuse != nil {
		a.refuse(w)
		return
	}
	header := http.Header{}
	if a.cookie != "" {
		header.Add("Set-Cookie", a.cookie)
	}
	if a.speaks == nil {
		a.speaks = []string{reconnect.Singles}
	}
	upgrader := websocket.Upgrader{Subprotocols: a.speaks}
	conn, err := upgrader.Upgrade(w, r, header)
	if err != nil {
		f.t.Errorf("no upgrade: %v", err)
		return
	}
	defer conn.Close()
	var s reconnect.Subscription
	if err := conn.ReadJSON(&s); err != nil {
		f.t.Errorf("no subscription: %v", err)
		return
	}
	a.live(conn, s)
}

// A log is what a client's run left behind.
type log struct {
	events []reconnect.Event
	notes  []string
	err    error
}

func (f *feed) client(l *log) *reconnect.Client {
	return &reconnect.Client{
		URL: "ws://feed.example/live", Topic: "news", NetDialContext: f.dial,
		HandshakeTimeout: 5 * time.Second, Idle: time.Minute, FirstWait: time.Second, LongWait: 5 * time.Second,
		Handle: func(e reconnect.Event) { l.events = append(l.events, e) },
		Note:   func(why string) { l.notes = append(l.notes, why) },
	}
}

// follow runs a client to its end.
func (f *feed) follow(change func(*reconnect.Client)) *log {
	l := &log{}
	c := f.client(l)
	if change != nil {
		change(c)
	}
	l.err = c.Run(context.Background())
	return l
}

func send(t *testing.T, conn *websocket.Conn, events ...reconnect.Event) {
	t.Helper()
	for _, e := range events {
		require.NoError(t, conn.WriteJSON(e))
	}
}

// finish takes leave and waits for the answer.
func finish(t *testing.T, conn *websocket.Conn, code int, text string) {
	t.Helper()
	require.NoError(t, conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, text)))
	_, _, err := conn.ReadMessage()
	require.Equal(t, &websocket.CloseError{Code: code}, err)
}

// theEnd is the last answer of a feed.
func theEnd(t *testing.T) answer {
	return answer{live: func(conn *websocket.Conn, _ reconnect.Subscription) {
		finish(t, conn, websocket.CloseNormalClosure, "")
	}}
}

func TestItGoesOnWhereItWasCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, three := reconnect.Event{1, "one"}, reconnect.Event{2, "two & a <half>"}, reconnect.Event{3, "three"}
		f := newFeed(t,
			answer{live: func(conn *websocket.Conn, s reconnect.Subscription) {
				require.Equal(t, reconnect.Subscription{"news", 0}, s)
				send(t, conn, one, two)
				finish(t, conn, websocket.CloseServiceRestart, "back soon")
			}},
			answer{live: func(conn *websocket.Conn, s reconnect.Subscription) {
				require.Equal(t, reconnect.Subscription{"news", 2}, s)
				send(t, conn, two, three)
				require.NoError(t, conn.Close()) // without a word
			}},
			answer{live: func(conn *websocket.Conn, s reconnect.Subscription) {
				require.Equal(t, reconnect.Subscription{"news", 3}, s)
				finish(t, conn, websocket.CloseNormalClosure, "that was all")
			}},
		)
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Equal(t, []reconnect.Event{one, two, three}, l.events)
		require.Equal(t, []string{"closed: 1012 back soon", "closed: 1006 unexpected EOF"}, l.notes)
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second}, f.dials)
	})
}

// A message that is cut in the middle is a lost connection and no bad message.
func TestAMessageThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t,
			answer{live: func(conn *websocket.Conn, _ reconnect.Subscription) {
				_, err := conn.NetConn().Write([]byte("\x81\x20{\"number\":1,"))
				require.NoError(t, err)
			}},
			theEnd(t))
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Equal(t, []string{"closed: 1006 unexpected EOF"}, l.notes)
	})
}

func TestItWaitsLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := answer{noDial: errors.New("nobody is there")}
		live := answer{live: func(conn *websocket.Conn, s reconnect.Subscription) {
			send(t, conn, reconnect.Event{s.After + 1, "news"})
		}}
		f := newFeed(t, down, down, down, down, down, live, down, theEnd(t))
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Len(t, l.notes, 7)
		require.Equal(t, "nobody is there", l.notes[0])
		s := time.Second
		require.Equal(t, []time.Duration{0, 1 * s, 3 * s, 7 * s, 12 * s, 17 * s, 18 * s, 20 * s}, f.dials)
	})
}

func TestAServerThatIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := func(after string) answer {
			return answer{refuse: func(w http.ResponseWriter) {
				if after != "" {
					w.Header().Set("Retry-After", after)
				}
				http.Error(w, "busy", http.StatusServiceUnavailable)
			}}
		}
		f := newFeed(t, busy(""), busy("30"), theEnd(t))
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Equal(t, []string{"the feed is not ready: 503", "the feed is not ready: 503"}, l.notes)
		require.Equal(t, []time.Duration{0, time.Second, 31 * time.Second}, f.dials)
	})
}

func TestAServerThatDoesNotWantUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, answer{
			check: func(r *http.Request) {
				require.Equal(t, "Bearer old", r.Header.Get("Authorization"))
				require.True(t, websocket.IsWebSocketUpgrade(r))
				require.Equal(t, []string{reconnect.Batches, reconnect.Singles}, websocket.Subprotocols(r))
				require.Equal(t, "feed.example", r.Host)
				require.Equal(t, "/live", r.URL.Path)
			},
			refuse: func(w http.ResponseWriter) {
				http.Error(w, strings.Repeat("your token has expired\n", 100), http.StatusUnauthorized)
			},
		})
		l := f.follow(func(c *reconnect.Client) { c.Token = "old" })
		var refused *reconnect.Refused
		require.ErrorAs(t, l.err, &refused)
		require.Equal(t, http.StatusUnauthorized, refused.Status)
		require.Equal(t, strings.Repeat("your token has expired\n", 100)[:1024], refused.Body)
		require.Len(t, f.dials, 1)
	})
}

// A page where the feed should be.
func TestAServerThatKnowsNoWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, answer{refuse: func(w http.ResponseWriter) { _, _ = w.Write([]byte("welcome")) }})
		l := f.follow(nil)
		require.Equal(t, &reconnect.Refused{http.StatusOK, "welcome"}, l.err)
	})
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t,
			answer{live: func(conn *websocket.Conn, _ reconnect.Subscription) {
				send(t, conn, reconnect.Event{1, "one"})
				_, _, err := conn.ReadMessage() // until the client has had enough
				require.True(t, websocket.IsCloseError(err, websocket.CloseAbnormalClosure), "%v", err)
			}},
			theEnd(t))
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Equal(t, []string{"timeout"}, l.notes)
		require.Equal(t, []time.Duration{0, 61 * time.Second}, f.dials)
	})
}

// The handshake's time is up before the server has said a word.
func TestAServerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t,
			answer{check: func(r *http.Request) { <-r.Context().Done() }, refuse: func(http.ResponseWriter) {}},
			theEnd(t))
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Equal(t, []string{"timeout"}, l.notes)
		require.Equal(t, []time.Duration{0, 6 * time.Second}, f.dials)
	})
}

func TestMessagesThatAreNoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, answer{live: func(conn *websocket.Conn, _ reconnect.Subscription) {
			for _, m := range []string{
				`{"number":1,"text":"one"}`, `{"number":2`, ``, `{number:2}`, `{"number":"two"}`, `[]`,
				`{"number":2,"text":"two"} and what follows is ignored`,
			} {
				require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte(m)))
			}
			require.NoError(t, conn.WriteMessage(websocket.BinaryMessage, []byte(`{"number":3}`)))
			finish(t, conn, websocket.CloseNormalClosure, "")
		}})
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Equal(t, []reconnect.Event{{1, "one"}, {2, "two"}, {3, ""}}, l.events)
		require.Len(t, l.notes, 5)
		require.Equal(t, "malformed: unexpected EOF", l.notes[0])
		require.Equal(t, "malformed: unexpected EOF", l.notes[1])
		require.Len(t, f.dials, 1)
	})
}

func TestTheServersOrderOfSubprotocolsWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t,
			answer{
				speaks: []string{"feed.v9", reconnect.Batches, reconnect.Singles},
				live: func(conn *websocket.Conn, _ reconnect.Subscription) {
					require.Equal(t, reconnect.Batches, conn.Subprotocol())
					require.NoError(t, conn.WriteJSON([]reconnect.Event{{1, "one"}, {2, "two"}}))
				},
			},
			answer{
				speaks: []string{reconnect.Singles, reconnect.Batches},
				live: func(conn *websocket.Conn, _ reconnect.Subscription) {
					require.Equal(t, reconnect.Singles, conn.Subprotocol())
					send(t, conn, reconnect.Event{3, "three"})
				},
			},
			theEnd(t))
		l := f.follow(nil)
		require.NoError(t, l.err)
		require.Equal(t, []reconnect.Event{{1, "one"}, {2, "two"}, {3, "three"}}, l.events)
	})
}

func TestCookiesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cookies := func(want string) func(*http.Request) {
			return func(r *http.Request) { require.Equal(t, want, r.Header.Get("Cookie")) }
		}
		f := newFeed(t,
			answer{check: cookies(""), refuse: func(w http.ResponseWriter) {
				http.SetCookie(w, &http.Cookie{Name: "queue", Value: "7"})
				w.WriteHeader(http.StatusServiceUnavailable)
			}},
			answer{check: cookies("queue=7"), cookie: "session=s3cret; HttpOnly",
				live: func(conn *websocket.Conn, _ reconnect.Subscription) {}},
			answer{check: cookies("queue=7; session=s3cret"), live: theEnd(t).live})
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		l := f.follow(func(c *reconnect.Client) { c.Jar = jar })
		require.NoError(t, l.err)
		require.Len(t, f.dials, 3)
	})
}

// What WriteJSON sends, byte for byte.
func TestTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &log{}
		network := pipenet.Listen()
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upgrader := websocket.Upgrader{Subprotocols: []string{reconnect.Singles}}
			conn, err := upgrader.Upgrade(w, r, nil)
			require.NoError(t, err)
			defer conn.Close()
			kind, message, err := conn.ReadMessage()
			require.NoError(t, err)
			require.Equal(t, websocket.TextMessage, kind)
			require.Equal(t, `{"subscribe":"\u003cnews\u003e \u0026 more","after":0}`+"\n", string(message))
			finish(t, conn, websocket.CloseNormalClosure, "")
		}))
		_ = server.Listener.Close()
		server.Listener = network
		server.Start()
		defer server.Close()
		c := (&feed{Listener: network}).client(l)
		c.Topic, c.NetDialContext = "<news> & more", network.DialContext
		require.NoError(t, c.Run(context.Background()))
		require.Empty(t, l.notes)
	})
}

// The end of the context interrupts a read, a wait and a dial.
func TestStopping(t *testing.T) {
	t.Run("reading", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(context.Background())
			left := make(chan error, 1)
			f := newFeed(t, answer{live: func(conn *websocket.Conn, _ reconnect.Subscription) {
				synctest.Wait() // the client reads
				stop()
				_, _, err := conn.ReadMessage()
				left <- err
			}})
			require.ErrorIs(t, f.client(&log{}).Run(ctx), context.Canceled)
			require.EqualError(t, <-left, "websocket: close 1001 (going away)")
			require.Zero(t, time.Since(f.begin))
		})
	})
	t.Run("waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(context.Background(), 1500*time.Millisecond)
			defer stop()
			down := answer{noDial: errors.New("nobody is there")}
			f := newFeed(t, down, down)
			require.ErrorIs(t, f.client(&log{}).Run(ctx), context.DeadlineExceeded)
			require.Equal(t, 1500*time.Millisecond, time.Since(f.begin))
		})
	})
	t.Run("dialing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
			defer stop()
			f := newFeed(t, answer{check: func(r *http.Request) { <-r.Context().Done() }, refuse: func(http.ResponseWriter) {}})
			require.ErrorIs(t, f.client(&log{}).Run(ctx), context.DeadlineExceeded)
			require.Equal(t, 2*time.Second, time.Since(f.begin))
		})
	})
}
