package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodHookHangs: a hook that does not end, nor what it has started, does not keep
// its pod from being stopped or removed, be it at the start of the pod or at that of a
// container by its restart policy.
func TestPodHookHangs(t *testing.T) {
	for _, start := range []string{"pod", "container"} {
		for _, verb := range [][]string{{"stop"}, {"kill"}, {"rm", "-f"}} {
			t.Run(start+" "+verb[0], func(t *testing.T) {
				w := newWorld(t)
				ran, hangs := filepath.Join(w.dir, "ran"), filepath.Join(w.dir, "hangs")
				if start == "pod" {
					write(t, ran, "")
				}
				run := hangingPod(t, w, ran, hangs)
				// Who starts the container has the pod's lock, and waits.
				eventually(t, "the hook hangs", func() bool { _, err := os.Stat(hangs); return err == nil })
				began := time.Now()
				w.ok(t, append(append([]string{"pod"}, verb...), "p")...)
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("that took %v", took)
				}
				if err := run.Wait(); (err != nil) != (start == "pod") {
					t.Errorf("pod run: %v", err)
				}
			})
		}
	}
}

// TestPodHookHangsInterrupted: nor does it keep the pod's start from being interrupted.
func TestPodHookHangsInterrupted(t *testing.T) {
	w := newWorld(t)
	ran, hangs := filepath.Join(w.dir, "ran"), filepath.Join(w.dir, "hangs")
	write(t, ran, "")
	run := hangingPod(t, w, ran, hangs)
	eventually(t, "the hook hangs", func() bool { _, err := os.Stat(hangs); return err == nil })
	began := time.Now()
	if err := run.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := run.Wait(); err == nil {
		t.Error("pod run succeeded; want it to fail")
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("that took %v", took)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}
}

// hangingPod runs a pod in the background whose container fails, and whose hook
// makes the file hangs and does not end once there is the file ran, which it makes.
func hangingPod(t *testing.T, w *world, ran, hangs string) *exec.Cmd {
	t.Helper()
	spec := bundle.Spec("false")
	script := fmt.Sprintf("if [ -e %[1]q ]; then : > %[2]q; sleep 1000; fi; : > %[1]q", ran, hangs)
	spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin"}}}}
	dir := w.podOf(t, bundle.Pod{"restartPolicy": "Always", "terminationGracePeriodSeconds": 0}, bundle.Container{Name: "a", Spec: spec})
	argv := w.argv("pod", "run", "-d", dir)
	run := exec.Command(argv[0], argv[1:]...)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	return run
}
