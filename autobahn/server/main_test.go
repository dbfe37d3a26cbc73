package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket"
)

func TestEchoKeepsTypeAndContent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	require.NoError(t, err)
	defer conn.Close()

	for _, tt := range []struct {
		messageType int
		message     []byte
	}{
		{websocket.TextMessage, []byte("κόσμε")},
		{websocket.BinaryMessage, []byte{0xff, 0x00, 0xfe}},
		{websocket.TextMessage, []byte{}},
		{websocket.BinaryMessage, bytes.Repeat([]byte{7}, maxMessage)},
	} {
		require.NoError(t, conn.WriteMessage(tt.messageType, tt.message))
		messageType, message, err := conn.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, tt.messageType, messageType)
		require.True(t, bytes.Equal(tt.message, message), "%d bytes came back, other than the %d sent", len(message), len(tt.message))
	}
}

// The library judges text, not the program.
func TestEchoSendsNoInvalidText(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	require.NoError(t, err)
	defer conn.Close()

	require.NoError(t, conn.WriteMessage(websocket.TextMessage, []byte{0xff}))
	_, _, err = conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseInvalidFramePayloadData), "%v", err)
}
