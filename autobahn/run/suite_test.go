package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeProgram puts a shell script on a search path of its own and returns
// where it is.
func writeProgram(t *testing.T, dir, name, script string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o700))
	return file
}

func TestFindSuite(t *testing.T) {
	if _, err := exec.LookPath("/bin/sh"); err != nil {
		t.Skip("the stand-ins for docker and wstest are shell scripts, and there is no /bin/sh")
	}
	reports := t.TempDir()

	t.Run("nothing", func(t *testing.T) {
		t.Setenv("WSTEST", "")
		t.Setenv("PATH", t.TempDir())
		_, err := findSuite(t.Context(), reports)
		require.ErrorContains(t, err, "cannot be run here")
	})
	t.Run("search path", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("WSTEST", "")
		t.Setenv("PATH", dir)
		wstest := writeProgram(t, dir, "wstest", "")
		writeProgram(t, dir, "docker", "exit 1") // a client without an engine
		s, err := findSuite(t.Context(), reports)
		require.NoError(t, err)
		require.Equal(t, []string{wstest}, s.command("fuzzingclient"))
	})
	t.Run("engine", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("WSTEST", "")
		t.Setenv("PATH", dir)
		writeProgram(t, dir, "wstest", "")
		writeProgram(t, dir, "docker", `[ "$1" = info ] || [ "$1 $2" = "image inspect" ]`)
		s, err := findSuite(t.Context(), reports)
		require.NoError(t, err)
		command := strings.Join(s.command("fuzzingclient"), " ")
		require.True(t, strings.HasPrefix(command, "docker run --rm --name websocket-fuzzingclient-"), command)
		require.Contains(t, command, "--network host --volume "+reports+":/reports --workdir /reports")
		require.True(t, strings.HasSuffix(command, image+" wstest"), command)
	})
	t.Run("engine without the image", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("WSTEST", "")
		t.Setenv("PATH", dir)
		writeProgram(t, dir, "docker", `[ "$1" = info ] || { echo no such $1; exit 1; }`)
		_, err := findSuite(t.Context(), reports)
		require.ErrorContains(t, err, "no such pull")
	})
	t.Run("variable", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("PATH", dir)
		writeProgram(t, dir, "docker", "")
		own := writeProgram(t, t.TempDir(), "own", "")
		t.Setenv("WSTEST", own)
		s, err := findSuite(t.Context(), reports)
		require.NoError(t, err)
		require.Equal(t, []string{own}, s.command("fuzzingserver"))

		t.Setenv("WSTEST", filepath.Join(dir, "missing"))
		_, err = findSuite(t.Context(), reports)
		require.ErrorContains(t, err, "the WSTEST variable")
	})
}
