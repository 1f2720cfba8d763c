package integration

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// arena is a podrt with roots of its own, for one test.
type arena struct {
	dir, run, lib, log string

	images bool // what is in the image store is the test's own
}

// newArena makes the roots; at the test's end they must be empty.
func newArena(t *testing.T) *arena {
	t.Helper()
	dir := t.TempDir()
	a := &arena{dir: dir, run: dir + "/run", lib: dir + "/lib", log: dir + "/log"}
	t.Cleanup(func() {
		if left := a.left(); len(left) > 0 && !t.Failed() {
			t.Errorf("the test left files in podrt's roots: %q", left)
		}
		a.unmountRun(t)
	})
	return a
}

// unmountRun takes the run root's mount of its own away; podrt never does.
func (a *arena) unmountRun(t *testing.T) {
	t.Helper()
	err := unix.Unmount(a.run, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && err != unix.EINVAL && err != unix.ENOENT {
		t.Errorf("umount %q: %v", a.run, err)
	}
}

// fixed are the files of the roots that stay, below a.dir.
var fixed = map[string]bool{
	"run": true, "run/pods": true, "run/names": true, "run/names/.lock": true, "run/containers": true,
	"run/networks": true, "run/networks/leases": true, "run/networks/lock": true, "run/networks/pods": true, "run/networks/ports": true, "run/networks/sysctls.json": true,
	"lib/images": true, "lib/images/lock": true, "lib/images/layers": true, "lib/images/manifests": true, "lib/images/work": true,
	"lib/images/layout": true, "lib/images/layout/oci-layout": true, "lib/images/layout/index.json": true,
	"lib/images/layout/blobs": true, "lib/images/layout/blobs/sha256": true,
	"lib": true, "lib/gc.lock": true, "lib/pods": true, "lib/networks": true,
	"lib/cni": true, "lib/cni/lock": true, "lib/cni/pods": true, "lib/cni/results": true, "log": true,
}

// left lists what is in the roots and should not be there when no pod and no
// container is.
func (a *arena) left() []string {
	var left []string
	for _, root := range []string{a.run, a.lib, a.log} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			name, _ := filepath.Rel(a.dir, path)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				left = append(left, err.Error())
			case a.images && strings.HasPrefix(name, "lib/images/"):
			case !fixed[name]:
				left = append(left, name)
			}
			return nil
		})
	}
	return left
}

// result is how a podrt command ended.
type result struct {
	args           []string
	code           int
	stdout, stderr string
}

func (r *result) String() string {
	s := strings.Join(r.args, " ")
	if r.stdout != "" {
		s += "\nstdout: " + strings.TrimSpace(r.stdout)
	}
	if r.stderr != "" {
		s += "\nstderr: " + strings.TrimSpace(r.stderr)
	}
	return s
}

// commandLimit is for a podrt that hangs; in the VM a command takes a second.
const commandLimit = time.Minute

// argv is the command line of a podrt command in the arena.
func (a *arena) argv(args ...string) []string {
	return append([]string{podrtBinary(), "--pod-root", a.run, "--lib-root", a.lib, "--log-root", a.log}, args...)
}

// podrt runs a podrt command.
func (a *arena) podrt(t *testing.T, args ...string) *result {
	t.Helper()
	return a.command(t, a.argv(args...), nil)
}

// command runs argv; change may change how. Output goes to files: a container
// that is detached keeps the descriptors.
func (a *arena) command(t *testing.T, argv []string, change func(*exec.Cmd)) *result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out [2]*os.File
	for i := range out {
		f, err := os.CreateTemp(a.dir, "output-")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
		out[i] = f
	}
	cmd.Stdout, cmd.Stderr = out[0], out[1]
	if change != nil {
		change(cmd)
	}
	err := cmd.Run()
	r := &result{args: argv[1:], code: cmd.ProcessState.ExitCode(), stdout: content(t, out[0]), stderr: content(t, out[1])}
	var exit *exec.ExitError
	if ctx.Err() != nil {
		t.Fatalf("it did not end within %v: %v", commandLimit, r)
	}
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", err, r)
	}
	return r
}

func content(t *testing.T, f *os.File) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ReadFrom(f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ok runs a podrt command that must succeed.
func (a *arena) ok(t *testing.T, args ...string) *result {
	t.Helper()
	r := a.podrt(t, args...)
	if r.code != 0 {
		t.Fatalf("exit code %d; want 0: %v", r.code, r)
	}
	return r
}

// podrtBinary is the podrt that is tested.
func podrtBinary() string {
	if path := os.Getenv(binEnv); path != "" {
		return path
	}
	path, err := filepath.Abs("../bin/podrt")
	if err != nil {
		panic(err)
	}
	return path
}
