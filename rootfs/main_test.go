package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedEnv); dir != "" {
		makeAndRemoveForever(dir)
	}
	os.Exit(m.Run())
}

// scratch returns a tmpfs of the test: /tmp of the VM is an overlay, which
// cannot hold an overlay's upper layer. options may limit it.
func scratch(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := mount("scratch", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// mountsBelow returns the mount points below dir.
func mountsBelow(t *testing.T, dir string) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		if point := strings.Fields(line)[4]; strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	return found
}

// mkdirs makes dir, and the directories called names in it.
func mkdirs(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range append(names, ".") {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

// wantFile checks the content of a file.
func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("content of %s = %q, %v; want %q", path, got, err, want)
	}
}

func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("lstat %s: %v; want it gone", path, err)
	}
}

// wantError checks that err exists and contains every part.
func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded; want an error with %q", what, parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q lacks %q", what, err, part)
		}
	}
}

// untilItFits runs try on file systems with room for 1, 2, 3 … inodes: it fails
// at each of its steps once. Every failure must be ENOSPC and leave nothing.
func untilItFits(t *testing.T, try func(dir string) error, remove func(dir string) error) {
	t.Helper()
	const most = 20
	for inodes := 1; inodes < most; inodes++ {
		dir := scratch(t, fmt.Sprintf("size=64k,nr_inodes=%d", inodes))
		err := try(dir)
		if err == nil {
			if inodes == 1 {
				t.Error("a full file system was enough; want ENOSPC first")
			}
			if err := remove(dir); err != nil {
				t.Error(err)
			}
			return
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("with %d inodes: error %q is not ENOSPC", inodes, err)
		}
		wantError(t, fmt.Sprintf("with %d inodes", inodes), err, dir, "no space left on device")
		if left := mountsBelow(t, dir); len(left) > 0 {
			t.Errorf("with %d inodes: %q are left mounted", inodes, left)
		}
		if err := remove(dir); err != nil {
			t.Errorf("with %d inodes: %v", inodes, err)
		}
	}
	t.Errorf("%d inodes are not enough", most)
}
