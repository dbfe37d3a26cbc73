// Package worker measures in processes of their own, one for each library, so
// that its garbage and its pools are its own, and so that processor time can be
// told apart. A worker takes requests as lines of JSON and answers each with one.
package worker

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
)

// A Request says what to do, and with what.
type Request struct {
	Do      string // the name of a method of this package
	Library string `json:",omitempty"` // a codec's name, or a server library's
	Mode    string `json:",omitempty"` // of a server
	Bits    int    `json:",omitempty"` // of a codec's window
	Kind    string `json:",omitempty"` // of messages
	Least   time.Duration
}

// A Reply is what came of it.
type Reply struct {
	Sample  measure.Sample
	Reading measure.Reading
	Heap    int64
	Open    int64 // connections
	Address string
	Error   string
}

// Serve answers requests until there are no more.
func Serve(in io.Reader, out io.Writer) error {
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	var w worker
	for {
		var q Request
		if err := requests.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		reply, err := w.do(q)
		if err != nil {
			reply.Error = fmt.Sprintf("%s %s %s %d %s: %v", q.Do, q.Library, q.Mode, q.Bits, q.Kind, err)
		}
		if err := replies.Encode(reply); err != nil {
			return err
		}
	}
}

type worker struct{}

func (w *worker) do(q Request) (r Reply, err error) {
	switch q.Do {
	case "encode":
		r.Sample, err = encode(q.Library, q.Bits, q.Kind, q.Least)
	case "decode":
		r.Sample, err = decode(q.Library, q.Bits, q.Kind, q.Least)
	case "encoder heap":
		r.Heap, err = codecHeap(q.Library, q.Bits, true)
	case "decoder heap":
		r.Heap, err = codecHeap(q.Library, q.Bits, false)
	default:
		err = fmt.Errorf("worker: cannot do that")
	}
	return r, err
}
