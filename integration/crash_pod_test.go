package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// Scripts of containers: one that ends, one that fails the first time in its pod, one
// that stays and dies of SIGTERM.
const (
	ends  = "exit 0"
	tries = "for d in /disk /memory; do [ ! -d $d ] || [ -e $d/tried ] || { : > $d/tried; exit 1; }; done"
	stays = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"
)

// TestCrashPod kills the pod verbs, their monitor and the processes they start.
func TestCrashPod(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	ended := crashPod(t, a, "ended", ends)
	staying := crashPod(t, a, "staying", stays)
	again := crashPod(t, a, "again", tries, `"restartPolicy": "OnFailure", "restartBackOff": {"initialSeconds": 1},
		"initContainers": [{"name": "first"}, {"name": "side", "restartPolicy": "Always"}],`)
	shell(t, filepath.Join(again, "containers/first"), ends)
	shell(t, filepath.Join(again, "containers/side"), stays)
	full := []string{
		"pod", "create", "--share", "net,ipc,uts,pid", "--sysctl", "net.core.somaxconn=100", "--domainname", "d",
		"--volume", "memory:/m:memory", "--volume", "disk:/d", "--volume", a.dir + ":/h", "p",
	}
	a.makeRoots(t)
	detached := func(t *testing.T, a *arena) { a.ok(t, "pod", "run", "-d", staying) }
	stopped := func(t *testing.T, a *arena) {
		a.ok(t, "pod", "run", "-d", ended)
		a.ok(t, "pod", "wait", "p")
	}
	paused := func(t *testing.T, a *arena) {
		detached(t, a)
		a.ok(t, "pod", "pause", "p")
	}

	failing := crashPod(t, a, "failing", ends)
	config(func(s *specs.Spec) { s.Process.Args[0] = "/none" }, "two")(t, failing)
	step := 0
	crashed := func(t *testing.T, a *arena) {
		step += 37 // points all over the 370 or so of the run
		a.kill(t, killOrder{Target: mainProcess, At: 20 + step%340}, []string{"pod", "run", ended})
	}

	for _, c := range []crash{
		{name: "create", target: mainProcess, args: []string{"pod", "create", "p"}, check: wantKilled},
		{name: "create full", target: mainProcess, args: full, check: wantKilled, vm: true},
		{name: "create full, sandbox process", target: children, args: full, check: wantFailed},
		{name: "run", target: mainProcess, args: []string{"pod", "run", ended}, check: wantKilled},
		{name: "run, inits", target: children, args: []string{"pod", "run", ended}, check: wantFailed},
		{name: "run, all", target: everything, args: []string{"pod", "run", ended}, check: wantKilled},
		{name: "run again", target: mainProcess, args: []string{"pod", "run", again}, check: wantKilled},
		{name: "run again, inits", target: children, args: []string{"pod", "run", again}, check: wantFailedOrNot},
		{name: "run again, detached", target: monitor, args: []string{"pod", "run", "-d", again}, check: wantRunOrFailed},
		{name: "failing run", target: mainProcess, args: []string{"pod", "run", failing}, check: wantRefused},
		{name: "run detached", target: mainProcess, args: []string{"pod", "run", "-d", staying}, check: wantKilled},
		{name: "run detached, monitor", target: monitor, args: []string{"pod", "run", "-d", staying}, check: wantRunOrFailed},
		{name: "run detached, inits", target: children, args: []string{"pod", "run", "-d", staying}, check: wantRunOrFailed},
		{name: "start", target: mainProcess, prepare: stopped, args: []string{"pod", "start", "p"}, check: wantKilled},
		{name: "start, monitor", target: monitor, prepare: stopped, args: []string{"pod", "start", "p"}, check: wantStartAgain},
		{name: "stop", target: mainProcess, prepare: detached, args: []string{"pod", "stop", "p"}, check: wantKilled},
		{name: "pause", target: mainProcess, prepare: detached, args: []string{"pod", "pause", "p"}, check: wantKilled},
		{name: "resume", target: mainProcess, prepare: paused, args: []string{"pod", "resume", "p"}, check: wantKilled},
		{name: "update", target: mainProcess, prepare: detached, args: []string{"pod", "update", "-r", limitsFile(t, a, 5, "6"), "p"}, check: wantSettled},
		{name: "kill", target: mainProcess, prepare: detached, args: []string{"pod", "kill", "p"}, check: wantKilled},
		{name: "exec", target: mainProcess, prepare: detached, args: []string{"pod", "exec", "p", "one", "/bin/busybox", "true"}, check: wantKilled},
		{name: "rm", target: mainProcess, prepare: stopped, args: []string{"pod", "rm", "p"}, check: wantKilled},
		{name: "rm forced", target: mainProcess, prepare: detached, args: []string{"pod", "rm", "-f", "p"}, check: wantKilled, vm: true},
		{name: "rm paused", target: mainProcess, prepare: paused, args: []string{"pod", "rm", "-f", "p"}, check: wantKilled},
		{name: "rm after a killed run", target: mainProcess, prepare: crashed, args: []string{"pod", "rm", "-f", "p"}, check: wantKilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, a)
		})
	}
}

// wantRunOrFailed: who killed the monitor, or an init, after its work was done
// has a pod; before that the caller was told.
func wantRunOrFailed(t *testing.T, a *arena, k *killReport, r *result) {
	t.Helper()
	if r.code == 0 {
		succeed(t, a, "pod", "inspect", "p")
		return
	}
	if !k.Killed || strings.TrimSpace(r.stderr) == "" {
		t.Errorf("exit code %d with killed %t; want a message", r.code, k.Killed)
	}
}

// wantFailedOrNot: a container whose init was killed may be started again.
func wantFailedOrNot(t *testing.T, a *arena, k *killReport, r *result) {
	t.Helper()
	if r.code != 0 || !k.Killed {
		wantFailed(t, a, k, r)
	}
}

// wantRefused is wantKilled for a pod whose command is not found.
func wantRefused(t *testing.T, _ *arena, k *killReport, r *result) {
	t.Helper()
	want := 127
	if k.Killed {
		want = 128 + 9
	}
	if r.code != want {
		t.Errorf("exit code %d; want %d", r.code, want)
	}
}

// wantStartAgain: a pod whose start was cut short is not lost for it.
func wantStartAgain(t *testing.T, a *arena, _ *killReport, _ *result) {
	t.Helper()
	succeed(t, a, "pod", "start", "p")
	succeed(t, a, "pod", "wait", "p")
}

// TestCrashFirst kills the very first command, which makes the roots and the
// run root's own mount, below a mount that is shared, as systemd has them.
func TestCrashFirst(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	shared := filepath.Join(a.dir, "shared")
	peer := filepath.Join(a.dir, "peer")
	mkdir(t, shared, peer)
	mustMount(t, "tmpfs", shared, "tmpfs", 0, "")
	mustMount(t, "", shared, "", unix.MS_SHARED, "")
	mustMount(t, shared, peer, "", unix.MS_BIND, "")
	a.run = shared + "/run"
	remove := func(t *testing.T, a *arena) {
		succeed(t, a, "pod", "rm", "-f", "p")
		succeed(t, a, "pod", "create", "p")
		if p := propagation(t, a.run); p != "" {
			t.Errorf("mount %q is %s; want private", a.run, p)
		}
		succeed(t, a, "pod", "rm", "p")
		a.unmountRun(t)
		for _, dir := range []string{a.run, a.lib, a.log} {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		}
	}
	c := crash{name: "create", target: mainProcess, args: []string{"pod", "create", "p"}, check: wantKilled, remove: remove}
	c.run(t, a)
}

// propagation returns the optional fields of a mount in proc_pid_mountinfo(5):
// "shared:1"; empty for a private mount.
func propagation(t *testing.T, target string) string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for line := range strings.Lines(string(table)) {
		left, _, _ := strings.Cut(line, " - ")
		if f := strings.Fields(left); len(f) > 5 && f[4] == target {
			found = strings.Join(f[6:], " ") // the uppermost comes last
		}
	}
	return found
}

func mkdir(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// mustMount mounts, and unmounts at the test's end if it was a new mount.
func mustMount(t *testing.T, source, target, fstype string, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount(source, target, fstype, flags, options); err != nil {
		t.Fatalf("mount %q on %q: %v", source, target, err)
	}
	if flags&^unix.MS_BIND == 0 {
		t.Cleanup(func() {
			if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
				t.Errorf("umount %q: %v", target, err)
			}
		})
	}
}
