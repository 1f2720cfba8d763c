package main

import (
	"slices"
	"strings"
	"testing"
)

// of is the outcomes of tests of one file, by a letter each: p, f, s, and - for
// one that did not run.
func of(letters string) outcomes {
	o := outcomes{}
	for i, c := range letters {
		name := string(rune('a' + i))
		if out, ok := map[rune]outcome{'p': pass, 'f': fail, 's': skip}[c]; ok {
			o[key{"native", "run", name}] = result{Name: name, Outcome: out}
		}
	}
	return o
}

func TestDiffering(t *testing.T) {
	for _, c := range []struct{ podrt, runc, want string }{
		{"ppp", "ppp", ""},
		{"pfs-", "pppp", "bcd"},
		{"fs-p", "fffs", "d"},
		{"", "sfp", "c"},
		{"p", "", "a"},
	} {
		var got string
		for _, k := range differing(of(c.podrt), of(c.runc)) {
			got += k.Test
		}
		if got != c.want {
			t.Errorf("differing(%q, %q) = %q; want %q", c.podrt, c.runc, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		first, podrt, runc string
		said               string
		missed             bool
	}{
		{"f", "p", "p", "unsteady", false},
		{"p", "p", "p", "unsteady", false},
		{"p", "p", "f", "podrt passes it", false},
		{"f", "f", "f", "unsteady", false},
		{"f", "f", "p", "failed", true},
		{"p", "f", "p", "failed", true},
		{"s", "s", "p", "skipped", true},
		{"-", "-", "p", "did not run", true},
	} {
		got := judge([]key{{"native", "run", "a"}}, of(c.first), of(c.podrt), of(c.runc))
		if len(got) != 1 || got[0].Missed != c.missed || !strings.HasPrefix(got[0].Said, c.said) {
			t.Errorf("judge of %q, then podrt %q and runc %q = %+v; want %q, missed %v", c.first, c.podrt, c.runc, got, c.said, c.missed)
		}
	}
}

func TestReplace(t *testing.T) {
	runs := []*fileRun{
		{File: "run", Rung: "native", Runtime: "podrt", Results: []result{{Name: "a", Outcome: fail}, {Name: "b", Outcome: fail}}},
		{File: "run", Rung: "native", Runtime: "runc", Results: []result{{Name: "a", Outcome: fail}}},
	}
	replace(runs, []*fileRun{{File: "run", Rung: "native", Runtime: "podrt", Results: []result{{Name: "b", Outcome: pass}, {Name: "c", Outcome: skip}}}})
	want := []result{{Name: "a", Outcome: fail}, {Name: "b", Outcome: pass}, {Name: "c", Outcome: skip}}
	if !slices.Equal(runs[0].Results, want) || len(runs[1].Results) != 1 {
		t.Errorf("replace: %+v, %+v; want %+v and runc's as they were", runs[0].Results, runs[1].Results, want)
	}
}

// TestExceptions keeps the list sound: every exception has a reason, and names
// a test that the suite has.
func TestExceptions(t *testing.T) {
	for k, reason := range exceptions {
		if reason == "" || !slices.Contains([]string{"native", "vm"}, k.Rung) {
			t.Errorf("exception %+v: %q", k, reason)
		}
	}
}
