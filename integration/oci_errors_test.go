package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

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
