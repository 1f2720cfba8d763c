package cgroups

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	oci "github.com/opencontainers/cgroups"
)

// TestApplyWrites looks at what is written, in a directory that takes anything.
func TestApplyWrites(t *testing.T) {
	oci.TestMode = true
	t.Cleanup(func() { oci.TestMode = false })
	for _, tc := range []struct {
		name, json string
		before     map[string]string // beside cgroup.controllers
		want       map[string]string
	}{
		{name: "nothing", json: `{}`},
		{
			name: "zero is absent",
			json: `{"memory":{"limit":0,"swap":0},"cpu":{"shares":0,"quota":0,"period":0},"pids":{},"blockIO":{"weight":0}}`,
		},
		{
			name: "memory",
			json: `{"memory":{"limit":104857600,"reservation":52428800,"swap":157286400}}`,
			want: map[string]string{"memory.max": "104857600", "memory.low": "52428800", "memory.swap.max": "52428800"},
		},
		{
			name: "no swap",
			json: `{"memory":{"limit":104857600,"swap":104857600}}`,
			want: map[string]string{"memory.max": "104857600", "memory.swap.max": "0"},
		},
		{
			name: "unlimited memory takes the swap limit along",
			json: `{"memory":{"limit":-1}}`,
			want: map[string]string{"memory.max": "max", "memory.swap.max": "max"},
		},
		{
			name: "unlimited swap",
			json: `{"memory":{"limit":104857600,"swap":-1}}`,
			want: map[string]string{"memory.max": "104857600", "memory.swap.max": "max"},
		},
		{
			name: "cpu",
			json: `{"cpu":{"shares":1024,"quota":50000,"period":200000,"burst":10000}}`,
			want: map[string]string{"cpu.weight": "100", "cpu.max": "50000 200000", "cpu.max.burst": "10000"},
		},
		{name: "least shares", json: `{"cpu":{"shares":2}}`, want: map[string]string{"cpu.weight": "1"}},
		{name: "most shares", json: `{"cpu":{"shares":262144}}`, want: map[string]string{"cpu.weight": "10000"}},
		{name: "half a CPU's shares", json: `{"cpu":{"shares":512}}`, want: map[string]string{"cpu.weight": "59"}},
		{name: "idle", json: `{"cpu":{"idle":1}}`, want: map[string]string{"cpu.idle": "1"}},
		{
			name:   "quota keeps the period",
			json:   `{"cpu":{"quota":20000}}`,
			before: map[string]string{"cpu.max": "max 50000\n"},
			want:   map[string]string{"cpu.max": "20000 50000"},
		},
		{
			name:   "period keeps the quota",
			json:   `{"cpu":{"period":20000}}`,
			before: map[string]string{"cpu.max": "70000 50000\n"},
			want:   map[string]string{"cpu.max": "70000 20000"},
		},
		{
			name:   "period keeps no quota",
			json:   `{"cpu":{"period":20000}}`,
			before: map[string]string{"cpu.max": "max 100000\n"},
			want:   map[string]string{"cpu.max": "max 20000"},
		},
		{
			name:   "no quota",
			json:   `{"cpu":{"quota":-1}}`,
			before: map[string]string{"cpu.max": "70000 50000\n"},
			want:   map[string]string{"cpu.max": "max 50000"},
		},
		{
			name: "cpuset",
			json: `{"cpu":{"cpus":"0-1","mems":"0"}}`,
			want: map[string]string{"cpuset.cpus": "0-1", "cpuset.mems": "0"},
		},
		{name: "pids", json: `{"pids":{"limit":100}}`, want: map[string]string{"pids.max": "100"}},
		{name: "unlimited pids", json: `{"pids":{"limit":-1}}`, want: map[string]string{"pids.max": "max"}},
		{
			name:   "io with BFQ",
			json:   `{"blockIO":{"weight":500,"throttleReadBpsDevice":[{"major":8,"minor":16,"rate":1048576}]}}`,
			before: map[string]string{"io.bfq.weight": "default 100\n"},
			// fs2 writes to the file it has open, over what is there.
			want: map[string]string{"io.bfq.weight": "500ault 100\n", "io.max": "8:16 rbps=1048576"},
		},
		{
			name:   "io without BFQ",
			json:   `{"blockIO":{"weightDevice":[{"major":8,"minor":16,"weight":500}],"throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":10}]}}`,
			before: map[string]string{"io.weight": ""},
			want:   map[string]string{"io.weight": "8:16 4950", "io.max": "8:16 wiops=10"},
		},
		{
			name: "hugetlb",
			json: `{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}`,
			want: map[string]string{"hugetlb.2MB.max": "4194304", "hugetlb.2MB.rsvd.max": "4194304"},
		},
		{
			name: "rdma",
			json: `{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000}}}`,
			want: map[string]string{"rdma.max": "mlx5_1 hca_handle=3 hca_object=10000"},
		},
		{
			name:   "unified comes last",
			json:   `{"memory":{"limit":104857600},"unified":{"memory.max":"209715200","memory.high":"94371840","memory.oom.group":"1"}}`,
			before: map[string]string{"memory.high": "", "memory.oom.group": ""},
			want:   map[string]string{"memory.max": "209715200", "memory.high": "94371840", "memory.oom.group": "1"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := fake(t, tc.before)
			if err := os.WriteFile(filepath.Join(d.path, "cgroup.controllers"), []byte("cpuset cpu io memory hugetlb pids rdma misc\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := resources(t, tc.json)
			if err := Validate(r); err != nil {
				t.Fatal(err)
			}
			if err := d.apply(r); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(d.path)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Name() == "cgroup.controllers" {
					continue
				}
				b, err := os.ReadFile(filepath.Join(d.path, e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				want, ok := tc.want[e.Name()]
				if !ok || string(b) != want {
					t.Errorf("%s = %q; want %q (written: %v)", e.Name(), b, want, ok)
				}
			}
			if len(entries)-1 != len(tc.want) {
				t.Errorf("%d files; want those of %v", len(entries)-1, tc.want)
			}
		})
	}
}

func TestApplySaysWhatTheKernelLacks(t *testing.T) {
	for name, json := range map[string]string{
		"weight":       `{"blockIO":{"weight":500}}`,
		"weightDevice": `{"blockIO":{"weightDevice":[{"major":8,"minor":16,"weight":500}]}}`,
	} {
		d := fake(t, map[string]string{"cgroup.controllers": "io\n"})
		set := convert(resources(t, json))
		err := d.deviceWeights(set)
		if name == "weight" {
			err = explainIO(set, &os.PathError{Op: "openat2", Path: d.path + "/io.weight", Err: os.ErrNotExist})
		}
		if want := "resources.blockIO." + name + " needs io.bfq.weight"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
	}
}

func TestParseCPUMax(t *testing.T) {
	for _, tc := range []struct {
		line   string
		quota  int64
		period uint64
		err    string
	}{
		{"max 100000", -1, 100000, ""},
		{"50000 100000", 50000, 100000, ""},
		{"", 0, 0, "parse cpu.max"},
		{"max", 0, 0, "parse cpu.max"},
		{"x 100000", 0, 0, "parse cpu.max"},
	} {
		quota, period, err := parseCPUMax(tc.line)
		if quota != tc.quota || period != tc.period || !matches(err, tc.err) {
			t.Errorf("parseCPUMax(%q) = %d, %d, %v; want %d, %d, %q", tc.line, quota, period, err, tc.quota, tc.period, tc.err)
		}
	}
}
