package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestOCIRestoreKilled kills podrt while CRIU restores: nothing is mounted on the
// host, and the removal of the container leaves its root file system and what is
// bound into it.
func TestOCIRestoreKilled(t *testing.T) {
	o, count := newCounter(t)
	dir := t.TempDir()
	data, images := filepath.Join(dir, "data"), filepath.Join(dir, "images")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(data, "file"), "")
	o.configure(mount(specs.Mount{Destination: "/a/data", Source: data, Type: "bind", Options: []string{"bind"}}))
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	o.criu("checkpoint", "--image-path", images, "c1")

	cmd := o.command("restore", "-d", "--image-path", images, "c1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "CRIU's log", func() bool {
		_, err := os.Stat(filepath.Join(images, "restore.log"))
		return err == nil
	})
	_ = cmd.Process.Kill()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("restore ends with %v before it is killed", err)
	}
	if table := readFile(t, "/proc/self/mountinfo"); strings.Contains(table, "criu-root") || strings.Contains(table, "/a/data") {
		t.Errorf("mounts after podrt was killed:\n%s\nwant none of the container's", table)
	}
	o.ok("delete", "--force", "c1")
	for _, path := range []string{filepath.Join(o.bundle, "rootfs/bin/busybox"), filepath.Join(data, "file")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestOCIRestoreHooks: hooks are in the host's mount namespace, and the container
// is not, whatever podrt restores it in.
func TestOCIRestoreHooks(t *testing.T) {
	o, count := newCounter(t)
	dir := t.TempDir()
	images, out := filepath.Join(dir, "images"), filepath.Join(dir, "hooks")
	o.configure(func(s *specs.Spec) {
		hook := specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "readlink /proc/self/ns/mnt >>" + out}}
		s.Hooks = &specs.Hooks{Prestart: []specs.Hook{hook}, CreateRuntime: []specs.Hook{hook}, Poststop: []specs.Hook{hook}} //nolint:staticcheck // callers give it
	})
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	o.criu("checkpoint", "--image-path", images, "c1")
	o.criu("restore", "-d", "--image-path", images, "c1")
	o.ok("delete", "--force", "c1")
	host, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, out), strings.Repeat(host+"\n", 6); got != want {
		t.Errorf("mount namespaces of the hooks of two lives:\n%swant:\n%s", got, want)
	}
}
