package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestFull gives each of podrt's roots a file system that is full, and then one
// page, or one inode, more at a time until the command succeeds: at every amount
// it says that there is no space, and leaves nothing.
func TestFull(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	bundle := crashPod(t, a, "bundle", ends)
	oci := filepath.Join(a.dir, "oci")
	shell(t, oci, ends)
	sandbox, beside := filepath.Join(a.dir, "sandbox"), filepath.Join(a.dir, "beside")
	for dir, kind := range map[string]string{sandbox: "sandbox", beside: "container"} {
		spec := shell(t, dir, ends)
		spec.Annotations = map[string]string{"io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": "s"}
		writeJSON(t, filepath.Join(dir, "config.json"), spec)
	}
	rmPod, rmSandbox := []string{"pod", "rm", "p"}, []string{"delete", "s"}
	for _, root := range []string{a.run, a.lib, a.log} {
		mkdir(t, root)
		// What has no limits takes none later, and a limit of 0 is none.
		mustMount(t, "tmpfs", root, "tmpfs", 0, fmt.Sprintf("nr_blocks=%d,nr_inodes=%d", manyPages, manyInodes))
		filler := root + "/filler"
		write(t, filler, "a page")
		t.Cleanup(func() { removeAll(t, filler) })
	}
	a.makeRoots(t)
	for _, c := range []struct {
		name    string
		args    []string
		code    int
		prepare []string
		undo    []string
		after   []string // undoes prepare
	}{
		{"pod create", []string{"pod", "create", "--share", "net,ipc,uts,pid", "--volume", "disk:/d", "--volume", "memory:/m:memory", "p"}, 1, nil, rmPod, nil},
		{"pod run", []string{"pod", "run", bundle}, 125, nil, nil, nil},
		{"pod run -d", []string{"pod", "run", "-d", bundle}, 125, nil, []string{"pod", "rm", "-f", "p"}, nil},
		{"create --pod", []string{"create", "--pod", "p", "-b", oci, "c"}, 1, []string{"pod", "create", "--volume", "disk:/d", "p"}, []string{"delete", "-f", "c"}, rmPod},
		{"pod update", []string{"pod", "update", "-r", limitsFile(t, a, 5, "6"), "p"}, 1, []string{"pod", "create", "p"}, []string{"pod", "inspect", "p"}, rmPod},
		{"create", []string{"create", "-b", oci, "c"}, 1, nil, []string{"delete", "-f", "c"}, nil},
		{"create a sandbox", []string{"create", "-b", sandbox, "s"}, 1, nil, rmSandbox, nil},
		{"create beside a sandbox", []string{"create", "-b", beside, "c"}, 1, []string{"create", "-b", sandbox, "s"}, []string{"delete", "-f", "c"}, rmSandbox},
	} {
		if brief() && c.undo != nil {
			continue
		}
		if c.prepare != nil {
			a.ok(t, c.prepare...)
		}
		for _, root := range []string{a.run, a.lib, a.log} {
			for _, what := range []string{"pages", "inodes"} {
				t.Run(fmt.Sprintf("%s, %s of %s", c.name, what, filepath.Base(root)), func(t *testing.T) {
					defer unlimit(t, root)
					n, step := 0, 1
					if brief() {
						step = 5
					}
					for ; ; n += step {
						setFree(t, root, what, n)
						if a.tryFull(t, c.code, c.args) {
							break
						}
						if t.Failed() {
							t.Fatalf("with %d free %s", n, what)
						}
					}
					t.Logf("wants %d %s", n, what)
					setFree(t, root, what, 0)
					if c.undo != nil {
						a.ok(t, c.undo...) // needs no space
					}
				})
			}
		}
		if c.after != nil {
			a.ok(t, c.after...)
		}
	}
}

// tryFull runs a command that may succeed; if it does not, then for want of
// space and with nothing left.
func (a *arena) tryFull(t *testing.T, code int, args []string) bool {
	t.Helper()
	unchanged := a.remember(t)
	r := a.podrt(t, args...)
	if r.code == 0 {
		return true
	}
	if r.code != code {
		t.Errorf("exit code %d; want %d: %v", r.code, code, r)
	}
	if !strings.Contains(messages(r), "no space left on device") {
		t.Errorf("message %q; want why", messages(r))
	}
	unchanged()
	return false
}

// Limits of a tmpfs that is large enough.
const (
	manyPages  = 10000
	manyInodes = 10000
)

// setFree limits the tmpfs at root to n more pages or inodes than are used.
func setFree(t *testing.T, root, what string, n int) {
	t.Helper()
	unlimit(t, root)
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		t.Fatal(err)
	}
	if what == "inodes" {
		limit(t, root, fmt.Sprintf("nr_inodes=%d", manyInodes-int(st.Ffree)+n))
		return
	}
	limit(t, root, fmt.Sprintf("nr_blocks=%d", manyPages-int(st.Bfree)+n))
}

func unlimit(t *testing.T, root string) {
	t.Helper()
	limit(t, root, fmt.Sprintf("nr_blocks=%d,nr_inodes=%d", manyPages, manyInodes))
}

// limit changes the limits of the tmpfs at root (tmpfs(5)).
func limit(t *testing.T, root, options string) {
	t.Helper()
	if err := unix.Mount("", root, "", unix.MS_REMOUNT, options); err != nil {
		t.Fatalf("remount %q with %q: %v", root, options, err)
	}
}
