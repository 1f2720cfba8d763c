package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestBadUser runs podrt as nobody, who must be told so.
func TestBadUser(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.ok(t, "pod", "create", "mine")
	dir := podBundle(t, filepath.Join(a.dir, "bundle"), smallPod(""), map[string]string{"app": ends})
	openUp(t, a)
	nobody := func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	const root = "must be root (effective uid is 65534)"
	denied := []string{a.run, "permission denied"}
	a.refuse(t, []refusal{
		{name: "pod create", args: []string{"pod", "create", "p"}, code: 1, words: []string{`create pod "p": ` + root}, change: nobody},
		{name: "pod run", args: []string{"pod", "run", dir}, code: 125, words: []string{`create pod "p": ` + root}, change: nobody},
		{name: "pod run -d", args: []string{"pod", "run", "-d", dir}, code: 125, words: []string{`create pod "p": ` + root}, change: nobody},
		{name: "pod ls", args: []string{"pod", "ls"}, code: 1, words: denied, change: nobody},
		{name: "pod inspect", args: []string{"pod", "inspect", "mine"}, code: 1, words: denied, change: nobody},
		{name: "pod stop", args: []string{"pod", "stop", "mine"}, code: 1, words: denied, change: nobody},
		{name: "pod update", args: []string{"pod", "update", "--pids-limit", "9", "mine"}, code: 1, words: denied, change: nobody},
		{name: "pod rm", args: []string{"pod", "rm", "mine"}, code: 1, words: denied, change: nobody},
		{name: "pod rm -f", args: []string{"pod", "rm", "-f", "mine"}, code: 1, words: denied, change: nobody},
		{name: "create --pod", args: []string{"create", "--pod", "mine", "-b", dir + "/containers/app", "c"}, code: 1, words: denied, change: nobody},
	})
	a.ok(t, "pod", "rm", "mine")
}

// openUp lets every user walk through the arena's directories.
func openUp(t *testing.T, a *arena) {
	t.Helper()
	for _, dir := range []string{filepath.Dir(a.dir), a.dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBadCgroups runs podrt where cgroup v2 is not, or not as it should be.
func TestBadCgroups(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	dir := podBundle(t, filepath.Join(a.dir, "bundle"), smallPod(""), map[string]string{"app": ends})
	// In mount namespaces of their own.
	under := func(script string) func(cmd *exec.Cmd) {
		return func(cmd *exec.Cmd) {
			cmd.Args = append([]string{"unshare", "-m", "--propagation", "private", "sh", "-ec", script + `; exec "$@"`, "sh"}, cmd.Args...)
			cmd.Path = "/usr/bin/unshare"
		}
	}
	const needs = "podrt needs cgroup v2, the unified hierarchy, on /sys/fs/cgroup"
	for _, host := range []struct{ name, script, word string }{
		{"nothing", "umount /sys/fs/cgroup", "find cgroup2: /sys/fs/cgroup is not a mount"},
		{"tmpfs", "mount -t tmpfs tmpfs /sys/fs/cgroup", "find cgroup2: /sys/fs/cgroup is a mount of tmpfs"},
		{"cgroup v1", "mount -t cgroup -o none,name=podrt-test cgroup /sys/fs/cgroup", "find cgroup2: /sys/fs/cgroup is a mount of cgroup"},
		{
			"hybrid",
			// Not a new mount, which would set the options of all of them.
			"mount -t tmpfs tmpfs /mnt; mkdir /mnt/u; mount --bind /sys/fs/cgroup /mnt/u; mount -t tmpfs tmpfs /sys/fs/cgroup; mkdir /sys/fs/cgroup/unified; mount --bind /mnt/u /sys/fs/cgroup/unified; umount -l /mnt", "cgroup2 is on /sys/fs/cgroup/unified",
		},
		{"read-only", "mount -o remount,bind,ro /sys/fs/cgroup", "/sys/fs/cgroup is mounted read-only"},
	} {
		t.Run(host.name, func(t *testing.T) {
			if host.name == "cgroup v1" && rung.Current() == rung.Native {
				t.Skip("a new v1 hierarchy wants the first cgroup namespace: in the VM")
			}
			words := []string{host.word, needs}
			ociWords := words
			if host.name == "read-only" {
				words = words[:1]
				ociWords = []string{"read-only file system"}
			}
			a.refuse(t, []refusal{
				{name: "pod create", args: []string{"pod", "create", "p"}, code: 1, words: words, change: under(host.script)},
				{name: "pod run", args: []string{"pod", "run", dir}, code: 125, words: words, change: under(host.script)},
				{name: "run", args: []string{"run", "-b", dir + "/containers/app", "c"}, code: 1, words: ociWords, change: under(host.script)},
			})
		})
	}
}

// TestBadController asks for limits that the host has no controller for.
func TestBadController(t *testing.T) {
	rung.Privileged(t)
	if rung.Current() == rung.VM {
		t.Skip("has all controllers; see TestBadCgroupParent")
	}
	a := newArena(t)
	a.makeRoots(t)
	dir := podBundle(t, filepath.Join(a.dir, "bundle"), smallPod(`, "resources": {"pids": {"limit": 5}, "unified": {"memory.high": "1000000"}}`), map[string]string{"app": ends})
	lacks := func(field, controller string) []string {
		return []string{field + ` needs the "` + controller + `" controller, which /sys/fs/cgroup does not offer`}
	}
	oci := filepath.Join(a.dir, "oci")
	s := shell(t, oci, ends)
	s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20))}}
	writeJSON(t, oci+"/config.json", s)
	a.refuse(t, []refusal{
		{name: "memory", args: []string{"pod", "create", "--memory", "64m", "p"}, code: 1, words: lacks("resources.memory.limit", "memory")},
		{name: "pids", args: []string{"pod", "create", "--pids-limit", "5", "p"}, code: 1, words: lacks("resources.pids.limit", "pids")},
		{name: "cpus", args: []string{"pod", "create", "--cpus", "0.5", "p"}, code: 1, words: []string{`resources.cpu.quota, resources.cpu.period need the "cpu" controller, which /sys/fs/cgroup does not offer`}},
		{name: "cpuset", args: []string{"pod", "create", "--cpuset-cpus", "0", "p"}, code: 1, words: lacks("resources.cpu.cpus", "cpuset")},
		{name: "bundle", args: []string{"pod", "run", dir}, code: 125, words: append(lacks("resources.pids.limit", "pids"), lacks(`resources.unified["memory.high"]`, "memory")...)},
		{name: "run", args: []string{"run", "-b", oci, "c"}, code: 1, words: lacks("resources.memory.limit", "memory")},
	})
	config(func(c *specs.Spec) { c.Linux.Resources = s.Linux.Resources })(t, dir)
	write(t, dir+"/pod.json", smallPod(""))
	a.refuse(t, []refusal{
		{name: "container", args: []string{"pod", "run", dir}, code: 125, words: append(lacks("resources.memory.limit", "memory"), `container "app"`)},
	})
}

// TestBadCgroupParent puts pods below a cgroup that does not give what they
// need, or is none.
func TestBadCgroupParent(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "memory", "pids")
	a := newArena(t)
	busy := "/sys/fs/cgroup/busy"
	mkdir(t, busy)
	t.Cleanup(func() {
		if err := unix.Rmdir(busy); err != nil {
			t.Error(err)
		}
	})
	fd, err := os.Open(busy)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(fd.Fd()), Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	a.refuse(t, []refusal{
		{name: "busy", args: []string{"pod", "create", "--cgroup-parent", "/busy", "--memory", "64m", "p"}, code: 1, words: []string{`resources.memory.limit needs the "memory" controller, which cgroup "/sys/fs/cgroup/busy" cannot pass on: it has processes of its own`, "sleep"}},
		{name: "dots", args: []string{"pod", "create", "--cgroup-parent", "/busy/../..", "p"}, code: 1, words: []string{`cgroupParent: "/busy/../..": must not contain ".."`}},
		{name: "kernel's name", args: []string{"pod", "create", "--cgroup-parent", "/cgroup.procs", "p"}, code: 1, words: []string{`cgroup parent "/cgroup.procs"`, "kernel's"}},
	})
}
