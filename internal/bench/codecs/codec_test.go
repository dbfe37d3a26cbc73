package codecs_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/codecs"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// some is how many messages of a kind are enough to go through a window.
func some(kind string, messages [][]byte) [][]byte {
	n := 60
	if kind == "json64K" || kind == "random64K" {
		n = 3
	}
	return messages[:n]
}

// TestEncoders has compress/flate read what all encoders write.
func TestEncoders(t *testing.T) {
	for _, spec := range codecs.All {
		if spec.NewEncoder == nil {
			continue
		}
		t.Run(fmt.Sprint(spec.Name, "/", spec.Bits), func(t *testing.T) {
			t.Parallel()
			for _, kind := range traffic.Kinds {
				messages, err := traffic.Messages(kind)
				require.NoError(t, err)
				e, err := spec.NewEncoder()
				require.NoError(t, err)
				var before []byte // that the encoder may refer to
				dst := make([]byte, 0, 128<<10)
				plain, wire := 0, 0
				for i, m := range some(kind, messages) {
					p, compressed, err := e.Encode(dst, m)
					require.NoError(t, err)
					plain += len(m)
					if !compressed {
						wire += len(m)
						continue
					}
					wire += len(p)
					in := append(bytes.Clone(p), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...)
					got, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(in), before))
					require.NoError(t, err)
					require.True(t, bytes.Equal(m, got), "%s %d: %q", kind, i, m)
					if spec.Bits != 0 {
						before = append(before, m...)
						before = before[max(0, len(before)-1<<spec.Bits):]
					}
				}
				if kind == "json4K" || kind == "json64K" {
					require.Less(t, float64(wire)/float64(plain), .5, kind)
				}
			}
		})
	}
}

// TestDecoders has them read what the client sends.
func TestDecoders(t *testing.T) {
	for _, spec := range codecs.All {
		if spec.NewDecoder == nil {
			continue
		}
		t.Run(fmt.Sprint(spec.Name, "/", spec.Bits), func(t *testing.T) {
			t.Parallel()
			for _, kind := range []string{"tick", "chat", "json4K"} {
				messages, err := traffic.Messages(kind)
				require.NoError(t, err)
				first, again, err := traffic.Payloads(kind, spec.Bits)
				require.NoError(t, err)
				d, err := spec.NewDecoder()
				require.NoError(t, err)
				for _, payloads := range [][][]byte{first, again, again} {
					for i, p := range payloads {
						m, err := d.Decode(make([]byte, 0, 8<<10), p)
						require.NoError(t, err, "%s %d", kind, i)
						require.True(t, bytes.Equal(messages[i], m), "%s %d", kind, i)
					}
				}
			}
		})
	}
}
