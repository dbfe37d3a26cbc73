//go:build race

package moved_test

// raceEnabled says that the copies are to be tested with the race detector too.
const raceEnabled = true
