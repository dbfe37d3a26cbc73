package browser

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience bounds each test with all that it starts. It only matters when a test
// fails.
const patience = 3 * time.Minute

// browsers are those that the tests are run with. Each start opens a page in a
// headless browser of its own, with a profile of its own, until the test's end.
var browsers = []struct {
	name  string
	start func(t *testing.T, url string)
}{
	{chromium, func(t *testing.T, url string) { do(t, startChromium(t), chromedp.Navigate(url)) }},
	{firefox, startFirefox},
}

const (
	chromium = "Chromium"
	firefox  = "Firefox"
)

// startChromium returns the context of the browser's first tab.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	path := findBrowser(t, "CHROMIUM", "chromium", "chromium-browser", "google-chrome")
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
	do(t, ctx) // starts it
	return ctx
}

// firefoxSettings keep a new profile from greeting its user and from calling home.
const firefoxSettings = `
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("browser.safebrowsing.update.enabled", false);
user_pref("browser.search.update", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.proxy.type", 0);
`

func startFirefox(t *testing.T, url string) {
	t.Helper()
	path := findBrowser(t, "FIREFOX", "firefox-esr", "firefox")
	home := t.TempDir()
	profile := filepath.Join(home, "profile")
	require.NoError(t, os.Mkdir(profile, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxSettings), 0o600))

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	program := exec.CommandContext(ctx, path, "--headless", "--no-remote", "-profile", profile, url)
	program.Env = append(os.Environ(), "HOME="+home, "MOZ_CRASHREPORTER_DISABLE=1")
	program.WaitDelay = 10 * time.Second
	var output bytes.Buffer
	program.Stdout, program.Stderr = &output, &output
	require.NoError(t, program.Start())
	t.Cleanup(func() {
		cancel()
		// Its other processes end when they miss the first one. They have the
		// same output, whose end Wait waits for, so that none of them is left to
		// write into the profile while it is removed.
		_ = program.Wait()
		if t.Failed() {
			t.Logf("output of Firefox:\n%s", &output)
		}
	})
}

// findBrowser returns the path of a browser, which is the one in the environment's
// variable or else the first in PATH that has one of the names, or ends the test.
func findBrowser(t *testing.T, variable string, names ...string) string {
	t.Helper()
	if name := os.Getenv(variable); name != "" {
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
