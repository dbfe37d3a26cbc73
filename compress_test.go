package websocket

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// options are Compression with the defaults filled in.
func options(t testing.TB, o Compression) *Compression {
	t.Helper()
	p, err := o.withDefaults(false)
	require.NoError(t, err)
	return p
}

func TestCompressionDefaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		enabled bool
		o       *Compression
		want    *Compression
	}{
		{"off", false, nil, nil},
		{"EnableCompression alone", true, nil, &Compression{SendWindowBits: 15, ReceiveWindowBits: 15, Level: -1}},
		{"Compression alone", false, &Compression{}, &Compression{SendWindowBits: 15, ReceiveWindowBits: 15, Level: -1}},
		{"takeover, sending", true, &Compression{SendContextTakeover: true},
			&Compression{SendContextTakeover: true, SendWindowBits: 12, ReceiveWindowBits: 15, Level: -1}},
		{"takeover, receiving", true, &Compression{ReceiveContextTakeover: true},
			&Compression{ReceiveContextTakeover: true, SendWindowBits: 15, ReceiveWindowBits: 12, Level: -1}},
		{"all said", true, &Compression{true, true, 8, 15, 1, 9}, &Compression{true, true, 8, 15, 1, 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.o.withDefaults(c.enabled)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for _, o := range []Compression{
		{SendWindowBits: 7}, {SendWindowBits: 16}, {SendWindowBits: -1}, {ReceiveWindowBits: 7}, {ReceiveWindowBits: 16},
		{Threshold: -1}, {Level: -3}, {Level: 10},
	} {
		_, err := o.withDefaults(true)
		require.Error(t, err, "%+v", o)
	}
}

// RFC 7692 §5.1 and §7.1: what a server answers to each offer.
func TestServerAnswersOffers(t *testing.T) {
	const (
		no   = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		both = "permessage-deflate"
	)
	plain, takeover := Compression{}, Compression{SendContextTakeover: true, ReceiveContextTakeover: true}
	whole := Compression{true, true, 15, 15, 0, 0}
	for _, c := range []struct {
		o      Compression
		fields []string
		want   string
	}{
		// Without context takeover, as gorilla/websocket answers.
		{plain, []string{"permessage-deflate"}, no},
		{plain, []string{"permessage-deflate; client_max_window_bits"}, no},
		{plain, []string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover"}, no},
		{plain, []string{"permessage-deflate; server_max_window_bits=10"}, no + "; server_max_window_bits=10"},
		{plain, []string{"permessage-deflate; client_max_window_bits=10"}, no + "; client_max_window_bits=10"},

		// With it. Firefox offers no client_max_window_bits, so it cannot be bound.
		{takeover, []string{"permessage-deflate; client_max_window_bits"}, both + "; client_max_window_bits=12"},
		{takeover, []string{"permessage-deflate; client_max_window_bits=15"}, both + "; client_max_window_bits=12"},
		{takeover, []string{"permessage-deflate; client_max_window_bits=9"}, both + "; client_max_window_bits=9"},
		{takeover, []string{"permessage-deflate"}, both + "; client_no_context_takeover"},
		{whole, []string{"permessage-deflate"}, both},
		{whole, []string{"permessage-deflate; client_max_window_bits"}, both},
		{whole, []string{"permessage-deflate; client_max_window_bits=8"}, both + "; client_max_window_bits=8"},
		{takeover, []string{"permessage-deflate; client_max_window_bits; server_no_context_takeover"},
			both + "; server_no_context_takeover; client_max_window_bits=12"},
		{takeover, []string{"permessage-deflate; client_max_window_bits; client_no_context_takeover"},
			both + "; client_no_context_takeover; client_max_window_bits=12"},
		{takeover, []string{"permessage-deflate; client_max_window_bits; server_max_window_bits=8"},
			both + "; server_max_window_bits=8; client_max_window_bits=12"},
		{takeover, []string{"permessage-deflate; client_max_window_bits; server_max_window_bits=15"},
			both + "; server_max_window_bits=12; client_max_window_bits=12"},

		// The first offer that can be read counts, over all header lines.
		{plain, []string{"permessage-deflate; server_max_window_bits=9, permessage-deflate"}, no + "; server_max_window_bits=9"},
		{plain, []string{"x-webkit-deflate-frame", "foo; bar=1, permessage-deflate; server_max_window_bits=9", "permessage-deflate"},
			no + "; server_max_window_bits=9"},
		{plain, []string{"permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=8"},
			no + "; server_max_window_bits=8"},
		{plain, []string{`permessage-deflate; server_max_window_bits="10"`}, no + "; server_max_window_bits=10"},
		{plain, []string{`permessage-deflate ;server_max_window_bits = "1\0" ; client_max_window_bits`}, no + "; server_max_window_bits=10"},

		// No answer: compression is declined, the upgrade is not.
		{plain, nil, ""},
		{plain, []string{""}, ""},
		{plain, []string{"permessage-deflatex"}, ""},
		{plain, []string{"xpermessage-deflate, permessage_deflate, deflate"}, ""},
		{plain, []string{"Permessage-Deflate"}, ""},
		{plain, []string{"permessage-deflate; foo"}, ""},
		{plain, []string{"permessage-deflate; foo=1"}, ""},
		{plain, []string{"permessage-deflate; server_no_context_takeover=1"}, ""},
		{plain, []string{`permessage-deflate; client_no_context_takeover="true"`}, ""},
		{plain, []string{"permessage-deflate; server_no_context_takeover; server_no_context_takeover"}, ""},
		{plain, []string{"permessage-deflate; client_max_window_bits; client_max_window_bits=10"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits=7"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits=16"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits=08"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits=+8"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits=1e1"}, ""},
		{plain, []string{"permessage-deflate; server_max_window_bits=99999999999999999999"}, ""},
		{plain, []string{"permessage-deflate; client_max_window_bits=0"}, ""},
		{plain, []string{"permessage-deflate; client_max_window_bits=16"}, ""},
		{plain, []string{"permessage-deflate; client_max_window_bits=010"}, ""},
		{plain, []string{"permessage-deflate; Server_No_Context_Takeover"}, ""},
	} {
		t.Run(fmt.Sprintf("%v %q", c.o, c.fields), func(t *testing.T) {
			got, agreed := options(t, c.o).acceptOffer(c.fields)
			require.Equal(t, c.want, got)
			require.Equal(t, c.want != "", agreed != nil)
		})
	}
	got, agreed := (*Compression)(nil).acceptOffer([]string{"permessage-deflate"})
	require.Empty(t, got)
	require.Nil(t, agreed)
}

func TestClientOffers(t *testing.T) {
	for want, o := range map[string]Compression{
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits, permessage-deflate; client_max_window_bits": {},
		"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12, permessage-deflate; client_max_window_bits":                           {SendContextTakeover: true, ReceiveContextTakeover: true},
		"permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=8, permessage-deflate; client_max_window_bits": {
			ReceiveContextTakeover: true, ReceiveWindowBits: 9, SendWindowBits: 8},
		"permessage-deflate; server_no_context_takeover; client_max_window_bits=12, permessage-deflate; client_max_window_bits": {SendContextTakeover: true},
		"permessage-deflate; client_max_window_bits": {true, true, 15, 15, 0, 0},
	} {
		require.Equal(t, want, options(t, o).offerField())
	}
}

// RFC 7692 §7.1: what a client takes for an answer, and what it then does.
func TestClientJudgesAnswers(t *testing.T) {
	plain, takeover := Compression{}, Compression{SendContextTakeover: true, ReceiveContextTakeover: true}
	whole := Compression{true, true, 15, 15, 0, 0}
	in := func(send, receive bool, sendBits, receiveBits int) *Compression {
		return &Compression{send, receive, sendBits, receiveBits, 0, -1}
	}
	const no = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, c := range []struct {
		o      Compression
		answer string
		want   *Compression
	}{
		{plain, no, in(false, false, 15, 15)},
		{plain, "permessage-deflate", in(false, true, 15, 15)}, // as Autobahn's server, aiohttp and tornado
		{plain, "permessage-deflate; server_no_context_takeover", in(false, false, 15, 15)},
		{plain, "permessage-deflate; client_no_context_takeover", in(false, true, 15, 15)},
		{plain, no + "; server_max_window_bits=8", in(false, false, 15, 8)},
		{plain, "permessage-deflate; server_max_window_bits=9", in(false, true, 15, 9)},
		{plain, no + "; client_max_window_bits=8", in(false, false, 8, 15)},
		{plain, `permessage-deflate; client_max_window_bits="15"`, in(false, true, 15, 15)},
		{takeover, no, in(false, false, 12, 15)},
		{takeover, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", in(true, true, 12, 12)},
		{takeover, "permessage-deflate; server_max_window_bits=10", in(true, true, 12, 10)},
		{takeover, "permessage-deflate; server_max_window_bits=13", in(true, true, 12, 13)}, // it answers the last offer
		{takeover, "permessage-deflate; client_max_window_bits=15", in(true, true, 12, 15)},
		{takeover, "permessage-deflate; client_max_window_bits=9", in(true, true, 9, 15)},
		{whole, "permessage-deflate", in(true, true, 15, 15)},

		{plain, "permessage-deflatex", nil},
		{plain, "foo", nil},
		{plain, "permessage-deflate, permessage-deflate", nil},
		{plain, no + ", foo", nil},
		{plain, "permessage-deflate; foo", nil},
		{plain, "permessage-deflate; server_no_context_takeover=1", nil},
		{plain, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", nil},
		{plain, "permessage-deflate; server_max_window_bits", nil},
		{plain, "permessage-deflate; server_max_window_bits=7", nil},
		{plain, "permessage-deflate; server_max_window_bits=16", nil},
		{plain, "permessage-deflate; server_max_window_bits=010", nil},
		{plain, "permessage-deflate; client_max_window_bits", nil},
		{plain, "permessage-deflate; client_max_window_bits=16", nil},
		{plain, "permessage-deflate; client_max_window_bits=7", nil},
		{plain, "permessage-deflate;", nil},
	} {
		t.Run(fmt.Sprintf("%v %s", c.o, c.answer), func(t *testing.T) {
			got, err := options(t, c.o).judgeAnswer([]string{c.answer})
			require.Equal(t, c.want, got)
			require.Equal(t, c.want == nil, err != nil)
		})
	}
	// No answer is a connection without compression.
	for _, fields := range [][]string{nil, {""}} {
		got, err := options(t, plain).judgeAnswer(fields)
		require.NoError(t, err)
		require.Nil(t, got)
	}
	// An answer that nobody asked for fails the handshake.
	_, err := (*Compression)(nil).judgeAnswer([]string{"permessage-deflate"})
	require.ErrorIs(t, err, errUnofferedExtension)
}

// Whatever either side wants, both come to the same understanding: neither sends
// what the other one has no window for.
func TestBothSidesUnderstandEachOther(t *testing.T) {
	var all []Compression
	for _, takeover := range [][2]bool{{}, {true, false}, {false, true}, {true, true}} {
		for _, send := range []int{0, 8, 9, 12, 15} {
			for _, receive := range []int{0, 8, 9, 12, 15} {
				all = append(all, Compression{takeover[0], takeover[1], send, receive, 0, 0})
			}
		}
	}
	understands := func(sender, receiver *Compression) bool {
		return sender.SendWindowBits <= receiver.ReceiveWindowBits &&
			(!sender.SendContextTakeover || receiver.ReceiveContextTakeover)
	}
	for _, s := range all {
		for _, c := range all {
			client, server := options(t, c), options(t, s)
			answer, serving := server.acceptOffer([]string{client.offerField()})
			dialled, err := client.judgeAnswer([]string{answer})
			require.NoError(t, err, "client %+v, server %+v: %s", c, s, answer)
			if !understands(serving, dialled) || !understands(dialled, serving) {
				t.Fatalf("client %+v, server %+v: %s: client does %+v, server %+v", c, s, answer, dialled, serving)
			}
			if serving.ReceiveContextTakeover && !s.ReceiveContextTakeover || serving.SendContextTakeover && !s.SendContextTakeover ||
				serving.ReceiveContextTakeover && serving.ReceiveWindowBits > server.ReceiveWindowBits ||
				serving.SendWindowBits > server.SendWindowBits || dialled.SendWindowBits > client.SendWindowBits {
				t.Fatalf("client %+v, server %+v: %s is more than was wanted", c, s, answer)
			}
			if c == s && dialled.ReceiveContextTakeover != (client.ReceiveContextTakeover && server.SendContextTakeover) {
				t.Fatalf("%+v on both sides: %s", c, answer)
			}
		}
	}
}

// FuzzDeflateOffers has a client offer anything. What a server answers is for
// one of the offers, in terms that can be read and that it means to keep.
func FuzzDeflateOffers(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits", true, false, 12, 0)
	f.Add("permessage-deflate; server_max_window_bits=\"8\", permessage-deflate", false, true, 0, 9)
	f.Add("a;b=c,permessage-deflate; server_no_context_takeover;client_no_context_takeover", true, true, 8, 15)
	f.Fuzz(func(t *testing.T, field string, send, receive bool, sendBits, receiveBits int) {
		o, err := (&Compression{send, receive, sendBits, receiveBits, 0, 0}).withDefaults(true)
		if err != nil {
			return
		}
		answer, agreed := o.acceptOffer([]string{field})
		require.Equal(t, agreed == nil, answer == "")
		if agreed == nil {
			return
		}
		require.Contains(t, field, deflateName)
		everything := Compression{true, true, 15, 15, 0, -1}
		seen, err := everything.judgeAnswer([]string{answer})
		require.NoError(t, err)
		require.LessOrEqual(t, agreed.SendWindowBits, seen.ReceiveWindowBits)
		require.LessOrEqual(t, seen.SendWindowBits, agreed.ReceiveWindowBits)
		require.True(t, seen.ReceiveContextTakeover || !agreed.SendContextTakeover)
		require.True(t, agreed.ReceiveContextTakeover || !seen.SendContextTakeover)
	})
}
