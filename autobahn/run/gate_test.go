package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	testAgent = "under-test"
	ok        = "OK"
)

// expectedReport is what the suite says when everything is as small expects.
func expectedReport() map[string]verdict {
	return map[string]verdict{
		"1.1.1":  {ok, ok},
		"1.1.2":  {ok, ok},
		"2.1":    {ok, ok},
		"2.2":    {ok, ok},
		"12.1.1": {"UNIMPLEMENTED", ok},
	}
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(got map[string]verdict)
		want   []string
	}{
		"as expected": {
			change: func(map[string]verdict) {},
		},
		"unexpected failure": {
			change: func(got map[string]verdict) { got["2.1"] = verdict{"FAILED", ok} },
			want:   []string{"server 2.1: FAILED/OK, want OK/OK"},
		},
		"failure at the close alone": {
			change: func(got map[string]verdict) { got["2.1"] = verdict{ok, "UNCLEAN"} },
			want:   []string{"server 2.1: OK/UNCLEAN, want OK/OK"},
		},
		"not strict": {
			change: func(got map[string]verdict) { got["2.1"] = verdict{"NON-STRICT", ok} },
			want:   []string{"server 2.1: NON-STRICT/OK, want OK/OK"},
		},
		"informational": {
			change: func(got map[string]verdict) { got["2.1"] = verdict{"INFORMATIONAL", "INFORMATIONAL"} },
			want:   []string{"server 2.1: INFORMATIONAL/INFORMATIONAL, want OK/OK"},
		},
		"unexpected pass": {
			change: func(got map[string]verdict) { got["12.1.1"] = verdict{ok, ok} },
			want:   []string{"server 12.1.1: OK/OK, unexpectedly: its exception is out of date (UNIMPLEMENTED/OK: not there yet)"},
		},
		"another failure than the expected one": {
			change: func(got map[string]verdict) { got["12.1.1"] = verdict{"FAILED", "UNCLEAN"} },
			want:   []string{"server 12.1.1: FAILED/UNCLEAN, want UNIMPLEMENTED/OK (not there yet)"},
		},
		"missing case": {
			change: func(got map[string]verdict) { delete(got, "1.1.2") },
			want:   []string{"server 1.1.2: missing from the report"},
		},
		"missing exception": {
			change: func(got map[string]verdict) { delete(got, "12.1.1") },
			want:   []string{"server 12.1.1: missing from the report"},
		},
		"extra case": {
			change: func(got map[string]verdict) { got["2.3"] = verdict{ok, ok} },
			want:   []string{"server 2.3: OK/OK, but this case was not asked for"},
		},
		"verdict left out": {
			change: func(got map[string]verdict) { got["2.2"] = verdict{} },
			want:   []string{"server 2.2: /, want OK/OK"},
		},
		"no case at all": {
			change: func(got map[string]verdict) { clear(got) },
			want: []string{
				"server 1.1.1: missing from the report", "server 1.1.2: missing from the report",
				"server 2.1: missing from the report", "server 2.2: missing from the report",
				"server 12.1.1: missing from the report",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			exp := parse(t, small)
			got := expectedReport()
			tt.change(got)
			require.Equal(t, tt.want, exp.check(roleServer, testAgent, exp.ids, report{testAgent: got}))
		})
	}
}

func TestCheckOfSelectedCases(t *testing.T) {
	exp := parse(t, small)
	got := expectedReport()
	selected := []string{"2.1", "12.1.1"}
	maps.DeleteFunc(got, func(id string, _ verdict) bool { return id != "2.1" && id != "12.1.1" })
	require.Empty(t, exp.check(roleClient, testAgent, selected, report{testAgent: got}))

	got["1.1.1"] = verdict{ok, ok}
	require.Equal(t, []string{"client 1.1.1: OK/OK, but this case was not asked for"},
		exp.check(roleClient, testAgent, selected, report{testAgent: got}))
}

func TestCheckOfAgents(t *testing.T) {
	exp := parse(t, small)
	lines := exp.check(roleServer, testAgent, []string{"2.1"}, report{"UnknownServer": expectedReport()})
	require.Equal(t, []string{
		`server the report has an agent "UnknownServer" that was not tested`,
		"server 2.1: missing from the report",
	}, lines)
}

// An exception for one role says nothing about the other.
func TestCheckOfRoles(t *testing.T) {
	exp := parse(t, strings.Replace(small, `"cases": ["12.*"]`, `"cases": ["12.*"], "roles": ["client"]`, 1))
	rep := report{testAgent: expectedReport()}
	require.Empty(t, exp.check(roleClient, testAgent, exp.ids, rep))
	require.Equal(t, []string{"server 12.1.1: UNIMPLEMENTED/OK, want OK/OK"},
		exp.check(roleServer, testAgent, exp.ids, rep))
}

func TestReadReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "index.json")
	_, err := readReport(file)
	require.ErrorIs(t, err, os.ErrNotExist)

	// The form in which the suite writes it.
	require.NoError(t, os.WriteFile(file, []byte(`{
   "under-test": {
      "2.1": {
         "behavior": "OK",
         "behaviorClose": "UNCLEAN",
         "duration": 2,
         "remoteCloseCode": 1000,
         "reportfile": "under_test_case_2_1.json"
      }
   }
}`), 0o600))
	rep, err := readReport(file)
	require.NoError(t, err)
	require.Equal(t, report{testAgent: {"2.1": {ok, "UNCLEAN"}}}, rep)

	require.NoError(t, os.WriteFile(file, []byte(`{"under-test": {`), 0o600))
	_, err = readReport(file)
	require.ErrorContains(t, err, "index.json")
}

func TestWriteSummary(t *testing.T) {
	var out strings.Builder
	require.NoError(t, writeSummary(&out, []*role{
		{name: roleServer, agent: testAgent, report: report{testAgent: expectedReport()}},
		{name: roleClient, agent: "other", report: report{}},
	}))
	require.Equal(t, ""+
		"role    agent       cases  behavior               behaviorClose\n"+
		"server  under-test  5      4 OK, 1 UNIMPLEMENTED  5 OK\n"+
		"client  other       0                             \n", out.String())
}
