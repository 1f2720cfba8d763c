package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodHookHangs: hooks that do not end, nor what they have started, do not keep
// their pod from being stopped or removed, be it at the start of the pod or at that of
// a container by its restart policy.
func TestPodHookHangs(t *testing.T) {
	w := newWorld(t)
	var stops sync.WaitGroup
	for _, start := range []string{"pod", "container"} {
		for _, verb := range [][]string{{"stop"}, {"kill"}, {"rm", "-f"}} {
			pod := start + "-" + verb[0]
			ran, hangs := filepath.Join(w.dir, pod+"-ran"), filepath.Join(w.dir, pod+"-hangs")
			if start == "pod" {
				write(t, ran, "")
			}
			run := hangingPod(t, w, pod, ran, hangs)
			// Who starts the container has the pod's lock, and waits.
			eventually(t, "the hook of "+pod+" hangs", func() bool { _, err := os.Stat(hangs); return err == nil })
			argv := w.argv(append(append([]string{"pod"}, verb...), pod)...)
			stops.Go(func() {
				began := time.Now()
				if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
					t.Errorf("%q: %v: %s", argv, err, out)
				}
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("%q took %v", argv, took)
				}
				if err := run.Wait(); (err != nil) != (start == "pod") {
					t.Errorf("pod run of %s: %v", pod, err)
				}
			})
		}
	}
	stops.Wait()
}

// TestPodHookEnds: a hook that ends by itself is not cut short by its pod's end, how
// soon ever that is wanted.
func TestPodHookEnds(t *testing.T) {
	w := newWorld(t)
	begun, ended := filepath.Join(w.dir, "begun"), filepath.Join(w.dir, "ended")
	spec := bundle.Spec("false")
	script := fmt.Sprintf(": > %q; sleep 1; : > %q", begun, ended)
	spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin"}}}}
	w.start(t, w.podOf(t, bundle.Pod{"restartPolicy": "Always", "terminationGracePeriodSeconds": 0}, bundle.Container{Name: "a", Spec: spec}))
	eventually(t, "the hook runs", func() bool { _, err := os.Stat(begun); return err == nil })
	w.ok(t, "pod", "stop", "-t", "0", "p")
	if _, err := os.Stat(ended); err != nil {
		t.Errorf("the hook has not ended: %v", err)
	}
	w.ok(t, "pod", "rm", "p")
}

// TestPodHookHangsInterrupted: nor does it keep the pod's start from being interrupted.
func TestPodHookHangsInterrupted(t *testing.T) {
	w := newWorld(t)
	ran, hangs := filepath.Join(w.dir, "ran"), filepath.Join(w.dir, "hangs")
	write(t, ran, "")
	run := hangingPod(t, w, "p", ran, hangs)
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
// makes the file hangs and does not end once there is the file ran, which it makes; nor
// does then the hook that undoes what it did.
func hangingPod(t *testing.T, w *world, pod, ran, hangs string) *exec.Cmd {
	t.Helper()
	spec := bundle.Spec("false")
	script := fmt.Sprintf("if [ -e %[1]q ]; then : > %[2]q; sleep 1000; fi; : > %[1]q", ran, hangs)
	undo := fmt.Sprintf("if [ -e %q ]; then sleep 1000; fi", hangs)
	hook := func(script string) []specs.Hook {
		return []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin:/usr/bin"}}}
	}
	spec.Hooks = &specs.Hooks{CreateRuntime: hook(script), Poststop: hook(undo)}
	members := bundle.Pod{"metadata": map[string]any{"name": pod}, "restartPolicy": "Always", "terminationGracePeriodSeconds": 0}
	dir := w.podOf(t, members, bundle.Container{Name: "a", Spec: spec})
	argv := w.argv("pod", "run", "-d", dir)
	run := exec.Command(argv[0], argv[1:]...)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	return run
}
