package integration

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// What podrt processes do to each other, and to what only looks like theirs.

// TestPodPausedRefuses: what would wait for a frozen process is refused, and
// removal by force is not kept waiting.
func TestPodPausedRefuses(t *testing.T) {
	w := newWorld(t)
	dir := w.scripts(t, nil, "a", "exec sleep 1000")
	w.start(t, dir)
	name := w.inspect(t, "p").Name
	w.ok(t, "pod", "kill", name)
	w.ok(t, "pod", "pause", name)
	w.fails(t, 1, []string{`"p"`, "paused; resume it first"}, "pod", "start", name)
	w.fails(t, 1, []string{`"p"`, "paused; resume it first"}, "create", "--pod", name, "--bundle", w.bundle(t, bundle.Spec("true")), "x")
	w.ok(t, "pod", "rm", "-f", name)
}

// TestPodPausedExec: a container of a paused pod is paused, whatever its own
// cgroup says.
func TestPodPausedExec(t *testing.T) {
	w := newWorld(t)
	w.start(t, w.scripts(t, nil, "a", "exec sleep 1000"))
	w.ok(t, "pod", "pause", "p")
	w.fails(t, 255, []string{"cannot exec in a paused container"}, "pod", "exec", "p", "a", "true")
	if got := w.inspect(t, "p").container(t, "a").Status; got != "paused" {
		t.Errorf("status of a container in a paused pod: %q; want paused", got)
	}
}

// TestPodPsPrintable: what a container calls itself is no command for the terminal
// of who looks, and no further line.
func TestPodPsPrintable(t *testing.T) {
	w := newWorld(t)
	args := bundle.Spec("sh", "-c", "sleep 1000; :", "\x1b]0;title\a\u009b2J", "a\tb\nroot", "größe")
	w.start(t, w.podOf(t, nil, bundle.Container{Name: "a", Spec: args}))
	out := w.ok(t, "pod", "ps", "p").stdout
	if !strings.Contains(out, " sh -c sleep 1000; : ?]0;title??2J a?b?root größe\n") {
		t.Errorf("ps: %q", out)
	}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "CONTAINER ") && !strings.HasPrefix(line, "a ") {
			t.Errorf("ps: line %q is no process's", line)
		}
	}
}

// TestPodContainerPausedAndKilled: a frozen cgroup outlives its processes, which
// are not alive for that.
func TestPodContainerPausedAndKilled(t *testing.T) {
	w := newWorld(t)
	w.start(t, w.scripts(t, nil, "a", "exec sleep 1000"))
	info := w.inspect(t, "p")
	w.ok(t, "pause", info.UID+".a")
	w.ok(t, "pod", "kill", "p")
	if got := w.inspect(t, "p").Phase; got != "Failed" {
		t.Errorf("phase after the kill: %s; want Failed", got)
	}
	w.ok(t, "pod", "wait", "p")
	w.ok(t, "pod", "rm", "p")
}

// TestPodForeignContainer: an id that a pod has a record of, or wants, may be
// another's container. It is let alone.
func TestPodForeignContainer(t *testing.T) {
	w := newWorld(t)
	plain := w.bundle(t, bundle.Spec("sleep", "1000"))
	w.ok(t, "run", "-d", "--bundle", plain, "uid-1.a")
	running := func() {
		t.Helper()
		if out := w.ok(t, "state", "uid-1.a").stdout; !strings.Contains(out, `"status": "running"`) {
			t.Errorf("the plain container is not running any more: %s", out)
		}
	}
	w.fails(t, 125, []string{`"a"`, "already exists"}, "pod", "run", "-d", "--uid", "uid-1", w.scripts(t, nil, "a", "exec sleep 1000"))
	running()
	w.create(t, "q")
	w.fails(t, 1, []string{"already exists"}, "create", "--pod", "q", "--bundle", plain, "uid-1.a")
	running()
	// As a SIGKILL between a deletion and its note in the pod leaves it, once the
	// id is used again.
	record := filepath.Join(w.run, "pods", w.inspect(t, "q").UID, "containers", "uid-1.a")
	mkdir(t, record)
	writeJSON(t, filepath.Join(record, "container.json"), map[string]any{
		"name": "uid-1.a", "id": "uid-1.a", "root": filepath.Join(w.run, "containers"), "bundle": plain,
	})
	w.ok(t, "pod", "kill", "q")
	running()
	w.ok(t, "pod", "rm", "-f", "q")
	running()
	w.ok(t, "delete", "--force", "uid-1.a")
}

// TestPodForeignCgroup: the cgroup that a member names which has ended is somebody
// else's by now.
func TestPodForeignCgroup(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p")
	s := bundle.Spec("sleep", "1000")
	s.Linux.CgroupsPath = "/shared"
	dir := w.bundle(t, s)
	w.ok(t, "run", "-d", "--pod", "p", "--bundle", dir, "member")
	w.ok(t, "kill", "member", "KILL")
	eventually(t, "the member has ended", func() bool { return strings.Contains(w.ok(t, "state", "member").stdout, `"stopped"`) })
	w.ok(t, "run", "-d", "--bundle", dir, "plain")
	w.ok(t, "pod", "stop", "p")
	if out := w.ok(t, "state", "plain").stdout; !strings.Contains(out, `"running"`) {
		t.Errorf("the plain container is not running any more: %s", out)
	}
	w.ok(t, "delete", "--force", "plain")
	w.ok(t, "delete", "member")
}

// TestPodNameIsUID: a word names one pod.
func TestPodNameIsUID(t *testing.T) {
	w := newWorld(t)
	w.create(t, "a", "--uid", "u1")
	w.fails(t, 1, []string{`"u1"`, "UID of another pod"}, "pod", "create", "u1")
	w.fails(t, 1, []string{`"a"`, "name of another pod"}, "pod", "create", "--uid", "a", "b")
	w.create(t, "same", "--uid", "same")
}

// TestPodStopSignalRealTime: the stop signal of systemd's images, and those
// that there are not, which are no reason not to stop.
func TestPodStopSignalRealTime(t *testing.T) {
	w := newWorld(t)
	trap := bundle.Spec("/probe", "trap")
	trap.Annotations = map[string]string{"org.opencontainers.image.stopSignal": "SIGRTMIN+3"}
	odd := bundle.Spec("sleep", "1000")
	odd.Annotations = map[string]string{"org.opencontainers.image.stopSignal": "SIGNONSENSE"}
	far := bundle.Spec("sleep", "1000")
	far.Annotations = map[string]string{"org.opencontainers.image.stopSignal": "65"}
	w.start(t, w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 1}, bundle.Container{Name: "trap", Spec: trap},
		bundle.Container{Name: "odd", Spec: odd}, bundle.Container{Name: "far", Spec: far}))
	w.ok(t, "pod", "stop", "p")
	if got := w.inspect(t, "p").Phase; got != "Failed" {
		t.Errorf("phase: %s; want Failed: all were killed after their grace", got)
	}
	w.fails(t, 1, []string{`unknown signal "999"`}, "pod", "kill", "-s", "999", "p")
}

// TestPodRunEndsWithCaller: a foreground run takes its pod along when its
// terminal hangs up, when nobody reads its output any more, and when nobody
// reads it at all.
func TestPodRunEndsWithCaller(t *testing.T) {
	w := newWorld(t)
	gone := func(t *testing.T) {
		t.Helper()
		if left := w.left(); len(left) > 0 {
			t.Errorf("after the run there is %q", left)
		}
	}
	begin := func(t *testing.T, script string) (*exec.Cmd, *bufio.Reader, *os.File) {
		t.Helper()
		r, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		argv := w.argv("pod", "run", w.scripts(t, bundle.Pod{"terminationGracePeriodSeconds": 1}, "a", script))
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = out.Close()
		lines := bufio.NewReader(r)
		if line, err := lines.ReadString('\n'); err != nil || line != "a | ready\n" {
			t.Fatalf("output %q, %v; want it ready", line, err)
		}
		return cmd, lines, r
	}
	t.Run("hang-up", func(t *testing.T) {
		cmd, _, _ := begin(t, "echo ready; exec sleep 1000")
		if err := cmd.Process.Signal(unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		gone(t)
	})
	t.Run("closed output", func(t *testing.T) {
		cmd, _, r := begin(t, "echo ready; while :; do echo more; sleep 0.01; done")
		_ = r.Close()
		_ = cmd.Wait()
		gone(t)
	})
	t.Run("blocked output", func(t *testing.T) {
		cmd, _, _ := begin(t, "echo ready; exec yes")
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the pod is gone", func() bool { return len(w.left()) == 0 })
		// Now it waits for a reader, and for a signal.
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	})
}

// TestPodHostIPC: the host's POSIX shared memory comes with its IPC namespace.
func TestPodHostIPC(t *testing.T) {
	w := newWorld(t)
	const file = "/dev/shm/podrt-test-host-ipc"
	if err := os.WriteFile(file, []byte("of the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	dir := w.podOf(t, bundle.Pod{"host": []string{"ipc"}}, bundle.Container{
		Name: "a", Spec: bundle.Spec("cat", file), Member: map[string]any{"overlay": true},
	})
	if out := w.ok(t, "pod", "run", dir).stdout; out != "a | of the host\n" {
		t.Errorf("a container with the host's IPC reads %q", out)
	}
}
