package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// TestPodCgroup: one cgroup for the pod and a leaf in it for each container,
// as the kernel has it, and nothing of it to be seen from inside unless shared.
func TestPodCgroup(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, share string
		inside      func(container string) string
	}{
		{"private", "net,ipc,uts", func(string) string { return "0::/" }},
		{"shared", "net,ipc,uts,pid,cgroup", func(container string) string { return "0::/shared-" + container }},
	} {
		t.Run(c.name, func(t *testing.T) {
			uid := w.create(t, c.name, "--share", c.share)
			agents := map[string]*agent{"a": w.add(t, c.name, "a"), "b": w.add(t, c.name, "b")}
			info := w.inspect(t, c.name)
			if want := "/sys/fs/cgroup/podrt/" + uid; info.Cgroup != want {
				t.Errorf("pod's cgroup %q; want %q", info.Cgroup, want)
			}
			for name, agent := range agents {
				ci := info.container(t, c.name+"-"+name)
				if want := filepath.Join(info.Cgroup, ci.Name); ci.Cgroup != want {
					t.Errorf("cgroup of %s is %q; want %q", name, ci.Cgroup, want)
				}
				want := "0::" + strings.TrimPrefix(ci.Cgroup, "/sys/fs/cgroup")
				if got := unified(readFile(t, fmt.Sprintf("/proc/%d/cgroup", ci.PID))); got != want {
					t.Errorf("the kernel has %s in %q; want %q", name, got, want)
				}
				if got, want := unified(agent.ask(t, "read", "/proc/self/cgroup")), c.inside(name); got != want {
					t.Errorf("%s sees itself in %q; want %q", name, got, want)
				}
			}
			if info.Init != nil {
				want := "0::" + strings.TrimPrefix(info.Cgroup, "/sys/fs/cgroup") + "/_init"
				if got := unified(readFile(t, fmt.Sprintf("/proc/%d/cgroup", info.Init.PID))); got != want {
					t.Errorf("the kernel has the pod init in %q; want %q", got, want)
				}
			}
		})
	}
}

// unified is the line of cgroup v2 of /proc/PID/cgroup. It is the last: natively
// the host's cgroup v1 has others.
func unified(lines string) string {
	lines = strings.TrimSpace(lines)
	return lines[strings.LastIndexByte(lines, '\n')+1:]
}

// TestPodCgroupParent: a caller's parent holds the pod and stays.
func TestPodCgroupParent(t *testing.T) {
	w := newWorld(t)
	const parent = "/sys/fs/cgroup/podrt-test-parent"
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(parent) })
	uid := w.create(t, "p", "--cgroup-parent", "/podrt-test-parent")
	w.add(t, "p", "a")
	if got, want := w.inspect(t, "p").Cgroup, filepath.Join(parent, uid); got != want {
		t.Errorf("pod's cgroup %q; want %q", got, want)
	}
	w.ok(t, "pod", "rm", "-f", "p")
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatalf("the caller's parent: %v", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("%s is left in the caller's parent", e.Name())
		}
	}
}

// TestPodFreeze: every process of the pod stops at once, and goes on as if
// nothing had been.
func TestPodFreeze(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p")
	agents := []*agent{w.add(t, "p", "a"), w.add(t, "p", "b")}
	w.ok(t, "pod", "pause", "p")
	info := w.inspect(t, "p")
	if info.Phase != "Paused" {
		t.Errorf("phase %s; want Paused", info.Phase)
	}
	if events := readFile(t, filepath.Join(info.Cgroup, "cgroup.events")); !strings.Contains(events, "frozen 1") {
		t.Errorf("cgroup.events: %s; want frozen 1", events)
	}
	for _, a := range agents {
		a.send(t, false, []string{"hostname"})
	}
	for _, a := range agents {
		// Within this time it would answer a hundred times.
		if r, err := a.tryReceive(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s answers while it is frozen: %+v, %v", a.name, r, err)
		}
	}
	w.ok(t, "pod", "resume", "p")
	for _, a := range agents {
		if r := a.receive(t); r.Error != "" || !strings.HasPrefix(r.Out, "p ") {
			t.Errorf("%s answers after the thaw: %+v; want the host name", a.name, r)
		}
	}
	if phase := w.inspect(t, "p").Phase; phase != "Running" {
		t.Errorf("phase %s after resume; want Running", phase)
	}
	// Neither stop nor kill waits for a thaw.
	w.ok(t, "pod", "pause", "p")
	w.ok(t, "pod", "kill", "p")
	for _, a := range agents {
		a.awaitEnd(t)
	}
}

// TestPodKill: SIGKILL to the pod ends all of it, whatever it made of itself.
func TestPodKill(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, bundle.Pod{"share": list{"net", "ipc", "uts", "pid"}}, bundle.Container{Name: "a"}, bundle.Container{Name: "b"})
	w.start(t, dir)
	for _, name := range []string{"a", "b"} {
		agent := w.agent(t, "p", name)
		agent.ask(t, "orphan")
		if got := agent.stay(t, "fork", "10"); got != "10 OK" {
			t.Errorf("fork 10: %s", got)
		}
	}
	info := w.inspect(t, "p")
	if n := len(procs(t, info.Cgroup)); n != 1+2*12 {
		t.Errorf("%d processes; want the init's 1 and 12 of each container", n)
	}
	w.ok(t, "pod", "kill", "p")
	if left := procs(t, info.Cgroup); len(left) != 0 {
		t.Errorf("processes %d are left; want none", left)
	}
	info = w.inspect(t, "p")
	for _, name := range []string{"a", "b"} {
		info.container(t, name).wantExit(t, 137, "signal", "SIGKILL")
	}
	if info.Monitored {
		t.Error("the monitor is there after its containers' end")
	}
}

// TestPodMemoryLimit: the limit is on the sum over the containers, and who
// ended for it says so; who ended later for a limit above the pod's does not.
func TestPodMemoryLimit(t *testing.T) {
	w := newWorld(t)
	rung.NeedController(t, "memory")
	dir := w.podOf(t, bundle.Pod{"cgroupParent": "/limited", "resources": object{"memory": object{"limit": 64 << 20}}},
		bundle.Container{Name: "a"}, bundle.Container{Name: "b"}, bundle.Container{Name: "c"})
	w.start(t, dir)
	a, b := w.agent(t, "p", "a"), w.agent(t, "p", "b")
	if got := w.stats(t).Pod.Memory; got == nil || got.Limit == nil || *got.Limit != 64<<20 {
		t.Errorf("stats: memory %+v; want the limit of 64 MiB", got)
	}
	if got := a.stay(t, "eat-memory", strconv.Itoa(32<<20)); got != "ready" {
		t.Fatalf("eat 32 MiB of 64: %q", got)
	}
	// Each of them is below the limit.
	b.send(t, true, []string{"eat-memory", strconv.Itoa(40 << 20)})
	events := filepath.Join(w.inspect(t, "p").Cgroup, "memory.events")
	eventually(t, "OOM kill", func() bool { return !strings.Contains(readFile(t, events), "oom_kill 0\n") })
	var info *podInfo
	eventually(t, "a container's end recorded", func() bool {
		info = w.inspect(t, "p")
		return info.container(t, "a").Exit != nil || info.container(t, "b").Exit != nil
	})
	for _, name := range []string{"a", "b"} {
		if c := info.container(t, name); c.Exit != nil {
			c.wantExit(t, 137, "oom", "pod")
		}
	}
	if c := info.container(t, "c"); c.Status != "running" {
		t.Errorf("container c is %s; want it to run on", c.Status)
	}
	w.agent(t, "p", "c").want(t, "p (none)", "hostname")

	w.ok(t, "pod", "stop", "-t", "0", "p")
	w.forget("p", "a")
	w.ok(t, "pod", "start", "p")
	write(t, filepath.Join(info.Cgroup, "memory.max"), "max")
	write(t, filepath.Join(filepath.Dir(info.Cgroup), "memory.max"), strconv.Itoa(64<<20))
	a = w.agent(t, "p", "a")
	a.send(t, true, []string{"eat-memory", strconv.Itoa(128 << 20)})
	a.awaitEnd(t)
	w.ok(t, "pod", "stop", "-t", "0", "p")
	w.inspect(t, "p").container(t, "a").wantExit(t, 137, "oom", "host")
}

// TestContainerMemoryLimit: a limit of one container alone.
func TestContainerMemoryLimit(t *testing.T) {
	w := newWorld(t)
	rung.NeedController(t, "memory")
	limited := func(s *specs.Spec) {
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: new(int64(32 << 20))}
	}
	dir := w.podOf(t, bundle.Pod{"resources": object{"memory": object{"limit": 256 << 20}}},
		bundle.Container{Name: "a", Spec: w.serve("p", "a", limited)}, bundle.Container{Name: "b"})
	w.start(t, dir)
	w.agent(t, "p", "a").send(t, true, []string{"eat-memory", strconv.Itoa(40 << 20)})
	if got := w.agent(t, "p", "b").stay(t, "eat-memory", strconv.Itoa(40<<20)); got != "ready" {
		t.Errorf("eat 40 MiB without a limit of one's own: %q", got)
	}
	w.agent(t, "p", "a").awaitEnd(t)
	w.ok(t, "pod", "stop", "-t", "1", "p")
	info := w.inspect(t, "p")
	info.container(t, "a").wantExit(t, 137, "oom", "container")
	if info.Phase != "Failed" {
		t.Errorf("phase %s; want Failed", info.Phase)
	}
	if out := w.ok(t, "pod", "wait", "p").stdout; !strings.HasPrefix(out, "a 137 oom\nb ") {
		t.Errorf("pod wait: %q; want a 137 oom", out)
	}
}

// TestPodPidsLimit: the limit is on the sum over the containers.
func TestPodPidsLimit(t *testing.T) {
	w := newWorld(t)
	rung.NeedController(t, "pids")
	const limit = 60
	w.create(t, "p", "--pids-limit", strconv.Itoa(limit))
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b")
	if got := a.stay(t, "fork", "20"); got != "20 OK" {
		t.Fatalf("fork 20: %s", got)
	}
	before := w.stats(t).Pod.Pids
	if before == nil || before.Limit == nil || *before.Limit != limit || before.Current < 22 {
		t.Fatalf("stats: pids %+v; want the limit %d and more than 20 in use", before, limit)
	}
	var got int
	var why string
	if line := b.stay(t, "fork", "1000"); line == "" {
		t.Fatal("fork 1000: nothing")
	} else if _, err := fmt.Sscan(line, &got, &why); err != nil {
		t.Fatalf("fork 1000: %q: %v", line, err)
	}
	// The runtime of either probe may have made a thread meanwhile.
	if most := limit - int(before.Current); why != "EAGAIN" || got > most || got < most-5 {
		t.Errorf("fork 1000 with %d of %d in use: %d, %s; want about %d and EAGAIN", before.Current, limit, got, why, most)
	}
	if now := w.stats(t).Pod.Pids; now.Current != limit {
		t.Errorf("stats: %d of %d in use; want all", now.Current, limit)
	}
	b.ask(t, "unfork")
}
