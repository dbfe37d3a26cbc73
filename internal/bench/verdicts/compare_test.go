package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/library"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

func verdict(code int, messages ...string) library.Verdict {
	v := library.Verdict{Close: code}
	for _, m := range messages {
		v.Messages = append(v.Messages, oracle.NewMessage(true, []byte(m)))
	}
	return v
}

func TestCompare(t *testing.T) {
	const (
		hi       = "\x81\x02hi"
		notText  = "\x81\x01\xff"
		longForm = "\x81\x7e\x00\x02hi"
		goodbye  = "\x88\x02\x03\xe8"
	)
	for _, c := range []struct {
		name   string
		stream string
		got    library.Verdict
		want   *difference
	}{
		{"all is well", hi + goodbye, verdict(1000, "hi"), nil},
		{"a message is lost", hi + goodbye, verdict(1000), &difference{oracle.Plain, "does not deliver it, sends 1000"}},
		{"a message is another", hi + goodbye, verdict(1000, "ha"), &difference{oracle.Plain, "delivers another message"}},
		{"a message comes of nothing", hi, verdict(0, "hi", "hi"), &difference{oracle.End, "delivers a message"}},
		{"no answer", hi + goodbye, verdict(0, "hi"), &difference{oracle.Close, silent}},
		{"an answer without a code", hi + goodbye, verdict(1005, "hi"), &difference{oracle.Close, "sends a close frame without a code"}},
		{"another answer", hi + goodbye, verdict(1001, "hi"), &difference{oracle.Close, "sends 1001"}},
		{"what is no answer", hi + goodbye, verdict(library.Garbage, "hi"), &difference{oracle.Close, "sends what is no frame"}},
		{"no end", hi, verdict(library.Hangs, "hi"), &difference{oracle.End, "goes on waiting"}},
		{"a panic", hi, verdict(library.Panicked, "hi"), &difference{oracle.End, "panics"}},

		{"text is refused", notText + hi + goodbye, verdict(1007), nil},
		{"text is refused for another reason", notText + hi + goodbye, verdict(1003), &difference{oracle.NotUTF8, "sends 1003"}},
		{"text is refused in silence", notText + hi + goodbye, verdict(0), &difference{oracle.NotUTF8, silent}},
		{"text is not checked", notText + hi + goodbye, verdict(1000, "\xff", "hi"), &difference{oracle.NotUTF8, accepts}},
		{"and neither is a length", notText + longForm + goodbye, verdict(1000, "\xff", "hi"), &difference{oracle.NotUTF8, accepts}},
		{"and then something", notText + hi + goodbye, verdict(1001, "\xff", "hi"), &difference{oracle.NotUTF8, accepts}},
		{"nobody knows", "\x81\x02\xff", verdict(1002), &difference{oracle.NotUTF8, "sends 1002"}},
		{"nor here", "\x88\x01\xff", verdict(0), &difference{oracle.CloseOfOneByte, silent}},
		{"nor there", "\x89\x7e\x00\x01x", verdict(0), &difference{oracle.NotShortest, unclear}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := streams.Stream{Bytes: []byte(c.stream)}
			require.Equal(t, c.want, compare(s, judge(s), c.got))
		})
	}
}

// What is unclear is what the library was seen to do elsewhere.
func TestSettle(t *testing.T) {
	r := &row{}
	r.does = map[string]map[string]int{
		"one":   {unclear: 2, accepts: 3},
		"other": {unclear: 2},
	}
	r.settle()
	require.Equal(t, map[string]map[string]int{"one": {accepts: 5}, "other": {silent: 2}}, r.does)
}

func TestExamples(t *testing.T) {
	short, long := streams.Stream{Bytes: []byte("s")}, streams.Stream{Bytes: []byte("longer")}
	require.True(t, example{1, short}.better(example{}))
	require.True(t, example{1, short}.better(example{1, long}))
	require.True(t, example{2, long}.better(example{1, short}))
	require.False(t, example{1, short}.better(example{1, short}))
	require.Equal(t, "`73`", example{1, short}.String())
}
