//go:build unix

package websocket

import (
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// socketPairs returns servers' connections over sockets, and a function that drops what
// has been sent to their peers.
func socketPairs(b *testing.B, n int) (conns []*Conn, drain func()) {
	b.Helper()
	var peers []int
	for range n {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			b.Skipf("%d sockets: %v", 2*n, err)
		}
		if err := syscall.SetNonblock(fds[1], true); err != nil {
			b.Fatal(err)
		}
		file := os.NewFile(uintptr(fds[0]), "")
		conn, err := net.FileConn(file)
		_ = file.Close()
		b.Cleanup(func() { _ = syscall.Close(fds[1]) })
		if err != nil {
			b.Skipf("%d sockets: %v", 2*n, err)
		}
		c := newConn(conn, connOptions{server: true})
		b.Cleanup(func() { _ = c.Close() })
		conns, peers = append(conns, c), append(peers, fds[1])
	}
	buf := make([]byte, 256<<10)
	return conns, func() {
		for _, fd := range peers {
			for {
				if n, err := syscall.Read(fd, buf); n <= 0 || err != nil {
					break
				}
			}
		}
	}
}

// BenchmarkBroadcast sends 512 B to 10,000 connections, or as many as there may be files open
// for, by a WritePreparedMessage each and by a Broadcast, in turn: a round is both. ratio is
// the median of the rounds' own.
func BenchmarkBroadcast(b *testing.B) {
	n := 10_000
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur < 2*uint64(n)+100 {
		n = int(files.Cur)/2 - 50
	}
	conns, drain := socketPairs(b, n)
	var queues []*SendQueue
	for _, c := range conns {
		queues = append(queues, NewSendQueue(c, QueueLimits{}))
	}
	pm, err := NewPreparedMessage(BinaryMessage, []byte(ascii(512)))
	if err != nil {
		b.Fatal(err)
	}
	ways := []func(){
		func() {
			for _, c := range conns {
				if err := c.WritePreparedMessage(pm); err != nil {
					b.Fatal(err)
				}
			}
		},
		func() {
			if taken, err := Broadcast(slices.Values(queues), pm); taken != len(queues) || err != nil {
				b.Fatal(taken, err)
			}
		},
	}
	var times [2][]float64
	var ratios []float64
	for round := 0; b.Loop(); round++ {
		var took [2]float64
		for i := range 2 {
			way := (round + i) % 2
			start := time.Now()
			ways[way]()
			took[way] = float64(time.Since(start)) / float64(len(conns))
			drain()
		}
		times[0], times[1] = append(times[0], took[0]), append(times[1], took[1])
		ratios = append(ratios, took[1]/took[0])
	}
	for _, values := range [][]float64{times[0], times[1], ratios} {
		slices.Sort(values)
	}
	b.ReportMetric(float64(n), "connections")
	b.ReportMetric(times[0][len(times[0])/2], "ns/write")
	b.ReportMetric(times[1][len(times[1])/2], "ns/broadcast")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
}

// BenchmarkSendQueue is bursts of small messages, each message an op: all to one connection,
// from one goroutine and from 16, and ten to each of 1,000.
func BenchmarkSendQueue(b *testing.B) {
	data := []byte(ascii(64))
	ways := map[string]func(c *Conn, q *SendQueue) error{
		"WriteMessage": func(c *Conn, _ *SendQueue) error { return c.WriteMessage(BinaryMessage, data) },
		"SendQueue":    func(_ *Conn, q *SendQueue) error { return q.Send(background, BinaryMessage, data) },
	}
	for _, name := range []string{"WriteMessage", "SendQueue"} {
		send := ways[name]
		for _, senders := range []int{1, 16} {
			b.Run(fmt.Sprintf("1 connection/%d senders/%s", senders, name), func(b *testing.B) {
				conns, drain := socketPairs(b, 1)
				c := conns[0]
				q := NewSendQueue(c, QueueLimits{})
				stop := make(chan struct{})
				var reader sync.WaitGroup
				reader.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							drain()
							time.Sleep(50 * time.Microsecond)
						}
					}
				})
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for i := range senders {
					wg.Go(func() {
						for n := i; n < b.N; n += senders {
							if err := send(c, q); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				if err := q.Flush(background); err != nil {
					b.Error(err)
				}
				b.StopTimer()
				close(stop)
				reader.Wait()
			})
		}
		b.Run("1000 connections/"+name, func(b *testing.B) {
			conns, drain := socketPairs(b, 1000)
			var queues []*SendQueue
			for _, c := range conns {
				queues = append(queues, NewSendQueue(c, QueueLimits{}))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; {
				for i, c := range conns {
					for range 10 {
						if err := send(c, queues[i]); err != nil {
							b.Fatal(err)
						}
						n++
					}
				}
				b.StopTimer()
				drain()
				b.StartTimer()
			}
		})
	}
}
