package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// report is all that came out of a run.
type report struct {
	Runc        string       `json:"runc"` // version of the suite
	Runs        []*fileRun   `json:"runs"`
	Differences []difference `json:"differences"`
}

func ofRuntime(runs []*fileRun, name string) []*fileRun {
	return slices.DeleteFunc(slices.Clone(runs), func(f *fileRun) bool { return f.Runtime != name })
}

// of returns the baseline's runs of the files of runs.
func (b *baseline) of(runs []*fileRun) []*fileRun {
	return slices.DeleteFunc(slices.Clone(b.runs), func(f *fileRun) bool {
		return !slices.ContainsFunc(runs, func(g *fileRun) bool { return f.File == g.File })
	})
}

// compare finds the differences, and runs the tests once more that differ.
func (rep *report) compare(ctx context.Context, r *runner, p *plan) error {
	runs := func(name string) bool { return len(ofRuntime(rep.Runs, name)) > 0 }
	if !runs(subject) || !runs(peer) {
		return nil // nothing to compare
	}
	first := outcomesOf(rep.Runs, subject)
	keys := differing(first, outcomesOf(rep.Runs, peer))
	var jobs []job
	for _, k := range keys {
		if n := len(jobs); n == 0 || jobs[n-1].file != k.File || jobs[n-1].place.name != k.Rung {
			at, err := findPlace(k.Rung, k.File)
			if err != nil {
				return err
			}
			for _, name := range []string{subject, peer} {
				jobs = append(jobs, job{file: k.File, runtime: p.runtimes[name], place: at})
			}
		}
		for i := len(jobs) - 2; i < len(jobs); i++ {
			jobs[i].only = append(jobs[i].only, k.Test)
		}
	}
	if len(jobs) > 0 {
		fmt.Println("\nWhat differs, once more:")
	}
	again, err := r.runAll(ctx, jobs, say)
	if err != nil {
		return err
	}
	second := outcomesOf(again, subject)
	rep.Differences = judge(keys, first, second, outcomesOf(again, peer))
	replace(rep.Runs, again)
	for _, d := range rep.Differences {
		if out := second[d.key].Output; d.Missed && out != "" {
			fmt.Printf("\n%s %s: %s\n%s\n", d.Rung, d.File, d.Test, out)
		}
	}
	return nil
}

func (rep *report) write(path string) error {
	b, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// print writes the tables and the differences. Its error says that podrt is not
// as good as runc, or that not all could be seen.
func (rep *report) print(w io.Writer) error {
	fmt.Fprintf(w, "\nrunc's suite, %s\n", rep.Runc)
	printTables(w, rep.Runs)
	bad := 0
	for i, d := range rep.Differences {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s %s %q: %s\n", d.Rung, d.File, d.Test, d.Said)
		if d.Missed {
			bad++
		}
	}
	var broken []string
	for _, f := range rep.Runs {
		if f.Broken != "" {
			broken = append(broken, fmt.Sprintf("%s %s %s: %s", f.Rung, f.Runtime, f.File, f.Broken))
		}
	}
	switch {
	case bad > 0:
		return fmt.Errorf("podrt does not pass %d tests that runc passes", bad)
	case len(broken) > 0:
		return fmt.Errorf("not all tests ran:\n%s", strings.Join(broken, "\n"))
	}
	return nil
}
