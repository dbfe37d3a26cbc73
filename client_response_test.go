package websocket

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/testnet"
)

// Of a refusal's body the caller gets the first 1,024 bytes, whatever its form.
func TestRefusalBody(t *testing.T) {
	chunks := func(size, n int) string {
		return strings.Repeat(fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("b", size)), n) + "0\r\n\r\n"
	}
	for _, c := range []struct {
		name, fields, body string
		want               int
	}{
		{"none", "Content-Length: 0\r\n", "", 0},
		{"none allowed", "", "", 0},
		{"short", "Content-Length: 5\r\n", "bbbbb", 5},
		{"up to the end of the stream", "Connection: close\r\n", "bbbbb", 5},
		{"cut short", "Content-Length: 10\r\n", "bbbbb", 5},
		{"all that is kept", "Content-Length: 1024\r\n", strings.Repeat("b", 1024), 1024},
		{"one byte more", "Content-Length: 1025\r\n", strings.Repeat("b", 1025), 1024},
		{"long", "Content-Length: 500000\r\n", strings.Repeat("b", 500000), 1024},
		{"long, up to the end", "", strings.Repeat("b", 500000), 1024},
		{"chunks", "Transfer-Encoding: chunked\r\n", chunks(3, 2), 6},
		{"chunks of one byte", "Transfer-Encoding: chunked\r\n", chunks(1, 2000), 1024},
		{"long chunks", "Transfer-Encoding: chunked\r\n", chunks(4000, 100), 1024},
		{"a chunk that is none", "Transfer-Encoding: chunked\r\n", "3\r\nbbb\r\nx\r\n", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				status := "403 Forbidden"
				if c.name == "none allowed" {
					status = "204 No Content"
				}
				d := &Dialer{}
				p := hsMeet(t, d, func(p *hsPeer) {
					p.send("HTTP/1.1 " + status + "\r\n" + c.fields + "X: y\r\n\r\n")
					synctest.Wait() // the head comes alone
					hsSendsAll(c.body)(p)
				})
				_, response, err := d.Dial(hsURL, nil)
				require.Equal(t, ErrBadHandshake, err)
				require.Equal(t, status, response.Status)
				require.Equal(t, "y", response.Header.Get("X"))
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.Equal(t, strings.Repeat("b", c.want), string(body))
				require.NoError(t, response.Body.Close())
				require.True(t, p.client.Closed())
			})
		})
	}
}

// What is kept of a body is read and no more: a server that sends without end
// does not hold the dial up.
func TestRefusalBodyWithoutEnd(t *testing.T) {
	for _, fields := range []string{"", "Content-Length: 9223372036854775807\r\n", "Transfer-Encoding: chunked\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			hsMeet(t, d, func(p *hsPeer) {
				p.send("HTTP/1.1 403 Forbidden\r\n" + fields + "\r\n")
				for {
					if _, err := io.WriteString(p.server, "2\r\nbb\r\n"); err != nil {
						return
					}
				}
			})
			start := time.Now()
			_, response, err := d.Dial(hsURL, nil)
			require.Equal(t, ErrBadHandshake, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Len(t, body, 1024)
			require.Zero(t, time.Since(start))
		})
	}
}

// RFC 9110 §15.2: any number of informational responses may come first.
func TestInformationalResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Dialer{}
		hsMeet(t, d, hsSends("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+
			"HTTP/1.1 102 Processing\r\nContent-Length: 3\r\n\r\n"+hsGood+"\x81\x05hello"))
		ws, response, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		require.Empty(t, response.Header["Link"])
		hsExpect(t, ws, "hello")
		require.NoError(t, ws.Close())
	})
}

// Whatever a server sends before the end of a header, 64 KiB of it are the
// most that are looked at.
func TestResponseHeadIsCapped(t *testing.T) {
	status := "HTTP/1.1 101 Switching Protocols\r\n"
	for _, c := range []struct{ name, start, fill string }{
		{"one header line", status + "X: ", "a"},
		{"many header lines", status, "X: y\r\n"},
		{"many names", status, "X-%d: y\r\n"},
		{"a folded line", status + "X: y\r\n", " y\r\n"},
		{"a status line", "HTTP/1.1 101 ", "a"},
		{"a header name", status, "a"},
		{"informational responses", "", "HTTP/1.1 100 Continue\r\n\r\n"},
		{"no HTTP and no line", "", "a"},
	} {
		for _, pace := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s in pieces of %d", c.name, pace), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := &Dialer{}
					p := hsMeet(t, d, func(p *hsPeer) {
						p.send(c.start)
						for i := 0; ; i++ {
							fill := c.fill
							if strings.Contains(fill, "%d") {
								fill = fmt.Sprintf(fill, i)
							}
							if _, err := io.WriteString(p.server, fill); err != nil {
								return
							}
						}
					})
					if pace > 0 {
						p.client.In().LimitReads(testnet.AtMost(pace))
					}
					ws, response, err := d.Dial(hsURL, nil)
					require.Equal(t, errResponseHead, err)
					require.Nil(t, ws)
					require.Nil(t, response)
					require.True(t, p.client.Closed())
					require.EqualValues(t, maxResponseHead, p.client.Stats().BytesRead)
				})
			})
		}
	}
}

// A head just below the cap passes, in pieces of one byte too.
func TestResponseHeadBelowTheCap(t *testing.T) {
	for _, over := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			fill := maxResponseHead - len(hsGood) - len("X: \r\n") + over
			d := &Dialer{}
			p := hsMeet(t, d, hsSends(hsResponse{lines: []string{"X: " + strings.Repeat("a", fill)}}.raw()))
			p.client.In().LimitReads(testnet.AtMost(1))
			ws, _, err := d.Dial(hsURL, nil)
			if over > 0 {
				require.Equal(t, errResponseHead, err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, ws.Close())
		})
	}
}

// The cap does not count what comes behind the head.
func TestFramesBehindALongHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20000
		d := &Dialer{}
		hsMeet(t, d, hsSends(hsResponse{lines: []string{"X: " + strings.Repeat("a", 63<<10)}}.raw()+strings.Repeat("\x81\x05hello", n)))
		ws, _, err := d.Dial(hsURL, nil)
		require.NoError(t, err)
		for range n {
			hsExpect(t, ws, "hello")
		}
		require.NoError(t, ws.Close())
	})
}

// What is not HTTP is an error without a response.
func TestResponseIsNotHTTP(t *testing.T) {
	for _, raw := range []string{
		"\x00", "\r\n\r\n", "\n", " ", "SSH-2.0-OpenSSH_9.9\r\n", "\x15\x03\x03\x00\x02\x02\x46", "<html></html>\n",
		"HTTP", "HTTP/1.1\r\n\r\n", "HTTP/1.1 \r\n\r\n", "HTTP/1.1 x\r\n\r\n", "HTTP/1.1 -101 x\r\n\r\n", "HTTP/1.1 1e2 x\r\n\r\n", "HTTP/1.1 0101 x\r\n\r\n",
		"HTTP/x 101 x\r\n\r\n", "HTTP/1.1 101 x\r\nno colon\r\n\r\n", "HTTP/1.1 101 x\r\n: y\r\n\r\n", "HTTP/1.1 101 x\r\nA B: y\r\n\r\n",
		"HTTP/1.1 101 x\r\n X: y\r\n\r\n", "HTTP/1.1 101 x\r\nX: \x00\r\n\r\n", "HTTP/1.1 403 x\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 403 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 403 x\r\nTransfer-Encoding: gzip\r\n\r\n",
	} {
		t.Run(raw, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{}
				p := hsMeet(t, d, hsSendsAll(raw))
				ws, response, err := d.Dial(hsURL, nil)
				require.Error(t, err)
				require.Nil(t, ws)
				if err == ErrBadHandshake {
					require.NotNil(t, response)
				} else {
					require.Nil(t, response)
				}
				require.True(t, p.client.Closed())
			})
		})
	}
}

// An error does not carry all that the server sent into the program's log.
func TestResponseErrorIsShort(t *testing.T) {
	for _, raw := range []string{strings.Repeat("a", 60<<10) + "\n", "HTTP/1.1 101 x\r\n" + strings.Repeat("a", 60<<10) + "\n"} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			hsMeet(t, d, hsSends(raw))
			_, _, err := d.Dial(hsURL, nil)
			require.ErrorContains(t, err, "malformed response")
			require.Less(t, len(err.Error()), 300)
		})
	}
}

// The stream may end behind any byte of the response, which is never an
// upgrade, and never an error without a reason.
func TestResponseIsCut(t *testing.T) {
	for n := range len(hsGood) {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			p := hsMeet(t, d, func(p *hsPeer) {
				_, _ = io.WriteString(p.server, strings.ReplaceAll(hsGood, hsAccept, acceptKey(p.key))[:n])
				_ = p.server.Close()
			})
			ws, response, err := d.Dial(hsURL, nil)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "after %d bytes", n)
			require.Nil(t, ws)
			require.Nil(t, response)
			require.True(t, p.client.Closed())
		})
	}
}

// The response may come in any pieces.
func TestResponseInPieces(t *testing.T) {
	for piece := 1; piece < 20; piece++ {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{}
			p := hsMeet(t, d, hsSends(hsGood+"\x81\x05hello"))
			p.client.In().LimitReads(testnet.AtMost(piece))
			ws, response, err := d.Dial(hsURL, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
			hsExpect(t, ws, "hello")
			require.NoError(t, ws.Close())
		})
	}
}

// Sixteen times the bytes, in pieces of one byte, may take sixteen times as
// long, not 256 times. Four times that is allowed, and five milliseconds, so
// that a busy machine does not fail the test.
func TestResponseIsReadInLinearTime(t *testing.T) {
	dial := func(raw string) time.Duration {
		best := time.Duration(1<<63 - 1)
		for range 3 {
			d := &Dialer{}
			p := hsMeet(t, d, hsSendsAll(raw))
			p.client.In().LimitReads(testnet.AtMost(1))
			start := time.Now()
			_, _, err := d.Dial(hsURL, nil)
			best = min(best, time.Since(start))
			require.Error(t, err)
		}
		return best
	}
	status := "HTTP/1.1 101 Switching Protocols\r\n"
	for _, fill := range []string{"X: " + strings.Repeat("a", 1<<20), strings.Repeat("X: y\r\n", 1<<18), "X: y\r\n" + strings.Repeat(" y\r\n", 1<<18)} {
		small, large := dial(status+fill[:4<<10]), dial(status+fill[:64<<10])
		require.LessOrEqual(t, large, 64*small+5*time.Millisecond, "%.8q", fill)
	}
}
