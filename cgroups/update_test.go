package cgroups

import (
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

func TestFiles(t *testing.T) {
	for _, tc := range []struct {
		json string
		want []string
	}{
		{`{}`, nil},
		{`{"memory":{"limit":0},"cpu":{"shares":0},"pids":{}}`, nil},
		{
			`{"pids":{"limit":0},"memory":{"limit":5,"reservation":3,"swap":7},"unified":{"memory.high":"1","pids.max":"1"}}`,
			[]string{"pids.max", "memory.swap.max", "memory.max", "memory.low", "memory.high"},
		},
		{`{"memory":{"limit":5}}`, []string{"memory.max"}},
		{`{"memory":{"limit":-1}}`, []string{"memory.swap.max", "memory.max"}},
		{`{"cpu":{"idle":0,"period":1000,"burst":0,"cpus":"0","mems":"0"}}`, []string{"cpu.idle", "cpu.weight", "cpu.max.burst", "cpu.max", "cpuset.cpus", "cpuset.mems"}},
		{`{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}`, []string{"hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"}},
	} {
		if got, err := Files(resources(t, tc.json)); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("Files(%s) = %q, %v; want %q", tc.json, got, err, tc.want)
		}
	}
	for json, want := range map[string]string{
		`{"blockIO":{"weight":10}}`:                   "resources.blockIO: cannot be changed while the cgroup is there",
		`{"rdma":{"mlx5_0":{"hcaHandles":1}}}`:        "resources.rdma: cannot be changed",
		`{"unified":{"io.max":"8:0 rbps=1"}}`:         `resources.unified["io.max"]: cannot be changed`,
		`{"unified":{"misc.max":"sev 1"}}`:            `resources.unified["misc.max"]: cannot be changed`,
		`{"unified":{"memory.max":"1G"}}`:             `resources.unified["memory.max"]: is resources.memory.limit`,
		`{"pids":{"limit":1},"blockIO":{"weight":0}}`: "resources.blockIO: cannot be changed",
	} {
		if _, err := Files(resources(t, json)); !matches(err, want) {
			t.Errorf("Files(%s): %v; want %q", json, err, want)
		}
	}
}

// What Apply writes is what Files says, and Restore takes it back.
func TestRestore(t *testing.T) {
	rung.Privileged(t)
	p := limitedPod(t, `{"unified":{"cgroup.max.depth":"7"}}`)
	wantRestored(t, p, `{"unified":{"cgroup.max.depth":"5","cgroup.max.descendants":"3"}}`)
	// One that the kernel refuses halfway.
	wantRestored(t, p, `{"unified":{"cgroup.max.depth":"5","cgroup.max.descendants":"many"}}`)
	if err := p.Restore([]Setting{{"cgroup.max.depth", "6"}, {"cgroup.max.descendants", "many"}}); !matches(err, "invalid argument") || content(t, p, "cgroup.max.depth") != "6" {
		t.Errorf("Restore with a value that there is not: %v, cgroup.max.depth %s; want the other one restored", err, content(t, p, "cgroup.max.depth"))
	}
	none := p.Leaf("none")
	if _, err := none.Settings([]string{"cgroup.max.depth"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Settings of no cgroup: %v; want fs.ErrNotExist", err)
	}
	if err := none.Restore(nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Restore of no cgroup: %v; want fs.ErrNotExist", err)
	}
}

func TestRestoreLimits(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory", "cpu", "cpuset", "pids", "hugetlb")
	p := limitedPod(t, `{"cpu":{"shares":512,"quota":10000,"burst":5000},"pids":{"limit":9}}`)
	for _, json := range []string{
		`{"pids":{"limit":-1},"memory":{"limit":104857600,"reservation":52428800,"swap":157286400},"cpu":{"cpus":"0","mems":"0"},"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}`,
		`{"cpu":{"quota":50000,"period":50000,"burst":40000}}`, // the quota is not taken back before the burst
		`{"cpu":{"idle":1}}`, // nor the weight before it is not idle
		`{"cpu":{"shares":1024,"cpus":"0"},"unified":{"memory.high":"much"}}`,
	} {
		wantRestored(t, p, json)
	}
	if err := p.Apply(resources(t, `{"cpu":{"idle":1}}`)); err != nil {
		t.Fatal(err)
	}
	wantRestored(t, p, `{"cpu":{"idle":0}}`)
	if err := p.CheckUsage(1 << 40); err != nil {
		t.Error(err)
	}
}

// wantRestored applies limits, which may fail, and takes them back.
func wantRestored(t *testing.T, p Path, json string) {
	t.Helper()
	r := resources(t, json)
	files, err := Files(r)
	if err != nil {
		t.Fatal(err)
	}
	before, err := p.Settings(files)
	if err != nil || len(before) != len(files) {
		t.Fatalf("Settings(%q) = %v, %v; want all", files, before, err)
	}
	_ = p.Apply(r)
	if changed, err := p.Settings(files); err != nil || reflect.DeepEqual(changed, before) {
		t.Errorf("Apply(%s) leaves %v, %v", json, changed, err)
	}
	if err := p.Restore(before); err != nil {
		t.Errorf("Restore after %s: %v", json, err)
	}
	if after, err := p.Settings(files); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("restored after %s: %v, %v; want %v", json, after, err, before)
	}
}
