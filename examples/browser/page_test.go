package browser

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// startEcho builds and runs the echo program and returns it with the URL of its
// page. The program is killed if it outlives the test.
func startEcho(t *testing.T, args ...string) (program *exec.Cmd, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	path := filepath.Join(t.TempDir(), "echo")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/seed62ce5aa7/websocket/examples/echo")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	program = exec.CommandContext(ctx, path, append(args, "-addr", "localhost:0")...)
	var stderr bytes.Buffer
	program.Stderr = &stderr
	stdout, err := program.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	t.Cleanup(func() {
		cancel()
		if program.ProcessState == nil {
			_ = program.Wait()
		}
		if t.Failed() {
			t.Logf("stderr of the echo program:\n%s", &stderr)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "echo: serving ")
	require.True(t, ok, "%q", line)
	return program, url
}

const (
	connected = `document.querySelector("#state").dataset.state === "connected"`
	closed    = `document.querySelector("#state").dataset.state === "closed"`
)

// entries returns the texts of the log's entries of one kind: sent, received,
// info or failed.
func entries(t *testing.T, tab context.Context, kind string) []string {
	t.Helper()
	return evaluate[[]string](t, tab, fmt.Sprintf(
		`Array.from(document.querySelectorAll("#log .%s .body"), e => e.textContent)`, kind))
}

func waitForEntries(t *testing.T, tab context.Context, kind string, n int) {
	t.Helper()
	waitFor(t, tab, fmt.Sprintf(`document.querySelectorAll("#log .%s").length >= %d`, kind, n))
}

func clearLog(t *testing.T, tab context.Context) {
	t.Helper()
	do(t, tab, chromedp.Click(chromedp.CSS("#clear")))
}

// TestPage uses the page as a person does, in Chromium.
func TestPage(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testPage(t, "no extensions") })
	t.Run("compressed", func(t *testing.T) {
		testPage(t, "permessage-deflate; client_max_window_bits=12", "-compress")
	})
}

// testPage uses the page of the program with some arguments. Its steps depend on
// each other.
func testPage(t *testing.T, extensions string, args ...string) {
	tab := startChromium(t)
	program, url := startEcho(t, args...)
	do(t, tab, chromedp.Navigate(url))
	waitFor(t, tab, connected)
	require.Equal(t, extensions, evaluate[string](t, tab, `document.querySelector("#extensions").textContent`))
	require.Equal(t, []string{"connected"}, entries(t, tab, "info"))

	// What the user types in comes back, as text and as bytes.
	const greeting = "Grüße, 世界 👋"
	do(t, tab,
		chromedp.Clear(chromedp.CSS("#message")),
		chromedp.SendKeys(chromedp.CSS("#message"), greeting),
		chromedp.Click(chromedp.CSS("#send-text")))
	waitForEntries(t, tab, "received", 1)
	do(t, tab, chromedp.Click(chromedp.CSS("#send-binary")))
	waitForEntries(t, tab, "received", 2)
	want := []string{greeting, fmt.Sprintf("% x", greeting)}
	require.Equal(t, want, entries(t, tab, "sent"))
	require.Equal(t, want, entries(t, tab, "received"))

	// Many messages come back in order, the empty one among them. The log's
	// texts stay text.
	clearLog(t, tab)
	want = nil
	for i := range 100 {
		want = append(want, fmt.Sprintf("<b>%d</b>", i))
	}
	want[50] = ""
	evaluate[chromedp.Void](t, tab, fmt.Sprintf(`for (const text of %#v.split("|")) {
		document.querySelector("#message").value = text;
		document.querySelector("#composer").requestSubmit();
	}`, strings.Join(want, "|")))
	waitForEntries(t, tab, "received", len(want))
	require.Equal(t, want, entries(t, tab, "sent"))
	require.Equal(t, want, entries(t, tab, "received"))

	// A code that a page may not send is shown as an error and closes nothing.
	clearLog(t, tab)
	do(t, tab,
		chromedp.SetValue(chromedp.CSS("#code"), "1001"),
		chromedp.Click(chromedp.CSS("#close")))
	waitForEntries(t, tab, "failed", 1)
	require.True(t, evaluate[bool](t, tab, connected))

	// The server answers the page's close frames, which makes them clean.
	for _, code := range []string{"1000", "3000", "4999"} {
		clearLog(t, tab)
		do(t, tab,
			chromedp.SetValue(chromedp.CSS("#code"), code),
			chromedp.SetValue(chromedp.CSS("#reason"), "enough"),
			chromedp.Click(chromedp.CSS("#close")))
		waitFor(t, tab, closed)
		require.Equal(t, []string{"code " + code + ", clean"}, entries(t, tab, "info"))
		require.Empty(t, entries(t, tab, "failed"))
		do(t, tab, chromedp.Click(chromedp.CSS("#connect")))
		waitFor(t, tab, connected)
	}

	// A message above the server's limit of 1 MiB is refused with 1009.
	code := evaluate[int](t, tab, `new Promise(resolve => {
		const ws = new WebSocket(document.querySelector("#endpoint").textContent);
		ws.onopen = () => ws.send("x".repeat((1 << 20) + 1));
		ws.onclose = event => resolve(event.code);
	})`)
	require.Equal(t, 1009, code)

	if runtime.GOOS == "windows" {
		return // it has no signal to send to one process
	}
	clearLog(t, tab)
	require.NoError(t, program.Process.Signal(os.Interrupt))
	waitFor(t, tab, closed)
	require.Equal(t, []string{"code 1001, clean"}, entries(t, tab, "info"))
	require.NoError(t, program.Wait())
}
