package rootfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testBundle makes a bundle beside a directory "outside" that is not in it.
func testBundle(t *testing.T) (bundle, outside string) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bundle, outside = filepath.Join(top, "bundle"), filepath.Join(top, "outside")
	mkdirs(t, top, "bundle/rootfs", "bundle/deep/er", "outside/root")
	write(t, filepath.Join(bundle, "file"), "")
	for link, to := range map[string]string{
		"inside":      "deep/er",
		"deep/up":     "../rootfs",
		"relative":    "../outside/root",
		"absolute":    filepath.Join(outside, "root"),
		"absolute-in": filepath.Join(bundle, "rootfs"),
		"dangling":    "nowhere",
		"loop":        "loop",
		"outer":       "../outside",
		"magic":       "/proc/self/root",
	} {
		symlink(t, to, filepath.Join(bundle, link))
	}
	symlink(t, "bundle", filepath.Join(top, "alias"))
	return bundle, outside
}

func TestRoot(t *testing.T) {
	bundle, outside := testBundle(t)
	alias := filepath.Join(filepath.Dir(bundle), "alias")
	for _, tt := range []struct {
		bundle, root string
		want         string   // relative to bundle, "" for an error
		err          []string // parts of the error
	}{
		{bundle, "rootfs", "rootfs", nil},
		{bundle, "./rootfs/", "rootfs", nil},
		{bundle, "deep/../rootfs", "rootfs", nil},
		{bundle, "deep/er", "deep/er", nil},
		{bundle, "inside", "deep/er", nil},
		{bundle, "deep/up", "rootfs", nil},
		{alias, "rootfs", "rootfs", nil}, // libcontainer refuses a path with symlinks
		{bundle, "", "", []string{`root path of bundle "` + bundle + `" is empty`}},
		{bundle, outside, "", []string{`root path "` + outside + `"`, "is absolute"}},
		{bundle, bundle + "/rootfs", "", []string{"is absolute"}},
		{bundle, "../outside/root", "", []string{`root path "../outside/root" of bundle "` + bundle + `" leads out of the bundle`}},
		{bundle, "deep/../../outside", "", []string{"leads out of the bundle"}},
		{bundle, "relative", "", []string{`root path "relative" of bundle "` + bundle + `" is a symlink out of the bundle (to "` + outside + `/root")`}},
		{bundle, "absolute", "", []string{`root path "absolute"`, "is a symlink out of the bundle"}},
		{bundle, "absolute-in", "", []string{"is a symlink out of the bundle"}},
		{bundle, "outer/root", "", []string{`root path "outer/root"`, "is a symlink out of the bundle"}},
		{bundle, "magic", "", []string{"is a symlink out of the bundle"}},
		{bundle, "missing", "", []string{`root path "missing" of bundle "` + bundle + `" does not exist`, "no such file or directory"}},
		{bundle, "dangling", "", []string{`root path "dangling"`, "no such file or directory"}},
		{bundle, "file", "", []string{`root path "file" of bundle "` + bundle + `"`, "not a directory"}},
		{bundle, "file/x", "", []string{"not a directory"}},
		{bundle, "loop", "", []string{`open root path "loop"`, "too many levels of symbolic links"}},
		{bundle + "/no", "rootfs", "", []string{`open bundle "` + bundle + `/no"`, "no such file or directory"}},
		{bundle + "/file", "rootfs", "", []string{`open bundle "` + bundle + `/file"`, "not a directory"}},
	} {
		got, err := Root(tt.bundle, tt.root)
		what := "Root(" + tt.bundle + ", " + tt.root + ")"
		if tt.want == "" {
			wantError(t, what, err, tt.err...)
			continue
		}
		if want := filepath.Join(bundle, tt.want); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", what, got, err, want)
		}
	}
}

func TestOCIRoot(t *testing.T) {
	bundle, outside := testBundle(t)
	for _, tt := range []struct{ root, want, err string }{
		{"rootfs", bundle + "/rootfs", ""},
		{outside + "/root", outside + "/root", ""},
		{bundle + "/absolute", outside + "/root", ""}, // absolute: the caller's own affair
		{"../outside/root", outside + "/root", ""},
		{"/", "/", ""},
		{"relative", "", "is a symlink out of the bundle"},
		{"", "", "is empty"},
		{"../missing", "", "does not exist"},
		{outside + "/missing", "", "does not exist"},
		{bundle + "/file", "", "not a directory"},
	} {
		got, err := OCIRoot(bundle, tt.root)
		if tt.err != "" {
			wantError(t, "OCIRoot("+tt.root+")", err, tt.err)
		} else if err != nil || got != tt.want {
			t.Errorf("OCIRoot(%q) = %q, %v; want %q", tt.root, got, err, tt.want)
		}
	}
}

// A path must be the directory that was opened, or none at all.
func TestPathOfMovedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	mkdirs(t, dir)
	f, err := openPath(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	mkdirs(t, dir)
	if got, err := pathOf(f); err != nil || !strings.HasSuffix(got, "/dir-moved") {
		t.Errorf("pathOf(renamed directory) = %q, %v; want %q", got, err, moved)
	}
	if err := os.Remove(moved); err != nil {
		t.Fatal(err)
	}
	if got, err := pathOf(f); err == nil {
		t.Errorf("pathOf(removed directory) = %q; want an error", got)
	}
}
