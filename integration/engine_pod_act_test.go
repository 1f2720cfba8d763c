package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/podrt/podrt/cgroups"
)

// TestEnginePodPauseFails: a pause that fails for one container thaws what it
// has frozen, and not what the engine had paused before.
func TestEnginePodPauseFails(t *testing.T) {
	e := newEngine(t)
	pause := e.start(t, sandboxID, criSandbox(""))
	e.start(t, memberID, criContainer(memberID, "app", pause))
	lost := e.start(t, otherID, criContainer(otherID, "lost", pause))
	e.must(t, "pause", sandboxID)

	// It runs on, and its cgroup is gone. It moves to a leaf: a cgroup that
	// hands on a controller takes no process.
	elsewhere, err := cgroups.Path("/sys/fs/cgroup" + kubePods).CreateLeaf("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(elsewhere.Kill(), elsewhere.Remove(context.Background())); err != nil {
			t.Error(err)
		}
	})
	procs := filepath.Join(string(elsewhere), "cgroup.procs")
	if err := os.WriteFile(procs, []byte(strconv.Itoa(lost)), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove("/sys/fs/cgroup" + kubePods + "/" + otherID); err != nil {
		t.Fatal(err)
	}
	e.fails(t, 1, []string{`pause pod "default/web-0"`, "it has no cgroup of its own"}, "pod", "pause", "web-0")
	for id, want := range map[string]string{sandboxID: "paused", memberID: "running"} {
		if out := e.must(t, "state", id); !strings.Contains(out, `"`+want+`"`) {
			t.Errorf("after a pause that failed: %s; want it %s", out, want)
		}
	}
	e.must(t, "resume", sandboxID)
	kill(t, lost)
}

// TestEnginePodStranger: another container that has got the id of one of the
// pod's is not the pod's to act on.
func TestEnginePodStranger(t *testing.T) {
	e := newEngine(t)
	pause := e.start(t, sandboxID, criSandbox(""))
	e.start(t, memberID, criContainer(memberID, "app", pause))
	if out := e.ok(t, "pod", "exec", "web-0", "app", "hostname").stdout; out != "web-0\n" {
		t.Fatalf("hostname in the container: %q; want the pod's", out)
	}
	kept := filepath.Join(e.dir, "kept")
	if err := os.Rename(filepath.Join(e.root, memberID), kept); err != nil {
		t.Fatal(err)
	}
	stranger := criContainer(memberID, "app", pause)
	stranger.Annotations = nil
	stranger.Linux.CgroupsPath = kubePods + "/stranger"
	e.start(t, memberID, stranger)
	e.fails(t, 255, []string{"exec failed: container does not exist"}, "pod", "exec", "web-0", "app", "hostname")
	e.must(t, "exec", memberID, "true")
	e.must(t, "delete", "--force", memberID)
	if err := os.Rename(kept, filepath.Join(e.root, memberID)); err != nil {
		t.Fatal(err)
	}
}

// TestEnginePodGone: a container that is there longer than its sandbox is saved
// as any other.
func TestEnginePodGone(t *testing.T) {
	e := newEngine(t)
	pause := e.start(t, sandboxID, criSandbox(""))
	e.start(t, memberID, criContainer(memberID, "app", pause))
	e.must(t, "delete", "--force", sandboxID)
	r := e.command(t, e.argv("--root", e.root, "checkpoint", "--image-path", filepath.Join(e.dir, "images"), memberID), func(cmd *exec.Cmd) {
		cmd.Env = []string{"PATH=/nonexistent"} // so that CRIU is the first thing that is missing
	})
	if r.code != 1 || !strings.Contains(message(r), noCriu) {
		t.Errorf("checkpoint: %v; want exit code 1 and %q", r, noCriu)
	}
}
