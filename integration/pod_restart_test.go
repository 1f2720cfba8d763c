package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// restarting are the members of a pod whose containers are started again: at once,
// and then after that many seconds.
func restarting(policy string, seconds int) bundle.Pod {
	return bundle.Pod{
		"restartPolicy":  policy,
		"restartBackOff": object{"initialSeconds": seconds, "maxSeconds": seconds},
	}
}

// TestPodRestartOnFailure: a container is started again until it succeeds, and the
// pod has succeeded then.
func TestPodRestartOnFailure(t *testing.T) {
	w := newWorld(t)
	r := w.podrt(t, "pod", "run", w.scripts(t, restarting("OnFailure", 1),
		"a", `echo run $$; echo >> /dev/shm/runs; [ $(wc -l < /dev/shm/runs) = 3 ]`,
		"b", "exit 0"))
	if r.code != 0 {
		t.Errorf("exit code %d; want 0: %v", r.code, r)
	}
	if want := strings.Repeat("a | run 1\n", 3); r.stdout != want {
		t.Errorf("output %q; want %q", r.stdout, want)
	}
	want := `container "a" exited with status 1, and is started again now
container "a" exited with status 1, and is started again in 1s
`
	if r.stderr != want {
		t.Errorf("standard error %q; want %q", r.stderr, want)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}
}

// TestPodRestartAlways: a container that was killed comes back into the same pod,
// beside the others, until the pod is stopped.
func TestPodRestartAlways(t *testing.T) {
	w := newWorld(t)
	dir := w.scripts(t, restarting("Always", 1000),
		"a", "echo up; hostname -s; exec sleep 1000",
		"b", "exec sleep 1000")
	uid := w.start(t, dir)
	log := func() string { return readFile(t, filepath.Join(w.log, uid, "a.log")) }
	eventually(t, "a is up", func() bool { return log() == "up\np\n" })
	before := w.inspect(t, "p")
	a, b := before.container(t, "a"), before.container(t, "b")
	if a.Restarts != 0 || a.LastExit != nil {
		t.Errorf("container before: %+v; want no restarts", a)
	}
	w.ok(t, "kill", a.ID, "KILL")
	eventually(t, "a is up again", func() bool { return log() == "up\np\nup\np\n" })
	after := w.inspect(t, "p")
	again := after.container(t, "a")
	if again.Restarts != 1 || again.Status != "running" || again.PID == a.PID || again.Exit != nil ||
		again.LastExit == nil || again.LastExit.Signal != "SIGKILL" || again.LastExit.RestartAt != nil {
		t.Errorf("container after: %+v, last exit %+v; want another process, and the end of the one before", again, again.LastExit)
	}
	if c := after.container(t, "b"); c.PID != b.PID || c.Restarts != 0 {
		t.Errorf("the other container: %+v; want it as it was, %+v", c, b)
	}
	if after.namespace("net") != before.namespace("net") || after.Phase != "Running" || !after.Monitored {
		t.Errorf("pod: %+v; want the one before", after)
	}
	table := rows(t, w.ok(t, "pod", "ls").stdout, "UID", "NAME", "PHASE", "CREATED", "CONTAINERS", "READY", "RESTARTS", "NETWORK", "ENGINE")
	if got := table["p"]; len(got) != 9 || got[4] != "2/2" || got[5] != "yes" || got[6] != "1" {
		t.Errorf("ls: %q; want one restart", got)
	}
	w.fails(t, 1, []string{`pod "p"`, "running", "stop the pod first or use force"}, "pod", "rm", "p")

	w.ok(t, "pod", "stop", "-t", "0", "p")
	info := w.inspect(t, "p")
	for _, name := range []string{"a", "b"} {
		info.container(t, name).wantExit(t, 137, "signal", "SIGKILL")
		if at := info.container(t, name).Exit.RestartAt; at != nil {
			t.Errorf("container %q of a stopped pod is started again at %v", name, at)
		}
	}
	if info.Phase != "Failed" || info.Monitored {
		t.Errorf("stopped pod: phase %s, monitored %t; want Failed, and no monitor", info.Phase, info.Monitored)
	}

	w.ok(t, "pod", "start", "p")
	eventually(t, "a is up once more", func() bool { return strings.Count(log(), "up\n") == 3 })
	if c := w.inspect(t, "p").container(t, "a"); c.Restarts != 0 || c.LastExit != nil {
		t.Errorf("container after pod start: %+v; want it counted anew", c)
	}
	// It is restartable again.
	w.ok(t, "kill", a.ID, "KILL")
	eventually(t, "a is up for the fourth time", func() bool { return strings.Count(log(), "up\n") == 4 })
	w.ok(t, "pod", "kill", "p")
	if info := w.inspect(t, "p"); info.Phase != "Failed" || info.Monitored {
		t.Errorf("killed pod: phase %s, monitored %t; want Failed, and no monitor", info.Phase, info.Monitored)
	}
	w.ok(t, "pod", "rm", "p")
}

// crashLoop starts a pod whose container "a" has failed twice and waits for a long
// time to be started again, and "b" has succeeded.
func (w *world) crashLoop(t *testing.T) (uid, dir string) {
	t.Helper()
	dir = w.scripts(t, restarting("OnFailure", 1000), "a", "echo up; exit 3", "b", "exit 0")
	uid = w.start(t, dir)
	eventually(t, "a waits", func() bool {
		x := w.inspect(t, "p").container(t, "a").Exit
		return x != nil && x.RestartAt != nil && x.RestartAt.Sub(x.FinishedAt) > time.Minute
	})
	eventually(t, "b has ended", func() bool { return w.inspect(t, "p").container(t, "b").Status == "stopped" })
	return uid, dir
}

// TestPodRestartBackOff: what can be done with a pod whose containers wait to be
// started again.
func TestPodRestartBackOff(t *testing.T) {
	w := newWorld(t)
	gone := func(t *testing.T, dir string, began time.Time) {
		t.Helper()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("that took %v", took)
		}
		// It has let go of the pod, and ends.
		eventually(t, "the monitor has gone", func() bool { return len(monitors(t, dir)) == 0 })
	}
	t.Run("seen", func(t *testing.T) {
		uid, _ := w.crashLoop(t)
		info := w.inspect(t, "p")
		a, b := info.container(t, "a"), info.container(t, "b")
		if info.Phase != "Running" || !info.Monitored || a.Status != "stopped" || a.Restarts != 1 || a.Exit.ExitCode != 3 {
			t.Errorf("pod %+v; want it running, with a stopped container that was started again once", info)
		}
		if wait := a.Exit.RestartAt.Sub(a.Exit.FinishedAt); wait != 1000*time.Second {
			t.Errorf("it waits for %v; want 1000 s", wait)
		}
		if b.Exit == nil || b.Exit.RestartAt != nil || b.Restarts != 0 {
			t.Errorf("container that has succeeded: %+v; want it to stay so", b)
		}
		if log := readFile(t, filepath.Join(w.log, uid, "a.log")); log != "up\nup\n" {
			t.Errorf("log %q; want two runs", log)
		}
		w.fails(t, 1, []string{`pod "p"`, `"OnFailure"`, "running"}, "pod", "rm", "p")
		w.ok(t, "pod", "start", "p") // it runs
		if again := w.inspect(t, "p").container(t, "a"); again.Restarts != 1 || again.Exit == nil {
			t.Errorf("container after pod start: %+v; want it to wait", again)
		}
		w.ok(t, "pod", "rm", "-f", "p")
	})
	t.Run("stop", func(t *testing.T) {
		uid, dir := w.crashLoop(t)
		began := time.Now()
		w.ok(t, "pod", "stop", "p")
		gone(t, dir, began)
		info := w.inspect(t, "p")
		a := info.container(t, "a")
		if info.Phase != "Failed" || a.Exit == nil || a.Exit.ExitCode != 3 || a.Exit.RestartAt != nil {
			t.Errorf("stopped: %+v, exit %+v; want it failed, and not to be started again", info, a.Exit)
		}
		if out := sortedLines(w.ok(t, "pod", "wait", "p").stdout); strings.Join(out, ",") != "a 3 exit,b 0 exit" {
			t.Errorf("wait: %q", out)
		}
		w.ok(t, "pod", "start", "p")
		eventually(t, "it runs again", func() bool {
			return strings.Count(readFile(t, filepath.Join(w.log, uid, "a.log")), "up\n") == 4
		})
		w.ok(t, "pod", "rm", "-f", "p")
	})
	t.Run("kill", func(t *testing.T) {
		_, dir := w.crashLoop(t)
		began := time.Now()
		w.ok(t, "pod", "kill", "p")
		gone(t, dir, began)
		w.ok(t, "pod", "rm", "p")
	})
	t.Run("remove", func(t *testing.T) {
		_, dir := w.crashLoop(t)
		began := time.Now()
		w.ok(t, "pod", "rm", "-f", "p")
		gone(t, dir, began)
	})
	t.Run("monitor asked to end", func(t *testing.T) {
		_, dir := w.crashLoop(t)
		began := time.Now()
		signalMonitor(t, dir, unix.SIGTERM)
		gone(t, dir, began)
		if info := w.inspect(t, "p"); info.Phase != "Failed" || info.container(t, "a").Exit.RestartAt != nil {
			t.Errorf("without its monitor: %+v; want it failed", info)
		}
		w.ok(t, "pod", "rm", "p")
	})
	t.Run("monitor killed", func(t *testing.T) {
		uid, dir := w.crashLoop(t)
		signalMonitor(t, dir, unix.SIGKILL)
		eventually(t, "the monitor has gone", func() bool { return !w.inspect(t, "p").Monitored })
		info := w.inspect(t, "p")
		if a := info.container(t, "a"); info.Phase != "Failed" || a.Exit == nil || a.Exit.RestartAt != nil {
			t.Errorf("without its monitor: %+v; want it failed, and nobody to start it again", info)
		}
		w.ok(t, "pod", "start", "p")
		eventually(t, "it runs again", func() bool {
			return strings.Count(readFile(t, filepath.Join(w.log, uid, "a.log")), "up\n") == 4
		})
		w.ok(t, "pod", "rm", "-f", "p")
	})
}

func signalMonitor(t *testing.T, dir string, sig unix.Signal) {
	t.Helper()
	m := monitors(t, dir)
	var pid int
	if len(m) != 1 {
		t.Fatalf("monitors %q; want one", m)
	}
	if _, err := fmt.Sscan(m[0], &pid); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// TestPodRestartPaused: nothing is started in a paused pod, and all that waited for
// it then.
func TestPodRestartPaused(t *testing.T) {
	w := newWorld(t)
	uid := w.start(t, w.scripts(t, restarting("Always", 2), "a", "echo up; exit 3", "b", "exec sleep 1000"))
	eventually(t, "a waits", func() bool {
		a := w.inspect(t, "p").container(t, "a")
		return a.Restarts > 0 && a.Exit != nil && a.Exit.RestartAt != nil
	})
	w.ok(t, "pod", "pause", "p")
	runs := strings.Count(readFile(t, filepath.Join(w.log, uid, "a.log")), "up\n")
	at := w.inspect(t, "p").container(t, "a").Exit.RestartAt
	time.Sleep(time.Until(*at) + 500*time.Millisecond)
	info := w.inspect(t, "p")
	if a := info.container(t, "a"); info.Phase != "Paused" || a.Exit == nil || a.Exit.RestartError != "" {
		t.Errorf("paused: phase %s, container %+v; want it to wait", info.Phase, a)
	}
	if now := strings.Count(readFile(t, filepath.Join(w.log, uid, "a.log")), "up\n"); now != runs {
		t.Errorf("%d runs in a paused pod; want %d as before", now, runs)
	}
	w.ok(t, "pod", "resume", "p")
	eventually(t, "a is started again", func() bool {
		return strings.Count(readFile(t, filepath.Join(w.log, uid, "a.log")), "up\n") > runs
	})
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestPodRestartFails: what keeps a container from being started again is said, and
// does not end the attempts.
func TestPodRestartFails(t *testing.T) {
	w := newWorld(t)
	dir := w.scripts(t, restarting("Always", 1), "a", "echo up; exec sleep 1000")
	uid := w.start(t, dir)
	log := func() string { return readFile(t, filepath.Join(w.log, uid, "a.log")) }
	eventually(t, "a is up", func() bool { return log() == "up\n" })
	file := filepath.Join(dir, "containers/a/config.json")
	good := readFile(t, file)
	var spec map[string]any
	if err := json.Unmarshal([]byte(good), &spec); err != nil {
		t.Fatal(err)
	}
	spec["process"].(map[string]any)["args"] = []string{"/no/such/command"}
	writeJSON(t, file, spec)
	w.ok(t, "kill", w.inspect(t, "p").container(t, "a").ID, "KILL")
	eventually(t, "it says why", func() bool {
		x := w.inspect(t, "p").container(t, "a").Exit
		return x != nil && strings.Contains(x.RestartError, "/no/such/command") && x.RestartAt != nil
	})
	if info := w.inspect(t, "p"); info.Phase != "Running" || info.container(t, "a").Status != "stopped" || info.container(t, "a").Restarts != 0 {
		t.Errorf("%+v; want the pod running, and its container stopped and never started again", info)
	}
	write(t, file, good)
	eventually(t, "it runs again", func() bool { return log() == "up\nup\n" })
	if a := w.inspect(t, "p").container(t, "a"); a.Restarts != 1 || a.LastExit == nil || a.LastExit.RestartError != "" || a.LastExit.Signal != "SIGKILL" {
		t.Errorf("container %+v, last exit %+v; want one restart, and how it ended", a, a.LastExit)
	}
	// Broken for good, it does not keep the pod from being stopped.
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	w.ok(t, "kill", w.inspect(t, "p").container(t, "a").ID, "KILL")
	eventually(t, "it says why", func() bool {
		x := w.inspect(t, "p").container(t, "a").Exit
		return x != nil && strings.Contains(x.RestartError, file)
	})
	w.ok(t, "pod", "stop", "p")
	if x := w.inspect(t, "p").container(t, "a").Exit; x == nil || x.RestartAt != nil || x.RestartError != "" {
		t.Errorf("stopped: exit %+v; want none but its last", x)
	}
	w.ok(t, "pod", "rm", "p")
}

// TestPodRestartOrphans: the monitor reaps what containers in the host's PID
// namespace leave to it, and never the init of one that it has just started again.
func TestPodRestartOrphans(t *testing.T) {
	w := newWorld(t)
	members := restarting("OnFailure", 1)
	members["host"] = list{"pid"}
	script := `for i in 1 2 3 4 5 6; do (sleep 0.0$i & ) & done; echo >> /dev/shm/$0; [ $(wc -l < /dev/shm/$0) = 3 ]`
	var all []bundle.Container
	for i := range 4 {
		all = append(all, bundle.Container{Name: fmt.Sprint("c", i), Spec: bundle.Spec("sh", "-c", script, fmt.Sprint("c", i))})
	}
	r := w.podrt(t, "pod", "run", w.podOf(t, members, all...))
	if r.code != 0 || strings.Count(r.stderr, "is started again") != 8 {
		t.Errorf("%v; want each container to fail twice and succeed then", r)
	}
}

// TestPodRestartRemoved: a pod is stopped or removed at any moment of a restart,
// and nothing comes back.
func TestPodRestartRemoved(t *testing.T) {
	w := newWorld(t)
	for i := range 12 {
		dir := w.scripts(t, restarting("Always", 1), "a", "exit 1", "b", "exec sleep 1000")
		w.start(t, dir)
		time.Sleep(time.Duration(i) * 8 * time.Millisecond)
		switch i % 3 {
		case 0:
			w.ok(t, "pod", "rm", "-f", "p")
		case 1:
			w.ok(t, "pod", "stop", "-t", "0", "p")
		case 2:
			w.ok(t, "pod", "kill", "p")
		}
		eventually(t, "the monitor has gone", func() bool { return len(monitors(t, dir)) == 0 })
		if i%3 == 0 {
			if left := w.left(); len(left) > 0 {
				t.Fatalf("round %d: after the pod there is %q", i, left)
			}
			continue
		}
		info := w.inspect(t, "p")
		for _, name := range []string{"a", "b"} {
			if c := info.container(t, name); c.Status != "stopped" || c.Exit == nil || c.Exit.RestartAt != nil {
				t.Fatalf("round %d: container %q: %+v, exit %+v; want it stopped", i, name, c, c.Exit)
			}
		}
		w.ok(t, "pod", "rm", "p")
	}
}
