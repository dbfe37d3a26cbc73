package library_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/library"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// What is written out here is the same for all libraries, and to both roles: frames of
// a server, to which a client's mask of zeros is added.
func TestEachLibraryReads(t *testing.T) {
	hello := oracle.NewMessage(true, []byte("Hello"))
	for _, c := range []struct {
		name        string
		compression bool
		frames      []string // first byte, and payload
		want        library.Verdict
	}{
		{"a message and a close frame", false, []string{"\x81Hello", "\x88\x03\xe8"},
			library.Verdict{Messages: []oracle.Message{hello}, Close: 1000}},
		{"a message in fragments, with a ping between them", false, []string{"\x01He", "\x89?", "\x80llo", "\x88"},
			library.Verdict{Messages: []oracle.Message{hello}, Close: oracle.NoStatus}},
		{"a compressed message, and one that is not", true, []string{"\xc1\xf2\x48\xcd\xc9\xc9\x07\x00", "\x81Hello", "\x88\x0f\xa0bye"},
			library.Verdict{Messages: []oracle.Message{hello, hello}, Close: 4000}},
		{"nothing", false, nil, library.Verdict{}},
		{"an opcode that is reserved", false, []string{"\x81Hello", "\x83", "\x81Hello"},
			library.Verdict{Messages: []oracle.Message{hello}, Close: 1002}},
	} {
		for _, l := range library.All {
			t.Run(c.name+"/"+l.Name, func(t *testing.T) {
				stage, err := library.NewStage(l)
				require.NoError(t, err)
				defer stage.Close()
				for _, server := range []bool{true, false} {
					s := streams.Stream{Server: server, Compression: c.compression}
					for _, f := range c.frames {
						s.Bytes = append(s.Bytes, f[0], byte(len(f)-1))
						if server {
							s.Bytes[len(s.Bytes)-1] |= 0x80
							s.Bytes = append(s.Bytes, 0, 0, 0, 0)
						}
						s.Bytes = append(s.Bytes, f[1:]...)
					}
					s.Cut = len(s.Bytes) / 2
					v, err := stage.Run(s)
					require.NoError(t, err)
					require.Equal(t, c.want, v)
				}
			})
		}
	}
}

func TestFind(t *testing.T) {
	for _, l := range library.All {
		found, err := library.Find(l.Name)
		require.NoError(t, err)
		require.Equal(t, l.Name, found.Name)
	}
	_, err := library.Find("none")
	require.Error(t, err)
}
