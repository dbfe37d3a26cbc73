package websocket

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// A tag can be moved to other code, a commit cannot; and what runs on hosted machines
// has no right that it does not need.
func TestWorkflowsTrustCommitsOnly(t *testing.T) {
	files, err := filepath.Glob(".github/workflows/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	uses := regexp.MustCompile(`(?m)^\s*-? *uses: *(.*)$`)
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d`)
	permits := regexp.MustCompile(`(?m)^( *)permissions:(.*)$((?:\n +[\w-]+: *\w+$)*)`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		text := string(b)
		require.NotEmpty(t, uses.FindAllString(text, -1), file)
		for _, u := range uses.FindAllStringSubmatch(text, -1) {
			require.Regexp(t, pinned, u[1], file)
		}
		all := permits.FindAllStringSubmatch(text, -1)
		require.NotEmpty(t, all, "%s has the permissions that the repository's settings give", file)
		require.Equal(t, []string{"", " {}", ""}, all[0][1:], "%s: nothing, unless a job says what", file)
		for _, p := range all[1:] {
			require.Regexp(t, `^\n +contents: read$`, p[3], file)
		}
		require.NotContains(t, text, "pull_request_target", "%s: code of others with our rights", file)
		require.NotContains(t, text, "secrets.", file)
		require.NotRegexp(t, `run:.*\$\{\{`, text, "%s: what somebody names is not to become a command", file)
	}
}
