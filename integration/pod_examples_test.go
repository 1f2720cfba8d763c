package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// TestPodExamples runs the bundles of testdata as their README says.
func TestPodExamples(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name        string
		controllers []string
		owner       int // of the root file systems
		stdout      []string
	}{
		{name: "empty"},
		{name: "hello", stdout: []string{"app | hello from hello"}},
		{name: "web", stdout: []string{"client | from the client"}},
		{name: "sidecar", stdout: []string{"job     | 8080"}},
		{name: "full", controllers: []string{"cpu", "memory", "pids"}, owner: 100000, stdout: []string{"app     | full.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rung.NeedController(t, c.controllers...)
			r := w.ok(t, "pod", "run", w.example(t, c.name, c.owner))
			if got := sortedLines(r.stdout); !slices.Equal(got, c.stdout) {
				t.Errorf("output %q; want %q", got, c.stdout)
			}
			w.ok(t, "network", "prune") // the default network was made for it
			if left := w.left(); len(left) > 0 {
				t.Errorf("after the pod there is %q", left)
			}
		})
	}
	t.Run("sharedpid", func(t *testing.T) {
		f := w.foreground(t, w.example(t, "sharedpid", 0))
		want := []string{" podrt-init", " sleep", " ps"}
		for len(want) > 0 && f.lines.Scan() {
			want = slices.DeleteFunc(want, func(name string) bool { return strings.HasSuffix(f.lines.Text(), name) })
		}
		if len(want) > 0 {
			t.Fatalf("the watcher does not see %q", want)
		}
		if err := f.cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		// Not being PID 1, sleep ends of SIGTERM.
		if code, _ := f.end(t); code != 143 {
			t.Errorf("exit code %d; want 143", code)
		}
	})
}

// example is a copy of an example bundle, with root file systems.
func (w *world) example(t *testing.T, name string, owner int) string {
	t.Helper()
	dir := w.newDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/bundles", name))); err != nil {
		t.Fatal(err)
	}
	containers, err := filepath.Glob(filepath.Join(dir, "containers/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		root := filepath.Join(c, "rootfs")
		if err := bundle.Root(root); err != nil {
			t.Fatal(err)
		}
		if err := bundle.Chown(root, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
