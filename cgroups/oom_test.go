package cgroups

import (
	"syscall"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

func memoryEvents(t *testing.T, p Path) (tree, local MemoryEvents) {
	t.Helper()
	tree, local, err := p.MemoryEvents()
	if err != nil {
		t.Fatal(err)
	}
	return tree, local
}

// The limit is of the sum over the containers, and its breach is told from that
// of a container's own limit.
func TestMemoryLimitOfThePod(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory")
	p := limitedPod(t, `{"memory":{"limit":134217728,"swap":134217728}}`, "one", "two")
	one, two := p.Leaf("one"), p.Leaf("two")
	start(t, one, "alloc 50").ready()
	calm := start(t, two, "alloc 40").ready()
	if kills, err := p.OOMKills(); err != nil || kills != 0 {
		t.Fatalf("OOMKills below the limit = %d, %v; want 0", kills, err)
	}
	start(t, two, "victim 80").killed()
	if kills, err := p.OOMKills(); err != nil || kills != 1 {
		t.Errorf("OOMKills = %d, %v; want 1", kills, err)
	}
	_, pod := memoryEvents(t, p)
	if pod.OOM == 0 || pod.OOMKill != 0 {
		t.Errorf("the pod's own events: %+v; want OOM, and the kill elsewhere", pod)
	}
	tree, leaf := memoryEvents(t, two)
	if tree.OOMKill != 1 || leaf.OOMKill != 1 || leaf.OOM != 0 {
		t.Errorf("the victim's container: %+v, own %+v; want the kill, and OOM elsewhere", tree, leaf)
	}
	if tree, _ := memoryEvents(t, one); tree.OOMKill != 0 {
		t.Errorf("the other container: %+v; want no kill", tree)
	}
	if syscall.Kill(calm.pid(), 0) != nil {
		t.Error("another process of the container was killed, too")
	}
}

func TestMemoryLimitOfAContainer(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory")
	p := limitedPod(t, `{"memory":{"limit":268435456}}`, "one")
	one := p.Leaf("one")
	if err := one.Apply(resources(t, `{"memory":{"limit":33554432,"swap":33554432}}`)); err != nil {
		t.Fatal(err)
	}
	start(t, one, "victim 80").killed()
	tree, pod := memoryEvents(t, p)
	_, leaf := memoryEvents(t, one)
	if tree.OOMKill != 1 || pod.OOM != 0 || leaf.OOM == 0 || leaf.OOMKill != 1 {
		t.Errorf("pod %+v, own %+v, container's own %+v; want OOM and kill in the container", tree, pod, leaf)
	}
}

func TestOOMGroup(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory")
	rung.NeedKernel(t, "5.17", "oom_group_kill")
	p := limitedPod(t, `{"memory":{"limit":67108864,"swap":67108864},"unified":{"memory.oom.group":"1"}}`, "one", "two")
	idle := start(t, p.Leaf("one"), "idle").ready()
	start(t, p.Leaf("two"), "victim 80").killed()
	idle.killed()
	if tree, _ := memoryEvents(t, p); tree.OOMGroupKill != 1 || tree.OOMKill < 2 {
		t.Errorf("events %+v; want a group kill of two", tree)
	}
}

func TestMemoryEventsWithoutController(t *testing.T) {
	rung.Privileged(t)
	// A child of a cgroup that passes nothing on.
	p, err := testPod(t).CreateLeaf("bare")
	if err != nil {
		t.Fatal(err)
	}
	if kills, err := p.OOMKills(); err != nil || kills != 0 {
		t.Errorf("OOMKills without the memory controller = %d, %v; want 0", kills, err)
	}
	s, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Memory != nil || s.Pids != nil || s.IO != nil {
		t.Errorf("Stats without controllers: %+v; want the CPU alone", s)
	}
}
