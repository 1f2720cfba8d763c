package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestHostileCwd starts processes in what could be a descriptor of podrt's, or
// one that its caller has open, on a directory of the host (CVE-2024-21626).
func TestHostileCwd(t *testing.T) {
	o := newOCI(t, "pwd; ls .; ls ..")
	nativeOnly(t)
	host := t.TempDir()
	write(t, filepath.Join(host, "canary"), "")
	dir, err := os.Open(host)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	call := func(args ...string) ociResult {
		cmd := o.command(args...)
		cmd.ExtraFiles = []*os.File{dir, dir}
		return o.finish(cmd)
	}
	process := filepath.Join(t.TempDir(), "process.json")
	o.configure(func(s *specs.Spec) { s.Process.Args = []string{"sleep", "1000"} })
	o.ok("run", "-d", "running")
	o.configure(func(s *specs.Spec) { s.Process.Args = []string{"sh", "-c", "pwd; ls .; ls .."} })
	for fd := 3; fd <= 12; fd++ {
		cwd := fmt.Sprintf("/proc/self/fd/%d", fd)
		o.configure(func(s *specs.Spec) {
			s.Process.Cwd = cwd
			writeJSON(t, process, s.Process)
		})
		for _, tt := range []struct {
			args []string
			code int
		}{
			{[]string{"run", "c1"}, 1},
			{[]string{"run", "--preserve-fds", "2", "c1"}, 1},
			{[]string{"exec", "--preserve-fds", "2", "--cwd", cwd, "running", "ls"}, 255},
			{[]string{"exec", "--process", process, "running"}, 255},
		} {
			r := call(tt.args...)
			if r.code != tt.code || strings.Contains(r.stdout, "canary") {
				t.Errorf("%q in %q = %+v; want exit code %d", tt.args, cwd, r, tt.code)
			}
		}
	}
	o.ok("delete", "--force", "running")
}

// TestHostileCapabilities: no process has inheritable capabilities that its
// configuration does not give it (CVE-2022-29162).
func TestHostileCapabilities(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	nativeOnly(t)
	var p specs.Process
	o.configure(func(s *specs.Spec) { p = *s.Process })
	p.Args = []string{"busybox", "grep", "Cap[IA]", "/proc/self/status"}
	process := filepath.Join(t.TempDir(), "process.json")
	writeJSON(t, process, &p)
	const none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n"
	o.ok("run", "-d", "c1")
	for _, args := range [][]string{
		append([]string{"exec", "c1"}, p.Args...),
		append([]string{"exec", "--cap", "CAP_NET_ADMIN", "c1"}, p.Args...),
		append([]string{"exec", "--user", "5", "--cap", "CAP_NET_ADMIN", "c1"}, p.Args...),
		{"exec", "--process", process, "c1"},
	} {
		if out := o.ok(args...); out != none {
			t.Errorf("%q = %q; want %q", args, out, none)
		}
	}
	o.ok("delete", "--force", "c1")
	o.configure(func(s *specs.Spec) { s.Process.Args = p.Args })
	if out := o.ok("run", "c1"); out != none {
		t.Errorf("run = %q; want %q", out, none)
	}
}

// TestHostileImage runs containers whose root has symbolic links to the host
// where the runtime makes or opens something (CVE-2023-27561, CVE-2025-31133,
// CVE-2025-52565, CVE-2025-52881).
func TestHostileImage(t *testing.T) {
	o := newOCI(t, "echo ran")
	nativeOnly(t)
	o.configure(func(s *specs.Spec) {
		s.Root.Readonly = false
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/etc/masked")
		s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/etc/readonly")
		s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{Path: "/dev/dir/null", Type: "c", Major: 1, Minor: 3})
		s.Mounts = append(s.Mounts,
			specs.Mount{Destination: "/mnt/tmp", Type: "tmpfs", Source: "tmpfs"},
			specs.Mount{Destination: "/mnt/bound", Type: "bind", Source: filepath.Join(o.bundle, "config.json"), Options: []string{"bind"}})
	})
	config := o.readFile(filepath.Join(o.bundle, "config.json"))
	root := filepath.Join(o.bundle, "rootfs")
	for _, tt := range []struct {
		link, to string
		code     int
		message  string // the beginning of what is inside the quotes
	}{
		{link: "proc", to: "etc", code: 1, message: `filesystem "proc" must be mounted on ordinary directory`},
		{link: "sys", to: "etc", code: 1, message: `filesystem "sysfs" must be mounted on ordinary directory`},
		{link: "dev", to: "HOST"},
		{link: "mnt", to: "HOST"},
		{link: "mnt", to: "../../../../../../../../../..HOST"},
		{link: "etc/masked", to: "HOST/canary"},
		{link: "etc/readonly", to: "HOST/canary"},
	} {
		t.Run(tt.link, func(t *testing.T) {
			host := t.TempDir()
			write(t, filepath.Join(host, "canary"), "alive")
			path := filepath.Join(root, tt.link)
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			symlink(t, strings.ReplaceAll(tt.to, "HOST", host), path)
			r := o.call("run", "c1")
			switch {
			case r.code != tt.code:
				t.Errorf("run = %+v; want exit code %d", r, tt.code)
			case r.code == 0 && r.stdout != "ran\n":
				t.Errorf("run = %+v; want the container's command to have run", r)
			case !strings.Contains(r.stderr, tt.message):
				t.Errorf("run = %+v; want %q", r, tt.message)
			}
			entries, err := os.ReadDir(host)
			if err != nil || len(entries) != 1 || o.readFile(filepath.Join(host, "canary")) != "alive" {
				t.Errorf("the host's directory = %v, %v; want the canary alone", entries, err)
			}
			if now := o.readFile(filepath.Join(o.bundle, "config.json")); now != config {
				t.Error("the container has changed its configuration")
			}
			// What the link led to inside the root is made there.
			for _, made := range []string{tt.link, strings.Split(strings.TrimPrefix(host, "/"), "/")[0]} {
				if err := os.RemoveAll(filepath.Join(root, made)); err != nil {
					t.Fatal(err)
				}
			}
			mkdir(t, filepath.Join(root, "etc"))
		})
	}
}

// TestHostileExec: what a running container has done to its /proc, /dev and
// /bin does not lead exec astray.
func TestHostileExec(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	nativeOnly(t)
	host := t.TempDir()
	write(t, filepath.Join(host, "canary"), "alive")
	o.configure(func(s *specs.Spec) {
		s.Root.Readonly = false
		caps := append(s.Process.Capabilities.Bounding, "CAP_SYS_ADMIN", "CAP_MKNOD")
		s.Process.Capabilities.Bounding, s.Process.Capabilities.Permitted, s.Process.Capabilities.Effective = caps, caps, caps
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		s.Process.NoNewPrivileges = false
	})
	o.ok("run", "-d", "c1")
	// With CAP_SYS_ADMIN a container can put anything on its /proc: that there are
	// no capabilities to drop but the first, no groups to set.
	o.ok("exec", "c1", "sh", "-c", "mount -t tmpfs none /proc && busybox mkdir -p /proc/self/attr /proc/self/fd /proc/self/task /proc/sys/kernel && "+
		"echo 0 >/proc/self/attr/exec && echo deny >/proc/self/setgroups && echo 0 >/proc/sys/kernel/cap_last_cap")
	pidFile := filepath.Join(host, "pid")
	o.ok("exec", "--detach", "--pid-file", pidFile, "c1", "sleep", "1000")
	init, _ := o.state()["pid"].(float64)
	if got, want := privileges(t, o.readFile(pidFile)), privileges(t, strconv.Itoa(int(init))); got != want {
		t.Errorf("a process executed with a false /proc has\n%swant what init has:\n%s", got, want)
	}
	o.ok("kill", "c1", "KILL")
	o.awaitStatus("stopped")
	o.ok("delete", "c1")
}

// privileges are those lines of a process's status (proc_pid_status(5)) that say
// what it may.
func privileges(t *testing.T, pid string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for line := range strings.Lines(string(b)) {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp":
			all.WriteString(line)
		}
	}
	return all.String()
}

// TestHostileCgroups: a container with its cgroup to write to makes cgroups below
// it as deep that no path leads there.
func TestHostileCgroups(t *testing.T) {
	o := newOCI(t, "exec 2>/dev/null; cd /sys/fs/cgroup && n=$(printf %0250d 1) && while busybox mkdir $n && cd $n; do :; done; exec busybox sleep 1000")
	o.configure(func(s *specs.Spec) {
		for i := range s.Mounts {
			if m := &s.Mounts[i]; m.Type == "cgroup" || m.Type == "cgroup2" {
				m.Options = []string{"rw", "nosuid", "noexec", "nodev"}
			}
		}
	})
	for _, command := range [][]string{{"delete", "--force", "c1"}, {"delete", "c1"}} {
		o.ok("run", "-d", "c1")
		comm := fmt.Sprintf("/proc/%v/comm", o.state()["pid"])
		eventually(t, "the cgroups are made", func() bool { return strings.TrimSpace(o.readFile(comm)) == "busybox" })
		if ps := o.ok("ps", "c1"); !strings.Contains(ps, "sleep 1000") {
			t.Errorf("ps: %q; want the container's process", ps)
		}
		if len(command) == 2 {
			o.ok("kill", "c1", "KILL")
			o.awaitStatus("stopped")
		}
		o.ok(command...)
		o.fails(1, "container does not exist", "state", "c1")
	}
}
