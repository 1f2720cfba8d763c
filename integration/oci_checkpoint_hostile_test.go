package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestOCICheckpointMovedMount: a container can rename the directory above a mount
// point and put a link in its place. To what the mount's destination is then
// resolved CRIU must not come to see: "]:" ends the key that it keeps of a mount
// and begins a path on the host (CVE-2026-119101), and an empty one stands for
// all mounts that there are.
func TestOCICheckpointMovedMount(t *testing.T) {
	o, count := newCounter(t)
	dir := t.TempDir()
	data, images := filepath.Join(dir, "data"), filepath.Join(dir, "images")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	o.configure(mount(specs.Mount{Destination: "/a/data", Source: data, Type: "bind", Options: []string{"bind"}}))
	inside := func(script string) {
		t.Helper()
		o.ok("exec", "c1", "sh", "-c", script)
	}
	refused := func(message string, args ...string) {
		t.Helper()
		r := o.call(append(args, "--image-path", images, "c1")...)
		if r.code != 1 || !strings.Contains(r.stderr, message) {
			t.Errorf("podrt %q = %+v; want exit code 1 and %q", args, r, message)
		}
	}
	const moved = `set -e; busybox mv /a /b; busybox mkdir /a; busybox ln -s '`
	const back = `set -e; busybox rm -r /a; busybox mv /b /a`
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	targets := map[string]string{
		"/b/data]:/etc": `criu: invalid external mount destination "/b/data]:/etc"`,
		"/":             "is on the top of rootfs",
	}
	for target := range targets {
		inside(moved + target + `' /a/data`)
		refused("criu: invalid external mount destination", "checkpoint")
		at := count()
		eventually(t, "the count goes on", func() bool { return count() > at+1 })
		inside(back)
	}

	o.criu("checkpoint", "--image-path", images, "c1")
	root := filepath.Join(o.bundle, "rootfs")
	for target, message := range targets {
		for _, err := range []error{
			os.Rename(filepath.Join(root, "a"), filepath.Join(root, "b")),
			os.Mkdir(filepath.Join(root, "a"), 0o755),
			os.Symlink(target, filepath.Join(root, "a/data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		refused(message, "restore", "-d")
		o.fails(1, "container does not exist", "state", "c1")
		for _, err := range []error{
			os.RemoveAll(filepath.Join(root, "a")),
			os.Rename(filepath.Join(root, "b"), filepath.Join(root, "a")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	at := count()
	o.criu("restore", "-d", "--image-path", images, "c1")
	eventually(t, "the count goes on", func() bool { return count() > at })
	o.ok("delete", "--force", "c1")
}

// TestOCICheckpointSwappedMounts: CRIU restores a mount at its place with the
// options that it had, and its source is what the configuration has for the
// place. A container that has exchanged two would come to write to what it was to
// read.
func TestOCICheckpointSwappedMounts(t *testing.T) {
	o, count := newCounter(t)
	dir := t.TempDir()
	for name, options := range map[string][]string{"ro": {"rbind", "ro", "nosuid", "nodev", "rnoexec"}, "rw": {"rbind", "nosuid", "nodev"}} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		o.configure(mount(specs.Mount{Destination: "/" + name + "/m", Source: filepath.Join(dir, name), Type: "bind", Options: options}))
	}
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })

	images := filepath.Join(dir, "images")
	o.criu("checkpoint", "--image-path", images, "c1")
	o.criu("restore", "-d", "--image-path", images, "c1")
	const writes = "echo >/rw/m/new && ! (echo >/ro/m/new) 2>/dev/null"
	o.ok("exec", "c1", "sh", "-c", writes)

	o.ok("exec", "c1", "sh", "-c", "set -e; busybox mv /ro /x; busybox mv /rw /ro; busybox mv /x /rw")
	images = filepath.Join(dir, "swapped")
	o.criu("checkpoint", "--image-path", images, "c1")
	o.fails(1, fmt.Sprintf(`restore container "c1": checkpoint %q has the mount at "/ro/m" without the options "ro,noexec" of the configuration`, images), "restore", "-d", "--image-path", images, "c1")
	o.fails(1, "container does not exist", "state", "c1")
	if _, err := os.Stat(filepath.Join(dir, "ro/new")); err == nil {
		t.Error("the container has written to what it was to read")
	}
}
