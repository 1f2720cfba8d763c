package integration

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

func TestOCIUpdate(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	rung.NeedController(t, "memory", "pids", "cpu")
	limit := int64(64 << 20)
	o.configure(func(s *specs.Spec) {
		s.Linux.CgroupsPath = "/podrt-test-update"
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	})
	o.ok("run", "-d", "c1")
	check := func(file, want string) {
		t.Helper()
		if got := o.readFile("/sys/fs/cgroup/podrt-test-update/" + file); got != want {
			t.Errorf("%s = %q; want %q", file, got, want)
		}
	}
	check("memory.max", "67108864")
	check("pids.max", "max")

	o.ok("update", "--memory", "32m", "--pids-limit", "20", "c1")
	check("memory.max", "33554432")
	check("pids.max", "20")

	// Options after the id; quota and period are kept apart.
	o.ok("update", "c1", "--cpu-quota", "20000", "--cpu-period", "100000")
	check("cpu.max", "20000 100000")
	o.ok("update", "--cpu-period", "50000", "c1")
	check("cpu.max", "20000 50000")
	check("memory.max", "33554432")

	// As engines do, from the standard input; the command line does not count.
	cmd := o.command("update", "--resources=-", "--memory", "1g", "c1")
	cmd.Stdin = strings.NewReader(`{"memory":{"limit":16777216},"unified":{"memory.high":"15728640"}}`)
	if r := o.finish(cmd); r.code != 0 || r.stderr != "" {
		t.Errorf("update from standard input = %+v", r)
	}
	check("memory.max", "16777216")
	check("memory.high", "15728640")

	// What the kernel refuses leaves all as it was.
	if r := o.call("update", "--cpu-period", "1", "c1"); r.code != 1 {
		t.Errorf("update to an impossible period: exit code %d; want 1", r.code)
	}
	check("cpu.max", "20000 50000")
	check("memory.max", "16777216")

	o.ok("kill", "c1", "9")
	o.awaitStatus("stopped")
	o.fails(1, "container not running", "update", "--memory", "32m", "c1")
	o.ok("delete", "c1")
}
