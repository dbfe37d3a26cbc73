//go:build !amd64 || purego || race

package utf8stream

// Without the kernel the automaton does it all.
const (
	useBlocks = false
	leastText = 0
	shortText = 0
)

func (s State) appendBlocks(p []byte) (next State, rest []byte) { return s, p }
