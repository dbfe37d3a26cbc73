package browser

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience bounds each test with all that it starts. It only matters when a test
// fails.
const patience = 2 * time.Minute

// startBrowser runs a headless browser of its own, with a profile of its own that
// is removed with it, and returns the context of its first tab.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := findBrowser(t)
	ctx, cancelTimeout := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancelTimeout)
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	}
	if os.Getuid() == 0 { // Chromium's sandbox refuses root, as in containers
		options = append(options, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...), chromedp.WithErrorf(t.Logf))
	t.Cleanup(stop)
	do(t, ctx) // starts it, for the tabs that are opened from this context
	return ctx
}

// findBrowser returns the path of the browser, or ends the test.
func findBrowser(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	if name := os.Getenv("CHROMIUM"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("WEBSOCKET_REQUIRE_BROWSER") == "1" {
		require.FailNow(t, "no browser", "none of %q is a program", names)
	}
	t.Skipf("needs a browser, and none of %q is a program", names)
	return ""
}

func do(t *testing.T, tab context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(tab, actions...))
}

// evaluate runs a script in the page, waits for the promise if its value is one,
// and returns the value.
func evaluate[T any](t *testing.T, tab context.Context, script string) T {
	t.Helper()
	value, err := chromedp.Run(tab, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	return value
}

// waitFor waits until the script's value in the page is true.
func waitFor(t *testing.T, tab context.Context, script string) {
	t.Helper()
	do(t, tab, chromedp.Poll[chromedp.Void](script, chromedp.WithPollingMutation(), chromedp.WithPollingTimeout(patience)))
}
