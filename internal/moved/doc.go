// Package moved has nothing but a test: that the programs in its folders, which
// are of the kinds that users of gorilla/websocket have, work the same with that
// library and with this one.
package moved
