package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The runtime that is looked at, and the one that shows what is right.
const (
	subject = "podrt"
	peer    = "runc"
)

// plan is what to run.
type plan struct {
	jobs     []job
	runtimes map[string]runtimeUnderTest
	baseline *baseline // nil is none
}

func newPlan(o *options, root, dir string, s *suite) (*plan, error) {
	p := &plan{runtimes: map[string]runtimeUnderTest{}}
	for name, path := range map[string]string{subject: "bin/podrt", peer: "bin/tools/runc"} {
		rt, err := underTest(name, filepath.Join(root, path), dir)
		if err != nil {
			return nil, err
		}
		p.runtimes[name] = rt
	}
	runtimes := list(o.runtimes)
	if o.baseline != "" {
		b, err := readBaseline(o.baseline, s.version)
		if err != nil {
			return nil, err
		}
		if b.rung != o.rung {
			return nil, fmt.Errorf("baseline %q is of rung %q, not of -rung %s", o.baseline, b.rung, o.rung)
		}
		p.baseline, runtimes = b, []string{subject}
	}
	all, err := s.files()
	if err != nil {
		return nil, err
	}
	only := list(o.files)
	for _, file := range only {
		if !slices.Contains(all, file) {
			return nil, fmt.Errorf("-files: the suite has no file %q", file)
		}
	}
	rungs := list(o.rung)
	if o.rung == "all" {
		rungs = placeNames
	}
	if o.writeBaseline != "" && (len(rungs) != 1 || p.baseline != nil || !slices.Contains(runtimes, peer)) {
		return nil, errors.New("-write-baseline wants runc to run on one rung")
	}
	for _, rung := range rungs {
		for _, file := range all {
			at, err := findPlace(rung, file)
			if err != nil {
				return nil, err
			}
			if len(only) > 0 && !slices.Contains(only, file) {
				continue
			}
			if _, worth := at.files[file]; len(only) == 0 && at.files != nil && !worth {
				continue
			}
			if p.baseline != nil && !slices.ContainsFunc(p.baseline.runs, func(f *fileRun) bool { return f.File == file }) {
				return nil, fmt.Errorf("baseline %q has no file %q", o.baseline, file)
			}
			for _, name := range runtimes {
				rt, ok := p.runtimes[name]
				if !ok {
					return nil, fmt.Errorf("-runtimes: %q: must be podrt or runc", name)
				}
				p.jobs = append(p.jobs, job{file: file, runtime: rt, place: at})
			}
		}
	}
	p.order()
	return p, nil
}

// order puts the jobs that take longest first, that the shards end together: by
// the baseline's times, or by what is known to be slow.
func (p *plan) order() {
	took := map[string]time.Duration{}
	if p.baseline != nil {
		for _, f := range p.baseline.runs {
			took[f.File] = f.Took
		}
	} else {
		for i, file := range []string{"idmap", "exec", "events", "mounts", "update", "checkpoint", "cgroups", "mounts_sshfs"} {
			took[file] = time.Duration(i + 1)
		}
	}
	slices.SortStableFunc(p.jobs, func(a, b job) int { return cmp.Compare(took[b.file], took[a.file]) })
}

// underTest copies a runtime to where it is named runc; a copy, since it may be
// built anew while the suite runs.
func underTest(name, path, dir string) (runtimeUnderTest, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return runtimeUnderTest{}, fmt.Errorf("%w; build it with: make build bin/tools/runc", err)
	}
	to := filepath.Join(dir, name, "runc")
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return runtimeUnderTest{}, err
	}
	return runtimeUnderTest{name, to}, os.WriteFile(to, b, 0o755)
}
