package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Whatever a container is doing, delete --force removes it.
func TestOCIDeleteForce(t *testing.T) {
	o := newOCI(t, "trap '' TERM; sleep 1000 & sleep 1000")
	for name, reach := range map[string]func(){
		"running": func() { o.ok("run", "-d", "c1") },
		"paused":  func() { o.ok("run", "-d", "c1"); o.ok("pause", "c1") },
		"created": func() { o.ok("create", "c1") },
		"stopped": func() { o.ok("create", "c1"); o.ok("kill", "c1", "9"); o.awaitStatus("stopped") },
		"running in the host's PID namespace": func() {
			o.configure(func(s *specs.Spec) { withoutNamespace(s, specs.PIDNamespace) })
			o.ok("run", "-d", "c1")
		},
		"paused in the host's PID namespace": func() {
			o.configure(func(s *specs.Spec) { withoutNamespace(s, specs.PIDNamespace) })
			o.ok("run", "-d", "c1")
			o.ok("pause", "c1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := o.readFile(filepath.Join(o.bundle, "config.json"))
			defer func() {
				if err := os.WriteFile(filepath.Join(o.bundle, "config.json"), []byte(config), 0o644); err != nil {
					t.Error(err)
				}
			}()
			reach()
			o.ok("delete", "--force", "c1")
			o.fails(1, "container does not exist", "state", "c1")
		})
	}
	// A created one needs no force.
	o.ok("create", "c1")
	o.ok("delete", "c1")
}

// A cgroup that two containers name is the one's when the other has ended. To delete
// that one by force kills nothing of it.
func TestOCIDeleteForceSharedCgroup(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = "/shared" })
	o.ok("run", "-d", "c1")
	o.ok("kill", "c1", "KILL")
	o.awaitStatus("stopped")
	o.ok("run", "-d", "c2")
	o.fails(1, "unable to destroy container: unable to remove container's cgroup: rmdir /sys/fs/cgroup/shared: device or resource busy", "delete", "--force", "c1")
	if got := o.ok("state", "c2"); !strings.Contains(got, `"running"`) {
		t.Errorf("the other container: %s; want it running", got)
	}
	o.ok("delete", "--force", "c2")
	o.ok("delete", "c1")
}

// As a SIGKILL leaves it before there is a state, once the cgroup is another's.
func TestOCIDeleteHalfMadeSharedCgroup(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.configure(func(s *specs.Spec) { s.Linux.CgroupsPath = "/shared" })
	o.ok("create", "c1")
	o.ok("kill", "c1", "KILL")
	o.awaitStatus("stopped")
	if err := os.Remove(filepath.Join(o.root, "c1", "state.json")); err != nil {
		t.Fatal(err)
	}
	o.ok("run", "-d", "c2")
	o.ok("delete", "--force", "c1")
	if got := o.ok("state", "c2"); !strings.Contains(got, `"running"`) {
		t.Errorf("the other container: %s; want it running", got)
	}
	o.ok("delete", "--force", "c2")
}

// delete --force takes as long as the processes take to die. One tenth of a
// second more than a look at the state is what a runtime that sleeps before it
// looks takes at least; the best of several tries is not disturbed by what else
// the machine does.
func TestOCIDeleteForceDoesNotSleep(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	state, best := time.Hour, time.Hour
	for range 8 {
		o.ok("run", "-d", "c1")
		state = min(state, o.duration("state", "c1"))
		best = min(best, o.duration("delete", "--force", "c1"))
	}
	if best-state >= 90*time.Millisecond {
		t.Errorf("delete --force takes %v at best, state %v; want less than 90ms more", best, state)
	}
	t.Logf("delete --force takes %v at best, state %v", best, state)
}

// duration tells how long a command takes that succeeds.
func (o *ociRuntime) duration(args ...string) time.Duration {
	o.t.Helper()
	cmd := o.command(args...)
	began := time.Now()
	if err := cmd.Run(); err != nil {
		o.t.Fatalf("podrt %q: %v", args, err)
	}
	return time.Since(began)
}

// A creation that is killed at any instant leaves what delete --force removes.
func TestOCICreateKilled(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	whole := time.Hour
	for range 3 {
		whole = min(whole, o.duration("create", "c1"))
		o.ok("delete", "c1")
	}
	const steps = 50
	halfMade := 0
	for i := range steps {
		cmd := o.command("create", "c1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(whole * time.Duration(i) / steps) // the instant of the kill is what is varied
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := os.Stat(filepath.Join(o.root, "c1")); err == nil {
			if _, err := os.Stat(filepath.Join(o.root, "c1", "state.json")); err != nil {
				halfMade++
			}
		}
		o.ok("delete", "--force", "c1")
		if left, err := os.ReadDir(o.root); err == nil && len(left) > 0 {
			t.Fatalf("killed in step %d: %v is left", i, left)
		}
	}
	if halfMade == 0 {
		t.Error("no creation was cut short in the middle: the test tests nothing")
	}
	t.Logf("%d creations were cut short in the middle", halfMade)
	// The cgroup is free again.
	o.ok("create", "c1")
	o.ok("delete", "c1")
}
