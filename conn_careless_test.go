package websocket

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Programs that call what they like, where and when they like.

var preparedCall = func() *PreparedMessage {
	pm, err := NewPreparedMessage(TextMessage, []byte(similar(1, 300)))
	if err != nil {
		panic(err)
	}
	return pm
}()

func soon() time.Time { return time.Now().Add(time.Millisecond) }

// cancelledContext has ended.
var cancelledContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func notCancelled(err error) error {
	if err == context.Canceled {
		return nil
	}
	return err
}

// methodCalls has a call of each method of Conn, and returns its error, if it has one. What
// is sent is short, so that no writer has part of its message on the wire when it returns.
var methodCalls = map[string]func(c *Conn, r *rand.Rand) error{
	"AppendMessage": func(c *Conn, r *rand.Rand) error {
		dst := make([]byte, 3, 3+r.IntN(100))
		_, p, err := c.AppendMessage(dst)
		if len(p) < 3 || err != nil && len(p) > 3 {
			panic(fmt.Sprintf("AppendMessage returned %d bytes and %v", len(p), err))
		}
		return err
	},
	"Close": func(c *Conn, _ *rand.Rand) error { return c.Close() },
	"CloseContext": func(c *Conn, _ *rand.Rand) error {
		return notCancelled(c.CloseContext(cancelledContext, CloseNormalClosure, ""))
	},
	"CloseHandler":           func(c *Conn, _ *rand.Rand) error { return neverNil(c.CloseHandler() == nil) },
	"Compression":            func(c *Conn, _ *rand.Rand) error { _, _ = c.Compression(); return nil },
	"EnableWriteCompression": func(c *Conn, r *rand.Rand) error { c.EnableWriteCompression(r.IntN(2) == 0); return nil },
	"LocalAddr":              func(c *Conn, _ *rand.Rand) error { _ = c.LocalAddr(); return nil },
	"NetConn":                func(c *Conn, _ *rand.Rand) error { _ = c.NetConn(); return nil },
	"Messages": func(c *Conn, _ *rand.Rand) (err error) {
		for _, err = range c.Messages(context.Background()) {
			break
		}
		return err
	},
	"Ping": func(c *Conn, _ *rand.Rand) error {
		_, err := c.Ping(cancelledContext)
		return notCancelled(err)
	},
	"ReadMessageContext": func(c *Conn, _ *rand.Rand) error {
		_, _, err := c.ReadMessageContext(context.Background())
		return err
	},
	"Stats": func(c *Conn, _ *rand.Rand) error { _ = c.Stats(); return nil },
	"WriteMessageContext": func(c *Conn, r *rand.Rand) error {
		return c.WriteMessageContext(context.Background(), TextMessage, make([]byte, r.IntN(100)))
	},
	"NextReader": func(c *Conn, r *rand.Rand) error {
		_, reader, err := c.NextReader()
		if err == nil {
			_, _ = reader.Read(make([]byte, r.IntN(100)))
		}
		return err
	},
	"NextWriter": func(c *Conn, r *rand.Rand) error {
		w, err := c.NextWriter(1 + r.IntN(2))
		if err != nil {
			return err
		}
		_, err = w.Write(make([]byte, r.IntN(100)))
		if r.IntN(2) == 0 && err == nil {
			return ifOpen(w.Close())
		}
		return ifOpen(err)
	},
	"PingHandler":         func(c *Conn, _ *rand.Rand) error { return neverNil(c.PingHandler() == nil) },
	"PongHandler":         func(c *Conn, _ *rand.Rand) error { return neverNil(c.PongHandler() == nil) },
	"ReadJSON":            func(c *Conn, _ *rand.Rand) error { var v any; return c.ReadJSON(&v) },
	"ReadMessage":         func(c *Conn, _ *rand.Rand) error { _, _, err := c.ReadMessage(); return err },
	"RemoteAddr":          func(c *Conn, _ *rand.Rand) error { _ = c.RemoteAddr(); return nil },
	"SetCloseHandler":     func(c *Conn, _ *rand.Rand) error { c.SetCloseHandler(nil); return nil },
	"SetCompressionLevel": func(c *Conn, r *rand.Rand) error { return c.SetCompressionLevel(r.IntN(12) - 2) },
	"SetPingHandler":      func(c *Conn, _ *rand.Rand) error { c.SetPingHandler(nil); return nil },
	"SetPongHandler":      func(c *Conn, _ *rand.Rand) error { c.SetPongHandler(nil); return nil },
	"SetReadDeadline":     func(c *Conn, _ *rand.Rand) error { return c.SetReadDeadline(soon()) },
	"SetReadLimit":        func(c *Conn, _ *rand.Rand) error { c.SetReadLimit(100_000); return nil },
	"SetWriteDeadline":    func(c *Conn, _ *rand.Rand) error { return c.SetWriteDeadline(soon()) },
	"Subprotocol":         func(c *Conn, _ *rand.Rand) error { _ = c.Subprotocol(); return nil },
	"UnderlyingConn":      func(c *Conn, _ *rand.Rand) error { _ = c.UnderlyingConn(); return nil },
	"WriteControl":        func(c *Conn, r *rand.Rand) error { return c.WriteControl(9+r.IntN(2), nil, soon()) },
	"WriteJSON":           func(c *Conn, r *rand.Rand) error { return c.WriteJSON(r.IntN(100)) },
	"WriteMessage": func(c *Conn, r *rand.Rand) error {
		return c.WriteMessage([]int{TextMessage, BinaryMessage, PingMessage, PongMessage}[r.IntN(4)], make([]byte, r.IntN(100)))
	},
	"WritePreparedMessage": func(c *Conn, _ *rand.Rand) error { return c.WritePreparedMessage(preparedCall) },
}

var errNilHandler = errors.New("a handler is nil")

func neverNil(isNil bool) error {
	if isNil {
		return errNilHandler
	}
	return nil
}

// ifOpen is the error of a writer that nobody else has closed.
func ifOpen(err error) error {
	if err == errWriterClosed {
		return nil
	}
	return err
}

// A group of methods.
var (
	readMethods  = []string{"AppendMessage", "Messages", "NextReader", "ReadJSON", "ReadMessage", "ReadMessageContext"}
	writeMethods = []string{"NextWriter", "WriteControl", "WriteJSON", "WriteMessage", "WriteMessageContext", "WritePreparedMessage"}
)

// What a test does with every method, it does with all that there are.
func TestMethodCallsAreComplete(t *testing.T) {
	var methods []string
	conn := reflect.TypeFor[*Conn]()
	for i := range conn.NumMethod() {
		methods = append(methods, conn.Method(i).Name)
	}
	require.ElementsMatch(t, methods, slices.Collect(maps.Keys(methodCalls)))
}

// eachMethod runs f with every method, each on a connection of its own.
func eachMethod(t *testing.T, f func(t *testing.T, c *Conn, p *peer, name string, call func() error)) {
	for _, name := range slices.Sorted(maps.Keys(methodCalls)) {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				r := rand.New(rand.NewPCG(1, 2))
				f(t, c, p, name, func() error { return methodCalls[name](c, r) })
				require.NoError(t, c.Close())
				synctest.Wait()
				require.Equal(t, before, onLoan.Load(), "buffers")
			})
		})
	}
}

// After Close, what would read or write says so, again and again, and the rest does nothing.
func TestMethodsAfterClose(t *testing.T) {
	eachMethod(t, func(t *testing.T, c *Conn, p *peer, name string, call func() error) {
		p.send(p.frame(finText, "{}"), p.frame(finText, "{}"))
		_, _, err := c.ReadMessage()
		require.NoError(t, err)
		_, err = c.NextWriter(TextMessage)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		for range 3 {
			if name == "SetReadDeadline" || name == "Ping" || slices.Contains(readMethods, name) || slices.Contains(writeMethods, name) {
				require.ErrorIs(t, call(), net.ErrClosed)
			} else {
				require.NoError(t, call())
			}
		}
	})
}

// After an error the half that has it returns it, again and again, and no other method
// minds.
func TestMethodsAfterAnError(t *testing.T) {
	fails := map[string]func(t *testing.T, c *Conn, p *peer) (read, write error){
		"of the peer": func(t *testing.T, c *Conn, p *peer) (read, write error) {
			p.send(p.frame(0x83, "RFC 6455 §5.2"), p.frame(finText, "{}"))
			_, _, err := c.ReadMessage()
			require.Equal(t, errReservedOpcode, err)
			return err, ErrCloseSent
		},
		"of the transport": func(t *testing.T, c *Conn, p *peer) (read, write error) {
			p.ours.Out().FailWritesAfter(1, errReset)
			p.Out().CutAfter(0, errReset)
			_, _, read = c.ReadMessage()
			write = c.WriteMessage(TextMessage, []byte("cut"))
			require.ErrorIs(t, read, errReset)
			require.ErrorIs(t, write, errReset)
			return read, write
		},
		"of a handler": func(t *testing.T, c *Conn, p *peer) (read, write error) {
			c.SetPingHandler(func(string) error { return errHandler })
			p.send(p.frame(finPing, ""), p.frame(finText, "{}"))
			_, _, err := c.ReadMessage()
			require.Equal(t, errHandler, err)
			return err, nil
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			eachMethod(t, func(t *testing.T, c *Conn, p *peer, name string, call func() error) {
				read, write := fail(t, c, p)
				for range 3 {
					var want error
					switch {
					case name == "Ping" && read != nil:
						want = errNoPong
					case slices.Contains(readMethods, name):
						want = read
					case slices.Contains(writeMethods, name):
						want = write
					}
					require.True(t, want == call())
				}
			})
		})
	}
}

// handlersOf are the handlers, and the first byte of the frame that each is for.
var handlersOf = map[byte]func(c *Conn, h func() error){
	finPing:  func(c *Conn, h func() error) { c.SetPingHandler(func(string) error { return h() }) },
	finPong:  func(c *Conn, h func() error) { c.SetPongHandler(func(string) error { return h() }) },
	finClose: func(c *Conn, h func() error) { c.SetCloseHandler(func(int, string) error { return h() }) },
}

// Every method may be called in every handler: what reads gets an error, nothing waits, and
// both halves go on.
func TestMethodsInHandlers(t *testing.T) {
	for first, set := range handlersOf {
		t.Run(fmt.Sprintf("%#x", first), func(t *testing.T) {
			eachMethod(t, func(t *testing.T, c *Conn, p *peer, name string, call func() error) {
				start, calls := time.Now(), 0
				set(c, func() error {
					calls++
					if err := call(); slices.Contains(readMethods, name) {
						require.Equal(t, errConcurrentRead, err)
					} else {
						require.NoError(t, err)
					}
					return nil
				})
				p.send(p.frame(beginText, "he"), p.frame(first, ""), p.frame(finContinue, "llo"))
				_, m, err := c.ReadMessage()
				require.Equal(t, 1, calls)
				require.Zero(t, time.Since(start))
				switch {
				case first == finClose:
					require.Equal(t, &CloseError{Code: CloseNoStatusReceived}, err)
				case name == "Close", name == "CloseContext":
					require.Equal(t, errConnClosed, err)
				default:
					require.NoError(t, err)
					require.Equal(t, "hello", string(m))
				}
				if err := c.WriteMessage(TextMessage, nil); name == "Close" || name == "CloseContext" {
					require.Equal(t, errConnClosed, err)
				} else {
					require.NoError(t, err)
				}
			})
		})
	}
}

// A handler that panics does so in the read under way, whichever it is. Nothing is lost
// but what the peer's close frame ended, and nothing is held.
func TestHandlersThatPanic(t *testing.T) {
	for first, set := range handlersOf {
		for way := range 3 {
			for _, begin := range []byte{beginText, zBeginText} {
				t.Run(fmt.Sprintf("%#x/%d/%#x", first, way, begin), func(t *testing.T) {
					eachCompressed(t, bothTakeOver, func(t *testing.T, c *Conn, p *peer, z *flatePeer) {
						before := onLoan.Load()
						message := similar(1, 3000)
						payload := message
						if begin == zBeginText {
							payload = z.compress(message)
						}
						cut := len(payload) / 2
						set(c, func() error { panic(errHandler) })
						p.send(p.frame(first, ""), p.frame(begin, payload[:cut]), p.frame(first, ""), p.frame(finContinue, payload[cut:]), p.frame(first, ""), p.frame(finText, "next"))
						r := &faultReader{c: c, way: way}
						panics := func() { require.PanicsWithValue(t, errHandler, func() { _ = r.read() }) }
						panics()
						if first == finClose {
							for range 2 {
								require.Equal(t, &CloseError{Code: CloseNoStatusReceived}, r.read())
							}
						} else {
							panics()
							require.NoError(t, r.read())
							panics()
							require.NoError(t, r.read())
							require.Equal(t, []randomMessage{{TextMessage, []byte(message)}, {TextMessage, []byte("next")}}, r.messages)
						}
						require.NoError(t, c.WriteMessage(TextMessage, []byte("write")))
						p.want("writes go on", finText, "write")
						require.NoError(t, c.Close())
						require.Equal(t, before, onLoan.Load(), "buffers")
					})
				})
			}
		}
	}
}

// What a program gives a connection may panic too: the call passes that on, and the
// connection is as it was.
func TestProgramsPanicThroughConn(t *testing.T) {
	for name, call := range map[string]func(c *Conn){
		"MarshalJSON":   func(c *Conn) { _ = c.WriteJSON(panicker{}) },
		"UnmarshalJSON": func(c *Conn) { _ = c.ReadJSON(&panicker{}) },
		"a reader": func(c *Conn) {
			w, err := c.NextWriter(TextMessage)
			if err == nil {
				_, _ = io.Copy(w, panicker{})
			}
		},
		"Get of a pool": func(c *Conn) {
			c.writeOptions = newWriteOptions(1, panickingPool{onGet: true}, nil)
			_, _ = c.NextWriter(TextMessage)
		},
		"Put of a pool": func(c *Conn) {
			c.writeOptions = newWriteOptions(1, panickingPool{}, nil)
			w, err := c.NextWriter(TextMessage)
			if err == nil {
				_ = w.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachConn(t, func(t *testing.T, c *Conn, p *peer) {
				before := onLoan.Load()
				p.send(p.frame(finText, "{}"), p.frame(finText, "next"))
				require.PanicsWithValue(t, errHandler, func() { call(c) })
				c.writeOptions = nil
				require.NoError(t, c.WriteMessage(TextMessage, []byte("write")))
				if name == "Put of a pool" {
					p.want("it was sent before", finText, "")
				}
				p.want("writes go on", finText, "write")
				_, m, err := c.ReadMessage()
				require.NoError(t, err)
				if name == "UnmarshalJSON" {
					require.Equal(t, "next", string(m))
				} else {
					require.Equal(t, "{}", string(m))
				}
				require.NoError(t, c.Close())
				require.Equal(t, before, onLoan.Load(), "buffers")
			})
		})
	}
}

// A panicker panics in whatever is done with it.
type panicker struct{}

func (panicker) MarshalJSON() ([]byte, error) { panic(errHandler) }
func (panicker) UnmarshalJSON([]byte) error   { panic(errHandler) }
func (panicker) Read([]byte) (int, error)     { panic(errHandler) }

// A panickingPool is a WriteBufferPool that panics.
type panickingPool struct{ onGet bool }

func (p panickingPool) Get() any {
	if p.onGet {
		panic(errHandler)
	}
	return nil
}

func (p panickingPool) Put(any) { panic(errHandler) }

// A zero Conn says what it is in all that would need more, and does nothing in the rest.
func TestZeroConn(t *testing.T) {
	for name, call := range methodCalls {
		t.Run(name, func(t *testing.T) {
			var c Conn
			err := call(&c, rand.New(rand.NewPCG(1, 2)))
			if name == "Close" || name == "CloseContext" || name == "Ping" || name == "SetReadDeadline" || name == "SetWriteDeadline" ||
				slices.Contains(readMethods, name) || slices.Contains(writeMethods, name) {
				require.Equal(t, errNoConn, err)
			} else {
				require.NoError(t, err)
			}
		})
	}
	var c Conn
	_, err := JoinMessages(&c, "").Read(make([]byte, 1))
	require.Equal(t, errNoConn, err)
	require.Equal(t, errNoConn, c.WriteMessage(BinaryMessage, make([]byte, 100_000)))
	require.NoError(t, c.PingHandler()("x"))
	require.NoError(t, c.PongHandler()("x"))
	require.NoError(t, c.CloseHandler()(1000, ""))
	require.Nil(t, c.LocalAddr())
	require.Nil(t, c.RemoteAddr())
	require.Nil(t, c.NetConn())
	require.Nil(t, c.UnderlyingConn())
	require.Empty(t, c.Subprotocol())
	require.Equal(t, errNotPrepared, c.WritePreparedMessage(nil))
	require.Equal(t, errNotPrepared, c.WritePreparedMessage(&PreparedMessage{}))
}

// The text of each mistake of the caller's says what to do, or what may be done.
func TestMistakesSayWhatToDo(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, parser.ParseComments)
	require.NoError(t, err)
	advice := regexp.MustCompile(`\b(use|may|must|call|get one|takes|at most)\b`)
	checked := 0
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Doc == nil || !regexp.MustCompile(`^Mistakes of the caller`).MatchString(group.Doc.Text()) {
			continue
		}
		ast.Inspect(group, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
				text, err := strconv.Unquote(s.Value)
				require.NoError(t, err)
				require.Regexp(t, advice, text)
				checked++
			}
			return true
		})
	}
	require.Greater(t, checked, 7)
}
