//go:build race

package websocket

// The race detector makes sync.Pool drop what is put into it at random, so
// allocations cannot be counted under it.
const raceEnabled = true
