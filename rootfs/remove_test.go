package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestRemoveAll(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	mkdirs(t, outside, "sub")
	write(t, outside+"/sub/precious", "x")
	for name, fill := range map[string]func(path string){
		"nothing":         func(string) {},
		"file":            func(path string) { write(t, path, "x") },
		"symlink":         func(path string) { symlink(t, outside, path) },
		"empty directory": func(path string) { mkdirs(t, path) },
		"symlinks in it": func(path string) {
			mkdirs(t, path, "a/b")
			symlink(t, outside, path+"/link")
			symlink(t, outside+"/sub", path+"/a/link")
			symlink(t, "../../outside", path+"/a/b/link")
		},
		"names of ours": func(path string) { // as a container could make them
			mkdirs(t, path, ".podrt-removed-0/.podrt-removed-0/.podrt-removed-1/x", "a/.podrt-removed-0/b/c/d")
			write(t, path+"/.podrt-removed-1", "")
		},
		"wide": func(path string) {
			for i := range 3 * removeBatch {
				mkdirs(t, path, fmt.Sprintf("%d", i))
			}
			for i := range 50 {
				mkdirs(t, path, fmt.Sprintf("a/%d/b/c", i))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "tree")
			fill(path)
			for range 2 {
				if err := RemoveAll(path); err != nil {
					t.Errorf("RemoveAll(%s): %v", name, err)
				}
				wantGone(t, path)
			}
		})
	}
	wantFile(t, outside+"/sub/precious", "x")
	if err := RemoveAll(dir + "/no/such/parent"); err != nil {
		t.Errorf("RemoveAll(missing parent): %v", err)
	}
}

// A hostile tree may be deeper than any path, and than our descriptors.
func TestRemoveAllDeep(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: 64, Max: was.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &was) }()

	top := filepath.Join(t.TempDir(), "top")
	mkdirs(t, top)
	fd, err := unix.Open(top, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	const name = "a-name-that-makes-paths-long"
	for range 3000 {
		if err := unix.Mkdirat(fd, name, 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
		fd = next
	}
	_ = unix.Close(fd)
	if err := RemoveAll(top); err != nil {
		t.Error(err)
	}
	wantGone(t, top)
}

func TestRemoveAllKeepsWhatIsMounted(t *testing.T) {
	rung.Privileged(t)
	dir := scratch(t, "")
	mkdirs(t, dir, "host", "tree/a/b/mounted", "tree/a/b/other", "mounted")
	write(t, dir+"/host/precious", "x")
	for _, point := range []string{"/tree/a/b/mounted", "/mounted"} {
		// The same file system: only the mount tells.
		if err := mount(dir+"/host", dir+point, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, "RemoveAll(tree with a mount)", RemoveAll(dir+"/tree"), dir+"/tree", "something is mounted on it")
	err := RemoveAll(dir + "/mounted")
	wantError(t, "RemoveAll(mount point)", err, dir+"/mounted", "something is mounted on it")
	if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EXDEV) {
		t.Errorf("RemoveAll(mount point): %v is neither EBUSY nor EXDEV", err)
	}
	wantFile(t, dir+"/host/precious", "x")

	// Wherever it was moved to, all but the way to the mount is gone.
	for _, point := range mountsBelow(t, dir) {
		if err := unmount(point); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/tree", "/mounted"} {
		if err := RemoveAll(dir + path); err != nil {
			t.Error(err)
		}
	}
	wantFile(t, dir+"/host/precious", "x")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left in %s: %v, %v; want only host", dir, left, err)
	}
}
