package main

// target is a goal that the project has set itself, and what came of it.
type target struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // a ratio of medians, or in Unit
	Unit  string  `json:"unit,omitempty"`
	Limit float64 `json:"limit"` // at most
	Met   bool    `json:"met"`
}

// verdict is what came of the target, in a word.
func (t *target) verdict() string {
	if t.Met {
		return "met"
	}
	return "missed"
}

// ratios are the targets that compare podrt's median with a peer's.
var ratios = []struct {
	name, metric, peer string
	limit              float64
}{
	{"run", "", "runc", 1},
	{"run-seccomp", "", "runc", 1.1},
	{"pod-5", "up", "runc, one by one", 0.45},
	{"pod-5", "up", "crun, one by one", 1.3},
	{"pod-20", "up", "runc, one by one", 0.35},
	{"pod-20", "up", "crun, one by one", 0.95},
	{"pod-5", "down", "runc, one by one", 0.03},
	{"pod-5", "down", "crun, one by one", 0.20},
	{"exec", "", "runc", 0.9},
	{"state", "", "runc", 0.7},
	{"list-1000", "", "runc", 0.15},
	{"podman-5", "up", "podman", 0.05},
	{"podman-5", "down", "podman", 0.05},
	{"podman-5", "both", "podman", 0.05},
	{"sandbox", "both", floorProcess, 5},
}

// amounts are the targets that are facts.
var amounts = []struct {
	fact  string
	limit float64
}{
	{factProcesses, 0},
	{factUserMemory, 0},
	{factKernelMemory, 250},
	{factInitPrivate, 200},
}

// judge compares the results with the targets that they have numbers for.
func judge(r *results) []target {
	var list []target
	for _, t := range ratios {
		own, ok1 := r.row(t.name, t.metric, "podrt")
		peer, ok2 := r.row(t.name, t.metric, t.peer)
		if !ok1 || !ok2 || peer.Wall.Median == 0 {
			continue
		}
		name := t.name
		if t.metric != "" {
			name += " " + t.metric
		}
		v := own.Wall.Median / peer.Wall.Median
		list = append(list, target{Name: name + ", vs " + t.peer, Value: v, Limit: t.limit, Met: v <= t.limit})
	}
	for _, t := range amounts {
		if f, ok := r.fact(t.fact); ok {
			list = append(list, target{Name: f.Name, Value: f.Value, Unit: f.Unit, Limit: t.limit, Met: f.Value <= t.limit})
		}
	}
	return list
}
