package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/podrt/podrt/integration/rung"
	"golang.org/x/sys/unix"
)

// testParent is where a test makes its cgroups: a name that is not another's.
func testParent(t *testing.T) Path {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Map(func(r rune) rune {
		if r == '/' {
			return '-'
		}
		return r
	}, t.Name())
	return root.Leaf(fmt.Sprintf("podrt-%s-%d", name, os.Getpid()))
}

// testPod makes a cgroup, with everything in it killed and removed at the end.
func testPod(t *testing.T) Path {
	t.Helper()
	p := testParent(t).Leaf("pod")
	made, err := Create(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Kill(), p.Remove(context.Background()), RemoveMade(made)); err != nil {
			t.Error(err)
		}
	})
	return p
}

func exists(p Path) bool {
	_, err := os.Lstat(string(p))
	return err == nil
}

func TestCreateMakesWhatIsMissing(t *testing.T) {
	rung.Privileged(t)
	parent := testParent(t)
	p := parent.Leaf("a").Leaf("b")
	made, err := Create(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Path{parent, parent.Leaf("a"), p}; !slices.Equal(made, want) {
		t.Errorf("Create = %q; want %q", made, want)
	}
	again, err := Create(p)
	if err != nil || len(again) != 0 {
		t.Errorf("Create of what is there = %q, %v; want nothing made", again, err)
	}
	q := parent.Leaf("c")
	more, err := Create(q)
	if err != nil || !slices.Equal(more, []Path{q}) {
		t.Errorf("Create = %q, %v; want %q", more, err, q)
	}
	// parent is used by q: it stays, without an error.
	if err := RemoveMade(made); err != nil {
		t.Error(err)
	}
	if exists(parent.Leaf("a")) || !exists(parent) || !exists(q) {
		t.Errorf("RemoveMade: a is there: %v, parent: %v, c: %v; want only a gone", exists(parent.Leaf("a")), exists(parent), exists(q))
	}
	if err := RemoveMade(append([]Path{parent}, more...)); err != nil {
		t.Error(err)
	}
	if exists(parent) {
		t.Error("RemoveMade left the parent, which nobody uses")
	}
	if err := RemoveMade(made); err != nil {
		t.Errorf("RemoveMade of what is gone: %v", err)
	}
}

func TestRemoveMadeLeavesProcesses(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	c := start(t, p, "idle").ready()
	if err := RemoveMade([]Path{p}); err != nil {
		t.Errorf("RemoveMade of a cgroup in use: %v; want no error", err)
	}
	if !exists(p) || unix.Kill(c.pid(), 0) != nil {
		t.Error("RemoveMade touched a cgroup that is in use")
	}
}

func TestCreateUndoesOnError(t *testing.T) {
	rung.Privileged(t)
	parent := testParent(t)
	made, err := Create(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer RemoveMade(made)
	if err := os.WriteFile(filepath.Join(string(parent), "cgroup.max.depth"), []byte("2"), 0); err != nil {
		t.Fatal(err)
	}
	got, err := Create(parent.Leaf("1").Leaf("2").Leaf("3"))
	if !errors.Is(err, unix.EAGAIN) || !matches(err, "cgroup.max.depth") || got != nil {
		t.Errorf("Create below cgroup.max.depth = %q, %v; want EAGAIN, explained", got, err)
	}
	if exists(parent.Leaf("1")) {
		t.Error("Create left what it had made")
	}
}

func TestCreateRefuses(t *testing.T) {
	rung.Privileged(t)
	for _, p := range []Path{"", "/sys/fs/cgroup", "/tmp/x", "/sys/fs/cgroup/a/../b", "/sys/fs/cgroup/cgroup.procs/a", "/sys/fs/cgroup/memory.max"} {
		if made, err := Create(p); err == nil || made != nil {
			t.Errorf("Create(%q) = %q, %v; want an error", p, made, err)
		}
	}
}

func TestCreateBelowThreaded(t *testing.T) {
	rung.Privileged(t)
	parent := testPod(t)
	threaded, err := parent.CreateLeaf("threaded")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(string(threaded), "cgroup.type"), []byte("threaded"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(threaded.Leaf("pod")); !matches(err, `is of type "domain invalid"`) {
		t.Errorf("Create below a threaded cgroup: %v; want it refused", err)
	}
	if exists(threaded.Leaf("pod")) {
		t.Error("Create left what it had made")
	}
}

// Pods come and go below the same parent, which is removed whenever it happens
// to be empty.
func TestCreateAgainstRemove(t *testing.T) {
	rung.Privileged(t)
	parent := testParent(t)
	const workers, rounds = 4, 100
	var done atomic.Bool
	var removed int
	var wg, remover sync.WaitGroup
	remover.Go(func() {
		for !done.Load() {
			if unix.Rmdir(string(parent)) == nil {
				removed++
			}
		}
	})
	for w := range workers {
		wg.Go(func() {
			p := parent.Leaf(fmt.Sprintf("pod%d", w))
			for range rounds {
				made, err := Create(p)
				if err != nil || !slices.Contains(made, p) {
					t.Errorf("Create = %q, %v", made, err)
					return
				}
				if err := RemoveMade(made); err != nil {
					t.Error(err)
					return
				}
				if exists(p) {
					t.Errorf("RemoveMade left %q", p)
					return
				}
			}
		})
	}
	wg.Wait()
	done.Store(true)
	remover.Wait()
	_ = unix.Rmdir(string(parent))
	t.Logf("the parent was removed %d times under Create", removed)
}

func TestCreateLeaf(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	leaf, err := p.CreateLeaf("web")
	if err != nil || leaf != p.Leaf("web") || !exists(leaf) {
		t.Fatalf("CreateLeaf = %q, %v; want %q", leaf, err, p.Leaf("web"))
	}
	if _, err := p.CreateLeaf("web"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateLeaf of what is there: %v; want fs.ErrExist", err)
	}
	if _, err := leaf.Leaf("no").CreateLeaf("web"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CreateLeaf below nothing: %v; want fs.ErrNotExist", err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\nb", "cgroup.x", "memory.max"} {
		if _, err := p.CreateLeaf(name); !matches(err, "cgroup name") {
			t.Errorf("CreateLeaf(%q): %v; want it refused", name, err)
		}
	}
}

func TestOpenIsForClone(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	f, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	fdflags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	if flags&unix.O_PATH == 0 || flags&unix.O_DIRECTORY == 0 || fdflags&unix.FD_CLOEXEC == 0 {
		t.Errorf("Open: flags %#x, descriptor flags %#x; want O_PATH, O_DIRECTORY, FD_CLOEXEC", flags, fdflags)
	}
	c := start(t, p, "idle").ready()
	if pids, err := p.Procs(); err != nil || !slices.Equal(pids, []int{c.pid()}) {
		t.Errorf("Procs = %v, %v; want %d, which was cloned into it", pids, err, c.pid())
	}
	if _, err := p.Leaf("none").Open(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing: %v; want fs.ErrNotExist", err)
	}
}

// The kernel refuses controllers to the children of a cgroup with processes.
func TestEnableNamesProcesses(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	if b, err := os.ReadFile(string(p) + "/cgroup.controllers"); err != nil || strings.TrimSpace(string(b)) == "" {
		rung.NeedController(t, "memory")
	}
	c := start(t, p, "idle").ready()
	want := fmt.Sprintf("it has processes of its own: %d (", c.pid())
	if err := p.Enable(); !errors.Is(err, syscall.EBUSY) || !matches(err, want) {
		t.Errorf("Enable with a process inside: %v; want EBUSY and %q", err, want)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	c.killed()
	if err := p.Enable(); err != nil {
		t.Errorf("Enable after the process has left: %v", err)
	}
	has, err := os.ReadFile(string(p) + "/cgroup.controllers")
	if err != nil {
		t.Fatal(err)
	}
	on, err := os.ReadFile(string(p) + "/cgroup.subtree_control")
	if err != nil {
		t.Fatal(err)
	}
	if string(has) != string(on) {
		t.Errorf("Enable: %q of %q; want all", on, has)
	}
	if err := p.Enable(); err != nil {
		t.Errorf("Enable twice: %v", err)
	}
}
