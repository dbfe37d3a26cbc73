package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// What is asked of every net.Conn, over each transport, in both roles.
func TestNetConnIsANetConn(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "tls", "memory"} {
		for _, role := range []string{"server", "client"} {
			t.Run(network+"/"+role, func(t *testing.T) {
				checkBuffers(t)
				testnet.CheckGoroutines(t)
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					var a, b net.Conn
					if network == "memory" {
						a, b = testnet.Pipe()
					} else {
						a, b = realPair(t, network)
					}
					if _, ok := a.(*tls.Conn); ok { // the side that tests begin with is the TLS client here, whatever it is later
						shaken := make(chan error, 1)
						go func() { shaken <- b.(*tls.Conn).Handshake() }()
						if err := errors.Join(a.(*tls.Conn).Handshake(), <-shaken); err != nil {
							return nil, nil, nil, err
						}
					}
					server := role == "server"
					c1 = NetConn(newConn(a, connOptions{server: server}), BinaryMessage)
					c2 = NetConn(newConn(b, connOptions{server: !server}), BinaryMessage)
					return c1, c2, func() {
						var wg sync.WaitGroup // each waits for the other's close frame
						for _, c := range []net.Conn{c1, c2} {
							wg.Go(func() { _ = c.Close() })
						}
						wg.Wait()
					}, nil
				})
			})
		}
	}
}

// eachNetConn is eachConn with a NetConn.
func eachNetConn(t *testing.T, messageType int, f func(t *testing.T, n net.Conn, c *Conn, p *peer)) {
	t.Helper()
	eachConn(t, func(t *testing.T, c *Conn, p *peer) { f(t, NetConn(c, messageType), c, p) })
}

// A stream is read in any pieces, whatever messages it comes in.
func TestNetConnReadsAStream(t *testing.T) {
	for _, size := range []int{1, 2, 7, 100, 20_000} {
		eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
			go p.send(p.frame(finBinary, ""), p.frame(beginBinary, "ab"), p.frame(finPing, ""), p.frame(moreData, ""), p.frame(finContinue, "cd"),
				p.frame(finBinary, ""), p.frame(finBinary, "e"), p.frame(finBinary, ascii(10_000)), p.frame(finBinary, ""), p.frame(finClose, closePayload(1000, "")))
			var got []byte
			buf := make([]byte, size)
			for {
				m, err := n.Read(buf)
				got = append(got, buf[:m]...)
				if err == io.EOF {
					require.Zero(t, m)
					break
				}
				require.NoError(t, err)
				require.NotZero(t, m)
			}
			require.Equal(t, "abcde"+ascii(10_000), string(got))
			m, err := n.Read(buf)
			require.Zero(t, m)
			require.Equal(t, io.EOF, err)
			m, err = n.Read(nil)
			require.Zero(t, m)
			require.NoError(t, err)
		})
	}
}

func TestNetConnEnds(t *testing.T) {
	eachEnd := map[string]struct {
		end  func(p *peer)
		want error
	}{
		"1000":    {func(p *peer) { p.send(p.frame(finClose, closePayload(1000, "bye"))) }, io.EOF},
		"1001":    {func(p *peer) { p.send(p.frame(finClose, closePayload(1001, ""))) }, io.EOF},
		"no code": {func(p *peer) { p.send(p.frame(finClose, "")) }, io.EOF},
		"1011":    {func(p *peer) { p.send(p.frame(finClose, closePayload(1011, "oops"))) }, &CloseError{1011, "oops"}},
		"cut":     {func(p *peer) { _ = p.CloseWrite() }, &CloseError{1006, "unexpected EOF"}},
		"fault":   {func(p *peer) { p.Out().CutAfter(0, errInjected) }, errInjected},
	}
	for name, tc := range eachEnd {
		t.Run(name, func(t *testing.T) {
			eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, c *Conn, p *peer) {
				p.send(p.frame(finBinary, "last"))
				tc.end(p)
				got, err := io.ReadAll(n)
				require.Equal(t, "last", string(got))
				if tc.want == io.EOF {
					require.NoError(t, err) // ReadAll's word for it
				} else if _, ok := tc.want.(*CloseError); ok {
					require.Equal(t, tc.want, err)
				} else {
					require.ErrorIs(t, err, tc.want)
				}
				start := time.Now()
				require.NoError(t, n.Close())
				require.Zero(t, time.Since(start))
				require.True(t, p.ours.Closed())
			})
		})
	}
}

// RFC 6455 §7.4.1: 1003 is for a type of data that cannot be accepted.
func TestNetConnOfOneType(t *testing.T) {
	for messageType, other := range map[int]byte{TextMessage: finBinary, BinaryMessage: finText} {
		eachNetConn(t, messageType, func(t *testing.T, n net.Conn, c *Conn, p *peer) {
			p.send(p.frame(0x80|byte(messageType), "right"), p.frame(other, "wrong"), p.frame(0x80|byte(messageType), "late"))
			buf := make([]byte, 100)
			m, err := n.Read(buf)
			require.NoError(t, err)
			require.Equal(t, "right", string(buf[:m]))
			for range 3 {
				_, err = n.Read(buf)
				require.Equal(t, errOtherType, err)
			}
			p.wantClose("once", 1003)
			p.wantSilence("and nothing else")
			_, err = n.Write([]byte("x"))
			require.Equal(t, ErrCloseSent, err)
		})
	}
	for _, bad := range []int{0, -1, PingMessage, CloseMessage, 256 + BinaryMessage} {
		eachNetConn(t, bad, func(t *testing.T, n net.Conn, c *Conn, p *peer) {
			_, err := n.Read(make([]byte, 1))
			require.Equal(t, errNoStreamType, err)
			_, err = n.Write(make([]byte, 1))
			require.Equal(t, errNoStreamType, err)
			p.wantSilence("nothing was sent")
		})
	}
}

func TestNetConnOfNothing(t *testing.T) {
	for _, c := range []*Conn{nil, {}} {
		n := NetConn(c, BinaryMessage)
		_, err := n.Read(make([]byte, 1))
		require.Equal(t, errNoConn, err)
		_, err = n.Write(make([]byte, 1))
		require.Equal(t, errNoConn, err)
		require.Equal(t, errNoConn, n.SetReadDeadline(time.Now().Add(time.Hour)))
		require.Nil(t, n.LocalAddr())
		require.Nil(t, n.RemoteAddr())
		require.Equal(t, errNoConn, n.Close())
	}
}

// Each Write is a message, and a large one several, none of which cuts a character.
func TestNetConnWrites(t *testing.T) {
	eachNetConn(t, TextMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
		for back := range 4 {
			text := strings.Repeat("x", netConnMessage-back) + "\U0001F600" + strings.Repeat("é", 50_000)
			written := make(chan error, 1)
			go func() {
				m, err := n.Write([]byte(text))
				if m != len(text) && err == nil {
					err = io.ErrShortWrite
				}
				written <- err
			}()
			var got strings.Builder
			for got.Len() < len(text) {
				first, payload, err := p.next()
				require.NoError(t, err)
				require.EqualValues(t, finText, first)
				require.True(t, utf8.ValidString(payload))
				require.LessOrEqual(t, len(payload), netConnMessage)
				require.NotEmpty(t, payload)
				got.WriteString(payload)
			}
			require.True(t, got.String() == text)
			require.NoError(t, <-written)
		}
		m, err := n.Write(nil)
		require.NoError(t, err)
		require.Zero(t, m)
		p.wantSilence("nothing is no message")
	})
}

// A write that runs into its deadline cuts nothing: the stream goes on where the count says.
func TestNetConnWriteDeadline(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
		p.blockWrites(1000)
		stream := strings.Repeat(ascii(1000), 400)
		start := time.Now()
		written := 0
		for range 3 {
			require.NoError(t, n.SetWriteDeadline(time.Now().Add(time.Second)))
			m, err := n.Write([]byte(stream[written:]))
			wantTimeout(t, err)
			written += m
		}
		require.Equal(t, 3*time.Second, time.Since(start))
		require.NotZero(t, written)
		require.LessOrEqual(t, written, 4*netConnMessage)
		_, err := n.Write([]byte("x"))
		wantTimeout(t, err)
		time.Sleep(time.Hour) // nothing gives up meanwhile
		require.NoError(t, n.SetWriteDeadline(time.Time{}))
		p.unblockWrites()
		done := make(chan error, 1)
		go func() {
			_, err := io.WriteString(n, stream[written:])
			done <- errors.Join(err, n.Close())
		}()
		var got strings.Builder
		for {
			first, payload, err := p.next()
			require.NoError(t, err)
			if first == finClose {
				require.Equal(t, closePayload(1000, ""), payload)
				break
			}
			got.WriteString(payload)
		}
		require.True(t, stream == got.String())
		p.send(p.frame(finClose, closePayload(1000, "")))
		require.NoError(t, <-done)
	})
}

// Deadlines reach calls that wait, whoever sets them, and may be moved.
func TestNetConnMovedDeadlines(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
		p.blockWrites(0)
		start := time.Now()
		type result struct {
			err error
			at  time.Duration
		}
		reads, writes := make(chan result, 2), make(chan result, 2)
		require.NoError(t, n.SetDeadline(start.Add(time.Minute)))
		for range 2 {
			go func() {
				_, err := n.Read(make([]byte, 10))
				reads <- result{err, time.Since(start)}
			}()
			go func() {
				_, err := n.Write(make([]byte, 300_000))
				writes <- result{err, time.Since(start)}
			}()
		}
		for _, at := range []time.Duration{time.Hour, 10 * time.Second} {
			synctest.Wait()
			require.Empty(t, reads)
			require.Empty(t, writes)
			require.NoError(t, n.SetDeadline(start.Add(at)))
		}
		for range 2 {
			for _, results := range []chan result{reads, writes} {
				r := <-results
				wantTimeout(t, r.err)
				require.Equal(t, 10*time.Second, r.at)
			}
		}
		_, err := n.Write([]byte("x"))
		wantTimeout(t, err)
		p.send(p.frame(finBinary, "x"))
		_, err = n.Read(make([]byte, 1))
		wantTimeout(t, err)
		require.NoError(t, n.SetReadDeadline(time.Time{}))
		m, err := n.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, m)
		p.unblockWrites()
		go func() { _, _ = io.Copy(io.Discard, p) }()
	})
}

// A deadline that has passed holds for bytes that are there already.
func TestNetConnPastDeadline(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
		p.send(p.frame(finBinary, "ab"))
		buf := make([]byte, 1)
		_, err := n.Read(buf)
		require.NoError(t, err)
		require.NoError(t, n.SetReadDeadline(time.Now()))
		m, err := n.Read(buf)
		require.Zero(t, m)
		wantTimeout(t, err)
		require.NoError(t, n.SetReadDeadline(time.Now().Add(time.Second)))
		_, err = n.Read(buf)
		require.NoError(t, err)
		require.Equal(t, "b", string(buf))
	})
}

// Close sends what is queued, says goodbye and waits for the peer's; calls that wait end at once.
func TestNetConnClose(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, c *Conn, p *peer) {
		before := onLoan.Load()
		p.blockWrites(10)
		ended := make(chan error, 3)
		_, err := n.Write([]byte(ascii(1000)))
		require.NoError(t, err)
		go func() {
			_, err := n.Write([]byte(ascii(200_000)))
			ended <- err
		}()
		go func() {
			_, err := n.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		start := time.Now()
		go func() { closed <- n.Close() }()
		wantAll(t, 2, ended, func(err error) { require.ErrorIs(t, err, net.ErrClosed) })
		require.Zero(t, time.Since(start))
		require.Empty(t, closed)
		for _, call := range []func() error{
			func() error { _, err := n.Read(make([]byte, 1)); return err },
			func() error { _, err := n.Write(make([]byte, 1)); return err },
			func() error { return n.SetDeadline(time.Now()) },
			func() error { return n.SetReadDeadline(time.Now()) },
			func() error { return n.SetWriteDeadline(time.Now()) },
		} {
			require.ErrorIs(t, call(), net.ErrClosed)
		}
		require.NoError(t, n.Close(), "a second one waits for nothing")
		// What comes in meanwhile is dropped, so that the peer can write.
		go func() {
			for range 10 {
				if _, err := p.Write(p.frame(finText, ascii(50_000))); err != nil {
					t.Error(err)
				}
			}
			p.unblockWrites()
		}()
		p.want("what was queued", finBinary, ascii(1000))
		received := 0
		for {
			first, payload, err := p.next()
			require.NoError(t, err)
			if first == finClose {
				require.Equal(t, closePayload(1000, ""), payload)
				break
			}
			received += len(payload)
		}
		require.LessOrEqual(t, received, 200_000)
		synctest.Wait()
		require.Empty(t, closed, "it waits for the peer's close frame")
		p.send(p.frame(finClose, closePayload(1000, "")))
		require.NoError(t, <-closed)
		require.True(t, p.ours.Closed())
		require.Equal(t, before, onLoan.Load())
		wantNothingKept(t, c)
	})
}

// Close is bounded whatever the peer does not do.
func TestNetConnCloseIsBounded(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, c *Conn, p *peer) { // it does not answer
		before := onLoan.Load()
		_, err := n.Write([]byte("x"))
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, n.Close())
		require.Equal(t, netConnClose, time.Since(start))
		p.want("it was sent", finBinary, "x")
		p.wantClose("and this", 1000)
		require.Equal(t, before, onLoan.Load())
	})
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, c *Conn, p *peer) { // it does not read
		before := onLoan.Load()
		p.blockWrites(1)
		_, err := n.Write([]byte("x"))
		require.NoError(t, err)
		start := time.Now()
		require.Equal(t, errCorkedLost, n.Close())
		require.Equal(t, netConnClose, time.Since(start))
		synctest.Wait()
		require.Equal(t, before, onLoan.Load())
	})
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, c *Conn, p *peer) { // it is gone
		p.blockWrites(1)
		_, err := n.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, p.Close())
		synctest.Wait()
		start := time.Now()
		require.Error(t, n.Close(), "x was lost")
		require.Zero(t, time.Since(start))
	})
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, c *Conn, p *peer) { // its transport does not care for deadlines
		h := c.hook()
		ends := make(chan bool)
		h.read = func([]byte) (int, error) {
			<-ends
			return 0, net.ErrClosed
		}
		h.close = func() error {
			close(ends)
			return h.Conn.Close()
		}
		read := make(chan error, 1)
		go func() {
			_, err := n.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, n.Close())
		require.Equal(t, netConnClose, time.Since(start))
		require.ErrorIs(t, <-read, net.ErrClosed)
	})
}

// Concurrent writes are not mixed with each other.
func TestNetConnWritesInTurn(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
		var wg sync.WaitGroup
		const size = 3 * netConnMessage
		for i := range 5 {
			wg.Go(func() {
				if _, err := n.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Error(err)
				}
			})
		}
		var got []byte
		for len(got) < 5*size {
			_, payload, err := p.next()
			require.NoError(t, err)
			got = append(got, payload...)
		}
		wg.Wait()
		for i := range 5 {
			require.Equal(t, bytes.Repeat(got[i*size:i*size+1], size), got[i*size:(i+1)*size])
		}
	})
}

// Large streams both ways, over real transports, in both roles.
func TestNetConnCopies(t *testing.T) {
	const size = 5_000_000
	for _, o := range []*Compression{nil, &takeover12} {
		eachTransport(t, func(t *testing.T, a, b net.Conn) {
			ends := []net.Conn{
				NetConn(newConn(a, connOptions{compression: o}), BinaryMessage),
				NetConn(newConn(b, connOptions{server: true, compression: o}), BinaryMessage),
			}
			stream := func(i int) io.Reader {
				return io.LimitReader(rand.NewChaCha8([32]byte{byte(i)}), size)
			}
			var wg sync.WaitGroup
			for i, n := range ends {
				wg.Go(func() {
					if _, err := io.Copy(struct{ io.Writer }{n}, stream(i)); err != nil {
						t.Error(err)
					}
				})
				wg.Go(func() {
					got, err := io.ReadAll(io.LimitReader(n, size))
					if err != nil {
						t.Error(err)
					}
					want, err := io.ReadAll(stream(1 - i))
					if err != nil || !bytes.Equal(want, got) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
				})
			}
			wg.Wait()
			for _, n := range ends {
				wg.Go(func() {
					if err := n.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// One side writes and closes at once, the other reads to the end: nothing is lost.
func TestNetConnCloseBehindAWrite(t *testing.T) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		client, server := NetConn(newConn(a, connOptions{}), BinaryMessage), NetConn(newConn(b, connOptions{server: true}), BinaryMessage)
		done := make(chan error, 1)
		go func() {
			_, err := client.Write(make([]byte, 3_000_000))
			done <- errors.Join(err, client.Close())
		}()
		got, err := io.ReadAll(server)
		require.NoError(t, err)
		require.Len(t, got, 3_000_000)
		require.NoError(t, server.Close())
		require.NoError(t, <-done)
	})
}

// TLS by itself does not survive a write that ran into its deadline; a stream over it does.
func TestNetConnWriteDeadlineOverRealTransports(t *testing.T) {
	eachTransport(t, func(t *testing.T, a, b net.Conn) {
		client, server := NetConn(newConn(a, connOptions{}), BinaryMessage), NetConn(newConn(b, connOptions{server: true}), BinaryMessage)
		shaken := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(client, make([]byte, 5))
			shaken <- err
		}()
		_, err := server.Write([]byte("hello"))
		require.NoError(t, err)
		require.NoError(t, <-shaken)
		random, err := io.ReadAll(io.LimitReader(rand.NewChaCha8([32]byte{}), 20_000_000))
		require.NoError(t, err)
		written := 0
		for range 3 {
			require.NoError(t, server.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
			m, err := server.Write(random[written:])
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			written += m
		}
		require.Less(t, written, len(random))
		require.NoError(t, server.SetWriteDeadline(time.Time{}))
		done := make(chan error, 1)
		go func() {
			_, err := server.Write(random[written:])
			done <- errors.Join(err, server.Close())
		}()
		got, err := io.ReadAll(client)
		require.NoError(t, err)
		require.True(t, bytes.Equal(random, got), "%d bytes", len(got))
		require.NoError(t, client.Close())
		require.NoError(t, <-done)
	})
}

// A program that asks a NetConn for more than a net.Conn has finds nothing.
func TestNetConnHasNoOtherMethods(t *testing.T) {
	var n any = NetConn(nil, BinaryMessage)
	_, ok := n.(interface{ NetConn() net.Conn })
	require.False(t, ok)
	_, ok = n.(interface{ ReadMessage() (int, []byte, error) })
	require.False(t, ok)
	require.Equal(t, "*websocket.netConn", fmt.Sprintf("%T", n))
}

// A pausedContext has whoever finds that it has not ended stop there.
type pausedContext struct {
	context.Context
	on chan bool
}

func (c pausedContext) Err() error {
	err := c.Context.Err()
	if err == nil {
		<-c.on
	}
	return err
}

// A Write that had begun when Close was called is sent if it returns no error.
func TestNetConnWriteBesideClose(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
		p.blockWrites(0)
		_, err := n.Write([]byte("a"))
		require.NoError(t, err)
		synctest.Wait()
		on := make(chan bool)
		n.(*netConn).writeTime = pausedContext{n.(*netConn).writeTime, on}
		written, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := n.Write([]byte("b"))
			written <- err
		}()
		synctest.Wait()
		go func() { closed <- n.Close() }()
		synctest.Wait()
		p.ours.Out().SetBuffer(len(wireFrame(finBinary, !p.masks, "a")))
		synctest.Wait()
		close(on)
		require.NoError(t, <-written)
		p.unblockWrites()
		p.want("it was queued", finBinary, "a")
		p.want("it was written", finBinary, "b")
		p.wantClose("then", 1000)
		p.send(p.frame(finClose, closePayload(1000, "")))
		require.NoError(t, <-closed)
	})
}

// Close says so too if what is lost was kept to go out with other messages.
func TestNetConnCloseLosesCorkedMessages(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, _ *Conn, p *peer) {
		before := onLoan.Load()
		p.send(p.frame(finBinary, "one"), p.frame(finBinary, "two"))
		buf := make([]byte, 3)
		_, err := io.ReadFull(n, buf)
		require.NoError(t, err)
		p.blockWrites(0)
		_, err = n.Write([]byte("answer"))
		require.NoError(t, err)
		_, err = io.ReadFull(n, buf)
		require.NoError(t, err)
		read := make(chan error, 1)
		go func() {
			_, err := n.Read(buf)
			read <- err
		}()
		synctest.Wait()
		start := time.Now()
		require.Error(t, n.Close())
		require.Equal(t, netConnClose, time.Since(start))
		require.ErrorIs(t, <-read, net.ErrClosed)
		synctest.Wait()
		require.Equal(t, before, onLoan.Load())
	})
}

// A transport whose Close panics does not end the process, nor keep Close from returning.
func TestPanicOfTheTransportInNetConnClose(t *testing.T) {
	eachNetConn(t, BinaryMessage, func(t *testing.T, n net.Conn, c *Conn, p *peer) {
		h := c.hook()
		h.close = func() error { panic("transport") }
		start := time.Now()
		func() {
			defer func() { _ = recover() }() // here it is the program's
			_ = n.Close()
		}()
		require.Equal(t, netConnClose, time.Since(start))
		p.wantClose("it was sent", 1000)
	})
}

// Deadlines that are set at the moment of Close neither hold up a Read nor end the wait for the
// peer's close frame.
func TestNetConnDeadlinesBesideClose(t *testing.T) {
	serverConn(t, func(t *testing.T, _ *Conn, _ *peer) {
		for i := range 100 * seeds(30) {
			c, p := mode{server: true, raw: true}.open(t)
			n := NetConn(c, BinaryMessage)
			read, closed := make(chan error, 1), make(chan error, 1)
			go func() {
				for {
					if _, err := n.Read(make([]byte, 1)); errors.Is(err, net.ErrClosed) {
						read <- err
						return
					}
				}
			}()
			start := time.Now()
			var wg sync.WaitGroup
			for k := range 4 {
				wg.Go(func() {
					at := time.Time{}
					if (uint64(k)+i)%2 == 0 {
						at = start
					}
					for n.SetReadDeadline(at) == nil {
						runtime.Gosched()
					}
				})
			}
			go func() { closed <- n.Close() }()
			<-read
			require.Zero(t, time.Since(start), "Read returns at once")
			wg.Wait()
			synctest.Wait()
			require.Empty(t, closed, "Close waits for the peer")
			p.wantClose("as ever", 1000)
			p.send(p.frame(finClose, closePayload(1000, "")))
			require.NoError(t, <-closed)
			require.Zero(t, time.Since(start))
			require.NoError(t, p.Close())
		}
	})
}
