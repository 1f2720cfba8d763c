package integration

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSystemdPod: systemd makes a pod's cgroup, and leaves it alone: with no
// process in it, at a reload, and what is below.
func TestSystemdPod(t *testing.T) {
	needSystemd(t)
	w := newWorld(t)
	stopSlices(t, "podrt.slice")
	uid := strings.TrimSpace(w.ok(t, "--systemd-cgroup", "pod", "create", "--cgroup-parent", "podrt-test.slice", "--volume", w.ctl+":/ctl",
		"--memory", "96m", "--pids-limit", "44", "--cpus", "0.333", "--cpuset-cpus", "0", "p").stdout)
	unit := "podrt-" + uid + ".service"
	cgroup := "/sys/fs/cgroup/podrt.slice/podrt-test.slice/" + unit
	if got := w.inspect(t, "p").Cgroup; got != cgroup {
		t.Fatalf("pod's cgroup %q; want %q", got, cgroup)
	}
	limits := map[string]string{"MemoryMax": "100663296", "TasksMax": "44", "CPUQuotaPerSecUSec": "340ms", "AllowedCPUs": "0"}
	wantProperties(t, unit, map[string]string{"ActiveState": "active", "SubState": "exited"})
	// By it podrt knows the unit for the pod's before it stops it.
	if got, want := strings.TrimSpace(systemctl(t, "show", "--property", "Description", "--value", unit)), "podrt pod p of "+w.run+", made "; !strings.HasPrefix(got, want) {
		t.Errorf("%s: Description = %q; want %q and when", unit, got, want)
	}
	wantProperties(t, unit, limits)

	// Without a process and without systemd, which made none of this.
	before := systemctl(t, "show", "--property", "NNames,NInstalledJobs", "--value")
	w.add(t, "p", "a")
	info := w.inspect(t, "p").container(t, "p-a")
	if want := filepath.Join(cgroup, "p-a"); info.Cgroup != want {
		t.Errorf("container's cgroup %q; want %q", info.Cgroup, want)
	}
	w.ok(t, "update", "--pids-limit", "33", "p-a")
	if after := systemctl(t, "show", "--property", "NNames,NInstalledJobs", "--value"); after != before {
		t.Errorf("systemd has %q units and jobs with a container in the pod; want as many as before, %q", after, before)
	}
	w.ok(t, "delete", "--force", "p-a")
	a := w.add(t, "p", "b")
	w.ok(t, "update", "--pids-limit", "33", "p-b")

	systemctl(t, "daemon-reload")
	systemctl(t, "reset-failed")
	systemctl(t, "daemon-reexec")
	wantProperties(t, unit, limits)
	for file, want := range map[string]string{
		"memory.max": "100663296", "pids.max": "44", "cpuset.cpus": "0", "p-b/pids.max": "33",
	} {
		if got := strings.TrimSpace(readFile(t, filepath.Join(cgroup, file))); got != want {
			t.Errorf("after a reload %s = %q; want %q", file, got, want)
		}
	}
	if got := readFile(t, filepath.Join(cgroup, "cgroup.subtree_control")); !strings.Contains(got, "memory") {
		t.Errorf("after a reload cgroup.subtree_control = %q; want memory in it", got)
	}
	a.ask(t, "hostname")
	w.ok(t, "pod", "pause", "p")
	if phase := w.inspect(t, "p").Phase; phase != "Paused" {
		t.Errorf("phase %s; want Paused", phase)
	}
	w.ok(t, "pod", "resume", "p")
	w.ok(t, "pod", "rm", "-f", "p")
	wantNoUnit(t, unit)

	w.fails(t, 1, []string{`cgroup parent "/podrt"`, "must be the name of a slice"}, "--systemd-cgroup", "pod", "create", "--cgroup-parent", "/podrt", "p")
	// systemd's end of it is the pod's.
	uid = strings.TrimSpace(w.ok(t, "--cgroup-manager", "systemd", "pod", "create", "--share", "net,pid", "p").stdout)
	wantProperties(t, "podrt-"+uid+".service", map[string]string{"TimeoutStopUSec": "10s"}) // the pod's grace period
	began := time.Now()
	systemctl(t, "stop", "podrt-"+uid+".service")
	if took := time.Since(began); took > 60*time.Second {
		t.Errorf("systemctl stop took %v; want the pod's grace period of 10 s", took)
	}
	if init := w.inspect(t, "p").Init; init == nil || init.Alive {
		t.Errorf("pod init %+v after its unit was stopped; want a dead one", init)
	}
	w.ok(t, "pod", "rm", "p")
}

// TestSystemdPodUpdate: systemd knows limits that have changed, and those that
// could not: at a reload the cgroup has what the pod has.
func TestSystemdPodUpdate(t *testing.T) {
	needSystemd(t)
	w := newWorld(t)
	uid := strings.TrimSpace(w.ok(t, "--systemd-cgroup", "pod", "create", "--memory", "96m", "--pids-limit", "44", "p").stdout)
	unit, cgroup := "podrt-"+uid+".service", w.inspect(t, "p").Cgroup
	w.ok(t, "pod", "update", "--memory", "64m", "--cpus", "0.333", "--cpuset-cpus", "0", "--pids-limit", "50", "p")
	wantFiles(t, cgroup, map[string]string{"cpu.max": "33300 100000"}) // to be rounded at a reload
	// The kernel refuses the last of these.
	limits := w.file(t, `{"memory":{"limit":50331648,"reservation":1048576},"cpu":{"shares":512},"unified":{"memory.high":"much"}}`)
	w.fails(t, 1, []string{`resources.unified["memory.high"]`}, "pod", "update", "-r", limits, "p")
	systemctl(t, "daemon-reload")
	wantProperties(t, unit, map[string]string{
		"MemoryMax": "67108864", "TasksMax": "50", "CPUQuotaPerSecUSec": "340ms", "AllowedCPUs": "0", "MemoryLow": "0", "CPUWeight": "[not set]",
	})
	wantFiles(t, cgroup, map[string]string{"memory.max": "67108864", "pids.max": "50", "cpuset.cpus": "0", "memory.low": "0", "cpu.weight": "100"})

	w.ok(t, "pod", "update", "--memory", "-1", "--cpus", "0", "--pids-limit", "-1", "p")
	wantProperties(t, unit, map[string]string{"MemoryMax": "infinity", "TasksMax": "infinity", "CPUQuotaPerSecUSec": "infinity", "AllowedCPUs": "0"})
	wantFiles(t, cgroup, map[string]string{"memory.max": "max", "pids.max": "max", "cpu.max": "max 100000", "cpuset.cpus": "0"})
	w.ok(t, "pod", "rm", "p")
	wantNoUnit(t, unit)
}

// TestSystemdPodMembers: a container that brings a scope of its own keeps it.
func TestSystemdPodMembers(t *testing.T) {
	needSystemd(t)
	w := newWorld(t)
	for _, c := range []struct{ flag, path, want string }{
		{"cgroupfs", "", "/sys/fs/cgroup/system.slice/podrt-UID.service/c1"},
		{"systemd", "", "/sys/fs/cgroup/system.slice/podrt-UID.service/c1"},
		{"systemd", "system.slice:podrt:test", "/sys/fs/cgroup/system.slice/podrt-test.scope"},
	} {
		uid := strings.TrimSpace(w.ok(t, "--systemd-cgroup", "pod", "create", "--volume", w.ctl+":/ctl", "p").stdout)
		s := w.serve("p", "c1")
		s.Linux.CgroupsPath = c.path
		w.ok(t, "--cgroup-manager", c.flag, "run", "--detach", "--pod", "p", "--bundle", w.bundle(t, s), "c1")
		info := w.inspect(t, "p").container(t, "c1")
		if want := strings.Replace(c.want, "UID", uid, 1); info.Cgroup != want {
			t.Errorf("%+v: container's cgroup %q; want %q", c, info.Cgroup, want)
		}
		w.ok(t, "pod", "kill", "p")
		w.ok(t, "pod", "rm", "-f", "p")
		wantNoUnit(t, "podrt-test.scope")
	}
}

// TestSystemdPodSameUID: the unit of a pod is told from that of another store's
// pod with the same UID, whose creation and removal leave it alone.
func TestSystemdPodSameUID(t *testing.T) {
	needSystemd(t)
	w := newWorld(t)
	other := newArena(t)
	serves := func(pod, uid string) *agent {
		t.Helper()
		w.ok(t, "--systemd-cgroup", "pod", "create", "--uid", uid, "--volume", w.ctl+":/ctl", pod)
		return w.add(t, pod, "a")
	}
	const first, second = "11111111-2222-3333-4444-000000000001", "11111111-2222-3333-4444-000000000002"
	a := serves("p", first)
	if r := other.podrt(t, "--systemd-cgroup", "pod", "create", "--uid", first, "q"); r.code == 0 || !strings.Contains(r.stderr, "podrt-"+first+".service") {
		t.Errorf("a pod whose unit is another's: %v; want an error that names the unit", r)
	}
	a.ask(t, "hostname")
	wantProperties(t, "podrt-"+first+".service", map[string]string{"ActiveState": "active"})

	other.ok(t, "--systemd-cgroup", "pod", "create", "--uid", second, "q")
	systemctl(t, "stop", "podrt-"+second+".service")
	b := serves("r", second)
	other.ok(t, "pod", "rm", "-f", "q")
	b.ask(t, "hostname")
	wantProperties(t, "podrt-"+second+".service", map[string]string{"ActiveState": "active"})
	for pod, uid := range map[string]string{"p": first, "r": second} {
		w.ok(t, "pod", "rm", "-f", pod)
		wantNoUnit(t, "podrt-"+uid+".service")
	}
}
