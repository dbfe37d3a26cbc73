package moved_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	gorilla "github.com/gorilla/websocket"
	"github.com/seed62ce5aa7/websocket"
	"github.com/stretchr/testify/require"
)

// The import path that the programs have, and the one that they could have.
var (
	ourPath     = reflect.TypeFor[websocket.Conn]().PkgPath()
	gorillaPath = reflect.TypeFor[gorilla.Conn]().PkgPath()
)

// TestBothImportPaths runs the tests of the programs with one import path
// changed: in everything, which takes this library out of the build; and, since
// the two must also understand each other, in the programs alone and in their
// tests alone. That they pass as they are is what the programs' tests say.
func TestBothImportPaths(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the programs three times more")
	}
	for _, which := range []struct {
		name            string
		programs, tests bool // have gorilla's path
	}{
		{"gorilla", true, true},
		{"programs with gorilla", true, false},
		{"tests with gorilla", false, true},
	} {
		t.Run(which.name, func(t *testing.T) {
			dir := t.TempDir()
			changed := copyPrograms(t, dir, func(name string) bool {
				if strings.HasSuffix(name, "_test.go") {
					return which.tests
				}
				return which.programs
			})
			require.NotZero(t, changed)
			copyModule(t, dir, !which.programs || !which.tests)

			tested := run(t, dir, "list", "-test", "-deps", "./...")
			require.Equal(t, !which.programs || !which.tests, hasLine(tested, ourPath))
			require.True(t, hasLine(tested, gorillaPath))
			built := run(t, dir, "list", "-deps", "./...")
			require.Equal(t, !which.programs, hasLine(built, ourPath))
			require.Equal(t, which.programs, hasLine(built, gorillaPath))

			args := []string{"test", "-count=1"}
			if raceEnabled {
				args = append(args, "-race")
			}
			out := run(t, dir, append(args, "./...")...)
			passed := strings.Count("\n"+out, "\nok ")
			require.Equal(t, programs(t), passed, "%s", out)
		})
	}
}

// programs counts the folders that have a test.
func programs(t *testing.T) int {
	t.Helper()
	tests, err := filepath.Glob("*/*_test.go")
	require.NoError(t, err)
	folders := map[string]bool{}
	for _, name := range tests {
		folders[filepath.Dir(name)] = true
	}
	require.NotEmpty(t, folders)
	return len(folders)
}

// copyPrograms copies the folders' sources to dir, and has those that move
// chooses import gorilla's library. It counts them.
func copyPrograms(t *testing.T, dir string, move func(name string) bool) (changed int) {
	t.Helper()
	before, after := []byte(strconv.Quote(ourPath)), []byte(strconv.Quote(gorillaPath))
	err := filepath.WalkDir(".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Dir(name) == "." || filepath.Ext(name) != ".go" {
			return err
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if move(name) && bytes.Contains(source, before) {
			source = bytes.Replace(source, before, after, 1) // the import is the first
			changed++
		}
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		return os.WriteFile(target, source, 0o666)
	})
	require.NoError(t, err)
	return changed
}

// copyModule makes dir a module that requires what this one does, with or
// without our library.
func copyModule(t *testing.T, dir string, ours bool) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o666))
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	edit := []string{"mod", "edit", "-replace", ourPath + "=" + root}
	if !ours {
		edit = []string{"mod", "edit", "-dropreplace", ourPath, "-droprequire", ourPath}
	}
	run(t, dir, edit...)
}

// run runs the go command in dir, with nothing but what is in the module cache.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PWD="+dir, "GOWORK=off", "GOPROXY=off", "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %s\n%s%s", strings.Join(args, " "), out, &stderr)
	return string(out)
}

func hasLine(text, line string) bool { return strings.Contains("\n"+text, "\n"+line+"\n") }
