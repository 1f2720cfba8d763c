package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/integration/rung"
)

// TestExecutionFailure: that this process has no descriptors says nothing about a
// container.
func TestExecutionFailure(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE} {
		err := fmt.Errorf("unable to create sync pipe: %w", os.NewSyscallError("socketpair", errno))
		if a := failure(err); !errors.Is(a.err, err) || a.ok {
			t.Errorf("failure(%v) = %+v; want that it could not be asked", err, a)
		}
	}
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.ENOENT} {
		err := fmt.Errorf("unable to start container process: %w", errno)
		if a := failure(err); a.err != nil || a.ok || a.message != err.Error() {
			t.Errorf("failure(%v) = %+v; want that the command has failed", err, a)
		}
	}
}

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
