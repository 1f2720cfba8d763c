package contract

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// side is a runtime as a caller has it.
type side struct {
	name  string
	bin   string
	podrt bool
}

// world is what all rows share.
type world struct {
	sides   []side // runc, which the others are held against, is the last
	version string // runc's, as it says
	rootfs  string // with nothing but busybox
	config  []byte // a config.json to begin with: runc's own
	rows    atomic.Int32
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	podrt, runc := os.Getenv(binEnv), os.Getenv(runcEnv)
	link := filepath.Join(dir, "runc")
	if err := os.Symlink(podrt, link); err != nil {
		t.Fatal(err)
	}
	w := &world{
		sides:  []side{{"podrt", podrt, true}, {"podrt as runc", link, true}, {"runc", runc, false}},
		rootfs: filepath.Join(dir, "rootfs"),
	}
	if rung.Current() == rung.VM {
		w.sides = w.sides[1:] // what podrt calls itself makes no difference to controllers
	}
	makeRootfs(t, w.rootfs)
	out, err := exec.Command(runc, "--version").Output()
	if w.version, _, _ = goRuncVersion(string(out)); err != nil || w.version == "" {
		t.Fatalf("%s --version: %v: %s", runc, err, out)
	}
	cmd := exec.Command(runc, "spec", "--bundle", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", cmd.Args, err, out)
	}
	if w.config, err = os.ReadFile(filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	return w
}

// makeRootfs makes a root file system of a static busybox, with the mount
// points that containers running side by side must not have to make.
func makeRootfs(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"bin", "etc", "tmp", "proc", "sys", "dev", "mnt", "run/notify"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"bin/busybox": busybox, "bin/garbage": []byte("no program")} {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"etc/plain", "etc/apart"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, applet := range []string{"cat", "echo", "env", "false", "grep", "id", "kill", "ls", "ps", "pwd", "readlink", "seq", "sh", "sleep", "stty", "test", "touch", "true", "tty", "yes"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
}

// session makes what a row has to itself with one side. The directory has a
// name of one letter: widths of tables must not differ.
func (w *world) session(t *testing.T, s side, letter byte) *session {
	t.Helper()
	dir := filepath.Join(t.TempDir(), string(letter))
	n := strconv.Itoa(int(w.rows.Add(1)))
	x := &session{
		T: t, side: s, w: w, dir: dir,
		root: filepath.Join(dir, "state"), bundle: filepath.Join(dir, "bundle"), log: filepath.Join(dir, "log.json"),
		cgroup: fmt.Sprintf("/contract-%d-%s", os.Getpid(), n),
	}
	if err := os.MkdirAll(x.bundle, 0o755); err != nil {
		t.Fatal(err)
	}
	x.global = []string{"--root", x.root, "--log", x.log, "--log-format", "json"}
	x.configure("exec sleep 1000")
	t.Cleanup(x.end)
	return x
}
