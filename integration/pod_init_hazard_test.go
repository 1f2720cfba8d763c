package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// running waits until a container of the pod runs.
func (w *world) running(t *testing.T, container string) {
	t.Helper()
	eventually(t, container+" runs", func() bool {
		return w.podrt(t, "pod", "exec", "p", container, "true").code == 0
	})
}

// touch makes a file in the pod's /dev/shm.
func (w *world) touch(t *testing.T, container, name string) {
	t.Helper()
	w.ok(t, "pod", "exec", "p", container, "touch", "/dev/shm/"+name)
}

// hooked gives a container a hook, run on the host before it is started.
func hooked(c bundle.Container, script string) bundle.Container {
	c.Spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >/dev/null; " + script}}}}
	return c
}

// stubborn is a script that says how often it is asked to end, and ends of SIGUSR1.
const stubborn = "trap 'echo TERM' TERM; trap 'exit 0' USR1; echo up; while :; do sleep 0.01; done"

// TestSidecarStopInterrupted: a stop that is cut short is no reason for a sidecar to
// outlive the pod's work; neither is a record that cannot be read.
func TestSidecarStopInterrupted(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 1},
		before(scripted("s", "Always", "exec sleep 1000")),
		scripted("work", "", "trap 'touch /dev/shm/asked' TERM; rm -f /dev/shm/end; touch /dev/shm/up; "+awaits("end")+"exit 0"))
	uid := w.start(t, dir)
	eventually(t, "work can be asked", func() bool { return w.podrt(t, "pod", "exec", "p", "work", "ls", "/dev/shm/up").code == 0 })
	argv := w.argv("pod", "stop", "-t", "60", "p")
	stop := exec.Command(argv[0], argv[1:]...)
	if err := stop.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stop has begun", func() bool {
		return w.podrt(t, "pod", "exec", "p", "work", "ls", "/dev/shm/asked").code == 0
	})
	_ = stop.Process.Kill()
	_ = stop.Wait()
	w.touch(t, "work", "end")
	if out := w.ok(t, "pod", "wait", "p").stdout; out != "s 137 signal\nwork 0 exit\n" {
		t.Errorf("wait: %q; want the sidecar to have been ended", out)
	}

	w.ok(t, "pod", "start", "p")
	planted := filepath.Join(w.run, "pods", uid, "containers/x")
	mkdir(t, planted)
	w.running(t, "work")
	w.touch(t, "work", "end")
	write(t, filepath.Join(planted, "container.json"), "{")
	eventually(t, "the monitor has gone", func() bool { return len(monitors(t, uid)) == 0 })
	if err := os.RemoveAll(planted); err != nil {
		t.Fatal(err)
	}
	if c := w.inspect(t, "p").container(t, "s"); c.Status != "stopped" {
		t.Errorf("the sidecar is %s", c.Status)
	}
	w.ok(t, "pod", "rm", "p")
}

// TestInitContainersPaused: a pod that is paused between two stages goes on when it
// is resumed.
func TestInitContainersPaused(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 1},
		before(scripted("s", "Always", "trap 'echo TERM; exit 0' TERM; while :; do sleep 0.01; done")),
		before(scripted("one", "", awaits("go"))),
		scripted("work", "", awaits("end")))
	cmd, stderr := w.detached(t, dir)
	// between has the pod paused before its monitor knows that a container has ended.
	between := func(container, file string) {
		t.Helper()
		w.running(t, container)
		signalMonitor(t, dir, unix.SIGSTOP)
		w.touch(t, container, file)
		eventually(t, container+" has ended", func() bool { return w.inspect(t, "p").container(t, container).Status == "stopped" })
		w.ok(t, "pod", "pause", "p")
		signalMonitor(t, dir, unix.SIGCONT)
	}
	between("one", "go")
	eventually(t, "that is known", func() bool { return w.inspect(t, "p").container(t, "one").Exit != nil })
	if c := w.inspect(t, "p").container(t, "work"); c.Status != "waiting" {
		t.Errorf("in a paused pod work is %s; want it waiting", c.Status)
	}
	w.ok(t, "pod", "resume", "p")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("pod run -d: %v: %s", err, stderr)
	}
	between("work", "end")
	time.Sleep(1500 * time.Millisecond) // longer than the grace period
	if c := w.inspect(t, "p").container(t, "s"); c.Status == "stopped" {
		t.Errorf("in a paused pod the sidecar ended with %+v", c.Exit)
	}
	w.ok(t, "pod", "resume", "p")
	w.ok(t, "pod", "wait", "p")
	if out := w.ok(t, "pod", "logs", "p", "s").stdout; out != "TERM\n" {
		t.Errorf("the sidecar says %q; want it to have been asked to end", out)
	}
	w.ok(t, "pod", "rm", "p")
}

// TestInitContainersMonitorKilled: work that has not run has not succeeded.
func TestInitContainersMonitorKilled(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, atOnce,
		before(scripted("one", "", "exit 0")),
		scripted("a", "", "exit 0"),
		hooked(scripted("b", "", "exit 0"), "while [ -e "+w.dir+"/hang ]; do sleep 0.05; done"))
	uid := w.start(t, dir)
	w.ok(t, "pod", "wait", "p")
	write(t, filepath.Join(w.dir, "hang"), "")
	argv := w.argv("pod", "start", "p")
	cmd := exec.Command(argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a is created", func() bool { c := w.inspect(t, "p").find("a"); return c != nil && c.Status == "created" })
	if info := w.inspect(t, "p"); info.Phase != "Running" {
		t.Errorf("phase %s before; want Running", info.Phase)
	}
	signalMonitor(t, uid, unix.SIGKILL)
	if err := os.Remove(filepath.Join(w.dir, "hang")); err != nil { // nobody ends the hook
		t.Error(err)
	}
	_ = cmd.Wait()
	if info := w.inspect(t, "p"); info.Phase != "Stopped" {
		t.Errorf("phase %s after; want Stopped: %+v", info.Phase, info.Containers)
	}
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestInitContainersHooks: hooks of each stage have the caller's environment.
func TestInitContainersHooks(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.dir, "env")
	w.ok(t, "pod", "run", w.podOf(t, nil,
		before(scripted("one", "", "exit 0")),
		hooked(scripted("work", "", "exit 0"), "echo procs=$GOMAXPROCS > "+file)))
	if got := readFile(t, file); got != "procs=\n" {
		t.Errorf("a hook has %q; want no GOMAXPROCS", got)
	}
}

// TestSidecarAskedOnce: who interrupts a pod whose sidecar is being stopped does not
// have it asked again.
func TestSidecarAskedOnce(t *testing.T) {
	w := newWorld(t)
	f := w.foreground(t, w.podOf(t, nil,
		before(scripted("s", "Always", strings.Replace(stubborn, "echo up", "echo s > /dev/shm/s", 1))),
		scripted("work", "", awaits("s")))) // by then it has its traps
	f.await(t, "s    | TERM")
	id := w.inspect(t, "p").container(t, "s").ID
	if err := f.cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	// A second signal would have come by now, if there were one.
	time.Sleep(200 * time.Millisecond)
	w.ok(t, "kill", id, "USR1")
	for f.lines.Scan() {
		if strings.Contains(f.lines.Text(), "TERM") {
			t.Error("the sidecar was asked to end twice")
		}
	}
	if code, _ := f.end(t); code != 0 {
		t.Errorf("exit code %d; want 0: the work had ended", code)
	}
}

// TestInitContainersKept: a pod that is stopped before its work stays if it is to be
// kept; a second interrupt of pod run -d kills.
func TestInitContainersKept(t *testing.T) {
	w := newWorld(t)
	argv := w.argv("pod", "run", "--keep", w.podOf(t, nil,
		before(bundle.Container{Name: "slow", Spec: bundle.Spec("/probe", "trap")}), scripted("work", "", "echo never")))
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanf(out, "slow | ready\n"); err != nil {
		t.Error(err)
	}
	w.ok(t, "pod", "stop", "p")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 125 {
		t.Errorf("exit code %d; want 125: its work has not run", code)
	}
	w.ok(t, "pod", "rm", "p")

	deaf := w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 1000},
		before(scripted("slow", "", "trap 'touch /dev/shm/asked' TERM; while :; do sleep 0.1; done")), scripted("work", "", "echo never"))
	cmd, stderr := w.detached(t, deaf)
	w.running(t, "slow")
	for range 2 {
		if err := cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it has asked, or killed", func() bool {
			r := w.podrt(t, "pod", "exec", "p", "slow", "ls", "/dev/shm/asked")
			return r.code == 0 || strings.Contains(r.stderr, "level=error")
		})
		time.Sleep(100 * time.Millisecond) // it listens for the second one by then
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 125 || !strings.Contains(stderr.String(), `pod \"p\": interrupted`) {
		t.Errorf("exit code %d, standard error %q; want 125, and who was interrupted", code, stderr)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}
}
