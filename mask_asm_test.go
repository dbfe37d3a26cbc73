//go:build (amd64 || arm64) && !purego && !race

package websocket

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A wrapper that is not inlined costs a short payload a third of its time.
func TestMaskWrappersAreInlined(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the compiler is asked, and there is none: ", err)
	}
	build := exec.Command(goTool, "build", "-gcflags=-m", ".")
	build.Env = append(os.Environ(), "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"mask", "maskCopy", "maskCopyASCII"} {
		require.Regexp(t, `(?m)^\./mask_asm\.go:\d+:\d+: can inline `+name+`$`, string(out))
	}
}
