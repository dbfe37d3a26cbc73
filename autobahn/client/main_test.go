package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
)

// A fakeSuite speaks the fuzzing server's side of the four requests, with cases
// that send a text and a binary message each.
type fakeSuite struct {
	count  string
	refuse string // the case that fails in the handshake

	mu   sync.Mutex
	seen []string // requests, and the answers to the messages
}

func (s *fakeSuite) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, fmt.Sprintf(format, args...))
}

func (s *fakeSuite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.add("%s", r.URL.RequestURI())
	if s.refuse != "" && r.URL.Query().Get("case") == s.refuse {
		http.Error(w, "refused", http.StatusForbidden)
		return
	}
	conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	send := func(messageType int, message string) {
		if err := conn.WriteMessage(messageType, []byte(message)); err != nil {
			s.add("error: %v", err)
		}
	}
	switch r.URL.Path {
	case "/getCaseCount":
		send(websocket.TextMessage, s.count)
	case "/runCase":
		send(websocket.TextMessage, "t")
		send(websocket.BinaryMessage, "\xff")
		for range 2 {
			messageType, message, err := conn.ReadMessage()
			s.add("%d %q %v", messageType, message, err)
		}
	}
	send(websocket.CloseMessage, string(websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")))
}

func (s *fakeSuite) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func startFake(t *testing.T, s *fakeSuite) (url string) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func TestRunCases(t *testing.T) {
	s := &fakeSuite{count: "2"}
	require.NoError(t, runCases(t.Context(), startFake(t, s), "a b"))
	require.Equal(t, []string{
		"/getCaseCount",
		"/runCase?agent=a+b&case=1", `1 "t" <nil>`, `2 "\xff" <nil>`,
		"/runCase?agent=a+b&case=2", `1 "t" <nil>`, `2 "\xff" <nil>`,
		"/updateReports?agent=a+b",
	}, s.log())
}

// A case that cannot be connected to is the report's to tell; the others run.
func TestRunCasesGoesOn(t *testing.T) {
	s := &fakeSuite{count: "2", refuse: "1"}
	require.NoError(t, runCases(t.Context(), startFake(t, s), "a"))
	require.Equal(t, []string{
		"/getCaseCount",
		"/runCase?agent=a&case=1",
		"/runCase?agent=a&case=2", `1 "t" <nil>`, `2 "\xff" <nil>`,
		"/updateReports?agent=a",
	}, s.log())
}

func TestRunCasesRejectsCounts(t *testing.T) {
	for _, count := range []string{"0", "-1", "many", ""} {
		err := runCases(t.Context(), startFake(t, &fakeSuite{count: count}), "a")
		require.ErrorContains(t, err, "asking for the number of cases", count)
	}
}
