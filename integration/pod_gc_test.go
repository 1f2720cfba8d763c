package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// gcWorld has directories of pods that are no more, or are another store's.
type gcWorld struct {
	*world
	kept string // a file that volumes have links to
}

func newGCWorld(t *testing.T) *gcWorld {
	t.Helper()
	rung.Privileged(t)
	w := &gcWorld{world: &world{arena: newArena(t)}, kept: filepath.Join(t.TempDir(), "kept")}
	t.Cleanup(func() { w.removeAll(t) })
	write(t, w.kept, "kept")
	t.Cleanup(func() {
		if got := readFile(t, w.kept); got != "kept" {
			t.Errorf("a file that a volume has a link to holds %q", got)
		}
	})
	return w
}

// old leaves the directory and the log of a pod that has no record, as a reboot
// would; owner changes what it says of whose it is.
func (w *gcWorld) old(t *testing.T, owner func(map[string]any)) (dir, log string) {
	t.Helper()
	uid := strings.TrimSpace(w.ok(t, "pod", "create", "gone").stdout)
	dir, log = filepath.Join(w.lib, "pods", uid), filepath.Join(w.log, uid)
	aside := filepath.Join(w.dir, "aside")
	copyTree(t, dir, aside)
	w.ok(t, "pod", "rm", "gone")
	if err := os.Rename(aside, dir); err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(dir, "volumes", "v"), log)
	if err := os.Symlink(w.kept, filepath.Join(dir, "volumes", "v", "link")); err != nil {
		t.Fatal(err)
	}
	changeJSON(t, filepath.Join(dir, "owner.json"), owner)
	return dir, log
}

func earlierBoot(owner map[string]any) { owner["bootID"] = oldBoot }

// gc runs "podrt gc", which must print the directories, and must leave nothing of
// them.
func (w *gcWorld) gc(t *testing.T, want ...string) {
	t.Helper()
	if got := w.ok(t, "gc").stdout; got != strings.Join(append(want, ""), "\n") {
		t.Errorf("gc printed %q; want %q", got, want)
	}
	for _, dir := range want {
		left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"+filepath.Base(dir)+"*"))
		if len(left) > 0 {
			t.Errorf("after gc there is %q", left)
		}
	}
}

func wantThere(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestGC: what pods of an earlier boot had on disk goes, and nothing else does.
func TestGC(t *testing.T) {
	w := newGCWorld(t)
	w.gc(t)
	uid := strings.TrimSpace(w.ok(t, "pod", "create", "live").stdout)
	live := filepath.Join(w.lib, "pods", uid)

	dir, log := w.old(t, earlierBoot)
	w.gc(t, dir)
	if _, err := os.Lstat(log); err == nil {
		t.Errorf("after gc there is %s", log)
	}

	// One that is beside a live pod of its UID, as a gc that was killed leaves it
	// when the pod is then made anew.
	dead := filepath.Join(w.lib, "pods", ".dead-"+uid+"-00000000")
	mkdir(t, dead)
	changeJSON(t, filepath.Join(live, "owner.json"), earlierBoot)
	w.gc(t, dead)
	wantThere(t, live) // its record has outlived the boot: the run root is on disk

	// Of this boot; of a store whose run root has a record of it; nobody's.
	other := filepath.Join(w.dir, "other")
	for _, owner := range []func(map[string]any){
		func(map[string]any) {},
		func(o map[string]any) { earlierBoot(o); o["runRoot"] = other },
		func(o map[string]any) { clear(o) },
	} {
		dir, log := w.old(t, owner)
		mkdir(t, filepath.Join(other, "pods", filepath.Base(dir)))
		w.gc(t)
		wantThere(t, dir, log)
		removeAll(t, dir)
		removeAll(t, log)
	}
	removeAll(t, other)

	// The one whose record another store has is not made anew; one that was killed
	// before it said whose it is can be.
	dir, log = w.old(t, func(o map[string]any) { earlierBoot(o); o["runRoot"] = other })
	uid = filepath.Base(dir)
	mkdir(t, filepath.Join(other, "pods", uid))
	w.fails(t, 1, []string{uid, "another state root's pod"}, "pod", "create", "--uid", uid, "taken")
	wantThere(t, dir)
	for _, path := range []string{dir, log, other} {
		removeAll(t, path)
	}
	mkdir(t, filepath.Join(dir, "containers"))
	w.ok(t, "pod", "create", "--uid", uid, "again")
	w.ok(t, "pod", "rm", "again")

	// What is no pod's directory is left alone, and not stumbled over.
	stray := filepath.Join(w.lib, "pods", "README")
	write(t, stray, "stray")
	dir, _ = w.old(t, earlierBoot)
	w.gc(t, dir)
	wantThere(t, stray)
	removeAll(t, stray)
}

// TestGCFails: what cannot be removed is told each time, keeps nothing else from
// being removed, and is in no pod's way, not even one of its UID.
func TestGCFails(t *testing.T) {
	w := newGCWorld(t)
	stuck, _ := w.old(t, earlierBoot)
	uid := filepath.Base(stuck)
	if err := unix.Mount("tmpfs", filepath.Join(stuck, "volumes", "v"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	dir, _ := w.old(t, earlierBoot)
	for range 2 {
		r := w.podrt(t, "gc")
		if r.code != 1 || !strings.Contains(r.stderr, uid) {
			t.Errorf("gc with a mount below what it removes: %v; want exit code 1 and the directory", r)
		}
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Errorf("after gc there is %s", dir)
	}
	w.ok(t, "pod", "create", "--uid", uid, "again")
	w.ok(t, "pod", "rm", "again")
	dead, err := filepath.Glob(filepath.Join(w.lib, "pods", ".dead-*"))
	if err != nil || len(dead) != 1 {
		t.Fatalf("what is left of it is %q, %v; want one directory", dead, err)
	}
	if err := unix.Unmount(filepath.Join(dead[0], "volumes", "v"), 0); err != nil {
		t.Fatal(err)
	}
	w.gc(t, dead[0])
}
