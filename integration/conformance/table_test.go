package main

import (
	"strings"
	"testing"
)

func TestPrintTables(t *testing.T) {
	runs := []*fileRun{
		{File: "run", Rung: "native", Runtime: "podrt", Results: []result{{Outcome: pass}, {Outcome: fail}}},
		{File: "exec", Rung: "native", Runtime: "podrt", Results: []result{{Outcome: skip}}},
		{File: "run", Rung: "native", Runtime: "runc", Results: []result{{Outcome: pass}, {Outcome: pass}}},
		{File: "run", Rung: "vm", Runtime: "runc", Results: []result{{Outcome: pass}}},
	}
	var b strings.Builder
	printTables(&b, runs)
	var got []string
	for line := range strings.Lines(b.String()) {
		if f := strings.Join(strings.Fields(line), " "); strings.HasPrefix(f, "| ") && !strings.Contains(f, "---") {
			got = append(got, f)
		}
	}
	want := []string{
		"| native | podrt pass | fail | skip | runc pass | fail | skip |",
		"| exec | 0 | 0 | 1 | 0 | 0 | 0 |",
		"| run | 1 | 1 | 0 | 2 | 0 | 0 |",
		"| all | 1 | 1 | 1 | 2 | 0 | 0 |",
		"| vm | podrt pass | fail | skip | runc pass | fail | skip |",
		"| run | 0 | 0 | 0 | 1 | 0 | 0 |",
		"| all | 0 | 0 | 0 | 1 | 0 | 0 |",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("printTables:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
