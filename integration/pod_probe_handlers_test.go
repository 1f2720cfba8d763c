package integration

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// TestProbeHandlers: postStart beside the command, preStop before the signal, once,
// and within the grace period.
func TestProbeHandlers(t *testing.T) {
	w := newWorld(t)
	script := "trap 'echo term >> /dev/shm/log; cat /dev/shm/log; exit 0' TERM; echo main >> /dev/shm/log; while :; do sleep 0.05; done"
	log := func(uid string) string { return readFile(t, filepath.Join(w.log, uid, "a.log")) }
	t.Run("order", func(t *testing.T) {
		uid := w.start(t, w.podOf(t, quick("Never", 1), probed("a", script, object{"lifecycle": object{
			"postStart": command("while ! grep -q main /dev/shm/log; do sleep 0.01; done; echo post >> /dev/shm/log"),
			"preStop":   command("echo pre >> /dev/shm/log; sleep 0.3; echo done >> /dev/shm/log"),
		}})))
		w.ready(t)
		w.ok(t, "pod", "stop", "p")
		w.inspect(t, "p").container(t, "a").wantExit(t, 0, "exit", "")
		if got := log(uid); got != "main\npost\npre\ndone\nterm\n" {
			t.Errorf("order %q", got)
		}
		w.ok(t, "pod", "rm", "p")
	})
	t.Run("two stops", func(t *testing.T) {
		uid := w.start(t, w.podOf(t, quick("Never", 1), probed("a", script, object{"lifecycle": object{
			"preStop": command("echo pre >> /dev/shm/log; while [ ! -e /dev/shm/go ]; do sleep 0.01; done"),
		}})))
		w.ready(t)
		stops := make(chan *result, 2)
		for range 2 {
			go func() { stops <- w.podrt(t, "pod", "stop", "p") }()
		}
		eventually(t, "preStop has begun", func() bool {
			return w.podrt(t, "pod", "exec", "p", "a", "grep", "-q", "pre", "/dev/shm/log").code == 0
		})
		w.ok(t, "pod", "exec", "p", "a", "touch", "/dev/shm/go")
		for range 2 {
			if r := <-stops; r.code != 0 {
				t.Errorf("stop: %v", r)
			}
		}
		if got := log(uid); strings.Count(got, "pre\n") != 1 {
			t.Errorf("%q; want preStop once", got)
		}
		w.ok(t, "pod", "rm", "p")
	})
	t.Run("foreground", func(t *testing.T) {
		f := w.foreground(t, w.podOf(t, quick("Never", 1), probed("a", "echo up; "+script, object{"lifecycle": object{
			"preStop": command("echo pre >> /dev/shm/log"),
		}})))
		if !f.lines.Scan() || f.lines.Text() != "a | up" {
			t.Fatalf("output %q; want up", f.lines.Text())
		}
		if err := f.cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code, _ := f.end(t); code != 0 {
			t.Errorf("exit code %d; want 0", code)
		}
	})
	t.Run("preStop is bounded", func(t *testing.T) {
		w.start(t, w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 1}, probed("a", script, object{"lifecycle": object{"preStop": command("trap '' TERM; sleep 1000")}})))
		w.ready(t)
		began := time.Now()
		w.ok(t, "pod", "stop", "p")
		if took := time.Since(began); took < time.Second || took > 10*time.Second {
			t.Errorf("stop took %v; want the grace period, and little more", took)
		}
		// It still had its time for the signal.
		w.inspect(t, "p").container(t, "a").wantExit(t, 0, "exit", "")
		w.ok(t, "pod", "rm", "p")
	})
	t.Run("postStart fails", func(t *testing.T) {
		w.start(t, w.podOf(t, quick("OnFailure", 1000), probed("a", script, object{"lifecycle": object{
			"postStart": command("echo no >&2; exit 4"),
			"preStop":   command("echo pre >> /dev/shm/log"),
		}})))
		var c *containerInfo
		eventually(t, "a was started again, and waits", func() bool {
			c = w.inspect(t, "p").container(t, "a")
			return c.Restarts == 1 && c.Exit != nil
		})
		if x := c.LastExit; x.Cause != "postStart" || x.Reason != "postStart failed: exit status 4: no" || c.Ready {
			t.Errorf("last exit %+v", x)
		}
		w.ok(t, "pod", "rm", "-f", "p")
	})
	t.Run("hanging postStart", func(t *testing.T) {
		w.start(t, w.podOf(t, quick("Never", 1), probed("a", script, object{"lifecycle": object{"postStart": command("trap '' TERM; sleep 1000")}})))
		if info := w.inspect(t, "p"); info.Ready || info.container(t, "a").Probes.Started {
			t.Errorf("%+v; want it not started", info)
		}
		began := time.Now()
		w.ok(t, "pod", "stop", "p")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("stop took %v", took)
		}
		w.ok(t, "pod", "rm", "p")
	})
}

// TestProbeSidecarPreStop: a sidecar's preStop begins with the stop of the others, its
// signal comes when they have ended.
func TestProbeSidecarPreStop(t *testing.T) {
	w := newWorld(t)
	// They are ready when they have their traps.
	side := probed("s", "trap 'echo term >> /dev/shm/log; cat /dev/shm/log; exit 0' TERM; touch /dev/shm/s; while :; do sleep 0.05; done", object{
		"restartPolicy": "Always", "lifecycle": object{"postStart": command(awaits("s")), "preStop": command("echo pre >> /dev/shm/log")},
	})
	side.Init = true
	uid := w.start(t, w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 30}, side,
		probed("a", "trap 'while ! grep -q pre /dev/shm/log; do sleep 0.01; done; echo a >> /dev/shm/log; exit 5' TERM; touch /dev/shm/a; while :; do sleep 0.05; done", object{
			"lifecycle": object{"postStart": command(awaits("a"))},
		})))
	w.ready(t)
	w.ok(t, "pod", "stop", "p")
	w.inspect(t, "p").container(t, "a").wantExit(t, 5, "exit", "")
	if got := readFile(t, filepath.Join(w.log, uid, "s.log")); got != "pre\na\nterm\n" {
		t.Errorf("order %q", got)
	}
	w.ok(t, "pod", "rm", "p")
}
