package integration

import (
	"os/exec"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bench/count"
	"github.com/podrt/podrt/integration/rung"
)

// TestEnginePodCounts says what an engine's pod costs, from create to delete:
// system calls beside the 2320 of a plain container.
func TestEnginePodCounts(t *testing.T) {
	rung.Privileged(t)
	if rung.Current() != rung.Native {
		t.Skip("natively: without it, this takes ten times as long")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip(count.ErrNoStrace)
	}
	e := newEngine(t)
	// From create to delete, for strace waits for everything it traces.
	steady := func(id string, s *specs.Spec) int {
		t.Helper()
		s.Process.Args, s.Linux.CgroupsPath = []string{"sleep", "0.2"}, kubePods+"/"+id
		argv := e.argv("--root", e.root, "run", "--bundle", e.bundle(t, s), id)
		c, err := count.Strace(exec.Command(argv[0], argv[1:]...))
		if err != nil {
			t.Fatal(err)
		}
		return c.Steady()
	}
	plain := criSandbox("")
	plain.Annotations = nil
	pause := e.start(t, sandboxID, criSandbox("")) // makes what is made once, too
	calls := steady("plain", plain)
	other := criSandbox("")
	other.Annotations["io.kubernetes.cri.sandbox-id"] = "other"
	for _, c := range []struct {
		what  string
		calls int
		got   int
	}{
		{"a sandbox", 340, steady("other", other) - calls},
		{"a container beside one", 138, steady(memberID, criContainer(memberID, "app", pause)) - calls},
	} {
		t.Logf("%s: %d system calls more than for a plain container", c.what, c.got)
		if c.got > c.calls+30 {
			t.Errorf("%s: %d system calls more than for a plain container; want %d", c.what, c.got, c.calls)
		}
	}
}
