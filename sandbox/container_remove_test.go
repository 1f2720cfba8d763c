package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// A caller that made a container comes to remove it when somebody else has
// deleted it and made another of its id: that one is not touched while it runs.
func TestRemoveOfAnotherOne(t *testing.T) {
	rung.Privileged(t)
	bundle, spec := busyboxBundle(t, "busybox sleep 1000")
	s := &Store{RunRoot: t.TempDir(), ContainerRoot: t.TempDir()}
	run := func() (*Container, *Process) {
		c, err := CreateContainer(ContainerConfig{Root: s.ContainerRoot, ID: "x", Bundle: bundle, Spec: spec})
		if err != nil {
			t.Fatal(err)
		}
		p := &Process{Spec: spec.Process}
		if err := c.RunInit(p); err != nil {
			t.Fatal(err)
		}
		return c, p
	}
	first, p := run()
	if err := s.RemoveContainer(patience(t), "x", true); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(patience(t), first, false); !errors.Is(err, ErrNotExist) {
		t.Errorf("Remove of a deleted container: error %v; want %v", err, ErrNotExist)
	}

	second, p := run()
	if err := s.Remove(patience(t), first, false); !errors.Is(err, ErrRunning) {
		t.Errorf("Remove of an earlier container of the id: error %v; want %v", err, ErrRunning)
	}
	if status, err := second.Status(); err != nil || status != StatusRunning {
		t.Errorf("the later container is %q, %v; want running", status, err)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(patience(t), second, false); err != nil {
		t.Error(err)
	}
	assertEmpty(t, s.ContainerRoot)
}

// A podrt that was killed while it restored a container without a mount namespace
// has left the root file system bound in the state directory, which is then
// removed without what is in it.
func TestRemoveLeavesRoot(t *testing.T) {
	rung.Privileged(t)
	bundle, spec := busyboxBundle(t, "true")
	root := t.TempDir()
	c, err := CreateContainer(ContainerConfig{Root: root, ID: "x", Bundle: bundle, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(c.dir(), criuRoot)
	for _, err := range []error{
		os.WriteFile(filepath.Join(c.dir(), cgroup2OptionsFile), []byte("[]"), 0o600),
		os.Mkdir(at, 0o700),
		unix.Mount(filepath.Join(bundle, "rootfs"), at, "", unix.MS_BIND|unix.MS_REC, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := DeleteContainer(patience(t), root, "x", true); err != nil {
		t.Error(err)
	}
	assertEmpty(t, root)
	if _, err := os.Stat(filepath.Join(bundle, "rootfs/bin/busybox")); err != nil {
		t.Errorf("the container's root file system is gone with its state: %v", err)
	}
}
