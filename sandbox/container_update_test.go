package sandbox

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

func TestUpdateQuotaAndPeriod(t *testing.T) {
	for _, tt := range []struct {
		quota      int64 // given; 0: not
		period     uint64
		wantQuota  int64 // of 50000 and 100000
		wantPeriod uint64
	}{
		{0, 0, 0, 0},
		{20000, 0, 20000, 100000},
		{0, 40000, 50000, 40000},
		{20000, 40000, 20000, 40000},
		{-1, 0, -1, 100000},
	} {
		res := cgroups.Resources{CpuQuota: 50000, CpuPeriod: 100000}
		updateCPU(&res, &specs.LinuxCPU{Quota: &tt.quota, Period: &tt.period})
		if res.CpuQuota != tt.wantQuota || res.CpuPeriod != tt.wantPeriod {
			t.Errorf("quota %d, period %d: got %d, %d; want %d, %d", tt.quota, tt.period, res.CpuQuota, res.CpuPeriod, tt.wantQuota, tt.wantPeriod)
		}
	}
}

func TestUpdateMemory(t *testing.T) {
	unlimited, limit := int64(-1), int64(1<<20)
	res := cgroups.Resources{Memory: 5, MemorySwap: 10, MemoryReservation: 3}
	updateMemory(&res, &specs.LinuxMemory{Limit: &unlimited})
	if res.Memory != -1 || res.MemorySwap != 0 || res.MemoryReservation != 3 {
		t.Errorf("no limit: memory %d, swap %d, reservation %d; want -1, 0, 3", res.Memory, res.MemorySwap, res.MemoryReservation)
	}
	updateMemory(&res, &specs.LinuxMemory{Limit: &limit, Swap: &unlimited})
	if res.Memory != limit || res.MemorySwap != -1 {
		t.Errorf("memory %d, swap %d; want %d, -1", res.Memory, res.MemorySwap, limit)
	}
	updateMemory(&res, nil)
	if res.Memory != limit {
		t.Errorf("nothing given: memory %d; want %d", res.Memory, limit)
	}
}

func TestUpdateDevices(t *testing.T) {
	weight := uint16(50)
	old := cgroups.NewWeightDevice(8, 0, 10, 20)
	res := cgroups.Resources{BlkioWeightDevice: []*cgroups.WeightDevice{old}}
	one := specs.LinuxWeightDevice{Weight: &weight}
	one.Major, one.Minor = 8, 0
	other := specs.LinuxWeightDevice{Weight: &weight}
	other.Major, other.Minor = 8, 16
	rate := specs.LinuxThrottleDevice{Rate: 7}
	rate.Major = 8
	updateBlockIO(&res, &specs.LinuxBlockIO{
		WeightDevice:          []specs.LinuxWeightDevice{one, other},
		ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{rate, rate},
	})
	got := res.BlkioWeightDevice
	if len(got) != 2 || got[0].Weight != 50 || got[0].LeafWeight != 20 || got[1].Minor != 16 || got[1].Weight != 50 {
		t.Errorf("weights = %+v", got)
	}
	if old.Weight != 10 {
		t.Error("the container's own weight was changed before the kernel took the new one")
	}
	if r := res.BlkioThrottleReadBpsDevice; len(r) != 1 || r[0].Rate != 7 {
		t.Errorf("throttled devices = %+v; want one of rate 7", r)
	}
}

// The kernel takes no weight for an idle cgroup. An update to both fails, as
// with runc, and as with runc the cgroup is idle then.
func TestUpdateIdleWithWeight(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "cpu")
	root := t.TempDir()
	bundle, spec := busyboxBundle(t, "busybox sleep 1000")
	c, err := CreateContainer(ContainerConfig{Root: root, ID: "idle", Bundle: bundle, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Spec: spec.Process}
	if err := c.RunInit(p); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := DeleteContainer(patience(t), root, "idle", true); err != nil {
			t.Error(err)
		}
		_, _ = p.Wait()
	}()
	shares, idle := uint64(200), int64(1)
	for _, tt := range []struct {
		resources specs.LinuxResources
		fails     bool
		want      string // of cpu.idle
	}{
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares}}, false, "0"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &shares, Idle: &idle}}, true, "1"},
		{specs.LinuxResources{CPU: &specs.LinuxCPU{Idle: &idle}}, false, "1"},
	} {
		// As another process would, which update is.
		loaded, err := LoadContainer(root, "idle")
		if err != nil {
			t.Fatal(err)
		}
		if err := loaded.Update(&Update{Resources: tt.resources}); (err != nil) != tt.fails {
			t.Errorf("Update(%+v): error %v; want one: %t", *tt.resources.CPU, err, tt.fails)
		}
		b, err := os.ReadFile("/sys/fs/cgroup/idle/cpu.idle")
		if got := strings.TrimSpace(string(b)); err != nil || got != tt.want {
			t.Errorf("after Update(%+v): cpu.idle %q, %v; want %q", *tt.resources.CPU, got, err, tt.want)
		}
	}
}

func TestIdleWithWeight(t *testing.T) {
	one, zero := int64(1), int64(0)
	for _, tt := range []struct {
		res  cgroups.Resources
		want bool
	}{
		{cgroups.Resources{}, false},
		{cgroups.Resources{CPUIdle: &one}, false},
		{cgroups.Resources{CPUIdle: &zero, CpuWeight: 8}, false},
		{cgroups.Resources{CPUIdle: &one, CpuWeight: 8}, true},
		{cgroups.Resources{Unified: map[string]string{"cpu.idle": "1", "cpu.weight": "8"}}, true},
		{cgroups.Resources{Unified: map[string]string{"cpu.idle": "1"}}, false},
	} {
		if got := idleWithWeight(&tt.res); got != tt.want {
			t.Errorf("idleWithWeight(%+v) = %t; want %t", tt.res, got, tt.want)
		}
	}
}
