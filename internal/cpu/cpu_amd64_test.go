//go:build !purego && !race

package cpu

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The kernel lists an instruction set if the processor has it and the kernel
// keeps its registers, which is what AVX2 is to say.
func TestAVX2IsWhatLinuxSays(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip("only Linux has a list to compare with: ", err)
	}
	field := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `\s*:(.*)$`).FindSubmatch(info)
		require.NotNil(t, m, name)
		return strings.TrimSpace(string(m[1]))
	}
	signature, _, _, _ := cpuid(1, 0)
	if field("stepping") != strconv.Itoa(int(signature&15)) || field("model") != strconv.Itoa(int(signature>>12&0xF0|signature>>4&15)) {
		t.Skip("an emulator shows the list of another processor")
	}
	require.Equal(t, slices.Contains(strings.Fields(field("flags")), "avx2"), AVX2)
}
