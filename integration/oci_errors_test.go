package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Every way in which a container cannot be made: the message, and that nothing
// is left (newOCI and the leak check look).
func TestOCICreateErrors(t *testing.T) {
	o := newOCI(t, "true")
	config := filepath.Join(o.bundle, "config.json")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.bundle, "rootfs/etc/plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("rootfs", filepath.Join(o.bundle, "link")); err != nil {
		t.Fatal(err)
	}
	const start = "unable to start container process: error during container init: "
	for _, tt := range []struct {
		name   string
		change func(*specs.Spec)
		file   string // instead of config.json
		args   []string
		want   string // ROOT and BUNDLE stand for the paths
	}{
		{name: "missing bundle", args: []string{"--bundle", "/nonexistent"}, want: "chdir /nonexistent: no such file or directory"},
		{name: "bundle is a file", args: []string{"--bundle", config}, want: "chdir BUNDLE/config.json: not a directory"},
		{name: "no config", args: []string{"--bundle", "/"}, want: "JSON specification file config.json not found"},
		{name: "not JSON", file: "{", want: `parse "BUNDLE/config.json": unexpected EOF`},
		{name: "wrong version", file: `{"ociVersion":"9.0.0"}`, want: `parse "BUNDLE/config.json": ociVersion "9.0.0" is not supported; this runtime implements ` + specs.Version},
		{name: "no process", file: `{}`, want: "process property must not be empty"},
		{name: "no args", change: func(s *specs.Spec) { s.Process.Args = nil }, want: "args must not be empty"},
		{name: "no root", change: func(s *specs.Spec) { s.Root = nil }, want: "root must be specified"},
		{name: "missing root", change: func(s *specs.Spec) { s.Root.Path = "none" }, want: "invalid rootfs: stat BUNDLE/none: no such file or directory"},
		{name: "root is a link", change: func(s *specs.Spec) { s.Root.Path = "link" }, want: "invalid rootfs: not an absolute path, or a symlink"},
		{name: "invalid id", args: []string{"a/b"}, want: "invalid container ID format"},
		{name: "id is a directory", args: []string{".."}, want: "invalid container ID format"},
		{name: "empty id", args: []string{""}, want: "container id cannot be empty"},
		{name: "terminal without socket", change: func(s *specs.Spec) { s.Process.Terminal = true }, want: "cannot allocate tty if runc will detach without setting console socket"},
		{name: "socket without terminal", args: []string{"--console-socket", "/nonexistent"}, want: "cannot use console socket if runc will not detach or allocate tty"},
		{name: "missing console socket", change: func(s *specs.Spec) { s.Process.Terminal = true }, args: []string{"--console-socket", "/nonexistent"}, want: "dial unix /nonexistent: connect: no such file or directory"},
		{name: "missing fd", args: []string{"--preserve-fds", "1"}, want: "unable to stat preserved-fd 0 (of 1): no such file or directory"},
		{name: "unwritable pid file", args: []string{"--pid-file", "/nonexistent/pid"}, want: "open /nonexistent/.pid: no such file or directory"},
		{name: "command not found", change: func(s *specs.Spec) { s.Process.Args = []string{"nonexistent"} }, want: start + `exec: "nonexistent": executable file not found in $PATH`},
		{name: "missing command", change: func(s *specs.Spec) { s.Process.Args = []string{"/nonexistent"} }, want: start + `exec: "/nonexistent": stat /nonexistent: no such file or directory`},
		{name: "command is a directory", change: func(s *specs.Spec) { s.Process.Args = []string{"/etc"} }, want: start + `exec: "/etc": is a directory`},
		{name: "command is not executable", change: func(s *specs.Spec) { s.Process.Args = []string{"/etc/plain"} }, want: start + `exec: "/etc/plain": permission denied`},
		{name: "bad namespace", change: func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "x" }, want: `namespace {"x" ""} does not exist`},
		{name: "lost namespace", change: func(s *specs.Spec) {
			withoutNamespace(s, specs.NetworkNamespace)
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/nonexistent"})
		}, want: "unable to create new parent process: namespace path: lstat /nonexistent: no such file or directory"},
		{name: "bad limit", change: func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_X"}} }, want: "wrong rlimit value: RLIMIT_X"},
		{name: "missing pod", args: []string{"--pod", "none"}, want: `pod "none": pod does not exist`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o.t = t
			if err := os.WriteFile(config, good, 0o644); err != nil {
				t.Fatal(err)
			}
			switch {
			case tt.change != nil:
				o.configure(tt.change)
			case tt.file != "":
				if err := os.WriteFile(config, []byte(tt.file), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			args := tt.args
			if n := len(args); n == 0 || n == 2 {
				args = append(args, "c1")
			}
			want := strings.NewReplacer("ROOT", o.root, "BUNDLE", o.bundle).Replace(tt.want)
			o.fails(1, "podrt create failed: "+want, append([]string{"create"}, args...)...)
			if left, err := os.ReadDir(o.root); err == nil && len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

func TestOCIIDTaken(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.ok("create", "c1")
	for verb, want := range map[string]string{
		"create": "podrt create failed: container with given ID already exists",
		"run":    "podrt run failed: container with given ID already exists",
	} {
		o.fails(1, want, verb, "c1")
	}
	if got := o.state()["status"]; got != "created" {
		t.Errorf("status = %v; want created: the first container is not touched", got)
	}
	o.ok("delete", "c1")
}

// Called as runc, podrt's messages begin as runc's.
func TestOCIAsRunc(t *testing.T) {
	o := newOCI(t, "true")
	link := filepath.Join(t.TempDir(), "runc")
	if err := os.Symlink(o.bin, link); err != nil {
		t.Fatal(err)
	}
	o.bin = link
	o.fails(1, "runc create failed: invalid container ID format", "create", "a/b")
	o.fails(1, "runc run failed: chdir /nonexistent: no such file or directory", "run", "-b", "/nonexistent", "c1")
	if out := o.ok("--version"); !strings.HasPrefix(out, "runc version 1.") {
		t.Errorf("--version prints %q", out)
	}
}

func TestOCIWithoutCgroup2(t *testing.T) {
	o := newOCI(t, "true")
	cmd := o.command("create", "c1")
	hidden := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", `mount -t tmpfs none /sys/fs/cgroup && exec "$@"`, "sh"}, cmd.Args...)...)
	hidden.Dir = cmd.Dir
	r := o.finish(hidden)
	const want = "podrt create failed: find cgroup2: /sys/fs/cgroup is a mount of tmpfs"
	if r.code != 1 || !strings.HasPrefix(r.stderr, want) || !strings.Contains(r.stderr, "podrt needs cgroup v2") {
		t.Errorf("create without cgroup v2 = %+v; want exit code 1, %s…", r, want)
	}
}

func TestOCIWithoutRoot(t *testing.T) {
	o := newOCI(t, "true")
	o.reachable()
	if err := os.Mkdir(o.root, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(o.root, 0o777); err != nil { // umask
		t.Fatal(err)
	}
	if err := os.WriteFile(o.log, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(o.log, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := o.command("create", "c1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	const want = "podrt create failed: rootless container requires user namespaces\n"
	if r := o.finish(cmd); r.code != 1 || r.stderr != want {
		t.Errorf("create without root = %+v; want exit code 1, %s", r, want)
	}
}

// A state root without room, more of it in each turn until there is enough.
func TestOCIStateRootFull(t *testing.T) {
	o := newOCI(t, "true")
	if err := os.Mkdir(o.root, 0o700); err != nil {
		t.Fatal(err)
	}
	made := false
	failures := 0
	for inodes := 1; inodes < 20 && !made; inodes++ {
		if err := unix.Mount("tmpfs", o.root, "tmpfs", 0, fmt.Sprintf("size=1m,nr_inodes=%d", inodes)); err != nil {
			t.Fatal(err)
		}
		r := o.call("create", "c1")
		if made = r.code == 0; made {
			o.ok("delete", "c1")
		} else {
			failures++
			if r.code != 1 || !strings.HasPrefix(r.stderr, "podrt create failed: ") || !strings.HasSuffix(r.stderr, "no space left on device\n") {
				t.Errorf("create with room for %d files = %+v", inodes, r)
			}
			if left, err := os.ReadDir(o.root); err != nil || len(left) > 0 {
				t.Errorf("create with room for %d files leaves %v, %v", inodes, left, err)
			}
		}
		if err := unix.Unmount(o.root, 0); err != nil {
			t.Fatal(err)
		}
	}
	if !made || failures < 2 {
		t.Errorf("created: %t, after %d failures; want some and then a container", made, failures)
	}
}
