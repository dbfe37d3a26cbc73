package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// small is an expected.json for a suite of 5 cases, one of them an exception.
const small = `{
	"suite": "1", "total": 5, "cases": {"1.1": 2, "2": 2, "12.1": 1},
	"exceptions": [{"cases": ["12.*"], "behavior": "UNIMPLEMENTED", "behaviorClose": "OK", "reason": "not there yet"}]
}`

func parse(t *testing.T, data string) *expectations {
	t.Helper()
	exp, err := parseExpectations([]byte(data))
	require.NoError(t, err)
	return exp
}

func TestParseExpectationsOrdersCases(t *testing.T) {
	exp := parse(t, `{"suite": "1", "total": 13, "cases": {"10.1": 1, "2": 10, "1.2": 1, "1.10": 1}, "exceptions": []}`)
	require.Equal(t, []string{
		"1.2.1", "1.10.1",
		"2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9", "2.10",
		"10.1.1",
	}, exp.ids)
}

func TestParseExpectationsRejects(t *testing.T) {
	withException := func(e string) string {
		return strings.Replace(small, `"exceptions": [`, `"exceptions": [`+e+`, `, 1)
	}
	for name, tt := range map[string]struct{ data, want string }{
		"total":            {strings.Replace(small, `"total": 5`, `"total": 6`, 1), "add up to 5 cases, total says 6"},
		"no cases":         {`{"suite": "1", "total": 0}`, "add up to 0 cases"},
		"section":          {strings.Replace(small, `"2": 2`, `"x": 2`, 1), `"x" is not a case number`},
		"unknown field":    {strings.Replace(small, `"suite"`, `"siute"`, 1), "unknown field"},
		"trailing data":    {small + "{}", "something follows"},
		"no reason":        {withException(`{"cases": ["1.1.1"], "behavior": "FAILED", "behaviorClose": "OK", "reason": " "}`), "gives no reason"},
		"no verdict":       {withException(`{"cases": ["1.1.1"], "behavior": "FAILED", "reason": "r"}`), "lacks a verdict"},
		"strict exception": {withException(`{"cases": ["1.1.1"], "behavior": "OK", "behaviorClose": "OK", "reason": "r"}`), "expects OK"},
		"unknown role":     {withException(`{"cases": ["1.1.1"], "roles": ["proxy"], "behavior": "FAILED", "behaviorClose": "OK", "reason": "r"}`), "unknown role"},
		"no such case":     {withException(`{"cases": ["3.*"], "behavior": "FAILED", "behaviorClose": "OK", "reason": "r"}`), `no case matches "3.*"`},
		"bad pattern":      {withException(`{"cases": ["[1"], "behavior": "FAILED", "behaviorClose": "OK", "reason": "r"}`), "syntax error in pattern"},
		"overlap":          {withException(`{"cases": ["12.1.1"], "roles": ["client"], "behavior": "FAILED", "behaviorClose": "OK", "reason": "r"}`), "two exceptions cover case 12.1.1 of the client"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseExpectations([]byte(tt.data))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestSelectCases(t *testing.T) {
	exp := parse(t, small)
	ids, err := exp.selectCases([]string{"2.*", "1.1.2", "2.1"})
	require.NoError(t, err)
	require.Equal(t, []string{"1.1.2", "2.1", "2.2"}, ids)

	_, err = exp.selectCases([]string{"1.1.1", "1.1.3"})
	require.ErrorContains(t, err, `no case matches "1.1.3"`)
}

func TestChoose(t *testing.T) {
	exp := parse(t, small)
	for name, tt := range map[string]struct {
		cases, except []string
		want          choice
	}{
		"all":             {[]string{"*"}, nil, choice{exp.ids, []string{"*"}, []string{}}},
		"some":            {[]string{"2.*"}, nil, choice{[]string{"2.1", "2.2"}, []string{"2.1", "2.2"}, []string{}}},
		"all but some":    {[]string{"*"}, []string{"12.*", "1.*"}, choice{[]string{"2.1", "2.2"}, []string{"*"}, []string{"1.1.1", "1.1.2", "12.1.1"}}},
		"some but one":    {[]string{"2.*"}, []string{"2.1"}, choice{[]string{"2.2"}, []string{"2.1", "2.2"}, []string{"2.1"}}},
		"excepted anyway": {[]string{"2.*"}, []string{"12.*"}, choice{[]string{"2.1", "2.2"}, []string{"2.1", "2.2"}, []string{"12.1.1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := exp.choose(tt.cases, tt.except)
			require.NoError(t, err)
			require.Equal(t, &tt.want, got)
		})
	}

	_, err := exp.choose([]string{"2.1"}, []string{"2.*"})
	require.ErrorContains(t, err, "none is left")
	_, err = exp.choose(nil, nil)
	require.ErrorContains(t, err, "none is left")
	_, err = exp.choose([]string{"*"}, []string{"3.*"})
	require.ErrorContains(t, err, `no case matches "3.*"`)
}

// What this file lets pass is part of the library's promise: outside of the
// compression sections nothing but the three cases that the suite itself calls
// informational.
func TestExpectedFile(t *testing.T) {
	exp, err := loadExpectations(filepath.Join("..", "expected.json"))
	require.NoError(t, err)
	require.Len(t, exp.ids, 517)
	informational := map[string]bool{"7.1.6": true, "7.13.1": true, "7.13.2": true}
	for _, id := range exp.ids {
		for _, role := range []string{roleServer, roleClient} {
			got, reason := exp.want(role, id)
			switch {
			case informational[id]:
				require.Equal(t, verdict{"INFORMATIONAL", "INFORMATIONAL"}, got, id)
				require.NotEmpty(t, reason)
			case !strings.HasPrefix(id, "12.") && !strings.HasPrefix(id, "13."):
				require.Equal(t, strict, got, id)
			}
		}
	}
}
