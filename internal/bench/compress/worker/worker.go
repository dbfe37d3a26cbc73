// Package worker measures in processes of their own, one for each library, so
// that its garbage and its pools are its own, and so that processor time can be
// told apart. A worker takes requests as lines of JSON and answers each with one.
package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed62ce5aa7/websocket/internal/bench/measure"
	"github.com/seed62ce5aa7/websocket/internal/bench/servers"
	"github.com/seed62ce5aa7/websocket/internal/bench/traffic"
)

// A Request says what to do, and with what.
type Request struct {
	Do      string        // see worker.do
	Library string        `json:",omitempty"` // a codec's name, or a server library's
	Mode    traffic.Mode  `json:",omitempty"` // of a server
	Bits    int           `json:",omitempty"` // of a codec's window
	Kind    string        `json:",omitempty"` // of messages
	Least   time.Duration // of processor time
	Open    int           `json:",omitempty"` // connections to wait for
}

// A Reply is what came of it.
type Reply struct {
	Sample  measure.Sample
	Reading measure.Reading
	Heap    int64
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

// A worker is what the process keeps between requests.
type worker struct {
	crowd *servers.Crowd // of the server that listens
}

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
	case "write":
		r.Sample, err = write(q.Library, q.Mode, q.Kind, q.Least)
	case "read":
		r.Sample, err = read(q.Library, q.Mode, q.Kind, q.Least)
	case "listen":
		r.Address, err = w.listen(q.Library, q.Mode)
	case "now":
		r.Reading, err = measure.Now()
	case "heap":
		w.crowd.Await(q.Open)
		r.Heap = measure.Heap()
	default:
		err = errors.New("worker: cannot do that")
	}
	return r, err
}
