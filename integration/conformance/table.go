package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// tally counts the outcomes of the suite's own tests.
type tally map[outcome]int

func tallyOf(f *fileRun) tally {
	t := tally{}
	for _, r := range f.Results {
		if r.Name != tidy {
			t[r.Outcome]++
		}
	}
	return t
}

func (t tally) add(u tally) {
	for k, n := range u {
		t[k] += n
	}
}

// printTables writes a table per rung in Markdown: a line per file, a group of
// columns per runtime.
func printTables(w io.Writer, runs []*fileRun) {
	var rungs, runtimes []string
	for _, f := range runs {
		if !slices.Contains(rungs, f.Rung) {
			rungs = append(rungs, f.Rung)
		}
		if !slices.Contains(runtimes, f.Runtime) {
			runtimes = append(runtimes, f.Runtime)
		}
	}
	for _, rung := range rungs {
		var rows []row
		for _, f := range runs {
			if f.Rung != rung {
				continue
			}
			i := slices.IndexFunc(rows, func(r row) bool { return r.file == f.File })
			if i < 0 {
				rows = append(rows, row{f.File, map[string]tally{}})
				i = len(rows) - 1
			}
			rows[i].of[f.Runtime] = tallyOf(f)
		}
		slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.file, b.file) })
		printTable(w, rung, runtimes, rows)
	}
}

// row is a file's line.
type row struct {
	file string
	of   map[string]tally // by runtime
}

func printTable(w io.Writer, rung string, runtimes []string, rows []row) {
	fmt.Fprintf(w, "\n| %-26s |", rung)
	for _, name := range runtimes {
		fmt.Fprintf(w, " %5s pass | fail | skip |", name)
	}
	fmt.Fprintf(w, "\n| %s |", strings.Repeat("-", 26))
	for range runtimes {
		fmt.Fprintf(w, " ---------: | ---: | ---: |")
	}
	sum := row{"all", map[string]tally{}}
	for _, name := range runtimes {
		sum.of[name] = tally{}
	}
	for _, r := range rows {
		for name, t := range r.of {
			sum.of[name].add(t)
		}
	}
	for _, r := range append(rows, sum) {
		fmt.Fprintf(w, "\n| %-26s |", r.file)
		for _, name := range runtimes {
			t := r.of[name]
			fmt.Fprintf(w, " %10d | %4d | %4d |", t[pass], t[fail], t[skip])
		}
	}
	fmt.Fprintln(w)
}
