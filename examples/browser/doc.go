// Package browser has no code but its test, which drives the page of
// ../echo in a real browser (Chromium, headless): another implementation of the
// protocol than this module's own client, and the one that most peers use.
//
// It is a module of its own so that the driver of the browser is no dependency of
// those who import the library. Run it here with
//
//	go test
//
// The browser is $CHROMIUM, or else the first of chromium, chromium-browser and
// google-chrome in PATH. Without one the tests are skipped, unless
// WEBSOCKET_REQUIRE_BROWSER is 1.
package browser
