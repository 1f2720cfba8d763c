package main

import "testing"

func TestJudge(t *testing.T) {
	r := &results{
		Rows: []row{
			timed("exec", "", "podrt", 9), timed("exec", "", "runc", 10),
			timed("state", "", "podrt", 8), timed("state", "", "runc", 10),
			timed("pod-5", "up", "podrt", 40), timed("pod-5", "up", "crun, one by one", 20),
			timed("run", "", "podrt", 20), // nothing to compare with
		},
		Facts: []fact{{Name: factProcesses, Value: 0}, {Name: factKernelMemory, Value: 251, Unit: "kB"}},
	}
	want := map[string]target{
		"exec, vs runc":                 {Value: 0.9, Limit: 0.9, Met: true},
		"state, vs runc":                {Value: 0.8, Limit: 0.7, Met: false},
		"pod-5 up, vs crun, one by one": {Value: 2, Limit: 1.3, Met: false},
		factProcesses:                   {Value: 0, Limit: 0, Met: true},
		factKernelMemory:                {Value: 251, Limit: 250, Met: false},
	}
	got := judge(r)
	if len(got) != len(want) {
		t.Errorf("judge = %+v; want %d targets", got, len(want))
	}
	for _, g := range got {
		if w, ok := want[g.Name]; !ok || g.Value != w.Value || g.Limit != w.Limit || g.Met != w.Met {
			t.Errorf("target %+v; want %+v", g, w)
		}
	}
}
