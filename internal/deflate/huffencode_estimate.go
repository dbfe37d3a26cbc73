package deflate

import (
	"math"
	"math/bits"
)

// looksRandom reports whether src has nothing that a Huffman code could gain by,
// judged by up to 256 bytes of it: how many pairs of them are equal. Of bytes that are
// all equally likely it is 1/256 of the pairs; 1/190, which is the limit here, leaves
// no more than 6 % to gain. The bytes are taken in runs, since what has a period, as
// samples and pixels do, is to be seen in all its phases. A few bytes tell nothing.
func looksRandom(src []byte) bool {
	const run = 32
	runs := min(len(src), 256) / run
	if runs < 4 {
		return false
	}
	var seen [256]uint8
	n := runs * run
	limit := n * (n - 1) / 2 / 190
	equal := 0
	for step := (len(src) - run) / (runs - 1); runs > 0; runs-- {
		for _, c := range src[:run] {
			equal += int(seen[c])
			seen[c]++
		}
		if equal > limit {
			return false
		}
		src = src[min(step, len(src)):]
	}
	return true
}

// leastDynamic is about the size in bits, without extra bits, that a dynamic block has
// at least: what its symbols are worth, and a header of three bits for each that occurs;
// where many do, their codes have the same lengths, which takes less.
func leastDynamic(litFreq, distFreq []uint32, lits, dists []uint16) int {
	n := len(lits) + len(dists)
	return (entropy(litFreq, lits)+entropy(distFreq, dists))/logUnit + 80 + n + 2*min(n, 64)
}

// logUnit is the unit of nLogs, in parts of a bit.
const logUnit = 16

// nLogs has n·log2(n).
var nLogs [256]uint16

func nLog(n uint32) int {
	k := max(bits.Len32(n), 8) - 8
	return int(nLogs[n>>k&255])<<k + int(n)*k*logUnit
}

func init() {
	for n := range nLogs {
		if n > 0 {
			nLogs[n] = uint16(math.Round(logUnit * float64(n) * math.Log2(float64(n))))
		}
	}
}

// entropy is what symbols that occur so often are worth, in 1/logUnit bits.
func entropy(freq []uint32, used []uint16) int {
	total, sum := uint32(0), 0
	for _, sym := range used {
		f := freq[sym]
		total += f
		sum += nLog(f)
	}
	return nLog(total) - sum
}
