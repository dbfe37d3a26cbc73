package generator

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMessagesAreCounted has frames of every size of length, in fragments and
// empty, cut everywhere.
func TestMessagesAreCounted(t *testing.T) {
	stream := "\x02\x03abc" + "\x00\x00" + "\x80\x02de" + // one message in fragments
		"\x82\x00" + "\xc2\x01z" + // an empty one, one that is compressed
		"\x82\x7e\x00\x80" + strings.Repeat("x", 128) +
		"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("y", 1<<16)
	ends := []int{11, 13, 16, 148, len(stream)}
	for size := 1; size <= len(stream); size = size*9/8 + 1 {
		var c conn
		messages := 0
		for i := 0; i < len(stream); i += size {
			end := min(i+size, len(stream))
			n, err := c.receive([]byte(stream[i:end]))
			require.NoError(t, err)
			messages += n
			ended := 0
			for _, e := range ends {
				if e <= end {
					ended++
				}
			}
			require.Equal(t, ended, messages, "up to %d, by %d", end, size)
		}
	}
}

// TestWhatDoesNotFitIsOwed answers messages while the last write has not gone out.
func TestWhatDoesNotFitIsOwed(t *testing.T) {
	f, c := &Fleet{}, &conn{rest: []byte("rest")}
	require.NoError(t, f.send(c, 1))
	require.NoError(t, f.send(c, 2))
	require.Equal(t, 3, c.owed)
	require.Zero(t, c.wait)
}
