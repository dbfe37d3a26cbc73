// Package browser has no code but its tests, in which pages talk to this module's
// servers in real browsers, Chromium and Firefox, headless: other implementations
// of the protocol and of its compression than this module's own client, and those
// that most peers use. The page of ../echo is used as a person does, in Chromium.
//
// It is a module of its own so that the driver of the browser is no dependency of
// those who import the library. Run it here with
//
//	go test
//
// Chromium is $CHROMIUM, or else the first of chromium, chromium-browser and
// google-chrome in PATH; Firefox is $FIREFOX, or else firefox-esr or firefox.
// Without one of them its tests are skipped, unless WEBSOCKET_REQUIRE_BROWSER is 1.
package browser
