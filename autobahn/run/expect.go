package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The two roles that the library is tested in.
const (
	roleServer = "server"
	roleClient = "client"
)

// A verdict is what the suite says about one case: behavior is about what the
// program under test did, behaviorClose about how the connection ended.
type verdict struct {
	Behavior      string `json:"behavior"`
	BehaviorClose string `json:"behaviorClose"`
}

func (v verdict) String() string { return v.Behavior + "/" + v.BehaviorClose }

// strict is the verdict that a case must get unless an exception says
// otherwise.
var strict = verdict{"OK", "OK"}

// An exception is a case, or a group of them, that is known not to be OK.
type exception struct {
	Cases  []string `json:"cases"` // identifiers, or patterns as path.Match has them
	Roles  []string `json:"roles"` // none means both
	Reason string   `json:"reason"`
	verdict
}

// expectations says which cases the suite has and what each must come to.
type expectations struct {
	suite      string   // the suite's version
	ids        []string // every case, in the suite's order
	exceptions []exception
}

// parseExpectations reads the format of expected.json. It rejects what would
// make the gate weaker than it looks: an exception without a reason or without
// a case, two exceptions for one case, a list of cases that does not add up.
func parseExpectations(data []byte) (*expectations, error) {
	var file struct {
		Suite      string         `json:"suite"`
		Total      int            `json:"total"`
		Cases      map[string]int `json:"cases"` // subsection to number of cases, numbered from 1
		Exceptions []exception    `json:"exceptions"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}

	exp := &expectations{suite: file.Suite, exceptions: file.Exceptions}
	for section, count := range file.Cases {
		if _, err := caseNumbers(section); err != nil {
			return nil, err
		}
		for n := 1; n <= count; n++ {
			exp.ids = append(exp.ids, section+"."+strconv.Itoa(n))
		}
	}
	if len(exp.ids) == 0 || len(exp.ids) != file.Total {
		return nil, fmt.Errorf("the subsections add up to %d cases, total says %d", len(exp.ids), file.Total)
	}
	slices.SortFunc(exp.ids, compareCases)
	if err := exp.checkExceptions(); err != nil {
		return nil, err
	}
	return exp, nil
}

func (exp *expectations) checkExceptions() error {
	type key struct{ role, id string }
	taken := make(map[key]bool)
	for _, e := range exp.exceptions {
		switch {
		case strings.TrimSpace(e.Reason) == "":
			return fmt.Errorf("the exception for %q gives no reason", e.Cases)
		case e.Behavior == "" || e.BehaviorClose == "":
			return fmt.Errorf("the exception for %q lacks a verdict", e.Cases)
		case e.verdict == strict:
			return fmt.Errorf("the exception for %q expects OK, as the rule does", e.Cases)
		}
		for _, role := range e.Roles {
			if role != roleServer && role != roleClient {
				return fmt.Errorf("the exception for %q names an unknown role %q", e.Cases, role)
			}
		}
		ids, err := exp.selectCases(e.Cases)
		if err != nil {
			return err
		}
		for _, id := range ids {
			for _, role := range []string{roleServer, roleClient} {
				if !e.covers(role, id) {
					continue
				}
				if taken[key{role, id}] {
					return fmt.Errorf("two exceptions cover case %s of the %s", id, role)
				}
				taken[key{role, id}] = true
			}
		}
	}
	return nil
}

func loadExpectations(file string) (*expectations, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	exp, err := parseExpectations(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return exp, nil
}

// want returns the verdict that a case must get, and the reason if it is not
// the strict one.
func (exp *expectations) want(role, id string) (verdict, string) {
	for _, e := range exp.exceptions {
		if e.covers(role, id) {
			return e.verdict, e.Reason
		}
	}
	return strict, ""
}

func (e exception) covers(role, id string) bool {
	if len(e.Roles) > 0 && !slices.Contains(e.Roles, role) {
		return false
	}
	return slices.ContainsFunc(e.Cases, func(pattern string) bool {
		match, err := path.Match(pattern, id)
		return err == nil && match
	})
}

// A choice is the cases that are to run.
type choice struct {
	ids           []string // each of them, in the suite's order
	cases, except []string // the same, as the suite's specification has it
}

// choose returns the cases that match one of the patterns, and none of those
// excepted. The suite is asked for "*" where that is all that is known of it, and
// not for a list, so that the gate sees a case that it does not know.
func (exp *expectations) choose(cases, except []string) (*choice, error) {
	with, err := exp.selectCases(cases)
	if err != nil {
		return nil, err
	}
	without, err := exp.selectCases(except)
	if err != nil {
		return nil, err
	}
	c := &choice{cases: with, except: without}
	if len(with) == len(exp.ids) {
		c.cases = []string{"*"}
	}
	for _, id := range with {
		if !slices.Contains(without, id) {
			c.ids = append(c.ids, id)
		}
	}
	if len(c.ids) == 0 {
		return nil, fmt.Errorf("of the cases %q none is left without %q", cases, except)
	}
	return c, nil
}

// selectCases returns the cases that match any of the patterns, in the suite's
// order. A pattern that matches none is an error.
func (exp *expectations) selectCases(patterns []string) ([]string, error) {
	ids := []string{} // and not null, in a specification
	chosen := make(map[string]bool)
	for _, pattern := range patterns {
		found := false
		for _, id := range exp.ids {
			match, err := path.Match(pattern, id)
			if err != nil {
				return nil, fmt.Errorf("case pattern %q: %w", pattern, err)
			}
			if !match {
				continue
			}
			found = true
			if !chosen[id] {
				chosen[id] = true
				ids = append(ids, id)
			}
		}
		if !found {
			return nil, fmt.Errorf("no case matches %q", pattern)
		}
	}
	slices.SortFunc(ids, compareCases)
	return ids, nil
}

// caseNumbers splits an identifier such as 7.1.6 into its numbers.
func caseNumbers(id string) ([]int, error) {
	var numbers []int
	for part := range strings.SplitSeq(id, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a case number", id)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// compareCases orders identifiers by their numbers, so that 2.10 comes after
// 2.9; what is not a case number comes last.
func compareCases(a, b string) int {
	x, errA := caseNumbers(a)
	y, errB := caseNumbers(b)
	switch {
	case errA != nil && errB != nil:
		return strings.Compare(a, b)
	case errA != nil:
		return 1
	case errB != nil:
		return -1
	}
	return slices.Compare(x, y)
}
