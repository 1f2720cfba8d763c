package integration

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

// With --cgroup-manager disabled, as podman has it for --cgroups=disabled, the
// container's processes stay in the caller's cgroup, and none is made.
func TestOCINoCgroup(t *testing.T) {
	o := newOCI(t, "trap 'exit 3' TERM; sleep 1000 & wait")
	o.configure(func(s *specs.Spec) {
		withoutNamespace(s, specs.CgroupNamespace)
		// These are nobody's: there is no cgroup to set them on.
		limit := int64(7)
		s.Linux.CgroupsPath = "/not/made"
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}, Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	})
	own := cgroupOf(t, os.Getpid())
	before, err := rung.Take()
	if err != nil {
		t.Fatal(err)
	}
	o.ok("--cgroup-manager", "disabled", "create", "--pid-file", "pid", "c1")
	pid, err := strconv.Atoi(o.readFile(o.bundle + "/pid"))
	if err != nil {
		t.Fatal(err)
	}
	o.ok("start", "c1")
	if got := cgroupOf(t, pid); got != own {
		t.Errorf("the container's cgroup is %q; want %q, the caller's", got, own)
	}
	after, err := rung.Take()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(before.Diff(after)) {
		if strings.Contains(line, " cgroup /") {
			t.Errorf("while it runs: %s; want no cgroup to be made", line)
		}
	}
	if got := o.ok("exec", "c1", "sh", "-c", "while read line; do case $line in 0::*) echo $line; esac; done < /proc/self/cgroup"); "/sys/fs/cgroup"+strings.TrimPrefix(strings.TrimSpace(got), "0::") != own {
		t.Errorf("exec: cgroup %q; want %q", got, own)
	}
	o.ok("kill", "c1", "TERM")
	o.awaitStatus("stopped")
	o.ok("delete", "c1")

	o.ok("--cgroup-manager=disabled", "run", "-d", "c1")
	o.ok("delete", "--force", "c1")
}
