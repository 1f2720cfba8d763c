package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

func TestOwnPIDs(t *testing.T) {
	for json, want := range map[string]bool{
		`{"config":{"namespaces":[{"type":"NEWNET"},{"type":"NEWPID"}]}}`:    true,
		`{"config":{"namespaces":[{"type":"NEWPID","path":""}]}}`:            true,
		`{"config":{"namespaces":[{"type":"NEWPID","path":"/run/ns/pid"}]}}`: false,
		`{"config":{"namespaces":[{"type":"NEWNET"}]}}`:                      false,
		`{"config":{}}`:                      false,
		`{"namespaces":[{"type":"NEWPID"}]}`: false,
	} {
		if got := ownPIDs([]byte(json)); got != want {
			t.Errorf("ownPIDs(%s) = %v; want %v", json, got, want)
		}
	}
}

// SignalInit does what is plain and leaves all else to libcontainer.
func TestSignalInit(t *testing.T) {
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
	for _, id := range []string{"", ".", "..", "x/", "y"} {
		if SignalInit(root, id, unix.SIGKILL) {
			t.Errorf("SignalInit of %q = true; want false", id)
		}
	}
	if SignalInit(root, "x", 65) {
		t.Error("SignalInit with no such signal = true; want false")
	}
	if err := c.Pause(); err != nil {
		t.Fatal(err)
	}
	if SignalInit(root, "x", unix.SIGKILL) {
		t.Error("SignalInit of a paused container = true; want false")
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	if !SignalInit(root, "x", unix.SIGKILL) {
		t.Error("SignalInit of a running container = false; want true")
	}
	if ws, err := p.Wait(); err != nil || ws.Signal() != unix.SIGKILL {
		t.Errorf("the container ended with status %#x, %v; want killed", int(ws), err)
	}
	if SignalInit(root, "x", unix.SIGKILL) {
		t.Error("SignalInit of a stopped container = true; want false")
	}
	if err := c.Delete(patience(t), false); err != nil {
		t.Fatal(err)
	}
}
