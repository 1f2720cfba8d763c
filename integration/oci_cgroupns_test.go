package integration

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A container in the host's cgroup namespace mounts cgroup2 as well, and the
// options of the whole hierarchy stay what they were: the leak check sees them.
func TestOCIHostCgroupNamespace(t *testing.T) {
	o := newOCI(t, "test -e /sys/fs/cgroup/cgroup.controllers && echo seen")
	o.configure(func(s *specs.Spec) { withoutNamespace(s, specs.CgroupNamespace) })
	if got := o.ok("run", "c1"); got != "seen\n" {
		t.Errorf("the container printed %q; want to see the cgroups", got)
	}
}
