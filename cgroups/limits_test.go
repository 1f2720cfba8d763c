package cgroups

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// limitedPod makes a pod with limits and the leaves named, ready for processes.
func limitedPod(t *testing.T, json string, leaves ...string) Path {
	t.Helper()
	p := testPod(t)
	if err := p.Apply(resources(t, json)); err != nil {
		t.Fatal(err)
	}
	if err := p.Enable(); err != nil {
		t.Fatal(err)
	}
	for _, name := range leaves {
		if _, err := p.CreateLeaf(name); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func content(t *testing.T, p Path, file string) string {
	t.Helper()
	b, err := os.ReadFile(string(p) + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

func TestPidsLimitOfThePod(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "pids")
	p := limitedPod(t, `{"pids":{"limit":20}}`, "one", "two")
	const script = "i=0; while [ $i -lt %d ]; do sleep 1000 & i=$((i+1)); done; echo ready; wait"
	startSh(t, p.Leaf("one"), fmt.Sprintf(script, 8)).ready() // 9 tasks
	s, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Pids.Current != 9 || s.Pids.Limit == nil || *s.Pids.Limit != 20 {
		t.Errorf("Stats: %+v; want 9 of 20", s.Pids)
	}
	greedy := startSh(t, p.Leaf("two"), fmt.Sprintf("exec 2>/dev/null; "+script, 30))
	if ws := greedy.wait(); ws.ExitStatus() == 0 {
		t.Errorf("30 more processes: %v; want fork to fail", greedy.cmd.ProcessState)
	}
	// The shell, which was one of the 20, has given up.
	if pids, err := p.Procs(); err != nil || len(pids) != 19 {
		t.Errorf("Procs = %d, %v; want 19", len(pids), err)
	}
}

func TestCPULimit(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "cpu")
	p := limitedPod(t, `{"cpu":{"shares":512,"quota":5000,"period":50000,"burst":1000}}`, "one")
	for file, want := range map[string]string{"cpu.max": "5000 50000", "cpu.weight": "59", "cpu.max.burst": "1000"} {
		if got := content(t, p, file); got != want {
			t.Errorf("%s = %q; want %q", file, got, want)
		}
	}
	before, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	start(t, p.Leaf("one"), "spin 500").ready()
	after, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if used := after.CPU.UsageUsec - before.CPU.UsageUsec; used == 0 || after.CPU.Throttled == 0 || after.CPU.ThrottledUsec == 0 || after.CPU.Periods == 0 {
		t.Errorf("CPU stats after spinning at a tenth of a CPU: %+v; want use and throttling", after.CPU)
	}
	// An update leaves alone what it does not name.
	for _, tc := range []struct{ json, want string }{
		{`{"cpu":{"quota":20000}}`, "20000 50000"},
		{`{"cpu":{"period":100000}}`, "20000 100000"},
		{`{"cpu":{"quota":-1}}`, "max 100000"},
		{`{"cpu":{"shares":1024}}`, "max 100000"},
	} {
		if err := p.Apply(resources(t, tc.json)); err != nil {
			t.Errorf("Apply(%s): %v", tc.json, err)
		}
		if got := content(t, p, "cpu.max"); got != tc.want {
			t.Errorf("cpu.max after %s = %q; want %q", tc.json, got, tc.want)
		}
	}
	if err := p.Apply(resources(t, `{"cpu":{"idle":1}}`)); err != nil || content(t, p, "cpu.idle") != "1" {
		t.Errorf("Apply idle: %v, cpu.idle %q; want 1", err, content(t, p, "cpu.idle"))
	}
}

// What is written is what the kernel says then.
func TestApplyIsReadBack(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory", "cpuset", "pids", "hugetlb")
	p := limitedPod(t, `{
		"memory":{"limit":104857600,"reservation":52428800,"swap":157286400},
		"cpu":{"cpus":"0","mems":"0"},
		"pids":{"limit":100},
		"hugepageLimits":[{"pageSize":"2MB","limit":4194304}],
		"unified":{"memory.high":"94371840","memory.min":"1048576","memory.oom.group":"1","cgroup.max.depth":"7"}}`)
	for file, want := range map[string]string{
		"memory.max": "104857600", "memory.low": "52428800", "memory.high": "94371840", "memory.min": "1048576", "memory.oom.group": "1",
		"cpuset.cpus": "0", "cpuset.mems": "0", "cpuset.cpus.effective": "0",
		"pids.max": "100", "hugetlb.2MB.max": "4194304", "hugetlb.2MB.rsvd.max": "4194304", "cgroup.max.depth": "7",
	} {
		if got := content(t, p, file); got != want {
			t.Errorf("%s = %q; want %q", file, got, want)
		}
	}
	// A kernel without swap has no such file; fs2 reports that, since there is
	// a limit to be set. This one has it.
	if got := content(t, p, "memory.swap.max"); got != "52428800" {
		t.Errorf("memory.swap.max = %q; want 52428800, the swap alone", got)
	}
	if err := p.Apply(resources(t, `{"memory":{"limit":-1}}`)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"memory.max", "memory.swap.max"} {
		if got := content(t, p, file); got != "max" {
			t.Errorf("%s = %q; want max", file, got)
		}
	}
}

func TestApplyNamesWhatTheKernelRefuses(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory", "io")
	p := limitedPod(t, `{}`)
	for _, tc := range []struct{ json, err string }{
		{`{"unified":{"memory.high":"much"}}`, `resources.unified["memory.high"]: write "much" to ` + string(p) + "/memory.high: invalid argument"},
		{`{"unified":{"memory.nonsense":"1"}}`, `resources.unified["memory.nonsense"]: open ` + string(p) + "/memory.nonsense: no such file or directory"},
		{`{"unified":{"memory.current":"1"}}`, `resources.unified["memory.current"]`},
		{`{"blockIO":{"throttleReadBpsDevice":[{"major":4000,"minor":1,"rate":5}]}}`, "4000:1 rbps=5"},
		{`{"memory":{"limit":-5}}`, "resources.memory.limit: -5 is negative"},
	} {
		if err := p.Apply(resources(t, tc.json)); !matches(err, tc.err) {
			t.Errorf("Apply(%s): %v; want %q", tc.json, err, tc.err)
		}
	}
}

func TestCheckCPUs(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "cpuset")
	if err := Check(resources(t, `{"cpu":{"cpus":"0","mems":"0"}}`)); err != nil {
		t.Error(err)
	}
	for json, want := range map[string]string{
		`{"cpu":{"cpus":"0,4095"}}`: `resources.cpu.cpus: "0,4095": there is no CPU 4095, but 0`,
		`{"cpu":{"mems":"9"}}`:      `resources.cpu.mems: "9": there is no memory node 9, but 0`,
	} {
		if err := Check(resources(t, json)); !matches(err, want) {
			t.Errorf("Check(%s) = %v; want %q", json, err, want)
		}
	}
}

// A parent with processes of its own cannot pass controllers on, and is not to
// be turned into something else by the attempt.
func TestPopulatedParent(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory", "pids")
	parent := testPod(t)
	c := start(t, parent, "idle").ready()
	p := parent.Leaf("pod")
	limits := resources(t, `{"memory":{"limit":104857600}}`)
	want := fmt.Sprintf(`resources.memory.limit needs the "memory" controller, which cgroup %q cannot pass on: it has processes of its own: %d (`, string(parent), c.pid())
	if err := p.Check(limits); !matches(err, want) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Check = %v; want %q", err, want)
	}
	if err := Check(limits); err != nil {
		t.Errorf("Check of the host: %v; want nil", err)
	}
	if err := p.Check(resources(t, `{}`)); err != nil {
		t.Errorf("Check without limits: %v; want nil", err)
	}
	made, err := Create(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(limits); !matches(err, want) {
		t.Errorf("Apply = %v; want %q", err, want)
	}
	if typ, on := content(t, parent, "cgroup.type"), content(t, parent, "cgroup.subtree_control"); typ != "domain" || on != "" {
		t.Errorf("Create made the parent %q with %q enabled; want it left alone", typ, on)
	}
	start(t, p, "idle").ready().wait()
	if err := RemoveMade(made); err != nil {
		t.Error(err)
	}
}

// Where the hierarchy offers nothing but threaded controllers, the kernel would
// let a populated parent have them, and make its children invalid by it.
func TestPopulatedParentWithThreadedControllers(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "pids")
	top := testPod(t)
	if err := os.WriteFile(string(top)+"/cgroup.subtree_control", []byte("+pids"), 0); err != nil {
		t.Fatal(err)
	}
	parent, err := top.CreateLeaf("parent")
	if err != nil {
		t.Fatal(err)
	}
	start(t, parent, "idle").ready()
	d, err := parent.open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.enableAll()
	if on := content(t, parent, "cgroup.subtree_control"); on != "" {
		t.Errorf("enabled on a populated cgroup: %q; want nothing", on)
	}
	leaf, err := parent.CreateLeaf("leaf")
	if err != nil {
		t.Fatal(err)
	}
	if typ := content(t, leaf, "cgroup.type"); typ != "domain" {
		t.Errorf("type of the child = %q; want domain", typ)
	}
}

// Create gives the pod all that the root has, whatever the parent had so far.
func TestCreatePassesControllers(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory", "pids", "cpu")
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	parent := testParent(t)
	made, err := Create(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer RemoveMade(made)
	if on := content(t, parent, "cgroup.subtree_control"); on != "" {
		t.Fatalf("Create enabled %q in what it made; want nothing, a process shall go there", on)
	}
	p := parent.Leaf("a").Leaf("pod")
	more, err := Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer RemoveMade(more)
	if got, want := content(t, p, "cgroup.controllers"), content(t, root, "cgroup.controllers"); got != want {
		t.Errorf("controllers of the pod = %q; want the root's, %q", got, want)
	}
	if on := content(t, p, "cgroup.subtree_control"); on != "" {
		t.Errorf("Create enabled %q in the pod; want nothing", on)
	}
}

func TestMemoryStatsMove(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory", "pids")
	p := limitedPod(t, `{"memory":{"limit":268435456,"swap":268435456}}`, "one")
	before, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	start(t, p.Leaf("one"), "alloc 64").ready()
	after, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	const want = 60 << 20
	if m := after.Memory; m.Usage < before.Memory.Usage+want || m.Anon < want || m.WorkingSet < want || m.Peak == nil || *m.Peak < m.Usage ||
		m.Limit == nil || *m.Limit != 256<<20 || m.PageFaults == 0 || m.EventsLocal == nil {
		t.Errorf("memory stats with 64 MiB in use: %+v\nbefore: %+v", m, before.Memory)
	}
	if after.Pids.Current == 0 || after.Pids.Limit != nil {
		t.Errorf("pids stats: %+v; want some, without a limit", after.Pids)
	}
	if after.CPU.UsageUsec <= before.CPU.UsageUsec {
		t.Errorf("CPU usage %d, before %d; want it to grow", after.CPU.UsageUsec, before.CPU.UsageUsec)
	}
	if p := after.Pressure; p.CPU == nil || p.Memory == nil || p.IO == nil {
		t.Errorf("pressure: %+v; want all", p)
	}
}
