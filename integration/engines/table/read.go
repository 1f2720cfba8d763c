package main

import (
	"bufio"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// The runtimes that have a column.
const (
	podrt = "podrt"
	runc  = "runc"
)

// outcome is what came of an operation.
type outcome struct {
	result string // "pass", "fail" or "skip", as go test says
	reason string // why it is known to fail
}

// String is the outcome in a word, and why.
func (o outcome) String() string {
	switch {
	case o.result == "pass":
		return "works"
	case o.reason != "":
		return "fails: " + o.reason
	case o.result == "skip":
		return "not tried"
	case o.result == "":
		return ""
	}
	return "FAILS"
}

// row is an operation of a caller: its outcomes on the rungs, by runtime.
type row struct {
	caller, operation string
	rungs             []string
	outcomes          map[string][]outcome // as rungs
}

// table collects rows in the order in which tests end.
type table struct {
	rows  []*row
	index map[[2]string]*row
	// contract counts the rows that were compared, by caller and rung.
	contract map[[2]string]*tally
}

type tally struct{ same, different int }

func newTable() *table {
	return &table{index: map[[2]string]*row{}, contract: map[[2]string]*tally{}}
}

// event is a line of go test -json: see go doc test2json.
type event struct {
	Action, Test, Output string
}

// read takes the output of go test -json on a rung in.
func (t *table) read(rung string, r io.Reader) error {
	reasons := map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		// What the build says is no JSON.
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "output":
			if _, reason, ok := strings.Cut(e.Output, ": fails: "); ok && reasons[e.Test] == "" {
				reasons[e.Test] = strings.TrimSpace(reason)
			}
		case "pass", "fail", "skip":
			o := outcome{result: e.Action}
			if e.Action == "skip" {
				o.reason = reasons[e.Test]
			}
			t.add(rung, e.Test, o)
		}
	}
	return lines.Err()
}

// add takes a test that has ended in, if its name is that of a row.
func (t *table) add(rung, test string, o outcome) {
	name := strings.SplitN(strings.TrimPrefix(test, "Test"), "/", 3)
	if len(name) < 3 {
		return
	}
	if name[0] == "Contract" {
		key := [2]string{name[1], rung}
		if t.contract[key] == nil {
			t.contract[key] = &tally{}
		}
		switch o.result {
		case "pass":
			t.contract[key].same++
		case "fail":
			t.contract[key].different++
		}
		return
	}
	if name[1] != podrt && name[1] != runc || strings.Contains(name[2], "/") {
		return
	}
	key := [2]string{name[0], name[2]}
	r := t.index[key]
	if r == nil {
		r = &row{caller: name[0], operation: name[2], outcomes: map[string][]outcome{}}
		t.index[key] = r
		t.rows = append(t.rows, r)
	}
	i := slices.Index(r.rungs, rung)
	if i < 0 {
		i = len(r.rungs)
		r.rungs = append(r.rungs, rung)
		for _, runtime := range []string{podrt, runc} {
			r.outcomes[runtime] = append(r.outcomes[runtime], outcome{})
		}
	}
	r.outcomes[name[1]][i] = o
}
