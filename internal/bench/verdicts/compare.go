package main

import (
	"fmt"
	"slices"

	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/library"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/oracle"
	"github.com/seed62ce5aa7/websocket/internal/bench/verdicts/streams"
)

// A difference is what a library does otherwise than the RFC has it where a stream is a
// case of a rule.
type difference struct {
	rule *oracle.Rule
	does string
}

const (
	accepts = "accepts it" // it reads what breaks the rule as if it did not
	silent  = "no close frame"
	unclear = "unclear" // it is one of these two
)

func judge(s streams.Stream, ignored ...*oracle.Rule) oracle.Ruling {
	return oracle.Judge(s.Bytes, oracle.Conditions{
		Server: s.Server, Compression: s.Compression, Limit: streams.Limit, Ignored: ignored,
	})
}

// compare returns nil if the verdict is one that the RFC allows.
func compare(s streams.Stream, ruling oracle.Ruling, v library.Verdict) *difference {
	if allows(ruling, v) {
		return nil
	}
	d := between(ruling, v)
	if slices.Contains(oracle.Ignorable, d.rule) && explains(s, ruling, v, d.rule) {
		if d.does == silent {
			d.does = unclear
		} else {
			d.does = accepts
		}
	}
	return &d
}

// allows reports whether a verdict is one of a ruling's.
func allows(ruling oracle.Ruling, v library.Verdict) bool {
	return common(ruling, v) == len(v.Messages) && slices.ContainsFunc(ruling.Outcomes, func(o oracle.Outcome) bool {
		return o.Messages == len(v.Messages) && slices.Contains(o.Codes, v.Close)
	})
}

// common is how many messages are the same, from the first.
func common(ruling oracle.Ruling, v library.Verdict) int {
	n := 0
	for n < min(len(ruling.Messages), len(v.Messages)) && ruling.Messages[n].Message == v.Messages[n] {
		n++
	}
	return n
}

// explains reports whether the verdict is one of a library that does not know some rules.
// If it delivers more messages than it may, and they are right, nothing but going on can have
// been what it did.
func explains(s streams.Stream, ruling oracle.Ruling, v library.Verdict, ignored ...*oracle.Rule) bool {
	without := judge(s, ignored...)
	if allows(without, v) {
		return true
	}
	next := between(without, v).rule
	if slices.Contains(oracle.Ignorable, next) && !slices.Contains(ignored, next) {
		return explains(s, ruling, v, append(ignored, next)...)
	}
	return common(without, v) > len(ruling.Messages)
}

// between is where a verdict that is not allowed leaves the ruling.
func between(ruling oracle.Ruling, v library.Verdict) difference {
	same := common(ruling, v)
	last := ruling.Outcomes[len(ruling.Outcomes)-1].Rule
	switch {
	case same > 0 && same == len(v.Messages) && v.Close == oracle.None && ruling.Messages[same-1].Rule == oracle.DeflatedInStreams:
		return difference{oracle.DeflatedInStreams, "reads nothing behind it"}
	case same < len(v.Messages) && same < len(ruling.Messages):
		return difference{ruling.Messages[same].Rule, "delivers another message"}
	case same < len(v.Messages):
		return difference{last, "delivers a message"}
	}
	does := map[int]string{
		oracle.None: silent, oracle.NoStatus: "sends a close frame without a code",
		library.Garbage: "sends what is no frame", library.WronglyMasked: "sends a frame with the wrong masking",
		library.Hangs: "goes on waiting", library.Panicked: "panics",
	}[v.Close]
	if does == "" {
		does = fmt.Sprintf("sends %d", v.Close)
	}
	for _, o := range ruling.Outcomes {
		if o.Messages == same {
			return difference{o.Rule, does}
		}
	}
	return difference{ruling.Messages[same].Rule, "does not deliver it, " + does}
}
