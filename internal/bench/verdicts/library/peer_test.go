package library

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
)

func TestCloseCode(t *testing.T) {
	for sent, want := range map[string]int{
		"":                                 oracle.None,
		"\x8a\x00":                         oracle.None,
		"\x8a\x01x\x88\x02\x03\xe8":        1000,
		"\x88\x04\x03\xeahi":               1002,
		"\x88\x00":                         oracle.NoStatus,
		"\x88\x02\x03\xe8\x88\x02\x03\xea": 1000,
		"\x88":                             Garbage,
		"\x88\x02\x03":                     Garbage,
		"\x88\x01\x03":                     Garbage,
		"\x88\x82\x00\x00\x00\x00\x03\xe8": WronglyMasked,
		"\x81\x00":                         Garbage,
		"\xc8\x00":                         Garbage,
		"\x8a\x7e\x00\x7e":                 Garbage,
	} {
		require.Equal(t, want, closeCode([]byte(sent), false), "%x", sent)
	}
	require.Equal(t, 1000, closeCode([]byte("\x8a\x80\x00\x00\x00\x00\x88\x82\xff\xff\xff\xff\xfc\x17"), true))
	require.Equal(t, WronglyMasked, closeCode([]byte("\x88\x02\x03\xe8"), true))
}
