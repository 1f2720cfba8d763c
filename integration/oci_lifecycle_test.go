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

func TestOCIExitCode(t *testing.T) {
	o := newOCI(t, "")
	for script, want := range map[string]int{"true": 0, "exit 1": 1, "exit 42": 42, "exit 255": 255, "kill -9 $$": 137, "kill -15 $$": 143} {
		o.configure(func(s *specs.Spec) {
			s.Process.Args[2] = script
			// The init of a PID namespace cannot be killed from inside.
			withoutNamespace(s, specs.PIDNamespace)
		})
		if r := o.call("run", "c1"); r.code != want || r.stderr != "" || r.log != "" {
			t.Errorf("run of %q: exit code %d, standard error %q, log %q; want %d and nothing", script, r.code, r.stderr, r.log, want)
		}
	}
}

func TestOCIRunKeep(t *testing.T) {
	o := newOCI(t, "exit 3")
	if r := o.call("run", "--keep", "c1"); r.code != 3 {
		t.Errorf("run --keep: exit code %d; want 3", r.code)
	}
	if got := o.state()["status"]; got != "stopped" {
		t.Errorf("status = %v; want stopped", got)
	}
	o.ok("delete", "c1")
}

func TestOCIList(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.fails(1, "open "+o.root+": no such file or directory", "list")
	if err := os.Mkdir(o.root, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := o.ok("list", "--format", "json"); got != "null\n" {
		t.Errorf("list of nothing = %q; want null", got)
	}
	o.ok("run", "-d", "c1")
	o.ok("create", "c2")
	if got := o.ok("list", "-q"); got != "c1\nc2\n" {
		t.Errorf("list -q = %q; want c1 and c2", got)
	}
	lines := strings.Split(o.ok("list"), "\n")
	if !regexp.MustCompile(`^ID +PID +STATUS +BUNDLE +CREATED +OWNER$`).MatchString(lines[0]) ||
		!regexp.MustCompile(`^c1 +\d+ +running +`+regexp.QuoteMeta(o.bundle)+` +20\S+Z +root$`).MatchString(lines[1]) ||
		!regexp.MustCompile(`^c2 +\d+ +created +`+regexp.QuoteMeta(o.bundle)+` +20\S+Z +root$`).MatchString(lines[2]) {
		t.Errorf("list prints %q", lines)
	}
	var all []struct{ ID, Status, Owner string }
	out := o.ok("list", "-f=json")
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 || all[0].Status != "running" || all[1].ID != "c2" || all[1].Owner != "root" {
		t.Errorf("list -f=json = %s, %v", out, err)
	}
	o.fails(1, "invalid format option", "list", "-f", "yaml")

	// One that cannot be read is told of, and the others are listed.
	if err := os.Mkdir(filepath.Join(o.root, "broken"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := o.call("list", "-q")
	if r.code != 0 || r.stdout != "c1\nc2\n" || r.stderr != "load container broken: container does not exist\n" {
		t.Errorf("list with a broken container = %+v", r)
	}
	for _, id := range []string{"c1", "c2", "broken"} {
		o.ok("delete", "--force", id)
	}
}

func TestOCIPs(t *testing.T) {
	o := newOCI(t, "sleep 1000 & sleep 1001 & wait")
	o.ok("run", "-d", "c1")
	var pids []int
	eventually(t, "three processes", func() bool {
		if err := json.Unmarshal([]byte(o.ok("ps", "--format", "json", "c1")), &pids); err != nil {
			t.Fatal(err)
		}
		return len(pids) == 3
	})
	if !slices.Contains(pids, int(o.state()["pid"].(float64))) {
		t.Errorf("ps = %v; the init is not in it", pids)
	}
	out := o.ok("ps", "c1")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "UID ") || !strings.Contains(out, "sleep 1001") {
		t.Errorf("ps prints %q", out)
	}
	out = o.ok("ps", "c1", "-e", "-o", "pid,comm")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 4 || !strings.Contains(lines[0], "COMMAND") {
		t.Errorf("ps -e -o pid,comm prints %q", out)
	}
	o.ok("delete", "-f", "c1")
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

func TestOCISpec(t *testing.T) {
	o := newOCI(t, "true")
	o.fails(1, "File config.json exists. Remove it first", "spec")
	dir := t.TempDir()
	o.ok("spec", "-b", dir, "--rootless")
	var s specs.Spec
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s.Version != specs.Version || !slices.ContainsFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == specs.UserNamespace }) {
		t.Errorf("spec --rootless writes %s", b)
	}
	o.fails(1, "chdir "+dir+"/missing: no such file or directory", "spec", "-b", dir+"/missing")
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
