package engines

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestSystemdPodman: podman with systemd's cgroups: PODRT_VM=-systemd.
func TestSystemdPodman(t *testing.T) {
	rung.NeedSystemd(t)
	rung.Privileged(t)
	// It stays, as podman's cgroup without systemd does.
	t.Cleanup(func() { _ = exec.Command("systemctl", "stop", "machine.slice").Run() })
	compare(t, newSystemdPodman, slices.Concat(podmanSystemd, podmanSystemdPods)...)
}

// TestSystemdCRI: containerd's CRI plugin with systemd's cgroups.
func TestSystemdCRI(t *testing.T) {
	rung.NeedSystemd(t)
	rung.Privileged(t)
	removePodrtRun(t)
	t.Cleanup(func() { _ = exec.Command("systemctl", "stop", "podrt.slice").Run() })
	compare(t, newSystemdKubelet, criSystemd...)
}

func newSystemdKubelet(x *try, l *lab) *kubelet {
	l.runtimeOptions = "    SystemdCgroup = true\n"
	return newKubelet(x, l)
}

var criSystemd = []operation[*kubelet]{
	{name: "systemd", on: inVM, do: func(x *try, k *kubelet) {
		p := k.run(x, "systemd", object{"cgroupParent": "podrt-pods.slice", "securityContext": namespaces(criContainer)})
		c := p.start(x, "a", object{"linux": object{"resources": object{"memoryLimitInBytes": 64 << 20}}}, "sleep", "1000")
		unit := "cri-containerd-" + c.id + ".scope"
		if got, want := cgroup(x, k.pid(x, c.id)), "/sys/fs/cgroup/podrt.slice/podrt-pods.slice/"+unit; got != want {
			x.Errorf("cgroup %s; want %s", got, want)
		}
		wantUnit(x, unit, "MemoryMax=67108864 ActiveState=active")
		k.call(x, "UpdateContainerResources", object{"containerId": c.id, "linux": object{"memoryLimitInBytes": 48 << 20}}, nil)
		wantUnit(x, unit, "MemoryMax=50331648")
		p.remove(x)
		wantUnit(x, unit, "ActiveState=inactive LoadState=not-found")
		wantUnit(x, "cri-containerd-"+p.id+".scope", "ActiveState=inactive LoadState=not-found")
	}},
}

func newSystemdPodman(x *try, l *lab) *podman {
	p := newPodman(x, l)
	writePodmanConf(x, l, strings.Replace(podmanConf, `"cgroupfs"`, `"systemd"`, 1))
	return p
}

var podmanSystemd = []operation[*podman]{
	{name: "systemd", on: inVM, do: func(x *try, p *podman) {
		id := p.start(x, "box", "--memory", "64m", "--pids-limit", "50", podmanImage, "sleep", "1000")
		unit := "libpod-" + id + ".scope"
		dir := p.cgroup(x, "box")
		// podman has the container in a cgroup of its own below, or in the scope.
		if want := "/sys/fs/cgroup/machine.slice/" + unit; dir != want && dir != want+"/container" {
			x.Errorf("cgroup %s; want %s", dir, want)
		}
		wantUnit(x, unit, "MemoryMax=67108864 TasksMax=50 ActiveState=active")
		p.wantFile(x, "/sys/fs/cgroup/machine.slice/"+unit+"/pids.max", "50")
		if got := p.do(x, "exec", "box", "echo", "hello"); got != "hello" {
			x.Errorf("exec: %q; want hello", got)
		}
		p.do(x, "pause", "box")
		p.do(x, "unpause", "box")
		p.do(x, "rm", "--force", "--time", "0", "box")
		wantUnit(x, unit, "ActiveState=inactive LoadState=not-found")
	}},
}

// wantUnit looks whether a unit has the properties, NAME=VALUE.
func wantUnit(x *try, unit, want string) {
	for _, property := range strings.Fields(want) {
		name, _, _ := strings.Cut(property, "=")
		x.eventually(unit+" "+property, func() bool {
			out, err := exec.Command("systemctl", "show", "--property", name, unit).Output()
			return err == nil && strings.TrimSpace(string(out)) == property
		})
	}
}
