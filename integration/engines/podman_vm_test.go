package engines

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// podmanLimits are what wants controllers, CAP_SYS_RESOURCE or CRIU.
var podmanLimits = []operation[*podman]{
	{name: "limits", on: inVM, do: func(x *try, p *podman) {
		p.start(x, "box", "--memory", "64m", "--memory-swap", "128m", "--pids-limit", "50", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0",
			"--ulimit", "nofile=64:64", "--oom-score-adj", "-500", podmanImage, "sleep", "1000")
		cgroup := p.cgroup(x, "box")
		for file, want := range map[string]string{
			"memory.max": "67108864", "memory.swap.max": "67108864", "pids.max": "50", "cpu.max": "50000 100000", "cpuset.cpus": "0",
			// Newer runcs turn shares into weights by another curve.
			"cpu.weight": map[string]string{"podrt": "59", "runc": "20"}[p.runtime.name],
		} {
			p.wantFile(x, cgroup+"/"+file, want)
		}
		if got := p.do(x, "exec", "box", "sh", "-c", "ulimit -n; cat /proc/1/oom_score_adj"); got != "64\n-500" {
			x.Errorf("descriptors, oom_score_adj: %q; want 64, -500", got)
		}
		got := p.do(x, "stats", "--no-stream", "--format", "{{.MemLimit}} {{.PIDs}}", "box")
		if got != "67.11MB 1" && got != "67108864 1" {
			x.Errorf("stats: %q; want 64 MiB and one process", got)
		}
		p.do(x, "update", "--memory", "32m", "--cpus", "0.25", "box")
		p.wantFile(x, cgroup+"/memory.max", "33554432")
		p.wantFile(x, cgroup+"/cpu.max", "25000 100000")
		p.wantFile(x, cgroup+"/pids.max", "50")
	}},
	{name: "oom", on: inVM, do: func(x *try, p *podman) {
		r := p.try(x, "run", "--rm", "--memory", "32m", "--memory-swap", "32m", podmanImage, "/probe", "eat-memory", "67108864")
		if r.code != 137 {
			x.Errorf("%s; want exit code 137", r)
		}
	}},
	{name: "checkpoint-restore", on: inVM, runcFails: "Debian's runc 1.1.5 leaves a cgroup when it restores, and the cgroup2 of the host without nsdelegate", do: func(x *try, p *podman) {
		options := cgroup2Options(x)
		p.start(x, "box", podmanImage, "/probe", "trap")
		cgroups := []string{p.cgroup(x, "box")}
		p.do(x, "container", "checkpoint", "box")
		p.wantStatus(x, "box", "exited 0")
		p.do(x, "container", "restore", "box")
		// Out of one podman and into another container.
		file := p.path("checkpoint.tar")
		p.do(x, "container", "checkpoint", "--export", file, "--compress", "none", "box")
		p.removeAtEnd(x, "copy")
		p.do(x, "container", "restore", "--import", file, "--name", "copy")
		p.wantStatus(x, "copy", "running 0")
		cgroups = append(cgroups, p.cgroup(x, "copy"))
		// Only one that was restored ends so.
		p.do(x, "stop", "--time", "60", "copy")
		p.wantStatus(x, "copy", "exited 0")
		p.do(x, "rm", "box", "copy")
		for _, dir := range cgroups {
			if err := unix.Rmdir(dir); err != unix.ENOENT {
				x.Errorf("the cgroup %s of a removed container: %v; want it to be gone", dir, err)
			}
		}
		if after := cgroup2Options(x); after != options {
			x.Errorf("the host's options of cgroup2: %q; want %q, as they were", after, options)
			p.lab.do(x, "mount", "-o", "remount,"+options, "/sys/fs/cgroup")
		}
	}},
}

// cgroup2Options are the options of the cgroup2 hierarchy: CRIU resets them.
func cgroup2Options(x *try) string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	x.must(err)
	for line := range strings.Lines(string(b)) {
		if _, fs, ok := strings.Cut(strings.TrimSpace(line), " - cgroup2 "); ok {
			return fs[strings.LastIndexByte(fs, ' ')+1:]
		}
	}
	x.Fatalf("no cgroup2 is mounted: %s", b)
	return ""
}

// wantFile looks whether a cgroup's file says what is wanted.
func (p *podman) wantFile(x *try, path, want string) {
	if b, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(b)) != want {
		x.Errorf("%s: %q, %v; want %q", path, b, err, want)
	}
}
