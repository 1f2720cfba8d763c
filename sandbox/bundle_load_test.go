package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const smallConfig = `{"ociVersion": "1.0.2", "process": {"args": ["sh"], "cwd": "/"}, "root": {"path": "rootfs"}}`

// makeBundle makes a bundle of files, by path: their content, or "-> TARGET"
// for a symbolic link.
func makeBundle(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "b")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadPodBundleExamples(t *testing.T) {
	for _, dir := range exampleBundles(t) {
		b, err := LoadPodBundle(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		own := b.Spec.Own()
		if !filepath.IsAbs(b.Dir) || len(b.Containers) != len(own) {
			t.Fatalf("LoadPodBundle(%q) = %+v; want an absolute path and %d containers", dir, b, len(own))
		}
		for i, c := range b.Containers {
			if c.Name != own[i].Name || c.Dir != filepath.Join(b.Dir, "containers", c.Name) || c.Config.Root.Path != "rootfs" {
				t.Errorf("LoadPodBundle(%q).Containers[%d] = %+v; want %q with root rootfs", dir, i, c, own[i].Name)
			}
		}
	}
}

// TestLoadPodBundleRelative loads a bundle by a relative path, whose container
// is a symbolic link within the bundle.
func TestLoadPodBundleRelative(t *testing.T) {
	dir := makeBundle(t, map[string]string{
		"pod.json":                 podWith(`"containers": [{"name": "b"}, {"name": "a"}]`),
		"containers/a/config.json": smallConfig,
		"containers/b":             "-> ../containers/a",
	})
	t.Chdir(dir)
	b, err := LoadPodBundle(".")
	if err != nil {
		t.Fatal(err)
	}
	if b.Dir != dir || len(b.Containers) != 2 || b.Containers[0].Dir != filepath.Join(dir, "containers/b") {
		t.Errorf("LoadPodBundle(.) = %+v; want containers b and a of %q", b, dir)
	}
}

func TestLoadPodBundleRefuses(t *testing.T) {
	pod := podWith(`"containers": [{"name": "app"}, {"name": "db"}]`)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, SpecFile), []byte(smallConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // with DIR for the bundle
		is    error
	}{
		{"no pod.json", map[string]string{"x": ""}, `open pod bundle "DIR": open DIR/pod.json: no such file or directory`, fs.ErrNotExist},
		{"pod.json a directory", map[string]string{"pod.json/x": ""}, `open pod bundle "DIR": read DIR/pod.json: not a regular file`, nil},
		{"pod.json a link out", map[string]string{"pod.json": "-> /etc/passwd"}, `open pod bundle "DIR": open DIR/pod.json: symbolic link leaves the pod bundle`, errLeavesBundle},
		{"pod.json wrong", map[string]string{"pod.json": podWith(`"shmSize": -1, "shared": []`)}, `DIR/pod.json: shared: []: unknown field; known here: ` + podFields + `
DIR/pod.json: shmSize: -1: must be greater than 0`, nil},
		{"pod.json too large", map[string]string{"pod.json": strings.Repeat(" ", maxPodJSON+100)}, `DIR/pod.json: 1048577 bytes: must be at most 1048576`, nil},
		{"no containers", map[string]string{"pod.json": pod}, `open container bundle: open DIR/containers/app: no such file or directory
open container bundle: open DIR/containers/db: no such file or directory`, fs.ErrNotExist},
		{"container a file, no config", map[string]string{"pod.json": pod, "containers/app": "", "containers/db/x": ""}, `open container bundle: open DIR/containers/app: not a directory
open container bundle: open DIR/containers/db/config.json: no such file or directory`, unix.ENOTDIR},
		{
			"container a link out",
			map[string]string{"pod.json": pod, "containers/app": "-> " + outside, "containers/db": "-> ../../../" + filepath.Base(outside)},
			`open container bundle: open DIR/containers/app: symbolic link leaves the pod bundle
open container bundle: open DIR/containers/db: symbolic link leaves the pod bundle`, errLeavesBundle,
		},
		{
			"config a link out",
			map[string]string{"pod.json": pod, "containers/app/config.json": "-> " + outside + "/config.json", "containers/db/config.json": "-> loop", "containers/db/loop": "-> config.json"},
			`open container bundle: open DIR/containers/app/config.json: symbolic link leaves the pod bundle
open container bundle: open DIR/containers/db/config.json: too many levels of symbolic links`, errLeavesBundle,
		},
		{"containers a link out", map[string]string{"pod.json": pod, "containers": "-> /"}, `open container bundle: open DIR/containers/app: symbolic link leaves the pod bundle
open container bundle: open DIR/containers/db: symbolic link leaves the pod bundle`, errLeavesBundle},
		{"configs wrong", map[string]string{"pod.json": pod, "containers/app/config.json": `{`, "containers/db/config.json": `{"ociVersion": "1.0.2"}`}, `DIR/containers/app/config.json: line 1, column 2: not JSON: unexpected end of JSON input
DIR/containers/db/config.json: process: required
DIR/containers/db/config.json: root: required`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := makeBundle(t, c.files)
			b, err := LoadPodBundle(dir)
			if b != nil || err == nil {
				t.Fatalf("LoadPodBundle() = %+v, %v; want an error", b, err)
			}
			if want := strings.ReplaceAll(c.want, "DIR", dir); err.Error() != want {
				t.Errorf("LoadPodBundle()\n got %s\nwant %s", err, want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("LoadPodBundle(): %v; want an error that is %v", err, c.is)
			}
		})
	}
}

func TestLoadPodBundleNoBundle(t *testing.T) {
	dir := t.TempDir()
	missing, file := filepath.Join(dir, "missing"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{missing: unix.ENOENT, file: unix.ENOTDIR, "": unix.ENOENT} {
		_, err := LoadPodBundle(path)
		if text := `open pod bundle "` + path + `": ` + want.Error(); err == nil || err.Error() != text || !errors.Is(err, want) {
			t.Errorf("LoadPodBundle(%q): %v; want %s", path, err, text)
		}
	}
}

// TestLoadPodBundleFIFO: nobody writes to it, so that an ordinary open would
// never return.
func TestLoadPodBundleFIFO(t *testing.T) {
	dir := makeBundle(t, map[string]string{"pod.json": podWith(`"containers": [{"name": "app"}]`), "containers/app/x": ""})
	fifo := filepath.Join(dir, "containers/app/config.json")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadPodBundle(dir)
	if want := "open container bundle: read " + fifo + ": not a regular file"; err == nil || err.Error() != want {
		t.Errorf("LoadPodBundle(): %v; want %s", err, want)
	}
}

func TestCheckRoots(t *testing.T) {
	dir := makeBundle(t, map[string]string{
		"pod.json":                    podWith(`"containers": [{"name": "out"}, {"name": "none"}, {"name": "good"}]`),
		"containers/out/config.json":  smallConfig,
		"containers/out/rootfs":       "-> /",
		"containers/none/config.json": smallConfig,
		"containers/good/config.json": smallConfig,
		"containers/good/rootfs/x":    "",
	})
	b, err := LoadPodBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = b.CheckRoots()
	if err == nil {
		t.Fatal("CheckRoots() = nil; want two errors")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], filepath.Join(dir, "containers/out")) || !strings.Contains(lines[1], filepath.Join(dir, "containers/none")) {
		t.Errorf("CheckRoots(): %v; want an error for out and one for none", err)
	}
	b.Containers = b.Containers[2:]
	if err := b.CheckRoots(); err != nil {
		t.Errorf("CheckRoots() of good: %v", err)
	}
}
