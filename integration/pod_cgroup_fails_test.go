package integration

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/integration/rung"
)

// TestPodCgroupFails: of a pod that cannot have its cgroup nothing was made that
// others see, and nothing is left.
func TestPodCgroupFails(t *testing.T) {
	rung.Privileged(t)
	w := &world{arena: newArena(t)}
	t.Cleanup(func() { w.removeAll(t) })
	const parent = "/full"
	path := cgroups.Path("/sys/fs/cgroup" + parent)
	if err := os.Mkdir(string(path), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := path.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	write(t, string(path)+"/cgroup.max.descendants", "0")
	for _, flags := range []string{"", "--share pid", "--network bridge", "--volume v:/v"} {
		args := append(strings.Fields("pod create --cgroup-parent "+parent), append(strings.Fields(flags), "p")...)
		w.fails(t, 1, []string{`create pod "p"`, "cgroup.max.descendants"}, args...)
		if out := w.ok(t, "pod", "ls", "--format", "json").stdout; strings.Contains(out, `"p"`) {
			t.Errorf("after a creation that failed pod ls prints %s", out)
		}
		if out := w.ok(t, "network", "ls").stdout; strings.Contains(out, "bridge") {
			t.Errorf("after a creation that failed network ls prints %s", out)
		}
	}
}

// TestPodMemoryTooLow: where not even the pod can be made within its limit, the
// message says so, and nothing is left.
func TestPodMemoryTooLow(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory")
	w := newWorld(t)
	for _, limit := range []string{"1", "64k"} {
		for _, share := range []string{"net", "pid"} {
			w.fails(t, 1, []string{`create pod "p"`, "has run out of memory"}, "pod", "create", "--memory", limit, "--share", share, "p")
			if left := w.left(); len(left) > 0 {
				t.Errorf("after a creation that failed there is %q", left)
			}
		}
	}
}
