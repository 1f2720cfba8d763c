package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// shell is a probe's or a handler's exec.
func command(script string) object {
	return object{"exec": object{"command": list{"sh", "-c", script}}}
}

// each is a probe that is asked each second, and decides at once, with further members.
func each(probe object, members ...any) object {
	p := object{"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 20}
	for k, v := range probe {
		p[k] = v
	}
	for pair := range slices.Chunk(members, 2) {
		p[pair[0].(string)] = pair[1]
	}
	return p
}

// probed is a container that runs a script, with those members of pod.json.
func probed(name, script string, member object) bundle.Container {
	return bundle.Container{Name: name, Member: member, Spec: bundle.Spec("sh", "-c", script)}
}

// polite ends with 0 when it is asked to.
const polite = "trap 'exit 0' TERM; while :; do sleep 0.05; done"

// quick is restarting with a grace period that no shell outlasts.
func quick(policy string, seconds int) bundle.Pod {
	p := restarting(policy, seconds)
	if policy == "Never" {
		delete(p, "restartBackOff")
	}
	p["terminationGracePeriodSeconds"] = 1
	return p
}

// ready waits for the pod p.
func (w *world) ready(t *testing.T) *podInfo {
	t.Helper()
	w.ok(t, "pod", "wait", "--ready", "--timeout", "60", "p")
	return w.inspect(t, "p")
}

// unready reports whether a container of the pod p was asked whether it is ready, and
// was not. Between its start and the first record of its probes there are none.
func (w *world) unready(t *testing.T, name string) bool {
	t.Helper()
	p := w.inspect(t, "p").container(t, name).Probes
	return p != nil && p.Readiness != nil && p.Readiness.Failures > 0
}

// TestProbeExec: readiness comes and goes, and a failed liveness probe has the
// container started again, which begins anew.
func TestProbeExec(t *testing.T) {
	w := newWorld(t)
	w.start(t, w.podOf(t, quick("OnFailure", 1000),
		probed("a", polite, object{
			"readinessProbe": each(command("test -e /dev/shm/ready || { echo not yet; exit 3; }")),
			"livenessProbe":  each(command("if test -e /dev/shm/dead; then rm /dev/shm/dead; exit 1; fi")), // once
		}),
		probed("b", "exec sleep 1000", nil)))
	eventually(t, "the probes were asked", func() bool { return w.unready(t, "a") })
	info := w.inspect(t, "p")
	a := info.container(t, "a")
	if info.Ready || a.Ready || !info.container(t, "b").Ready || !a.Probes.Started || !a.Probes.Liveness.Success || a.Probes.Readiness.Message != "exit status 3: not yet" {
		t.Errorf("pod ready %t, a %+v, %+v; want b ready alone", info.Ready, a, a.Probes.Readiness)
	}
	w.fails(t, 1, []string{`pod "p" is not ready`, `container "a" is running, and its readinessProbe has not succeeded: exit status 3: not yet`}, "pod", "wait", "--ready", "--timeout", "0", "p")
	set := func(name, verb string) { w.ok(t, "pod", "exec", "p", "b", verb, "/dev/shm/"+name) }
	set("ready", "touch")
	if info := w.ready(t); !info.Ready || !info.container(t, "a").Ready {
		t.Errorf("%+v; want it ready", info)
	}
	set("ready", "rm")
	eventually(t, "a is not ready", func() bool { return !w.inspect(t, "p").Ready })
	set("ready", "touch")
	w.ready(t)

	set("ready", "rm")
	set("dead", "touch")
	var again *containerInfo
	eventually(t, "a is started again", func() bool {
		again = w.inspect(t, "p").container(t, "a")
		return again.Restarts == 1 && again.Status == "running"
	})
	if again.Ready || again.PID == a.PID {
		t.Errorf("after the restart: %+v; want another process that is not ready", again)
	}
	// It has ended with 0, and comes back all the same.
	if x := again.LastExit; x == nil || x.Cause != "probe" || x.ExitCode != 0 || x.Signal != "" || x.Reason != "livenessProbe failed: exit status 1" {
		t.Errorf("last exit %+v; want that of a failed probe", x)
	}
	// The next one waits for its back-off.
	eventually(t, "a is asked again", func() bool { return w.unready(t, "a") })
	set("dead", "touch")
	eventually(t, "a waits", func() bool {
		x := w.inspect(t, "p").container(t, "a").Exit
		return x != nil && x.RestartAt != nil && x.Cause == "probe"
	})
	w.ok(t, "pod", "stop", "p")
	w.fails(t, 1, []string{`pod "p" does not become ready: its phase is`}, "pod", "wait", "--ready", "p")
	w.ok(t, "pod", "rm", "p")
}

// TestProbeNever: a container that is not started again stays ended, and says why.
func TestProbeNever(t *testing.T) {
	w := newWorld(t)
	r := w.podrt(t, "pod", "run", w.podOf(t, quick("Never", 1), probed("a", "exec sleep 1000", object{
		"startupProbe": each(command("echo broken >&2; exit 1"), "terminationGracePeriodSeconds", 1),
	})))
	want := "container \"a\" was stopped (startupProbe failed: exit status 1: broken), and was ended by SIGKILL, status 137\n"
	if r.code != 137 || r.stderr != want {
		t.Errorf("exit code %d, standard error %q; want 137, %q", r.code, r.stderr, want)
	}
}

// TestProbeLeftovers: what a probe leaves, or hangs in, is gone when the next one
// comes, and nothing else of the container is.
func TestProbeLeftovers(t *testing.T) {
	w := newWorld(t)
	// The init reaps: what was killed is its child then.
	w.start(t, w.podOf(t, quick("Always", 1000), probed("a", "sleep 1000 & sleep 1001 & while :; do wait; sleep 0.05; done", object{
		"livenessProbe":  each(command("for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP; sleep 2000 & sleep 2000' & done; exit 0")),
		"readinessProbe": each(command("trap '' TERM; setsid sleep 3000 & echo asked >> /dev/shm/asked; sleep 3000"), "timeoutSeconds", 1),
	})))
	asked := func() int {
		return len(strings.Fields(w.podrt(t, "pod", "exec", "p", "a", "cat", "/dev/shm/asked").stdout))
	}
	eventually(t, "it was asked", func() bool { return w.unready(t, "a") })
	eventually(t, "it was asked thrice", func() bool { return asked() >= 3 })
	c := w.inspect(t, "p").container(t, "a")
	if c.Probes.Readiness.Message != "timed out" || c.Restarts != 0 || !c.Probes.Liveness.Success {
		t.Errorf("%+v, %+v; want the readiness probe to have timed out, and no more", c, c.Probes)
	}
	// The shell, its two, perhaps its sleep, and the probe that is under way.
	if n := len(procs(t, c.Cgroup)); n > 4+12 {
		t.Errorf("%d processes; want those of the container, and of one probe of each kind", n)
	}
	for _, name := range []string{"sleep 1000", "sleep 1001"} {
		if out := w.ok(t, "pod", "ps", "p").stdout; !strings.Contains(out, name) {
			t.Errorf("%q of the container was killed: %s", name, out)
		}
	}
}

// TestProbeNamespaces: a command is executed in any sort of container, and what it
// leaves is gone.
func TestProbeNamespaces(t *testing.T) {
	ids := list{object{"containerID": 0, "hostID": 100000, "size": 65536}}
	w := newWorld(t)
	for name, members := range map[string]bundle.Pod{
		"sharedpid": {"share": list{"net", "ipc", "uts", "pid"}},
		"hostpid":   {"host": list{"pid"}},
		"user":      {"userNamespace": object{"uidMappings": ids, "gidMappings": ids}},
		"own":       {"share": list{}},
	} {
		t.Run(name, func(t *testing.T) {
			members["terminationGracePeriodSeconds"] = 1
			c := probed("a", polite, object{
				"livenessProbe":  each(command("setsid sleep 2000 & exit 0")),
				"readinessProbe": each(command("echo $$ > /proc/self/fd/2; id -u")),
				"lifecycle":      object{"postStart": command("exit 0"), "preStop": command("exit 0")},
			})
			dir := w.podOf(t, members, c)
			if name == "user" {
				if err := bundle.Chown(filepath.Join(dir, "containers/a/rootfs"), 100000, 100000); err != nil {
					t.Fatal(err)
				}
			}
			w.start(t, dir)
			a := w.ready(t).container(t, "a")
			if a.Restarts != 0 || a.Probes.Liveness.Failures != 0 {
				t.Errorf("%+v, %+v", a, a.Probes.Liveness)
			}
			eventually(t, "only the container is left", func() bool { return len(procs(t, a.Cgroup)) <= 2 })
			w.ok(t, "pod", "stop", "p")
			w.ok(t, "pod", "rm", "p")
		})
	}
}

// TestProbeHangs: while a probe hangs a pod is stopped, killed and removed as fast as
// without.
func TestProbeHangs(t *testing.T) {
	w := newWorld(t)
	hang := object{"exec": object{"command": list{"sh", "-c", "trap '' TERM; echo > /dev/shm/asked; sleep 1000"}}, "timeoutSeconds": 1000}
	dir := w.podOf(t, quick("Always", 1), probed("a", "trap 'exit 7' TERM; while :; do sleep 0.05; done", object{"livenessProbe": hang, "readinessProbe": hang}))
	for _, verb := range [][]string{{"stop"}, {"stop", "-t", "0"}, {"kill"}, {"rm", "-f"}} {
		w.start(t, dir)
		eventually(t, "the probe hangs", func() bool {
			return w.podrt(t, "pod", "exec", "p", "a", "test", "-e", "/dev/shm/asked").code == 0
		})
		began := time.Now()
		w.ok(t, append(append([]string{"pod"}, verb...), "p")...)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("pod %q took %v", verb, took)
		}
		if verb[0] != "rm" {
			if len(verb) == 1 && verb[0] == "stop" {
				w.inspect(t, "p").container(t, "a").wantExit(t, 7, "exit", "")
			}
			w.ok(t, "pod", "rm", "p")
		}
		eventually(t, "the monitor has gone", func() bool { return len(monitors(t, dir)) == 0 })
	}
}

// TestProbeMonitorKilled: nobody takes a container for ready whom nobody asks, and
// what a probe had started goes with the pod.
func TestProbeMonitorKilled(t *testing.T) {
	w := newWorld(t)
	limitProcesses(t, 10000)
	dir := w.podOf(t, quick("Never", 1), probed("a", "exec sleep 1000", object{
		"readinessProbe": each(command("exit 0")),
		"livenessProbe":  object{"exec": object{"command": list{"sleep", "1000"}}, "timeoutSeconds": 1000},
	}), probed("b", "exec sleep 1000", nil), probed("c", "exec nc -l -p 8080 -e sleep 1000", object{
		"livenessProbe": object{"httpGet": object{"port": 8080}, "timeoutSeconds": 1000, "initialDelaySeconds": 1},
	}))
	w.start(t, dir)
	info := w.ready(t)
	a := info.container(t, "a")
	eventually(t, "the liveness probes hang", func() bool {
		all := dialers(t)
		return len(procs(t, a.Cgroup)) >= 2 && len(all) == 1 && strings.Contains(all[0], "Uid:\t65534\t65534\t65534\t65534")
	})
	all := dialers(t)
	for _, line := range []string{"Gid:\t65534\t65534\t65534\t65534", "Groups:\t \n", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(all[0], line) {
			t.Errorf("no %q of the process that asks: %s", line, all[0])
		}
	}
	_, processes, _ := strings.Cut(all[0], "Max processes")
	if soft := strings.Fields(processes); soft[0] != soft[1] {
		t.Errorf("soft and hard limit of processes %q; want no less than there may be", soft[:2])
	}
	for _, m := range monitors(t, dir) {
		pid, err := strconv.Atoi(strings.Fields(m)[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the monitor has gone", func() bool { return !w.inspect(t, "p").Monitored })
	eventually(t, "what asked c has gone", func() bool { return len(dialers(t)) == 0 })
	info = w.inspect(t, "p")
	if info.Ready || info.container(t, "a").Ready || !info.container(t, "b").Ready {
		t.Errorf("%+v; want b ready alone", info)
	}
	w.fails(t, 1, []string{"the process that asked its probes has gone"}, "pod", "wait", "--ready", "p")
	w.ok(t, "pod", "rm", "-f", "p")
}

// limitProcesses has commands run with that soft RLIMIT_NPROC.
func limitProcesses(t *testing.T, n uint64) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: min(n, before.Max), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NPROC, &before) })
}

// dialers are the processes of podrt-probe, as user, capabilities, and limits.
func dialers(t *testing.T) []string {
	t.Helper()
	var found []string
	statuses, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range statuses {
		status, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(status), "Name:\tpodrt-probe\n") {
			continue
		}
		limits, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "limits"))
		found = append(found, string(status)+string(limits))
	}
	return found
}

// TestProbePausedPod: a pod that is paused is not asked, and does not fail for it.
func TestProbePausedPod(t *testing.T) {
	w := newWorld(t)
	w.start(t, w.podOf(t, quick("Always", 1000), probed("a", "exec sleep 1000", object{
		"livenessProbe": each(command("sleep 0.3"), "timeoutSeconds", 1),
	})))
	w.ready(t)
	for range 2 { // at some time a probe is under way
		w.ok(t, "pod", "pause", "p")
		if info := w.inspect(t, "p"); info.Ready || info.Phase != "Paused" {
			t.Errorf("paused: %+v; want it not ready", info)
		}
		time.Sleep(1100 * time.Millisecond) // that is what it has to outlast
		w.ok(t, "pod", "resume", "p")
		w.ready(t)
	}
	if c := w.inspect(t, "p").container(t, "a"); c.Restarts != 0 || c.Probes.Liveness.Failures != 0 {
		t.Errorf("%+v, %+v; want no failure", c, c.Probes.Liveness)
	}
}

// TestProbeSidecar: a sidecar's startup probe holds back what is behind it, also over
// a restart of the sidecar, and a stop meanwhile ends that.
func TestProbeSidecar(t *testing.T) {
	w := newWorld(t)
	script := "echo up >> /dev/shm/s; touch /dev/shm/now; exec sleep 1000"
	startup := command(awaits("now") + "rm /dev/shm/now; [ $(wc -l < /dev/shm/s) = 2 ]")
	member := object{"restartPolicy": "Always", "startupProbe": each(startup, "terminationGracePeriodSeconds", 1)}
	side := probed("s", script, member)
	side.Init = true
	r := w.podrt(t, "pod", "run", w.podOf(t, quick("Never", 1), side, probed("a", "cat /dev/shm/s", nil)))
	if r.code != 0 || r.stdout != "a | up\na | up\n" {
		t.Errorf("exit code %d, %q; want a to see the second start of s: %v", r.code, r.stdout, r)
	}

	never := probed("s", script, object{"restartPolicy": "Always", "startupProbe": each(command("exit 1"), "failureThreshold", 1000)})
	never.Init = true
	dir := w.podOf(t, quick("Never", 1), never, probed("a", "echo started", nil))
	cmd, _ := w.detached(t, dir)
	eventually(t, "the sidecar is asked", func() bool {
		if w.podrt(t, "pod", "inspect", "p").code != 0 {
			return false
		}
		p := w.inspect(t, "p").find("s")
		return p != nil && p.Probes != nil && p.Probes.Startup != nil && p.Probes.Startup.Failures > 0
	})
	w.ok(t, "pod", "stop", "-t", "0", "p")
	if err := cmd.Wait(); err == nil {
		t.Error("pod run -d of a pod that was stopped before it started succeeded")
	}
	if s := w.inspect(t, "p").container(t, "a").Status; s != "waiting" {
		t.Errorf("a is %s; want it never to have been made", s)
	}
	w.ok(t, "pod", "rm", "p")
}
