package engines

import (
	"fmt"
	"os"
	"strings"
)

// cgroup is the directory of a process.
func cgroup(x *try, pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	x.must(err)
	for line := range strings.Lines(string(b)) {
		if dir, ok := strings.CutPrefix(line, "0::"); ok {
			return "/sys/fs/cgroup" + strings.TrimSpace(dir)
		}
	}
	x.Fatalf("cgroup of process %d: %q; want a line 0::", pid, b)
	return ""
}

// cgroupFile is what a file of a cgroup says.
func cgroupFile(x *try, dir, name string) string {
	b, err := os.ReadFile(dir + "/" + name)
	x.must(err)
	return strings.TrimSpace(string(b))
}

// criLimits is one pod as the kubelet makes it, in one operation: a pod costs
// seconds in the VM.
var criLimits = []operation[*kubelet]{
	{name: "limits", on: inVM, do: func(x *try, k *kubelet) {
		// The kubelet makes the pod's cgroup, and removes it.
		parent := "/kubepods-" + k.runtime.name
		x.must(os.Mkdir("/sys/fs/cgroup"+parent, 0o755))
		removeParent(x, parent)
		p := k.run(x, "limits", object{"cgroupParent": parent, "securityContext": namespaces(criContainer)})
		limits := object{"linux": object{
			"resources": object{"memoryLimitInBytes": 64 << 20, "cpuShares": 512, "cpuQuota": 50000, "cpuPeriod": 100000, "oomScoreAdj": 900},
		}}
		c := p.start(x, "a", limits, "sleep", "1000")
		dir := cgroup(x, k.pid(x, c.id))
		if want := "/sys/fs/cgroup" + parent + "/" + c.id; dir != want {
			x.Errorf("cgroup %s; want %s", dir, want)
		}
		want := func(file, value string) {
			if got := cgroupFile(x, dir, file); got != value {
				x.Errorf("%s: %q; want %q", file, got, value)
			}
		}
		want("memory.max", "67108864")
		want("cpu.max", "50000 100000")
		// runc's way from shares to a weight has changed with 1.4.
		want("cpu.weight", map[string]string{"podrt": "59", "runc": "20"}[k.runtime.name])
		if got := k.do(x, "cat", fmt.Sprintf("/proc/%d/oom_score_adj", k.pid(x, c.id))); got != "900" {
			x.Errorf("oom_score_adj %s; want 900", got)
		}

		k.call(x, "UpdateContainerResources", object{"containerId": c.id, "linux": object{"memoryLimitInBytes": 48 << 20, "cpuQuota": 20000}}, nil)
		want("memory.max", "50331648")
		want("cpu.max", "20000 100000")

		var stats struct {
			Stats struct {
				CPU    struct{ UsageCoreNanoSeconds struct{ Value string } }
				Memory struct{ UsageBytes struct{ Value string } }
			}
		}
		k.call(x, "ContainerStats", object{"containerId": c.id}, &stats)
		if s := stats.Stats; len(s.CPU.UsageCoreNanoSeconds.Value) < 4 || len(s.Memory.UsageBytes.Value) < 4 {
			x.Errorf("ContainerStats: %+v; want some use of the CPU and of memory", s)
		}
		if r := k.try(x, "ListPodSandboxStats", nil); r.code != 0 || !strings.Contains(r.out, p.id) {
			x.Errorf("%s; want %s in it", r, p.id)
		}

		// containerd hears of the OOM kill and of the end by two ways, and says
		// "Error" if the end comes first.
		reason := ""
		for i := 0; i < oomTries && reason != "OOMKilled"; i++ {
			s := p.start(x, fmt.Sprint("hungry", i), limits, "/probe", "eat-memory", "134217728").awaitExit(x)
			if reason = s.Reason; s.ExitCode != 137 {
				x.Errorf("status %+v; want 137", s)
			}
		}
		if reason != "OOMKilled" {
			x.Errorf("reason %q, %d times; want OOMKilled", reason, oomTries)
		}
		p.remove(x)
		if _, err := os.Stat("/sys/fs/cgroup" + parent); err != nil {
			x.Errorf("the kubelet's cgroup after the sandbox's removal: %v; want it kept", err)
		}
	}},
}
