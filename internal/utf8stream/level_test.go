package utf8stream

import "testing"

// A Level is a set of instructions that Append can be made to use.
type Level struct {
	Name  string
	Force func(t *testing.T)
}
