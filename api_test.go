package websocket_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/seed62ce5aa7/websocket"
)

// The exported API of gorilla/websocket v1.5.3, as far as a compiler can hold
// it: programs that are written for that library must compile with this one.

// Constants are untyped: they fit every integer type that can hold them.
const (
	_ int8    = websocket.TextMessage
	_ uint8   = websocket.BinaryMessage
	_ int64   = websocket.CloseMessage
	_ uint    = websocket.PingMessage
	_ float64 = websocket.PongMessage

	_ uint16 = websocket.CloseNormalClosure
	_ uint16 = websocket.CloseGoingAway
	_ uint16 = websocket.CloseProtocolError
	_ uint16 = websocket.CloseUnsupportedData
	_ uint16 = websocket.CloseNoStatusReceived
	_ uint16 = websocket.CloseAbnormalClosure
	_ uint16 = websocket.CloseInvalidFramePayloadData
	_ uint16 = websocket.ClosePolicyViolation
	_ uint16 = websocket.CloseMessageTooBig
	_ uint16 = websocket.CloseMandatoryExtension
	_ uint16 = websocket.CloseInternalServerErr
	_ uint16 = websocket.CloseServiceRestart
	_ uint16 = websocket.CloseTryAgainLater
	_ uint16 = websocket.CloseTLSHandshake
)

// And have these values.
var _ = map[bool]int{
	false: 0,
	websocket.TextMessage == 1 && websocket.BinaryMessage == 2 && websocket.CloseMessage == 8 &&
		websocket.PingMessage == 9 && websocket.PongMessage == 10 &&
		websocket.CloseNormalClosure == 1000 && websocket.CloseGoingAway == 1001 &&
		websocket.CloseProtocolError == 1002 && websocket.CloseUnsupportedData == 1003 &&
		websocket.CloseNoStatusReceived == 1005 && websocket.CloseAbnormalClosure == 1006 &&
		websocket.CloseInvalidFramePayloadData == 1007 && websocket.ClosePolicyViolation == 1008 &&
		websocket.CloseMessageTooBig == 1009 && websocket.CloseMandatoryExtension == 1010 &&
		websocket.CloseInternalServerErr == 1011 && websocket.CloseServiceRestart == 1012 &&
		websocket.CloseTryAgainLater == 1013 && websocket.CloseTLSHandshake == 1015: 1,
}

// Variables and functions.
var (
	_ *websocket.Dialer = websocket.DefaultDialer
	_ error             = websocket.ErrBadHandshake
	_ error             = websocket.ErrCloseSent
	_ error             = websocket.ErrReadLimit

	_ func(int, string) []byte                                                                 = websocket.FormatCloseMessage
	_ func(error, ...int) bool                                                                 = websocket.IsCloseError
	_ func(error, ...int) bool                                                                 = websocket.IsUnexpectedCloseError
	_ func(*http.Request) bool                                                                 = websocket.IsWebSocketUpgrade
	_ func(*websocket.Conn, string) io.Reader                                                  = websocket.JoinMessages
	_ func(*websocket.Conn, interface{}) error                                                 = websocket.ReadJSON
	_ func(*websocket.Conn, interface{}) error                                                 = websocket.WriteJSON
	_ func(*http.Request) []string                                                             = websocket.Subprotocols
	_ func(http.ResponseWriter, *http.Request, http.Header, int, int) (*websocket.Conn, error) = websocket.Upgrade
	_ func(int, []byte) (*websocket.PreparedMessage, error)                                    = websocket.NewPreparedMessage

	_ func(net.Conn, *url.URL, http.Header, int, int) (*websocket.Conn, *http.Response, error) = websocket.NewClient
)

// Methods.
var (
	_ func(*websocket.Conn) error                             = (*websocket.Conn).Close
	_ func(*websocket.Conn) func(int, string) error           = (*websocket.Conn).CloseHandler
	_ func(*websocket.Conn, bool)                             = (*websocket.Conn).EnableWriteCompression
	_ func(*websocket.Conn) net.Addr                          = (*websocket.Conn).LocalAddr
	_ func(*websocket.Conn) net.Conn                          = (*websocket.Conn).NetConn
	_ func(*websocket.Conn) (int, io.Reader, error)           = (*websocket.Conn).NextReader
	_ func(*websocket.Conn, int) (io.WriteCloser, error)      = (*websocket.Conn).NextWriter
	_ func(*websocket.Conn) func(string) error                = (*websocket.Conn).PingHandler
	_ func(*websocket.Conn) func(string) error                = (*websocket.Conn).PongHandler
	_ func(*websocket.Conn, interface{}) error                = (*websocket.Conn).ReadJSON
	_ func(*websocket.Conn) (int, []byte, error)              = (*websocket.Conn).ReadMessage
	_ func(*websocket.Conn) net.Addr                          = (*websocket.Conn).RemoteAddr
	_ func(*websocket.Conn, func(int, string) error)          = (*websocket.Conn).SetCloseHandler
	_ func(*websocket.Conn, int) error                        = (*websocket.Conn).SetCompressionLevel
	_ func(*websocket.Conn, func(string) error)               = (*websocket.Conn).SetPingHandler
	_ func(*websocket.Conn, func(string) error)               = (*websocket.Conn).SetPongHandler
	_ func(*websocket.Conn, time.Time) error                  = (*websocket.Conn).SetReadDeadline
	_ func(*websocket.Conn, int64)                            = (*websocket.Conn).SetReadLimit
	_ func(*websocket.Conn, time.Time) error                  = (*websocket.Conn).SetWriteDeadline
	_ func(*websocket.Conn) string                            = (*websocket.Conn).Subprotocol
	_ func(*websocket.Conn) net.Conn                          = (*websocket.Conn).UnderlyingConn
	_ func(*websocket.Conn, int, []byte, time.Time) error     = (*websocket.Conn).WriteControl
	_ func(*websocket.Conn, interface{}) error                = (*websocket.Conn).WriteJSON
	_ func(*websocket.Conn, int, []byte) error                = (*websocket.Conn).WriteMessage
	_ func(*websocket.Conn, *websocket.PreparedMessage) error = (*websocket.Conn).WritePreparedMessage
	_ func(*websocket.CloseError) string                      = (*websocket.CloseError).Error
	_ func(websocket.HandshakeError) string                   = websocket.HandshakeError.Error

	_ func(*websocket.Upgrader, http.ResponseWriter, *http.Request, http.Header) (*websocket.Conn, error)    = (*websocket.Upgrader).Upgrade
	_ func(*websocket.Dialer, string, http.Header) (*websocket.Conn, *http.Response, error)                  = (*websocket.Dialer).Dial
	_ func(*websocket.Dialer, context.Context, string, http.Header) (*websocket.Conn, *http.Response, error) = (*websocket.Dialer).DialContext
)

// Types: interfaces that are met, literals without field names, comparisons,
// use as a key and as a value, fields by assignment.
var (
	_ error                = &websocket.CloseError{1000, "unkeyed"}
	_ error                = websocket.HandshakeError{}
	_ websocket.BufferPool = (*sync.Pool)(nil)

	_ = websocket.CloseError{} == websocket.CloseError{Code: 1000, Text: "x"}
	_ = websocket.HandshakeError{} == websocket.HandshakeError{}
	_ = map[websocket.CloseError]bool{}
	_ = map[websocket.HandshakeError]bool{}
	_ = map[*websocket.Conn]bool{}
	_ = map[*websocket.PreparedMessage]bool{}
)

type bufferPool struct{}

func (bufferPool) Get() interface{}  { return nil }
func (bufferPool) Put(v interface{}) {}

func _() (websocket.Upgrader, websocket.Dialer) {
	var u websocket.Upgrader
	u.HandshakeTimeout = time.Second
	u.ReadBufferSize, u.WriteBufferSize = 1, 1
	u.WriteBufferPool = bufferPool{}
	u.Subprotocols = []string{}
	u.Error = func(w http.ResponseWriter, r *http.Request, status int, reason error) {}
	u.CheckOrigin = func(r *http.Request) bool { return true }
	u.EnableCompression = true

	var d websocket.Dialer
	d.NetDial = func(network, addr string) (net.Conn, error) { return nil, nil }
	d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) { return nil, nil }
	d.NetDialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) { return nil, nil }
	d.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	d.TLSClientConfig = &tls.Config{}
	d.HandshakeTimeout = time.Second
	d.ReadBufferSize, d.WriteBufferSize = 1, 1
	d.WriteBufferPool = &sync.Pool{}
	d.Subprotocols = []string{}
	d.EnableCompression = true
	d.Jar = http.CookieJar(nil)

	websocket.DefaultDialer = &d
	websocket.ErrBadHandshake = io.EOF
	websocket.ErrCloseSent = io.EOF
	websocket.ErrReadLimit = io.EOF
	return u, d
}
