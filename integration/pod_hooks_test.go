package integration

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodHookThatDoesNotRead: a hook gets the container's state on a pipe, and
// need not read it. The broken pipe is not an interrupt of the caller's.
func TestPodHookThatDoesNotRead(t *testing.T) {
	w := newWorld(t)
	spec := bundle.Spec("sh", "-c", "exit 3")
	hook := []specs.Hook{{Path: "/bin/true"}}
	spec.Hooks = &specs.Hooks{CreateRuntime: hook, Poststart: hook}
	// More than a pipe holds (pipe(7)), so that the hook ends before it is written.
	spec.Annotations = map[string]string{"long": strings.Repeat("x", 100<<10)}
	dir := w.podOf(t, nil, bundle.Container{Name: "a", Spec: spec})
	w.fails(t, 3, []string{`container "a" exited with status 3`}, "pod", "run", dir)

	w.ok(t, "pod", "run", "-d", dir)
	for range 2 {
		if got := w.ok(t, "pod", "wait", "p").stdout; got != "a 3 exit\n" {
			t.Errorf("pod wait: %q; want a to have ended by itself", got)
		}
		w.ok(t, "pod", "start", "p")
	}
}

// TestPodRunUnread: when nobody reads its output any more, a pod in the
// foreground is stopped and removed.
func TestPodRunUnread(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ name, script string }{
		{"stdout", "yes"},
		{"stderr", "yes >&2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			argv := w.argv("pod", "run", w.scripts(t, bundle.Pod{"terminationGracePeriodSeconds": 0}, "a", c.script))
			cmd := exec.Command(argv[0], argv[1:]...)
			r, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if c.name == "stdout" {
				cmd.Stdout = out
			} else {
				cmd.Stderr = out
			}
			err = cmd.Start()
			out.Close()
			if err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(io.LimitReader(r, 1<<10)).ReadString('\n')
			if line != "a | y\n" {
				t.Errorf("output %q, %v; want that of a", line, err)
			}
			r.Close()
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 137 {
				t.Errorf("%v; want exit code 137: a was killed", cmd.ProcessState)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("after the pod there is %q", left)
			}
		})
	}
}

// TestPodPoststopFails: a poststop hook that fails is told of, and keeps neither
// its container nor a pod from being removed or started again.
func TestPodPoststopFails(t *testing.T) {
	w := newWorld(t)
	spec := bundle.Spec("true")
	spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/false"}}}
	const told = "error running poststop hook #0: exit status 1"
	gone := func(t *testing.T) {
		t.Helper()
		if left := w.left(); len(left) > 0 {
			t.Errorf("after the pod there is %q", left)
		}
	}

	t.Run("pod run", func(t *testing.T) {
		r := w.ok(t, "pod", "run", w.podOf(t, nil, bundle.Container{Name: "a", Spec: spec}))
		if !strings.Contains(r.stderr, told) {
			t.Errorf("stderr %q; want %q", r.stderr, told)
		}
		gone(t)
	})
	t.Run("pod start and rm", func(t *testing.T) {
		w.start(t, w.podOf(t, nil, bundle.Container{Name: "a", Spec: spec}, bundle.Container{Name: "b", Spec: bundle.Spec("true")}))
		w.ok(t, "pod", "wait", "p")
		w.ok(t, "pod", "start", "p")
		w.ok(t, "pod", "wait", "p")
		w.fails(t, 1, []string{`remove pod "p": delete container "a": `, told}, "pod", "rm", "p")
		gone(t)
	})
	t.Run("run --pod", func(t *testing.T) {
		w.create(t, "p")
		for range 2 {
			r := w.ok(t, "run", "--pod", "p", "--bundle", w.bundle(t, spec), "c")
			if !strings.Contains(r.stderr, told) {
				t.Errorf("stderr %q; want %q", r.stderr, told)
			}
			if all := w.inspect(t, "p").Containers; len(all) > 0 {
				t.Errorf("the pod has %v; want no container", all)
			}
		}
		w.ok(t, "pod", "rm", "p")
	})
}

// TestEnginePodPoststopFails: the pod of a sandbox container goes with it.
func TestEnginePodPoststopFails(t *testing.T) {
	e := newEngine(t)
	for _, args := range [][]string{{"delete", "--force", sandboxID}, {"pod", "rm", "--force", sandboxID}} {
		spec := criSandbox("")
		spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/false"}}}
		e.start(t, sandboxID, spec)
		e.refused(t, []string{"error running poststop hook #0: exit status 1"}, args...)
		if pods := e.enginePods(); len(pods) > 0 {
			t.Errorf("after %q there are pods %q", args, pods)
		}
	}
}
