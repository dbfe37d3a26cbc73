package websocket

import (
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteJSON(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		require.NoError(t, c.WriteJSON(map[string]string{"tag": "<b>&"}))
		p.want("HTML is escaped and a newline ends it", finText, `{"tag":"\u003cb\u003e\u0026"}`+"\n")
		require.NoError(t, WriteJSON(c, 1))
		p.want("the function does as the method", finText, "1\n")
		require.NoError(t, c.WriteJSON(ascii(50_000)))
		p.want("one frame, whatever its size", finText, `"`+ascii(50_000)+`"`+"\n")
	})
}

func TestWriteJSONThatFailsToEncodeSendsNothing(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var unsupported *json.UnsupportedTypeError
		require.ErrorAs(t, c.WriteJSON(map[string]any{"a": ascii(50_000), "b": make(chan int)}), &unsupported)
		p.wantSilence("nothing was sent")
		require.NoError(t, c.WriteJSON("next"))
		p.want("the next message", finText, "\"next\"\n")
	})
}

func TestReadJSON(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var v struct{ A, B int }
		p.send(p.frame(finText, `{"A":1}`), p.frame(beginText, `{"B"`), p.frame(finContinue, `:2}`))
		require.NoError(t, c.ReadJSON(&v))
		require.NoError(t, ReadJSON(c, &v))
		require.Equal(t, 1, v.A)
		require.Equal(t, 2, v.B)

		p.send(p.frame(finBinary, `7 {"what follows" is ignored`))
		var n int
		require.NoError(t, c.ReadJSON(&n), "binary messages are read too")
		require.Equal(t, 7, n)
	})
}

func TestReadJSONOfAnEmptyOrCutMessage(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var v any
		for _, message := range []string{"", " \n", "{", `{"a":`, `"abc`, "[1,"} {
			p.send(p.frame(finText, message))
			require.Equal(t, io.ErrUnexpectedEOF, c.ReadJSON(&v), "%q", message)
		}
	})
}

func TestBadJSONLeavesTheConnectionUsable(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		var n int
		var syntax *json.SyntaxError
		var wrong *json.UnmarshalTypeError
		p.send(p.frame(finText, "{]"+ascii(50_000)), p.frame(finText, `"text"`), p.frame(finText, "3"))
		require.ErrorAs(t, c.ReadJSON(&n), &syntax)
		require.ErrorAs(t, c.ReadJSON(&n), &wrong)
		require.NoError(t, c.ReadJSON(&n))
		require.Equal(t, 3, n)
	})
}

func TestReadJSONReturnsTheErrorsOfTheRead(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finClose, closePayload(1000, "")))
		var v any
		require.Equal(t, &CloseError{Code: 1000}, c.ReadJSON(&v))
	})
}

func TestJoinMessages(t *testing.T) {
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "one"), p.frame(finBinary, ""), p.frame(beginText, "th"), p.frame(finContinue, "ree"),
			p.frame(finClose, closePayload(1000, "")))
		got, err := io.ReadAll(JoinMessages(c, "\n"))
		require.Equal(t, "one\n\nthree\n", string(got))
		require.Equal(t, &CloseError{Code: 1000}, err)
	})
	eachConn(t, func(t *testing.T, c *Conn, p *peer) {
		p.send(p.frame(finText, "1 "), p.frame(finText, "2 "), p.frame(finText, "3"))
		require.NoError(t, p.Close())
		got, err := io.ReadAll(JoinMessages(c, ""))
		require.Equal(t, "1 2 3", string(got))
		require.True(t, IsCloseError(err, CloseAbnormalClosure))
	})
}

func TestIsCloseError(t *testing.T) {
	closed := &CloseError{Code: CloseGoingAway}
	wrapped := errors.Join(errors.New("other"), closed)
	require.True(t, IsCloseError(closed, CloseNormalClosure, CloseGoingAway))
	require.True(t, IsCloseError(wrapped, CloseGoingAway))
	require.False(t, IsCloseError(closed, CloseNormalClosure))
	require.False(t, IsCloseError(io.EOF, CloseNormalClosure))
	require.False(t, IsCloseError(nil))
	require.True(t, IsUnexpectedCloseError(closed, CloseNormalClosure))
	require.True(t, IsUnexpectedCloseError(wrapped))
	require.False(t, IsUnexpectedCloseError(closed, CloseGoingAway))
	require.False(t, IsUnexpectedCloseError(io.EOF))
	require.EqualError(t, closed, "websocket: close 1001 (going away)")
	require.EqualError(t, &CloseError{Code: 4000, Text: "why"}, "websocket: close 4000: why")
	require.EqualError(t, &CloseError{Code: 1006, Text: "unexpected EOF"}, "websocket: close 1006 (abnormal closure): unexpected EOF")
}
