package cgroups

import (
	"math"
	"reflect"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestUnitLimits: the properties are the values that Apply writes, but for a
// CPU quota, which systemd keeps in whole percents.
func TestUnitLimits(t *testing.T) {
	const none = uint64(math.MaxUint64)
	for name, tt := range map[string]struct {
		r    *specs.LinuxResources
		want map[string]any
	}{
		"none":  {nil, map[string]any{"TasksMax": none}},
		"empty": {&specs.LinuxResources{}, map[string]any{"TasksMax": none}},
		"memory": {
			&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(1000)), Reservation: new(int64(500)), Swap: new(int64(1500))}},
			map[string]any{"MemoryMax": uint64(1000), "MemoryLow": uint64(500), "MemorySwapMax": uint64(500), "TasksMax": none},
		},
		"no swap": {
			&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(1000)), Swap: new(int64(1000))}},
			map[string]any{"MemoryMax": uint64(1000), "MemorySwapMax": uint64(0), "TasksMax": none},
		},
		"unlimited": {
			&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(-1))}, Pids: &specs.LinuxPids{Limit: new(int64(-1))}},
			map[string]any{"MemoryMax": none, "MemorySwapMax": none, "TasksMax": none},
		},
		"cpu": {
			&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(33300)), Period: new(uint64(100000)), Shares: new(uint64(1024))}},
			map[string]any{"CPUQuotaPerSecUSec": uint64(340000), "CPUQuotaPeriodUSec": uint64(100000), "CPUWeight": uint64(100), "TasksMax": none},
		},
		"no quota": {
			&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(-1))}},
			map[string]any{"CPUQuotaPerSecUSec": none, "TasksMax": none},
		},
		"quota alone": {
			&specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(50000))}},
			map[string]any{"CPUQuotaPerSecUSec": uint64(500000), "TasksMax": none},
		},
		"pids": {&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(0))}}, map[string]any{"TasksMax": uint64(1)}},
		"unified": {
			&specs.LinuxResources{Unified: map[string]string{
				"memory.high": "max", "memory.min": " 7\n", "pids.max": "9", "memory.max": "1G", "cpu.max": "20000 10000", "io.max": "8:0 rbps=1",
			}},
			map[string]any{
				"MemoryHigh": none, "MemoryMin": uint64(7), "TasksMax": uint64(9),
				"CPUQuotaPerSecUSec": uint64(2000000), "CPUQuotaPeriodUSec": uint64(10000),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			props, err := unitLimits(tt.r)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]any{}
			for _, p := range props {
				got[p.Name] = p.Value.Value() // the last one counts
			}
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("%s = %v; want %v", name, got[name], want)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("properties %v; want %v", got, tt.want)
			}
		})
	}
}

// TestUnitChange: what the unit was given before and is not to have goes.
func TestUnitChange(t *testing.T) {
	const none = uint64(math.MaxUint64)
	to := resources(t, `{"memory":{"limit":1000},"pids":{"limit":5}}`)
	props, err := unitChange(to, nil, resources(t, `{"memory":{"limit":500,"reservation":5},"cpu":{"shares":1024,"cpus":"0"}}`), resources(t, `{"memory":{"swap":-1},"cpu":{"cpus":"1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for _, p := range props {
		if _, twice := got[p.Name]; twice {
			t.Errorf("%s is there twice", p.Name)
		}
		got[p.Name] = p.Value.Value()
	}
	want := map[string]any{
		"MemoryMax": uint64(1000), "TasksMax": uint64(5),
		"MemoryLow": uint64(0), "MemorySwapMax": none, "CPUWeight": none, "AllowedCPUs": []byte{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("unitChange: %v; want %v", got, want)
	}
}

// TestUnitProperties: the slice is that of the path, also the root slice; the grace
// period is never 0, which is none to systemd.
func TestUnitProperties(t *testing.T) {
	for path, want := range map[Path]string{
		"/sys/fs/cgroup/system.slice/podrt-u.service":      "system.slice",
		"/sys/fs/cgroup/a.slice/a-b.slice/podrt-u.service": "a-b.slice",
		"/sys/fs/cgroup/podrt-u.service":                   "-.slice",
	} {
		for _, p := range Unit("podrt-u.service").properties(path, "d", 0) {
			if p.Name == "Slice" && p.Value.Value() != want {
				t.Errorf("Slice of %s = %v; want %s", path, p.Value.Value(), want)
			}
			if p.Name == "TimeoutStopUSec" && p.Value.Value() != uint64(1000) {
				t.Errorf("TimeoutStopUSec = %v; want 1000", p.Value.Value())
			}
		}
	}
}
