package websocket

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The code in the README is the code of an example that runs.
func TestReadmeCodeIsTheExamples(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	require.Len(t, blocks, 2)
	for _, block := range blocks {
		require.Contains(t, string(example), string(block[1]))
	}
}

// Each test that one of these files names by a pattern exists.
func TestReadmeCommandsFindTests(t *testing.T) {
	names := testNames(t, ".")
	for _, file := range []string{"README.md", "ARCHITECTURE.md", "docs/hostile.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		commands := regexp.MustCompile(`go test [^`+"`"+`]*-(?:run|fuzz) '?([^ ']+)'? \.`).FindAllSubmatch(text, -1)
		require.NotEmpty(t, commands, file)
		for _, command := range commands {
			pattern, err := regexp.Compile(string(command[1]))
			require.NoError(t, err)
			found := false
			for _, name := range names {
				found = found || pattern.MatchString(name)
			}
			require.True(t, found, "%s: no test for %q", file, command[0])
		}
	}
}

// testNames are the tests and fuzz targets of the package in a folder.
func testNames(t *testing.T, dir string) []string {
	var names []string
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		src, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		for _, m := range declared.FindAllSubmatch(src, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// Each test that docs/contract.md names holds a line of it.
func TestContractIsHeldByTests(t *testing.T) {
	text, err := os.ReadFile("docs/contract.md")
	require.NoError(t, err)
	names := testNames(t, ".")
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what |") || strings.Contains(line, "api_test.go") {
			continue
		}
		rows++
		cells := strings.Split(line, " | ")
		held := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		require.NotEmpty(t, held, "no test holds: %s", line)
		for _, test := range held {
			require.Contains(t, names, test[1])
		}
	}
	require.Greater(t, rows, 70)
}

// Each test that docs/hostile.md names exists, and each test of the files that are for it is
// named there.
func TestHostileIsHeldByTests(t *testing.T) {
	text, err := os.ReadFile("docs/hostile.md")
	require.NoError(t, err)
	test := regexp.MustCompile("`(?:(internal/\\w+)\\.)?((?:Test|Fuzz)\\w+)`")
	names := map[string][]string{"": testNames(t, ".")}
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what |") {
			continue
		}
		rows++
		cells := strings.Split(line, " | ")
		require.Len(t, cells, 4, line)
		held := test.FindAllStringSubmatch(cells[3], -1)
		require.NotEmpty(t, held, "no test holds: %s", line)
		for _, name := range held {
			if names[name[1]] == nil {
				names[name[1]] = testNames(t, name[1])
			}
			require.Contains(t, names[name[1]], name[2])
		}
	}
	require.Greater(t, rows, 60)
	for _, name := range names[""] {
		if strings.HasPrefix(name, "TestHostile") {
			require.Contains(t, string(text), "`"+name+"`")
		}
	}
}
