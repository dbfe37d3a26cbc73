//go:build !purego && !race

package cpu

// AVX2 is whether the processor has the instructions of AVX2 and the system
// keeps the registers that they need.
var AVX2 = hasAVX2()

// Bits of what cpuid and xgetbv return: Intel's Software Developer's Manual,
// volume 2, CPUID, and volume 1, §13.3.
const (
	leaf1OSXSAVE = 1 << 27 // of ECX: the system has turned XGETBV on
	leaf1AVX     = 1 << 28 // of ECX
	leaf7AVX2    = 1 << 5  // of EBX
	xcr0XMM      = 1 << 1  // the system keeps them
	xcr0YMM      = 1 << 2
)

func hasAVX2() bool {
	if highest, _, _, _ := cpuid(0, 0); highest < 7 {
		return false
	}
	// AVX2 alone says what the processor could do. A system that does not keep
	// the registers, or was told not to, would lose them at a change of threads.
	if _, _, ecx, _ := cpuid(1, 0); ecx&leaf1OSXSAVE == 0 || ecx&leaf1AVX == 0 {
		return false
	}
	if xcr0 := xgetbv(); xcr0&xcr0XMM == 0 || xcr0&xcr0YMM == 0 {
		return false
	}
	_, ebx, _, _ := cpuid(7, 0)
	return ebx&leaf7AVX2 != 0
}

// cpuid is the instruction.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the low half of XCR0. Without leaf1OSXSAVE it is an illegal
// instruction.
func xgetbv() (xcr0 uint32)
