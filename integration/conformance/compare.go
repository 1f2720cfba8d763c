package main

import (
	"cmp"
	"slices"
)

// key names a test.
type key struct {
	Rung string `json:"rung"`
	File string `json:"file"`
	Test string `json:"test"`
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.Rung, b.Rung), cmp.Compare(a.File, b.File), cmp.Compare(a.Test, b.Test))
}

// outcomes are what the tests came to with one runtime.
type outcomes map[key]result

// outcomesOf collects the results of a runtime.
func outcomesOf(runs []*fileRun, runtime string) outcomes {
	o := outcomes{}
	for _, f := range runs {
		if f.Runtime != runtime {
			continue
		}
		for _, r := range f.Results {
			o[key{f.Rung, f.File, r.Name}] = r
		}
	}
	return o
}

// differing returns, in order, the tests that one of the runtimes passes and the
// other does not, whether it fails them, skips them or did not come to them.
func differing(podrt, runc outcomes) []key {
	var keys []key
	for k, r := range podrt {
		if r.Outcome == pass && runc[k].Outcome != pass {
			keys = append(keys, k)
		}
	}
	for k, r := range runc {
		if r.Outcome == pass && podrt[k].Outcome != pass {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

// difference is a test in which the runtimes differ or, when it was run once
// more, alone, differed at first.
type difference struct {
	key
	Said string `json:"said"`
	// Missed: runc passes it and podrt does not, without a known reason.
	Missed bool `json:"missed"`
}

// judge says what became of the tests that differed at first: first and second
// are podrt's outcomes, peerSecond are runc's.
func judge(keys []key, first, second, peerSecond outcomes) []difference {
	var list []difference
	for _, k := range keys {
		d := difference{key: k}
		podrt, runc := second[k], peerSecond[k]
		reason, excepted := exceptions[k]
		switch {
		case podrt.Outcome == pass && runc.Outcome == pass && first[k].Outcome == pass:
			d.Said = "unsteady: runc passes it when it runs alone"
		case podrt.Outcome == pass && runc.Outcome == pass:
			d.Said = "unsteady: " + said(first[k]) + " with podrt, which passes it when it runs alone"
		case podrt.Outcome == pass:
			d.Said = "podrt passes it; " + said(runc) + " with runc"
		case runc.Outcome != pass:
			d.Said = "unsteady: neither passes it when it runs alone"
		case excepted:
			d.Said = "excepted: " + reason
		default:
			d.Said, d.Missed = said(podrt)+" with podrt; runc passes it", true
		}
		list = append(list, d)
	}
	return list
}

func said(r result) string {
	switch r.Outcome {
	case fail:
		return "failed"
	case skip:
		return "skipped (" + r.Reason + ")"
	default:
		return "did not run"
	}
}

// replace puts the results of again in the place of those of runs.
func replace(runs, again []*fileRun) {
	for _, a := range again {
		for _, f := range runs {
			if f.File != a.File || f.Rung != a.Rung || f.Runtime != a.Runtime {
				continue
			}
			for _, r := range a.Results {
				same := func(old result) bool { return old.Name == r.Name }
				if i := slices.IndexFunc(f.Results, same); i >= 0 {
					f.Results[i] = r
				} else {
					f.Results = append(f.Results, r)
				}
			}
		}
	}
}
