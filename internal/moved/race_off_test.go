//go:build !race

package moved_test

const raceEnabled = false
