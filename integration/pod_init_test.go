package integration

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// scripted is a container of a shell script; policy is its own, if not empty.
func scripted(name, policy, script string) bundle.Container {
	c := bundle.Container{Name: name, Spec: bundle.Spec("sh", "-c", script)}
	if policy != "" {
		c.Member = object{"restartPolicy": policy}
	}
	return c
}

// atOnce are the members of a pod that is killed when it is stopped: a shell that is
// PID 1 takes no SIGTERM.
var atOnce = bundle.Pod{"terminationGracePeriodSeconds": 0}

func before(c bundle.Container) bundle.Container {
	c.Init = true
	return c
}

// sidecar is a script for one that says when it runs and when it is asked to end.
func sidecarScript(name string) string {
	return "trap 'echo " + name + " ends >> /dev/shm/log; cat /dev/shm/log; exit 3' TERM; echo " + name +
		" >> /dev/shm/log; touch /dev/shm/" + name + "; while :; do sleep 0.01; done"
}

const awaitFile = "while [ ! -e /dev/shm/%s ]; do sleep 0.01; done; "

func awaits(name string) string { return strings.ReplaceAll(awaitFile, "%s", name) }

// TestInitContainers: init containers one after the other, then all others, and sidecars
// from their place among the former to the end of the latter.
func TestInitContainers(t *testing.T) {
	w := newWorld(t)
	r := w.podrt(t, "pod", "run", w.podOf(t, nil,
		before(scripted("one", "", "sleep 0.1; echo one >> /dev/shm/log")),
		before(scripted("s1", "Always", sidecarScript("s1"))),
		before(scripted("two", "OnFailure", awaits("s1")+"echo two >> /dev/shm/log; [ $(grep -c two /dev/shm/log) = 2 ]")),
		before(scripted("s2", "Always", sidecarScript("s2"))),
		scripted("work", "", awaits("s2")+"echo work >> /dev/shm/log")))
	if r.code != 0 {
		t.Errorf("exit code %d; want 0: sidecars have no part in it: %v", r.code, r)
	}
	const all = "one s1 two two s2 work s2_ends"
	var s1, s2 []string
	for line := range strings.Lines(r.stdout) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " | ")
		text = strings.ReplaceAll(text, " ", "_")
		switch strings.TrimSpace(name) {
		case "s1":
			s1 = append(s1, text)
		case "s2":
			s2 = append(s2, text)
		}
	}
	if got := strings.Join(s2, " "); got != all {
		t.Errorf("the sidecar that is stopped first saw %q; want %q", got, all)
	}
	if got := strings.Join(s1, " "); got != all+" s1_ends" {
		t.Errorf("the sidecar that is stopped last saw %q; want %q", got, all+" s1_ends")
	}
	if want := "container \"two\" exited with status 1, and is started again now\n"; r.stderr != want {
		t.Errorf("standard error %q; want %q", r.stderr, want)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}
}

// TestInitContainersFail: nothing behind an init container that fails is made.
func TestInitContainersFail(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, atOnce,
		before(scripted("s", "Always", "echo up; exec sleep 1000")),
		before(scripted("bad", "", "echo no >&2; exit 3")),
		before(scripted("never", "", "echo never")),
		scripted("work", "", "echo never"))
	r := w.podrt(t, "pod", "run", dir)
	if want := "container \"bad\" exited with status 3\n"; r.code != 3 || !strings.HasSuffix(r.stderr, want) || strings.Contains(r.stdout, "| never") {
		t.Errorf("%v; want exit code 3, %q, and nothing after that", r, want)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}
	w.fails(t, 3, []string{`init container "bad" ended with status 3`}, "pod", "run", "--detach", dir)
	for _, again := range []bool{false, true} {
		if again {
			w.fails(t, 1, []string{`init container "bad" ended with status 3`}, "pod", "start", "p")
		}
		info := w.inspect(t, "p")
		got := ""
		for _, c := range info.Containers {
			got += c.Name + " " + c.Role + " " + c.Status + ", "
		}
		if want := "s sidecar stopped, bad init stopped, never init waiting, work  waiting, "; got != want || info.Phase != "Failed" || info.Monitored {
			t.Errorf("phase %s, monitored %t, containers %q; want it Failed with %q", info.Phase, info.Monitored, got, want)
		}
		info.container(t, "bad").wantExit(t, 3, "exit", "")
		if out := sortedLines(w.ok(t, "pod", "logs", "-f", "p").stdout); !slices.Contains(out, "bad   | no") {
			t.Errorf("logs of all: %q; want that of the init container in it", out)
		}
		out := w.ok(t, "pod", "logs", "p", "bad").stdout
		if want := strings.Repeat("no\n", map[bool]int{false: 1, true: 2}[again]); out != want {
			t.Errorf("log %q; want %q", out, want)
		}
	}
	w.ok(t, "pod", "rm", "p")

	// What cannot be executed is known when its turn comes.
	w.fails(t, 127, []string{`container "work"`, "no-such-command"}, "pod", "run", "--detach", w.podOf(t, atOnce,
		before(scripted("s", "Always", "exec sleep 1000")), before(scripted("one", "", "exit 0")),
		bundle.Container{Name: "work", Spec: bundle.Spec("no-such-command")}))
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}
}

// TestSidecarRestarts: a sidecar comes back as long as the pod's work goes on,
// and what is done does not.
func TestSidecarRestarts(t *testing.T) {
	w := newWorld(t)
	w.start(t, w.podOf(t, bundle.Pod{"restartBackOff": object{"initialSeconds": 1000, "maxSeconds": 1000}},
		before(scripted("one", "", "exit 0")),
		before(scripted("s", "Always", "echo up; exec sleep 1000")),
		scripted("done", "", "exit 0"),
		scripted("work", "", awaits("end")+"exit 0")))
	info := w.inspect(t, "p")
	s := info.container(t, "s")
	w.ok(t, "kill", s.ID, "KILL")
	eventually(t, "the sidecar is back", func() bool {
		c := w.inspect(t, "p").container(t, "s")
		return c.Restarts == 1 && c.Status == "running"
	})
	// It waits for its next start when the work ends.
	w.ok(t, "kill", s.ID, "KILL")
	eventually(t, "the sidecar waits", func() bool { x := w.inspect(t, "p").container(t, "s").Exit; return x != nil && x.RestartAt != nil })
	table := rows(t, w.ok(t, "pod", "ls").stdout, "UID", "NAME", "PHASE", "CREATED", "CONTAINERS", "READY", "RESTARTS", "NETWORK", "ENGINE")
	if got := table["p"]; len(got) != 9 || got[4] != "1/3" || got[5] != "no" || got[6] != "1" {
		t.Errorf("ls: %q; want one of three containers running", got)
	}
	w.ok(t, "pod", "exec", "p", "work", "touch", "/dev/shm/end")
	out := sortedLines(w.ok(t, "pod", "wait", "p").stdout)
	if want := []string{"done 0 exit", "one 0 exit", "s 137 signal", "work 0 exit"}; !slices.Equal(out, want) {
		t.Errorf("wait: %q; want %q", out, want)
	}
	if info := w.inspect(t, "p"); info.Phase != "Succeeded" || info.container(t, "one").Restarts != 0 {
		t.Errorf("%+v; want it to have succeeded", info)
	}
	w.ok(t, "pod", "rm", "p")
}

// detached is a pod run -d that is under way.
func (w *world) detached(t *testing.T, dir string) (cmd *exec.Cmd, stderr *strings.Builder) {
	t.Helper()
	argv := w.argv("pod", "run", "--detach", dir)
	cmd, stderr = exec.Command(argv[0], argv[1:]...), &strings.Builder{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(commandLimit, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { limit.Stop() })
	return cmd, stderr
}

// TestInitContainersStopped: a pod whose init container takes its time.
func TestInitContainersStopped(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, atOnce,
		before(scripted("s", "Always", "exec sleep 1000")),
		before(scripted("slow", "", "echo up; exec sleep 1000")),
		scripted("work", "", "echo up; exec sleep 1000"))
	begin := func() (*exec.Cmd, *strings.Builder) {
		cmd, stderr := w.detached(t, dir)
		eventually(t, "the init container runs", func() bool {
			r := w.podrt(t, "pod", "inspect", "p")
			return r.code == 0 && w.inspect(t, "p").find("slow") != nil && w.inspect(t, "p").container(t, "slow").Status == "running"
		})
		return cmd, stderr
	}
	end := func(cmd *exec.Cmd, stderr *strings.Builder, code int, want string) {
		t.Helper()
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(stderr.String(), want) {
			t.Errorf("pod run -d: exit code %d, standard error %q; want %d and %q", got, stderr, code, want)
		}
	}
	cmd, stderr := begin()
	info := w.inspect(t, "p")
	if c := info.container(t, "work"); info.Phase != "Running" || !info.Monitored || c.Status != "waiting" {
		t.Errorf("phase %s, monitored %t, work is %s; want it running, and waiting", info.Phase, info.Monitored, c.Status)
	}
	w.fails(t, 1, []string{`pod "p"`, "running"}, "pod", "rm", "p")
	// It can be worked with, and started, which it is already.
	w.ok(t, "run", "--pod", "p", "--bundle", w.bundle(t, bundle.Spec("true")), "added")
	w.ok(t, "pod", "start", "p")
	w.ok(t, "pod", "stop", "-t", "0", "p")
	end(cmd, stderr, 137, `init container \"slow\" ended with status 137`)
	info = w.inspect(t, "p")
	if c := info.container(t, "work"); info.Phase != "Failed" || info.Monitored || c.Status != "waiting" {
		t.Errorf("stopped: phase %s, monitored %t, work is %s; want it failed, and waiting", info.Phase, info.Monitored, c.Status)
	}
	w.ok(t, "pod", "rm", "p")

	cmd, stderr = begin()
	w.ok(t, "pod", "rm", "-f", "p")
	end(cmd, stderr, 137, "slow")

	cmd, stderr = begin()
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	end(cmd, stderr, 125, "context canceled")
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the interrupted pod there is %q", left)
	}

	// The monitor is killed.
	cmd, stderr = begin()
	signalMonitor(t, dir, unix.SIGKILL)
	end(cmd, stderr, 125, "monitor")
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod without a monitor there is %q", left)
	}
}

// TestInitContainersInterrupted: an interrupt of a foreground pod run, while an init
// container runs.
func TestInitContainersInterrupted(t *testing.T) {
	w := newWorld(t)
	f := w.foreground(t, w.podOf(t, nil,
		before(bundle.Container{Name: "s", Spec: bundle.Spec("/probe", "trap"), Member: object{"restartPolicy": "Always"}}),
		before(bundle.Container{Name: "slow", Spec: bundle.Spec("/probe", "trap")}),
		scripted("work", "", "echo never")))
	f.await(t, "s    | ready", "slow | ready")
	if err := f.cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	f.await(t, "slow | SIGTERM", "s    | SIGTERM")
	if code, _ := f.end(t); code != 125 {
		t.Errorf("exit code %d; want 125: what has not been started has not succeeded", code)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}
}

// TestInitContainersRemoved: a pod is stopped or removed at any moment between its
// init containers and the others, and nothing comes after that.
func TestInitContainersRemoved(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, atOnce,
		before(scripted("s", "Always", "exec sleep 1000")),
		before(scripted("one", "", "exit 0")),
		before(scripted("two", "", "exit 0")),
		scripted("a", "", "exec sleep 1000"),
		scripted("b", "", "exec sleep 1000"))
	for i := range 16 {
		began := time.Now()
		cmd, stderr := w.detached(t, dir)
		eventually(t, "the pod is ready", func() bool {
			r := w.podrt(t, "pod", "ls", "--format", "json")
			return strings.Contains(r.stdout, `"Running"`)
		})
		time.Sleep(time.Duration(i) * 6 * time.Millisecond)
		switch i % 3 {
		case 0:
			w.ok(t, "pod", "rm", "-f", "p")
		case 1:
			w.ok(t, "pod", "stop", "-t", "0", "p")
		case 2:
			w.ok(t, "pod", "kill", "p")
		}
		eventually(t, "the monitor has gone", func() bool { return len(monitors(t, dir)) == 0 })
		err := cmd.Wait()
		if i%3 != 0 {
			info := w.inspect(t, "p")
			for _, c := range info.Containers {
				if c.Status != "stopped" && c.Status != "waiting" || c.Name == "a" && err != nil && c.Status != "waiting" {
					t.Errorf("round %d: container %q is %s after %v %q; want nothing to run", i, c.Name, c.Status, err, stderr)
				}
			}
			if !slices.Contains([]string{"Created", "Failed", "Stopped"}, info.Phase) {
				t.Errorf("round %d: phase %s; want it to have failed, or been stopped, before its first container or later", i, info.Phase)
			}
			w.ok(t, "pod", "rm", "p")
		}
		if left := w.left(); len(left) > 0 {
			t.Fatalf("round %d: after the pod there is %q", i, left)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Fatalf("round %d took %v: %v %s", i, took, err, stderr)
		}
	}
}
