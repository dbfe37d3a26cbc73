package websocket

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

// Beside copy of the same bytes, in the same run:
//
//	go test -run '^$' -bench Mask -count 10 . | benchstat -col /impl -
//
// Each round takes other buffers than the one before, as payloads do: a load
// from what several narrower stores have just written waits for all of them,
// which is no property of a kernel. Where both sides of a copy are a multiple of
// 4 KiB apart, loads also wait for stores that only look alike.
func BenchmarkMask(b *testing.B) {
	for _, n := range []int{4, 8, 16, 32, 64, 125, 256, 512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20} {
		for _, offset := range []int{0, 3} {
			if offset != 0 && n > 64<<10 {
				continue // memory is the limit
			}
			lengths := make([]int, max(1, min(64, 8<<10/n)))
			for i := range lengths {
				lengths[i] = n
			}
			benchmarkMask(b, fmt.Sprintf("size=%s/offset=%d", sizeName(n), offset), lengths, offset)
		}
	}
	random := rand.New(rand.NewPCG(1, 125))
	lengths := make([]int, 1024)
	for i := range lengths {
		lengths[i] = 1 + random.IntN(125)
	}
	benchmarkMask(b, "size=1-125B/offset=0", lengths, 0)
}

// benchmarkMask measures payloads of the lengths, in turn.
func benchmarkMask(b *testing.B, name string, lengths []int, offset int) {
	const slots = 64
	type payload struct{ dst, src []byte }
	var payloads []payload
	total, longest := 0, 0
	for _, n := range lengths {
		longest = max(longest, n)
		total += n
	}
	stride := (longest + offset + 127) &^ 63
	count := min(slots, len(lengths))
	half := count*stride + 2048
	memory := make([]byte, 2*half)
	for i, n := range lengths {
		at := i%count*stride + offset
		payloads = append(payloads, payload{memory[at : at+n], memory[half+at : half+at+n]})
	}
	run := func(impl string, f func(p *payload, key uint32)) {
		b.Run(name+"/impl="+impl, func(b *testing.B) {
			b.SetBytes(int64(total / len(lengths)))
			i, key := 0, uint32(0x3D21FA37)
			for b.Loop() {
				f(&payloads[i], key)
				if i++; i == len(payloads) {
					i = 0
				}
			}
		})
	}
	run("copy", func(p *payload, _ uint32) { copy(p.dst, p.src) })
	run("inplace", func(p *payload, key uint32) { mask(p.dst, key) })
	run("copying", func(p *payload, key uint32) { maskCopy(p.dst, p.src, key) })
	run("inplace-ascii", func(p *payload, key uint32) { maskCopyASCII(p.dst, p.dst, key) })
	run("copying-ascii", func(p *payload, key uint32) { maskCopyASCII(p.dst, p.src, key) })
	run("generic", func(p *payload, key uint32) { maskGeneric(p.dst, p.dst, key) })
}

// Phases of the key cost the same: it is turned once for each call.
func BenchmarkMaskPhase(b *testing.B) {
	p := make([]byte, 1<<10)
	for phase := range 4 {
		key := keyAt([4]byte{0x37, 0xFA, 0x21, 0x3D}, phase)
		b.Run("phase="+strconv.Itoa(phase), func(b *testing.B) {
			for b.Loop() {
				mask(p, key)
			}
		})
	}
}

func sizeName(n int) string {
	if n >= 1024 {
		return strconv.Itoa(n/1024) + "KiB"
	}
	return strconv.Itoa(n) + "B"
}
