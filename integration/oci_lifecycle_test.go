package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestOCILifecycle(t *testing.T) {
	o := newOCI(t, "echo began > /tmp/file; sleep 1000")
	o.configure(func(s *specs.Spec) {
		s.Root.Readonly = false
		s.Annotations = map[string]string{"a": "b"}
	})
	began := filepath.Join(o.bundle, "rootfs", "tmp", "file")
	pidFile := filepath.Join(t.TempDir(), "pid")

	o.ok("create", "--bundle", o.bundle, "--pid-file", pidFile, "c1")
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatalf("pid file: %v", err)
	}
	out := o.ok("state", "c1")
	want := fmt.Sprintf(`^{
  "ociVersion": "%s",
  "id": "c1",
  "pid": %d,
  "status": "created",
  "bundle": "%s",
  "rootfs": "%s/rootfs",
  "created": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z",
  "annotations": {
    "a": "b"
  },
  "owner": ""
}$`, regexp.QuoteMeta(specs.Version), pid, regexp.QuoteMeta(o.bundle), regexp.QuoteMeta(o.bundle))
	if !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("state prints %s; want %s", out, want)
	}
	if _, err := os.Stat(began); err == nil {
		t.Error("the command ran before start")
	}

	o.ok("start", "c1")
	o.awaitStatus("running")
	eventually(t, "the command runs", func() bool { _, err := os.Stat(began); return err == nil })
	o.fails(1, "cannot start an already running container", "start", "c1")
	o.fails(1, "cannot delete container c1 that is not stopped: running", "delete", "c1")

	o.ok("pause", "c1")
	if got := o.state()["status"]; got != "paused" {
		t.Errorf("status = %v; want paused", got)
	}
	o.fails(1, "cannot start a container in the paused state", "start", "c1")
	o.fails(255, "exec failed: cannot exec in a paused container (use --ignore-paused to override)", "exec", "c1", "true")
	o.ok("resume", "c1")
	o.fails(1, "container not paused", "resume", "c1")

	o.ok("kill", "c1", "KILL")
	o.awaitStatus("stopped")
	if got := o.state()["pid"]; got != 0.0 {
		t.Errorf("pid of a stopped container = %v; want 0", got)
	}
	o.fails(1, "container not running", "kill", "c1", "9")
	o.ok("kill", "--all", "c1", "9")
	o.fails(1, "cannot start a container that has stopped", "start", "c1")
	o.fails(255, "exec failed: cannot exec in a stopped container", "exec", "c1", "true")
	o.fails(1, "container not running", "pause", "c1")

	o.ok("delete", "c1")
	for _, args := range [][]string{{"state", "c1"}, {"delete", "c1"}, {"kill", "c1", "9"}, {"start", "c1"}, {"pause", "c1"}, {"ps", "c1"}} {
		o.fails(1, "container does not exist", args...)
	}
	o.fails(255, "exec failed: container does not exist", "exec", "c1", "true")
	o.ok("delete", "--force", "c1")
}

func TestOCIConcurrentCreates(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	const n = 8
	outcome, logs := make([]string, 2*n), t.TempDir()
	var wg sync.WaitGroup
	for i := range outcome {
		wg.Go(func() {
			// Two callers for each id.
			log := filepath.Join(logs, strconv.Itoa(i))
			err := exec.Command(o.bin, "--root", o.root, "--log", log, "run", "-d", "-b", o.bundle, "c"+strconv.Itoa(i%n)).Run()
			said, rerr := os.ReadFile(log)
			switch {
			case err == nil && len(said) == 0 && rerr == nil:
				outcome[i] = "made"
			case strings.Contains(string(said), "run failed: container with given ID already exists"):
				outcome[i] = "exists"
			default:
				outcome[i] = fmt.Sprintf("%v: %s", err, said)
			}
		})
	}
	wg.Wait()
	for i := range n {
		pair := []string{outcome[i], outcome[i+n]}
		slices.Sort(pair)
		if !slices.Equal(pair, []string{"exists", "made"}) {
			t.Errorf("two creations of c%d: %q; want one made, and for the other that it exists", i, pair)
		}
	}
	if got := strings.Count(o.ok("list", "-q"), "\n"); got != n {
		t.Errorf("%d containers are listed; want %d", got, n)
	}
	for i := range n {
		wg.Go(func() {
			if err := o.command("delete", "--force", "c"+strconv.Itoa(i)).Run(); err != nil {
				t.Errorf("delete c%d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// The processes of a container in the host's PID namespace outlive its init;
// SIGKILL reaches them, whether kill is told to hit all or not.
func TestOCIKillWithoutInit(t *testing.T) {
	o := newOCI(t, "sleep 1000 & sleep 1000 & exec sleep 1000")
	o.configure(func(s *specs.Spec) { withoutNamespace(s, specs.PIDNamespace) })
	for _, args := range [][]string{{"kill", "c1", "KILL"}, {"kill", "--all", "c1", "9"}, {"kill", "c1", "SIGKILL", "-a"}} {
		o.ok("run", "-d", "c1")
		pids := func() (pids []int) {
			if err := json.Unmarshal([]byte(o.ok("ps", "-f", "json", "c1")), &pids); err != nil {
				t.Fatal(err)
			}
			return pids
		}
		eventually(t, "three processes", func() bool { return len(pids()) == 3 })
		if err := unix.Kill(int(o.state()["pid"].(float64)), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		o.awaitStatus("stopped")
		if n := len(pids()); n != 2 {
			t.Errorf("%d processes are left by the init; want 2", n)
		}
		o.ok(args...)
		eventually(t, "no process", func() bool { return len(pids()) == 0 })
		o.ok("delete", "c1")
	}
}

// A container's cgroup is final when create returns: engines read it then.
func TestOCICgroup(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = "/podrt-test/oci" })
	o.ok("create", "c1")
	pid := int(o.state()["pid"].(float64))
	if got := o.readFile(fmt.Sprintf("/proc/%d/cgroup", pid)); !strings.HasSuffix(got, "/podrt-test/oci") {
		t.Errorf("cgroup of the init is %q", got)
	}
	o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = "/podrt-test/oci" })
	o.fails(1, "podrt create failed: container's cgroup is not empty: 1 process(es) found", "create", "c2")
	o.ok("delete", "c1")
	if _, err := os.Stat("/sys/fs/cgroup/podrt-test/oci"); err == nil {
		t.Error("the cgroup is left")
	}
	if err := os.Remove("/sys/fs/cgroup/podrt-test"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the parent, which is the caller's, cannot be removed: %v", err)
	}
}
