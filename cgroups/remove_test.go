package cgroups

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/rung"
	"golang.org/x/sys/unix"
)

const minute = time.Minute

func TestRemoveTree(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	for _, leaf := range []Path{p.Leaf("a"), p.Leaf("a").Leaf("b"), p.Leaf("a").Leaf("b").Leaf("c"), p.Leaf("a").Leaf("d"), p.Leaf("e")} {
		if _, err := leaf.parent().CreateLeaf(string(leaf[len(leaf.parent())+1:])); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists(p) {
		t.Error("Remove left it")
	}
	if err := p.Remove(t.Context()); err != nil {
		t.Errorf("Remove of what is gone: %v; want nil", err)
	}
	if !exists(p.parent()) {
		t.Error("Remove took the parent along")
	}
}

// Remove comes while the processes are still dying, and while they are zombies.
func TestRemoveAfterKill(t *testing.T) {
	rung.Privileged(t)
	for range 20 {
		p := testPod(t)
		procs := populate(t, p, "idle")
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exists(p) {
			t.Fatal("Remove left it")
		}
		for _, c := range procs {
			c.killed()
		}
	}
}

func TestRemoveFrozenAndKilled(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	procs := populate(t, p, "idle")
	if err := p.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range procs {
		c.killed()
	}
}

func TestRemoveNamesWhatIsLeft(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	leaf, err := p.CreateLeaf("leaf")
	if err != nil {
		t.Fatal(err)
	}
	empty, err := p.CreateLeaf("empty")
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, leaf, "idle").ready()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err = p.Remove(ctx)
	want := fmt.Sprintf("remove cgroup %q: context deadline exceeded: processes %d (", string(p), c.pid())
	if !errors.Is(err, context.DeadlineExceeded) || !matches(err, want) {
		t.Errorf("Remove with a process inside: %v; want %q", err, want)
	}
	if unix.Kill(c.pid(), 0) != nil || !exists(leaf) || !exists(empty) {
		t.Error("Remove touched a cgroup that is in use")
	}
	err = p.WaitEmpty(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !matches(err, fmt.Sprintf("processes %d (", c.pid())) {
		t.Errorf("WaitEmpty with a process inside: %v; want DeadlineExceeded and the process", err)
	}
	// Its end is what both wait for.
	done := make(chan error, 2)
	go func() { done <- p.WaitEmpty(t.Context()) }()
	go func() { done <- p.Remove(t.Context()) }()
	c.wait()
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	if exists(p) {
		t.Error("Remove left it")
	}
}

// A container with a cgroup of its own can nest deeper than a path can say.
func TestRemoveDeep(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	const depth = 600
	name := "a-name-that-makes-the-whole-path-longer-than-PATH_MAX"
	d, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	for range depth {
		if err := unix.Mkdirat(d.fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := d.child(name)
		if err != nil {
			t.Fatal(err)
		}
		d.close()
		d = next
	}
	if len(d.path) < 4*unix.PathMax {
		t.Fatalf("path of %d bytes is too short for the test", len(d.path))
	}
	c := startIn(t, d.fd, exec.Command("/bin/sleep", "1000"))
	if pids, err := p.Procs(); err != nil || len(pids) != 1 || pids[0] != c.pid() {
		t.Errorf("Procs = %v, %v; want %d", pids, err, c.pid())
	}
	d.close()
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	c.killed()
	if err := p.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists(p) {
		t.Error("Remove left it")
	}
}

// Several at a time, as when two processes tear down the same pod.
func TestRemoveTogether(t *testing.T) {
	rung.Privileged(t)
	for range 20 {
		p := testPod(t)
		for i := range 5 {
			leaf, err := p.CreateLeaf(fmt.Sprint("leaf", i))
			if err != nil {
				t.Fatal(err)
			}
			for j := range 3 {
				if _, err := leaf.CreateLeaf(fmt.Sprint("sub", j)); err != nil {
					t.Fatal(err)
				}
			}
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := p.Remove(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if exists(p) {
			t.Fatal("Remove left it")
		}
	}
}

// Somebody outside makes children while the cgroup is removed.
func TestRemoveAgainstMkdir(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	var done atomic.Bool
	var made int
	var wg sync.WaitGroup
	busy := make(chan struct{})
	wg.Go(func() {
		for i := 0; i < 200 && !done.Load(); i++ {
			if unix.Mkdir(fmt.Sprintf("%s/c%d", p, i), 0o755) == nil {
				made++
			}
			if i == 10 {
				close(busy)
			}
		}
	})
	<-busy
	err := p.Remove(t.Context())
	done.Store(true)
	wg.Wait()
	if err != nil {
		t.Errorf("Remove against mkdir: %v", err)
	}
	if exists(p) {
		t.Error("Remove left it")
	}
	t.Logf("%d children were made meanwhile", made)
}

// What is mounted below a cgroup is not gone into, and not waited for forever.
func TestRemoveMounted(t *testing.T) {
	rung.Privileged(t)
	p := testPod(t)
	leaf, err := p.CreateLeaf("leaf")
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.parent().CreateLeaf("other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Remove(t.Context())
	if _, err := other.CreateLeaf("precious"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(string(other), string(leaf), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	unmount := func() error { return unix.Unmount(string(leaf), unix.UMOUNT_NOFOLLOW) }
	if err := p.Remove(t.Context()); !errors.Is(err, unix.EXDEV) || !matches(err, string(leaf)) {
		t.Errorf("Remove of what has a mount in it: %v; want EXDEV and the leaf", err)
	}
	if err := unmount(); err != nil {
		t.Fatal(err)
	}
	if !exists(other.Leaf("precious")) {
		t.Error("Remove went through the mount")
	}
	if err := p.Remove(t.Context()); err != nil {
		t.Error(err)
	}
}
