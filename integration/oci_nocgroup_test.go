package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

// With --cgroup-manager disabled, as podman has it for --cgroups=disabled, the
// container's processes stay in the caller's cgroup, and none is made.
func TestOCINoCgroup(t *testing.T) {
	o := newOCI(t, "trap 'exit 3' TERM; sleep 1000 & wait")
	o.configure(func(s *specs.Spec) {
		withoutNamespace(s, specs.CgroupNamespace)
		// These are nobody's: there is no cgroup to set them on.
		limit := int64(7)
		s.Linux.CgroupsPath = "/not/made"
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}, Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	})
	own := cgroupOf(t, os.Getpid())
	before, err := rung.Take()
	if err != nil {
		t.Fatal(err)
	}
	o.ok("--cgroup-manager", "disabled", "create", "--pid-file", "pid", "c1")
	pid, err := strconv.Atoi(o.readFile(o.bundle + "/pid"))
	if err != nil {
		t.Fatal(err)
	}
	o.ok("start", "c1")
	if got := cgroupOf(t, pid); got != own {
		t.Errorf("the container's cgroup is %q; want %q, the caller's", got, own)
	}
	after, err := rung.Take()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(before.Diff(after)) {
		if strings.Contains(line, " cgroup /") {
			t.Errorf("while it runs: %s; want no cgroup to be made", line)
		}
	}
	if got := o.ok("exec", "c1", "sh", "-c", "while read line; do case $line in 0::*) echo $line; esac; done < /proc/self/cgroup"); "/sys/fs/cgroup"+strings.TrimPrefix(strings.TrimSpace(got), "0::") != own {
		t.Errorf("exec: cgroup %q; want %q", got, own)
	}
	o.ok("kill", "c1", "TERM")
	o.awaitStatus("stopped")
	o.ok("delete", "c1")

	o.ok("--cgroup-manager=disabled", "run", "-d", "c1")
	o.ok("delete", "--force", "c1")
	o.fails(1, "cannot restore the container without a cgroup", "--cgroup-manager=disabled", "restore", "-d", "c1")
}

// The controllers that the root cgroup enables stay as they are.
func TestOCINoCgroupControllers(t *testing.T) {
	o := newNoCgroup(t, "true")
	const file = "/sys/fs/cgroup/cgroup.subtree_control"
	enabled := o.readFile(file)
	for controller := range strings.FieldsSeq(enabled) {
		// What is in use further down cannot be disabled.
		if os.WriteFile(file, []byte("-"+controller), 0) == nil {
			t.Cleanup(func() {
				if err := os.WriteFile(file, []byte("+"+controller), 0); err != nil {
					t.Error(err)
				}
			})
		}
	}
	want := o.readFile(file)
	if want == o.readFile("/sys/fs/cgroup/cgroup.controllers") {
		t.Skip("no controller can be disabled")
	}
	o.ok("run", "c1")
	if got := o.readFile(file); got != want {
		t.Errorf("controllers of the root cgroup = %q; want %q, as before", got, want)
	}
}

// newNoCgroup is newOCI with containers that have no cgroup.
func newNoCgroup(t *testing.T, script string) *ociRuntime {
	o := newOCI(t, script)
	o.global = []string{"--cgroup-manager", "disabled"}
	return o
}

// A container without a cgroup stays in its creator's, and all that does not
// take a cgroup works; what does is refused.
func TestOCINoCgroupVerbs(t *testing.T) {
	o := newNoCgroup(t, "sleep 1000 & sleep 1000; true")
	o.ok("create", "c1")
	if got := o.state()["status"]; got != "created" {
		t.Errorf("status = %v; want created", got)
	}
	// The verbs that follow have no flag: what was saved counts.
	o.global = nil
	o.ok("start", "c1")
	pid := int(o.state()["pid"].(float64))
	if got, want := o.readFile("/proc/"+strconv.Itoa(pid)+"/cgroup"), o.readFile("/proc/self/cgroup"); got != want {
		t.Errorf("container in %q; want the creator's cgroup %q", got, want)
	}
	var pids []int
	eventually(t, "three processes", func() bool {
		if err := json.Unmarshal([]byte(o.ok("ps", "--format", "json", "c1")), &pids); err != nil {
			t.Fatal(err)
		}
		return len(pids) == 3
	})
	if !slices.Contains(pids, pid) || slices.Contains(pids, os.Getpid()) {
		t.Errorf("ps = %v; want the init %d in it, and nobody else's process", pids, pid)
	}
	if out := o.ok("exec", "c1", "cat", "/proc/self/cgroup"); !strings.HasPrefix(out, "0::") && !strings.Contains(out, "\n0::") {
		t.Errorf("exec: /proc/self/cgroup = %q", out)
	}
	o.fails(1, "cannot pause the container without a cgroup", "pause", "c1")
	o.fails(1, "cannot update the container without a cgroup", "update", "--pids-limit", "9", "c1")
	o.fails(1, "cannot checkpoint the container without a cgroup", "checkpoint", "c1")
	o.fails(1, "cannot watch the container without a cgroup", "events", "--stats", "c1")
	if got := o.state()["status"]; got != "running" {
		t.Errorf("status = %v; want running", got)
	}
	o.ok("kill", "c1", "KILL")
	o.awaitStatus("stopped")
	o.fails(1, "container not running", "kill", "c1", "TERM")
	o.ok("delete", "c1")

	o.global = []string{"--cgroup-manager", "disabled"}
	for _, reach := range [][]string{{"create", "c1"}, {"run", "-d", "c1"}} {
		o.ok(reach...)
		o.ok("delete", "--force", "c1")
	}
	o.configure(func(s *specs.Spec) { s.Process.Args = []string{"sh", "-c", "exit 7"} })
	if r := o.call("run", "c1"); r.code != 7 || r.stderr != "" {
		t.Errorf("run = %d, %q; want 7", r.code, r.stderr)
	}
}

// In the host's PID namespace only the init is known to be the container's.
func TestOCINoCgroupHostPID(t *testing.T) {
	o := newNoCgroup(t, "exec sleep 1000")
	o.configure(func(s *specs.Spec) { withoutNamespace(s, specs.PIDNamespace) })
	if r := o.call("run", "-d", "c1"); r.code != 0 {
		t.Fatalf("run: %s", r.stderr)
	}
	pid := int(o.state()["pid"].(float64))
	if got, want := o.ok("ps", "-f", "json", "c1"), "["+strconv.Itoa(pid)+"]\n"; got != want {
		t.Errorf("ps = %q; want %q", got, want)
	}
	o.ok("kill", "c1", "KILL")
	o.awaitStatus("stopped")
	o.ok("delete", "c1")
	if r := o.call("run", "-d", "c1"); r.code != 0 {
		t.Fatalf("run: %s", r.stderr)
	}
	o.ok("delete", "--force", "c1")
}

func TestOCINoCgroupRefuses(t *testing.T) {
	o := newNoCgroup(t, "true")
	dir := t.TempDir()
	pods := []string{"--pod-root", filepath.Join(dir, "run"), "--lib-root", filepath.Join(dir, "lib"), "--log-root", filepath.Join(dir, "log")}
	t.Cleanup(func() { _ = exec.Command("umount", filepath.Join(dir, "run")).Run() })
	o.global = append(o.global, pods...)
	o.fails(1, `create pod "p": a pod needs a cgroup: cgroup manager "disabled"`, "pod", "create", "p")
	o.fails(1, `podrt create failed: --pod "p": a container in a pod needs a cgroup: cgroup manager "disabled"`, "create", "--pod", "p", "c1")
}
