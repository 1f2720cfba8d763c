package sandbox

import (
	"context"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/integration/rung"
)

// TestExecutionLate: a command whose start takes longer than it may take itself is
// ended when the next one comes.
func TestExecutionLate(t *testing.T) {
	rung.Privileged(t)
	root := t.TempDir()
	bundle, spec := busyboxBundle(t, "exec busybox sleep 1000")
	c, err := CreateContainer(ContainerConfig{Root: root, ID: "x", Bundle: bundle, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Spec: spec.Process}
	if err := c.RunInit(p); err != nil {
		t.Fatal(err)
	}
	process := *spec.Process
	e := &execution{c: c, spec: &process, leaf: cgroups.Path(c.CgroupPath()), group: "_liveness"}

	process.Args = []string{"/bin/busybox", "sleep", "1000"}
	syscall.ForkLock.RLock() // nothing starts meanwhile
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if a := e.run(short); a.ok || a.message != "timed out" {
		t.Errorf("run = %+v; want it timed out", a)
	}
	syscall.ForkLock.RUnlock()
	<-e.started
	process.Args = []string{"/bin/busybox", "true"}
	if a := e.run(patience(t)); !a.ok {
		t.Errorf("the next run = %+v; want it to succeed", a)
	}

	if err := c.Signal(unix.SIGKILL, true); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(patience(t), false); err != nil {
		t.Fatal(err)
	}
}
