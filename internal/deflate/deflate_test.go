package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

const encTail = "\x00\x00\xff\xff"

// encFlate decodes a message by compress/flate, which is told of what was before.
func encFlate(t require.TestingT, message, before []byte) []byte {
	// An empty block with BFINAL makes an end of the message that ReadAll takes.
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(message), bytes.NewReader([]byte(encTail+"\x01\x00\x00\xff\xff"))), before)
	p, err := io.ReadAll(r)
	require.NoError(t, err)
	return p
}

var encLevels = map[string]Level{"fast": Fast, "dense": Dense}

func TestMessagesRoundTrip(t *testing.T) {
	for name, level := range encLevels {
		for bits := minBits; bits <= maxBits; bits++ {
			for _, kind := range []string{"tick", "chat", "json1K", "json4K", "json64K", "random1K", "random64K"} {
				d := GetDeflater()
				ctx := NewContext(bits)
				alone, after := &tokenReader{window: 1 << bits}, &tokenReader{window: 1 << bits}
				for i, src := range encMessages(kind, 20) {
					dst := make([]byte, 3, 3+len(src))
					if out, ok := d.AppendMessage(dst, src, nil, bits, level); ok {
						require.Less(t, len(out)-3, len(src))
						p, err := alone.message(append(out[3:], encTail...))
						require.NoError(t, err, "%s %d %s %d", name, bits, kind, i)
						require.True(t, bytes.Equal(src, p), "%s %d %s %d", name, bits, kind, i)
						alone.begin = len(alone.out)
						require.True(t, bytes.Equal(src, encFlate(t, out[3:], nil)))
					}
					if out, ok := d.AppendMessage(dst, src, ctx, bits, level); ok {
						before := bytes.Clone(after.out)
						p, err := after.message(append(out[3:], encTail...))
						require.NoError(t, err, "%s %d %s %d", name, bits, kind, i)
						require.True(t, bytes.Equal(src, p), "%s %d %s %d", name, bits, kind, i)
						require.True(t, bytes.Equal(src, encFlate(t, out[3:], before)))
						ctx.Commit(src)
					}
				}
			}
		}
	}
}
