package integration

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// What only root with all capabilities can give, and the controllers of the
// whole cgroup v2. Few rows, each with much in it: a row takes seconds here.
func TestSpecResources(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "cpu", "cpuset", "hugetlb", "memory", "pids", "rdma")
	b := newSpecBench(t, true)
	resources := func(change func(*specs.LinuxResources)) func(*specs.Spec) {
		return func(s *specs.Spec) { change(s.Linux.Resources) }
	}
	unified := func(m map[string]string) func(*specs.Spec) {
		return resources(func(r *specs.LinuxResources) { r.Unified = m })
	}
	show := func(files ...string) string { return "cd /sys/fs/cgroup && head -n 99 " + strings.Join(files, " ") }
	head := func(pairs ...string) string {
		var out []string
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, "==> "+pairs[i]+" <==\n"+pairs[i+1])
		}
		return strings.Join(out, "\n\n")
	}
	const mib = 1 << 20
	b.run(t, []specRow{
		{
			name: "limits", spec: func(s *specs.Spec) {
				s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 1 << 20}}
				s.Process.OOMScoreAdj = new(-500)
				s.Linux.Resources = &specs.LinuxResources{
					Memory: &specs.LinuxMemory{Limit: new(int64(64 * mib)), Reservation: new(int64(32 * mib)), Swap: new(int64(96 * mib))},
					CPU: &specs.LinuxCPU{
						Shares: new(uint64(512)), Quota: new(int64(20000)), Period: new(uint64(50000)), Burst: new(uint64(1000)), Cpus: "0", Mems: "0",
					},
					Pids:           &specs.LinuxPids{Limit: new(int64(33))},
					HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 * mib}},
				}
			}, script: "ulimit -Hn; cat /proc/self/oom_score_adj; " + show("memory.max", "memory.low", "memory.swap.max", "cpu.weight", "cpu.max", "cpu.max.burst", "cpuset.cpus", "cpuset.mems", "pids.max", "hugetlb.2MB.max"),
			want: "1048576\n-500\n" + head("memory.max", "67108864", "memory.low", "33554432", "memory.swap.max", "33554432", "cpu.weight", "59",
				"cpu.max", "20000 50000", "cpu.max.burst", "1000", "cpuset.cpus", "0", "cpuset.mems", "0", "pids.max", "33", "hugetlb.2MB.max", "4194304"),
		},
		{
			name: "unified", spec: unified(map[string]string{"memory.high": "33554432", "memory.oom.group": "1", "cpu.idle": "1", "pids.max": "44", "cgroup.max.depth": "3"}),
			script: show("memory.high", "memory.oom.group", "cpu.idle", "pids.max", "cgroup.max.depth"),
			want:   head("memory.high", "33554432", "memory.oom.group", "1", "cpu.idle", "1", "pids.max", "44", "cgroup.max.depth", "3"),
		},
		{name: "unified, no such file", spec: unified(map[string]string{"memory.fun": "1"}), err: "...memory.fun"},
		{name: "unified, a path", spec: unified(map[string]string{"../memory.max": "1"}), err: `...must be a file name (no slashes)`},
		{name: "no such page size", spec: resources(func(r *specs.LinuxResources) {
			r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: mib}}
		}), err: "...hugetlb.3MB.max: no such file or directory", adds: ` (resources.hugepageLimits[0].pageSize: this host has no huge pages of "3MB", but ["2MB" "1GB"])`},
		{name: "no such device for RDMA", spec: resources(func(r *specs.LinuxResources) {
			r.Rdma = map[string]specs.LinuxRdma{"mlx5_1": {HcaHandles: new(uint32(3))}}
		}), err: "...rdma.max"},
	})
}

// loadAppArmor loads the profile podrt-test and takes it away at the end. It
// was made of testdata/apparmor/podrt-test.profile by
//
//	apparmor_parser -Q -T -K -S -M /usr/share/apparmor-features/features
//
// and is a file here so that no engine of the machine finds a parser.
func loadAppArmor(t *testing.T) {
	t.Helper()
	const fs = "/sys/kernel/security"
	if _, err := os.Stat(fs + "/apparmor"); errors.Is(err, os.ErrNotExist) {
		if err := unix.Mount("securityfs", fs, "securityfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(fs, 0); err != nil {
				t.Error(err)
			}
		})
	}
	profile, err := os.ReadFile("testdata/apparmor/podrt-test.bin")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fs+"/apparmor/.replace", profile, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(fs+"/apparmor/.remove", []byte("podrt-test\x00"), 0); err != nil {
			t.Error(err)
		}
	})
}

func TestSpecAppArmor(t *testing.T) {
	rung.Privileged(t)
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if errors.Is(err, fs.ErrNotExist) && rung.Current() != rung.VM {
		t.Skip("this kernel has no AppArmor")
	}
	if err != nil || strings.TrimSpace(string(enabled)) != "Y" {
		t.Fatalf("AppArmor is enabled: %q, %v; want Y", enabled, err)
	}
	loadAppArmor(t)
	b := newSpecBench(t, true)
	confined := func(profile string) func(*specs.Spec) {
		return theProcess(func(p *specs.Process) { p.ApparmorProfile = profile })
	}
	b.run(t, []specRow{
		{
			name: "confined", spec: confined("podrt-test"), script: "cat /proc/self/attr/current; head -n 1 /etc/passwd; cat /etc/group 2>&1",
			want: "podrt-test (enforce)\nroot:x:0:0:root:/:/bin/sh\ncat: can't open '/etc/group': Permission denied", code: 1,
		},
		{name: "no such profile", spec: confined("podrt-none"), err: "...unable to apply apparmor profile: apparmor failed to apply profile: write fsmount:fscontext:proc/thread-self/attr/apparmor/exec: no such file or directory"},
	})

	o := newOCI(t, "sleep 1000")
	o.ok("run", "--detach", "c1")
	const current = "/proc/self/attr/current"
	if got := o.ok("exec", "c1", "cat", current); got != "unconfined\n" {
		t.Errorf("exec is confined by %q; want unconfined", got)
	}
	if got := o.ok("exec", "--apparmor", "podrt-test", "c1", "cat", current); got != "podrt-test (enforce)\n" {
		t.Errorf("exec --apparmor is confined by %q; want podrt-test (enforce)", got)
	}
	// runc can read the container's state, and fails in the same way.
	args := []string{"exec", "--apparmor", "podrt-none", "c1", "true"}
	ours := o.call(args...)
	o.bin = b.peer
	theirs := o.call(args...)
	o.bin = os.Getenv(binEnv)
	if ours.code != 255 || ours.code != theirs.code || ours.stderr != theirs.stderr ||
		!strings.Contains(ours.stderr, "apparmor failed to apply profile: write fsmount:fscontext:proc/thread-self/attr/apparmor/exec: no such file or directory") {
		t.Errorf("exec --apparmor of no profile: %+v; runc: %+v", ours, theirs)
	}
	o.ok("delete", "--force", "c1")
}
