package integration

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// newSystemd is newOCI with containers that systemd makes the cgroups of.
func newSystemd(t *testing.T, script string) *ociRuntime {
	needSystemd(t)
	o := newOCI(t, script)
	o.global = []string{"--systemd-cgroup"}
	return o
}

// cgroup is the container's, as the kernel has it.
func (o *ociRuntime) cgroup() string {
	o.t.Helper()
	return strings.TrimPrefix(unified(o.readFile("/proc/"+strconv.Itoa(int(o.state()["pid"].(float64)))+"/cgroup")), "0::")
}

// TestSystemdScope: where the scope of a container is, by its cgroupsPath.
func TestSystemdScope(t *testing.T) {
	o := newSystemd(t, "sleep 1000")
	stopSlices(t, "podrt.slice")
	for path, want := range map[string]string{
		"":                            "/system.slice/runc-c1.scope",
		"podrt-test.slice:prefix:one": "/podrt.slice/podrt-test.slice/prefix-one.scope",
		":prefix:one":                 "/system.slice/prefix-one.scope",
		"podrt.slice::one":            "/podrt.slice/-one.scope",
		"-.slice:prefix:one":          "/prefix-one.scope",
	} {
		o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = path })
		o.ok("create", "c1")
		if got := o.cgroup(); got != want {
			t.Errorf("cgroupsPath %q: cgroup %q; want %q", path, got, want)
		}
		unit := filepath.Base(want)
		wantProperties(t, unit, map[string]string{"ActiveState": "active", "Delegate": "yes", "Transient": "yes"})
		// What was saved counts, not the flag.
		global := o.global
		o.global = nil
		o.ok("delete", "c1")
		o.global = global
		wantNoUnit(t, unit)
	}
	for path, message := range map[string]string{
		"/podrt/one":     `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/podrt/one" instead`,
		"a:b":            `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "a:b" instead`,
		"system:b:c":     `invalid slice name: system`,
		"a--b.slice:b:c": `invalid slice name: a--b.slice`,
	} {
		o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = path })
		o.fails(1, "podrt create failed: "+message, "create", "c1")
	}
}

// TestSystemdLimits: systemd knows a container's limits, so that they stay
// what they are at its next daemon-reload.
func TestSystemdLimits(t *testing.T) {
	o := newSystemd(t, "sleep 1000")
	const unit = "podrt-test.scope"
	o.configure(func(s *specs.Spec) {
		s.Linux.CgroupsPath = "system.slice:podrt:test"
		s.Annotations = map[string]string{
			"org.systemd.property.TimeoutStopUSec": "uint64 7000000",
			"org.systemd.property.CollectMode":     "'inactive-or-failed'",
			"org.systemd.property.Description":     "'a test'",
		}
		r := s.Linux.Resources
		r.Memory = &specs.LinuxMemory{Limit: new(int64(96 << 20)), Reservation: new(int64(48 << 20))}
		r.CPU = &specs.LinuxCPU{Quota: new(int64(25000)), Period: new(uint64(50000)), Shares: new(uint64(512)), Cpus: "0"}
		r.Pids = &specs.LinuxPids{Limit: new(int64(33))}
		r.Unified = map[string]string{"memory.high": "67108864"}
	})
	o.ok("create", "c1")
	o.global = nil
	p := map[string]string{
		"MemoryMax": "100663296", "MemoryLow": "50331648", "MemoryHigh": "67108864", "TasksMax": "33",
		"CPUQuotaPerSecUSec": "500ms", "CPUQuotaPeriodUSec": "50ms", "CPUWeight": "59", "AllowedCPUs": "0",
		"DevicePolicy": "strict", "TimeoutStopUSec": "7s", "CollectMode": "inactive-or-failed", "Description": "a test",
	}
	wantProperties(t, unit, p)
	if got := unitProperties(t, unit)["DeviceAllow"]; !strings.Contains(got, "/dev/char/1:3 rwm") || strings.Contains(got, "block-* r") {
		t.Errorf("DeviceAllow = %q; want /dev/null in it and no block device to read", got)
	}
	o.ok("start", "c1")
	o.ok("update", "--memory", strconv.Itoa(128<<20), "--pids-limit", "44", "--cpu-quota", "33000", "--cpu-period", "100000", "c1")
	p["MemoryMax"], p["TasksMax"], p["CPUQuotaPerSecUSec"], p["CPUQuotaPeriodUSec"] = "134217728", "44", "330ms", "100ms"
	wantProperties(t, unit, p)
	systemctl(t, "daemon-reload")
	for file, want := range map[string]string{
		"memory.max": "134217728", "memory.low": "50331648", "memory.high": "67108864", "pids.max": "44", "cpu.max": "33000 100000", "cpuset.cpus": "0",
	} {
		if got := o.readFile("/sys/fs/cgroup/system.slice/" + unit + "/" + file); got != want {
			t.Errorf("after daemon-reload %s = %q; want %q", file, got, want)
		}
	}
	o.ok("exec", "c1", "sh", "-c", "echo >/dev/null")
	var stats struct {
		Data struct{ Pids struct{ Limit uint64 } }
	}
	if err := json.Unmarshal([]byte(o.ok("events", "--stats", "c1")), &stats); err != nil || stats.Data.Pids.Limit != 44 {
		t.Errorf("events: pids limit %d, %v; want 44", stats.Data.Pids.Limit, err)
	}
	o.ok("pause", "c1")
	if got := o.state()["status"]; got != "paused" {
		t.Errorf("status %v; want paused", got)
	}
	o.ok("resume", "c1")
	o.ok("pause", "c1")
	o.ok("delete", "--force", "c1")
	wantNoUnit(t, unit)
}

// TestSystemdScopeTaken: a scope that there is already is somebody's, and stays;
// one that has failed is nobody's.
func TestSystemdScopeTaken(t *testing.T) {
	o := newSystemd(t, "sleep 1000")
	o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = ":podrt:test" })
	const unit = "podrt-test.scope"
	holder := exec.Command("systemd-run", "--scope", "--quiet", "--unit", unit, "sleep", "1000")
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	eventually(t, "the scope", func() bool { return unitProperties(t, unit)["ActiveState"] == "active" })
	o.fails(1, "podrt create failed: container's cgroup is not empty: 1 process(es) found", "create", "c1")
	o.ok("delete", "--force", "c1")
	wantProperties(t, unit, map[string]string{"ActiveState": "active"})
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()

	out, err := exec.Command("systemd-run", "--scope", "--quiet", "--unit", unit, "-p", "RuntimeMaxSec=50ms", "sleep", "1000").CombinedOutput()
	if err == nil {
		t.Fatalf("systemd-run: %s; want its time to be over", out)
	}
	eventually(t, "the failed scope", func() bool { return unitProperties(t, unit)["ActiveState"] == "failed" })
	o.ok("create", "c1")
	wantProperties(t, unit, map[string]string{"ActiveState": "active"})
	// What systemd stops is stopped.
	systemctl(t, "stop", unit)
	o.awaitStatus("stopped")
	o.ok("delete", "c1")
	wantNoUnit(t, unit)
}
