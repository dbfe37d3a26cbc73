package oracle_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
)

// stream is the bytes of frames, written in hex, with what is in brackets as it is.
func stream(t *testing.T, s string) []byte {
	var b []byte
	for s != "" {
		head, rest, _ := strings.Cut(s, "[")
		p, err := hex.DecodeString(strings.ReplaceAll(head, " ", ""))
		require.NoError(t, err)
		plain, after, _ := strings.Cut(rest, "]")
		b = append(append(b, p...), plain...)
		s = after
	}
	return b
}

// said is a ruling, readable: what was delivered, and the outcomes.
type said struct {
	messages []string // text begins with t, and binary data with b
	outcomes []oracle.Outcome
}

func outcome(messages int, rule *oracle.Rule, codes ...int) oracle.Outcome {
	return oracle.Outcome{Messages: messages, Codes: codes, Rule: rule}
}

func requireRuling(t *testing.T, want said, got oracle.Ruling) {
	t.Helper()
	require.Len(t, got.Messages, len(want.messages))
	for i, m := range want.messages {
		require.Equal(t, oracle.NewMessage(m[0] == 't', []byte(m[1:])), got.Messages[i].Message, i)
	}
	require.Equal(t, want.outcomes, got.Outcomes)
}

// What comes to a client, where the limit is ten bytes and nothing is compressed.
func TestStreamsToAClient(t *testing.T) {
	one := func(messages int, rule *oracle.Rule, codes ...int) []oracle.Outcome {
		return []oracle.Outcome{outcome(messages, rule, codes...)}
	}
	for _, c := range []struct {
		stream string
		want   said
	}{
		{"", said{nil, one(0, oracle.End, 0)}},
		{"8102[hi]", said{[]string{"thi"}, one(1, oracle.End, 0)}},
		{"8202ff00", said{[]string{"b\xff\x00"}, one(1, oracle.End, 0)}},
		{"8100 8200", said{[]string{"t", "b"}, one(2, oracle.End, 0)}},
		{"0101[h] 8901[p] 0000 8a00 8001[i] 880203e8", said{[]string{"thi"}, one(1, oracle.Close, 1000)}},
		{"8800 8101[x]", said{nil, one(0, oracle.CloseEmpty, 1005)}},
		{"880403e8[ok]", said{nil, one(0, oracle.Close, 1000)}},
		{"880203f4", said{nil, one(0, oracle.CloseCodeRegistered, 1012)}},
		{"8802 1388 8102[hi]", said{nil, []oracle.Outcome{
			outcome(0, oracle.CloseCodeUnassigned, 1002), outcome(0, oracle.CloseCodeUnassigned, 5000)}}},
		{"880203ed", said{nil, one(0, oracle.CloseCodeNotSent, 1002)}},
		{"88020000", said{nil, one(0, oracle.CloseCodeNotSent, 1002)}},
		{"880103", said{nil, one(0, oracle.CloseOfOneByte, 1002)}},
		{"880303e8ff", said{nil, one(0, oracle.CloseReason, 1007, 1002)}},

		{"8182 00000000[hi]", said{nil, one(0, oracle.Masked, 1002, 0)}},
		{"c102[hi]", said{nil, one(0, oracle.Reserved, 1002)}},
		{"8300", said{nil, one(0, oracle.UnknownOpcode, 1002)}},
		{"8b00", said{nil, one(0, oracle.UnknownOpcode, 1002)}},
		{"0900", said{nil, one(0, oracle.FragmentedControl, 1002)}},
		{"897e007e", said{nil, one(0, oracle.LongControl, 1002)}},
		{"8000", said{nil, one(0, oracle.NothingToContinue, 1002)}},
		{"0100 8100", said{nil, one(0, oracle.Interrupted, 1002)}},
		{"817e0001[x]", said{nil, one(0, oracle.NotShortest, 1002)}},
		{"817f000000000000ffff", said{nil, one(0, oracle.NotShortest, 1002)}},
		{"827f8000000000000000", said{nil, one(0, oracle.TopBit, 1002)}},

		{"8101ff 8800", said{nil, one(0, oracle.NotUTF8, 1007)}},
		{"8101c3", said{nil, one(0, oracle.NotUTF8, 1007)}},
		{"0101c3 8001a9", said{[]string{"té"}, one(1, oracle.End, 0)}},
		{"0101c3 800128", said{nil, one(0, oracle.NotUTF8, 1007)}},
		{"0102c328 8103[new]", said{nil, []oracle.Outcome{
			outcome(0, oracle.NotUTF8, 1007), outcome(0, oracle.Interrupted, 1002)}}},
		{"8103ff", said{nil, []oracle.Outcome{outcome(0, oracle.NotUTF8, 1007), outcome(0, oracle.EndInFrame, 0)}}},

		{"820a[0123456789]", said{[]string{"b0123456789"}, one(1, oracle.End, 0)}},
		{"820b[0123456789x]", said{nil, one(0, oracle.TooBig, 1009)}},
		{"020a[0123456789] 8000", said{[]string{"b0123456789"}, one(1, oracle.End, 0)}},
		{"020a[0123456789] 8001[x]", said{nil, one(0, oracle.TooBig, 1009)}},
		{"820b[0123]", said{nil, []oracle.Outcome{outcome(0, oracle.TooBig, 1009), outcome(0, oracle.EndInFrame, 0)}}},
		{"817f7fffffffffffffff", said{nil, []oracle.Outcome{outcome(0, oracle.TooBig, 1009), outcome(0, oracle.EndInFrame, 0)}}},

		{"0102[hi]", said{nil, one(0, oracle.EndInMessage, 0)}},
		{"8102[h]", said{nil, one(0, oracle.EndInFrame, 0)}},
		{"8902[h]", said{nil, one(0, oracle.EndInFrame, 0)}},
		{"817e00", said{nil, one(0, oracle.EndInFrame, 0)}},
		{"81", said{nil, one(0, oracle.EndInFrame, 0)}},
		{"c1", said{nil, []oracle.Outcome{outcome(0, oracle.Reserved, 1002), outcome(0, oracle.EndInFrame, 0)}}},
		{"097e", said{nil, []oracle.Outcome{outcome(0, oracle.FragmentedControl, 1002), outcome(0, oracle.EndInFrame, 0)}}},
	} {
		t.Run(c.stream, func(t *testing.T) {
			requireRuling(t, c.want, oracle.Judge(stream(t, c.stream), oracle.Conditions{Limit: 10}))
		})
	}
}

// What a server has otherwise.
func TestStreamsToAServer(t *testing.T) {
	c := oracle.Conditions{Server: true, Limit: 10}
	requireRuling(t, said{[]string{"tHello"}, []oracle.Outcome{outcome(1, oracle.End, 0)}},
		oracle.Judge(stream(t, "8185 37fa213d 7f9f4d5158"), c)) // RFC 6455 §5.7
	requireRuling(t, said{nil, []oracle.Outcome{outcome(0, oracle.Close, 1000)}},
		oracle.Judge(stream(t, "8882 ffffffff fc17"), c))
	requireRuling(t, said{nil, []oracle.Outcome{outcome(0, oracle.Unmasked, 1002, 0)}},
		oracle.Judge(stream(t, "8102[hi]"), c))
	requireRuling(t, said{nil, []oracle.Outcome{outcome(0, oracle.EndInFrame, 0)}},
		oracle.Judge(stream(t, "8182 000000"), c))
}

// What compression changes. Hello is as in RFC 7692 §7.2.3.
func TestCompressedStreams(t *testing.T) {
	corrupt := func(messages int) oracle.Outcome { return outcome(messages, oracle.Corrupt, 1007, 1002, 1003, 1011) }
	end := func(messages int) oracle.Outcome { return outcome(messages, oracle.End, 0) }
	for _, c := range []struct {
		stream string
		want   said
	}{
		{"c107 f248cdc9c90700", said{[]string{"tHello"}, []oracle.Outcome{end(1)}}},
		{"4103 f248cd 8900 8004 c9c90700", said{[]string{"tHello"}, []oracle.Outcome{end(1)}}},
		{"c10b 000500faff[Hello]00", said{[]string{"tHello"}, []oracle.Outcome{end(1)}}},
		{"c108 f348cdc9c9070000", said{[]string{"tHello"}, []oracle.Outcome{end(1)}}},
		{"c10d f248050000 00ffffcac9c90700", said{[]string{"tHello"}, []oracle.Outcome{end(1)}}},
		{"c101 00 c101 01", said{[]string{"t", "t"}, []oracle.Outcome{end(2)}}},
		{"8105 [Hello]", said{[]string{"tHello"}, []oracle.Outcome{end(1)}}},

		{"c100", said{nil, []oracle.Outcome{corrupt(0)}}},
		{"c106 f248cdc9c907", said{nil, []oracle.Outcome{corrupt(0)}}},
		{"c10b f248cdc9c90700 0000ffff", said{nil, []oracle.Outcome{corrupt(0)}}},
		{"c101 06", said{nil, []oracle.Outcome{corrupt(0)}}}, // there is no such type of block
		{"4101 06 8900", said{nil, []oracle.Outcome{corrupt(0), outcome(0, oracle.EndInMessage, 0)}}},
		{"c205 000400fbff", said{[]string{"b\x00\x00\xff\xff"}, []oracle.Outcome{
			outcome(0, oracle.DeflatedOddly, 1007, 1002, 1003, 1011), end(1)}}},

		{"c107 000100feff ff00", said{nil, []oracle.Outcome{outcome(0, oracle.NotUTF8Inflated, 1007)}}},
		{"c217 001100eeff 3030303030303030", said{nil, []oracle.Outcome{
			outcome(0, oracle.TooBigInflated, 1009), outcome(0, oracle.EndInFrame, 0)}}},
		{"c217 001100eeff [0123456789abcdefg] 00", said{nil, []oracle.Outcome{outcome(0, oracle.TooBigInflated, 1009)}}},

		{"e100", said{nil, []oracle.Outcome{outcome(0, oracle.ReservedBesideCompression, 1002)}}},
		{"c900", said{nil, []oracle.Outcome{outcome(0, oracle.CompressedControl, 1002)}}},
		{"0100 c000", said{nil, []oracle.Outcome{outcome(0, oracle.CompressedContinuation, 1002)}}},
	} {
		t.Run(c.stream, func(t *testing.T) {
			requireRuling(t, c.want, oracle.Judge(stream(t, c.stream), oracle.Conditions{Compression: true, Limit: 16}))
		})
	}
}

// A block with BFINAL and others behind it, which have a rule of their own.
func TestStreamsOfDEFLATE(t *testing.T) {
	r := oracle.Judge(stream(t, "c113 f348cdc9c90700 000000ffff f248cdc9c90700"), oracle.Conditions{Compression: true, Limit: 100})
	require.Len(t, r.Messages, 1)
	require.Equal(t, oracle.DeflatedInStreams, r.Messages[0].Rule)
	require.Equal(t, oracle.NewMessage(true, []byte("HelloHello")), r.Messages[0].Message)
}

// What whoever reads does not know is read as if it were right.
func TestIgnoredRules(t *testing.T) {
	for _, c := range []struct {
		rule     *oracle.Rule
		server   bool
		compress bool
		stream   string
		messages []string
		code     int
	}{
		{oracle.Masked, false, false, "8182 01010101[hi] 8882 01010101 02e9", []string{"thi"}, 1000},
		{oracle.Unmasked, true, false, "8102[hi] 880203e8", []string{"thi"}, 1000},
		{oracle.Reserved, false, false, "c102[hi] 880203e8", []string{"thi"}, 1000},
		{oracle.ReservedBesideCompression, false, true, "a102[hi] 880203e8", []string{"thi"}, 1000},
		{oracle.CompressedControl, false, true, "c900 880203e8", nil, 1000},
		{oracle.CompressedContinuation, false, true, "0101[h] c001[i] 880203e8", []string{"thi"}, 1000},
		{oracle.NotShortest, false, false, "817e0002[hi] 880203e8", []string{"thi"}, 1000},
		{oracle.CloseOfOneByte, false, false, "880103", nil, 1005},
		{oracle.CloseReason, false, false, "880303e8ff", nil, 1000},
		{oracle.NotUTF8, false, false, "8101ff 880203e8", []string{"t\xff"}, 1000},
		{oracle.NotUTF8Inflated, false, true, "c107 000100feff ff00 880203e8", []string{"t\xff"}, 1000},
		{oracle.TooBig, false, false, "820b[0123456789x] 880203e8", []string{"b0123456789x"}, 1000},
		{oracle.TooBigInflated, false, true, "c211 000b00f4ff [0123456789x] 00 880203e8", []string{"b0123456789x"}, 1000},
	} {
		t.Run(c.rule.What, func(t *testing.T) {
			require.Contains(t, oracle.Ignorable, c.rule)
			conditions := oracle.Conditions{Server: c.server, Compression: c.compress, Limit: 10}
			b := stream(t, c.stream)
			plain := oracle.Judge(b, conditions)
			require.Equal(t, c.rule, plain.Outcomes[0].Rule)
			conditions.Ignored = []*oracle.Rule{c.rule}
			r := oracle.Judge(b, conditions)
			require.Len(t, r.Messages, len(c.messages))
			for i, m := range c.messages {
				require.Equal(t, oracle.NewMessage(m[0] == 't', []byte(m[1:])), r.Messages[i].Message)
			}
			require.Equal(t, []int{c.code}, r.Outcomes[len(r.Outcomes)-1].Codes)
		})
	}
}
