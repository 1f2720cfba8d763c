package integration

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

const noCriu = `CRIU version check failed: exec: "criu": executable file not found in $PATH; checkpoint and restore need the program criu, see criu(8)`

func TestOCICheckpointErrors(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.env = []string{"PATH=/nonexistent"}
	o.fails(1, "container does not exist", "checkpoint", "c1")
	o.ok("create", "c1")
	o.fails(1, "Container cannot be checkpointed in created state", "checkpoint", "c1")
	o.ok("start", "c1")
	o.fails(1, noCriu, "checkpoint", "c1")
	o.fails(1, `namespace "user" is not supported`, "checkpoint", "--empty-ns", "user", "c1")
	if o.state()["status"] != "running" {
		t.Error("a checkpoint that fails ends the container")
	}
	o.ok("kill", "c1", "9")
	o.awaitStatus("stopped")
	o.fails(1, "Container cannot be checkpointed in stopped state", "checkpoint", "c1")
	o.ok("delete", "c1")

	// What fails leaves no container: newOCI looks.
	o.fails(1, noCriu, "restore", "-d", "c1")
	o.fails(1, "invalid container ID format", "restore", "-d", "a/b")
	o.fails(1, "chdir /nonexistent: no such file or directory", "restore", "--bundle", "/nonexistent", "c1")
	if _, err := os.Stat(filepath.Join(o.bundle, "checkpoint")); err == nil {
		t.Error("an image directory is left, without images")
	}
}

// newCounter is a container that counts in a variable of its shell and writes
// each number to a file. It has no descriptor from outside.
func newCounter(t *testing.T) (o *ociRuntime, count func() int) {
	t.Helper()
	o = newSaved(t, `exec </dev/null >/dev/null 2>&1; `+counting)
	return o, o.counted
}

// counting counts in a file of the container's.
const counting = `i=0; while :; do i=$((i+1)); echo $i >/tmp/new; busybox mv /tmp/new /tmp/n; sleep 0.02; done`

// newSaved is newOCI for a container that CRIU saves.
func newSaved(t *testing.T, script string) *ociRuntime {
	t.Helper()
	o := newOCI(t, script)
	if rung.Current() == rung.Native {
		t.Skip("CRIU needs capabilities and /proc files that the native rung lacks; bin/rung vm has them")
	}
	if _, err := exec.LookPath("criu"); err != nil {
		t.Fatalf("%v: make deps installs it", err)
	}
	o.configure(func(s *specs.Spec) { s.Root.Readonly = false })
	return o
}

// counted is how far a container that counts has come.
func (o *ociRuntime) counted() int {
	o.t.Helper()
	b, err := os.ReadFile(filepath.Join(o.bundle, "rootfs/tmp/n"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		o.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// criu runs checkpoint or restore, and shows CRIU's log if it fails.
func (o *ociRuntime) criu(args ...string) {
	o.t.Helper()
	r := o.call(args...)
	if r.code == 0 && r.stderr == "" {
		return
	}
	_ = filepath.WalkDir(filepath.Dir(o.bundle), func(path string, _ os.DirEntry, _ error) error {
		if strings.HasSuffix(path, ".log") {
			b, _ := os.ReadFile(path)
			o.t.Logf("%s:\n%s", path, b[max(0, len(b)-6000):])
		}
		return nil
	})
	o.t.Fatalf("podrt %q = %+v", args, r)
}

func TestOCICheckpointRestore(t *testing.T) {
	o, count := newCounter(t)
	dir := t.TempDir()
	images := []string{"--image-path", filepath.Join(dir, "images"), "--work-path", filepath.Join(dir, "work")}
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })

	// The container goes on after a checkpoint that leaves it running.
	o.criu("checkpoint", "--leave-running", "--image-path", filepath.Join(dir, "first"), "c1")
	at := count()
	eventually(t, "the count goes on", func() bool { return count() > at+2 })

	for range 2 {
		o.criu(append(append([]string{"checkpoint"}, images...), "c1")...)
		o.fails(1, "container does not exist", "state", "c1")
		at = count()
		pidFile := filepath.Join(dir, "pid")
		o.criu(append(append([]string{"restore", "-d", "--pid-file", pidFile, "--bundle", o.bundle}, images...), "c1")...)
		if n := count(); n < at {
			t.Errorf("count after the restore = %d; want it to go on from %d", n, at)
		}
		eventually(t, "the count goes on", func() bool { return count() > at+2 })
		s := o.state()
		if pid, ok := s["pid"].(float64); !ok || s["status"] != "running" || o.readFile(pidFile) != strconv.Itoa(int(pid)) {
			t.Errorf("state = %v, pid file %s", s, o.readFile(pidFile))
		}
		if out := o.ok("exec", "c1", "readlink", "/proc/1/exe"); out != "/bin/busybox\n" {
			t.Errorf("init's executable = %q; want /bin/busybox", out)
		}
	}
	o.ok("delete", "--force", "c1")
}

// A restored container that podrt stays with gives its status, and is deleted.
func TestOCIRestoreForeground(t *testing.T) {
	o, count := newCounter(t)
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	o.criu("checkpoint", "c1") // ./checkpoint of the bundle
	at := count()
	cmd := o.command("restore", "c1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the count goes on", func() bool { return count() > at })
	o.ok("kill", "c1", "KILL")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 137 {
		t.Errorf("restore ends with %v; want exit status 137", err)
	}
	o.fails(1, "container does not exist", "state", "c1")
}

// Pre-dumps save memory while the container runs; the checkpoint on top of
// them saves what has changed since.
func TestOCIPreDump(t *testing.T) {
	o, count := newCounter(t)
	dir := t.TempDir()
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	o.criu("checkpoint", "--pre-dump", "--image-path", filepath.Join(dir, "parent"), "c1")
	at := count()
	eventually(t, "the count goes on", func() bool { return count() > at })
	o.fails(1, "--parent-path must be relative", "checkpoint", "--parent-path", "/x", "--image-path", filepath.Join(dir, "image"), "c1")
	o.fails(1, "invalid --parent-path: stat "+filepath.Join(dir, "none")+": no such file or directory", "checkpoint", "--parent-path", "../none", "--image-path", filepath.Join(dir, "image"), "c1")
	o.criu("checkpoint", "--parent-path", "../parent", "--image-path", filepath.Join(dir, "image"), "c1")
	at = count()
	o.criu("restore", "-d", "--image-path", filepath.Join(dir, "image"), "c1")
	eventually(t, "the count goes on", func() bool { return count() > at })
	o.ok("delete", "--force", "c1")
}

// CRIU's own configuration file, which an annotation names, comes before flags:
// a container that it leaves running is not deleted. What cannot be restored
// leaves no container.
func TestOCICriuConfig(t *testing.T) {
	o, count := newCounter(t)
	dir := t.TempDir()
	conf, images := filepath.Join(dir, "criu.conf"), filepath.Join(dir, "images")
	write(t, conf, "leave-running\n")
	o.configure(func(s *specs.Spec) { s.Annotations = map[string]string{"org.criu.config": conf} })
	o.ok("run", "-d", "c1")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	if r := o.call("checkpoint", "--image-path", images, "c1"); r.code != 0 {
		t.Fatalf("checkpoint = %+v; want exit code 0", r)
	}
	at := count()
	eventually(t, "the count goes on", func() bool { return count() > at })
	o.ok("delete", "--force", "c1")

	for _, image := range []string{"core-1.img", "inventory.img"} {
		if err := os.Remove(filepath.Join(images, image)); err != nil {
			t.Fatal(err)
		}
		if r := o.call("restore", "-d", "--image-path", images, "c1"); r.code != 1 || !strings.Contains(r.stderr, "criu failed: type RESTORE") {
			t.Errorf("restore without %q = %+v; want exit code 1 and CRIU's failure", image, r)
		}
		o.fails(1, "container does not exist", "state", "c1")
	}
	o.fails(1, "open /nonexistent: no such file or directory", "restore", "-d", "--image-path", "/nonexistent", "c1")
}

// CRIU takes the options of the whole cgroup2 hierarchy away while it works; of
// two at once the second finds none. The leak check looks at them.
func TestOCICheckpointTwo(t *testing.T) {
	o, count := newCounter(t)
	o.ok("run", "-d", "c1")
	o.configure(func(s *specs.Spec) { s.Process.Args[2] = "exec </dev/null >/dev/null 2>&1; sleep 1000" })
	o.ok("run", "-d", "c2")
	eventually(t, "the count begins", func() bool { return count() > 2 })
	dir := t.TempDir()
	first := make(chan ociResult, 1)
	go func() {
		first <- o.finish(o.command("checkpoint", "--leave-running", "--image-path", filepath.Join(dir, "c1"), "c1"))
	}()
	// It has begun to write, and so has mounted.
	eventually(t, "the first checkpoint", func() bool {
		images, _ := filepath.Glob(filepath.Join(dir, "c1", "*.img"))
		return len(images) > 0 || len(first) > 0
	})
	o.criu("checkpoint", "--leave-running", "--image-path", filepath.Join(dir, "c2"), "c2")
	if r := <-first; r.code != 0 {
		t.Errorf("the first checkpoint: %+v", r)
	}
	for _, id := range []string{"c1", "c2"} {
		o.ok("delete", "--force", id)
	}
}
