package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// TestPodRestartRemovedAtOnce: whoever removes a pod does not wait for a monitor
// that waits for him.
func TestPodRestartRemovedAtOnce(t *testing.T) {
	w := newWorld(t)
	var all []bundle.Container
	for i := range 16 {
		all = append(all, bundle.Container{Name: fmt.Sprint("c", i), Spec: bundle.Spec("false")})
	}
	dir := w.podOf(t, restarting("Always", 1), all...)
	for i := range 12 {
		w.start(t, dir)
		time.Sleep(time.Duration(i) * 8 * time.Millisecond)
		began := time.Now()
		w.ok(t, "pod", "rm", "-f", "p")
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("round %d: that took %v", i, took)
		}
	}
}

// TestPodRestartFull: a full file system does not keep a pod that must not be
// started again from being removed.
func TestPodRestartFull(t *testing.T) {
	w := newWorld(t)
	mkdir(t, w.run)
	mustMount(t, "tmpfs", w.run, "tmpfs", 0, fmt.Sprintf("nr_blocks=%d,nr_inodes=%d", manyPages, manyInodes))
	w.crashLoop(t) // who waits neither takes a file nor gives one back
	setFree(t, w.run, "inodes", 0)
	w.fails(t, 1, []string{`stop pod "p"`, "no space"}, "pod", "stop", "p")
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestPodRestartHooks: each hook runs at each restart, with the caller's environment,
// while the monitor reaps orphans.
func TestPodRestartHooks(t *testing.T) {
	w := newWorld(t)
	members := restarting("OnFailure", 1)
	members["host"] = list{"pid"}
	members["terminationGracePeriodSeconds"] = 0
	ran := filepath.Join(w.dir, "ran")
	all := []bundle.Container{{Name: "orphans", Spec: bundle.Spec("sh", "-c", "while :; do (sleep 0.001 & sleep 0.001 & sleep 0.001 &); done")}}
	for i := range 3 {
		spec := bundle.Spec("false")
		spec.Hooks = &specs.Hooks{}
		for j := range 6 {
			hook := fmt.Sprintf("echo %d $GOMAXPROCS >> %s", j, ran)
			spec.Hooks.Poststop = append(spec.Hooks.Poststop, specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", hook}})
		}
		all = append(all, bundle.Container{Name: fmt.Sprint("c", i), Spec: spec})
	}
	all = append(all, bundle.Container{Name: "none", Spec: bundle.Spec("false")}) // has no hooks
	w.start(t, w.podOf(t, members, all...))
	eventually(t, "each has been started again", func() bool {
		info := w.inspect(t, "p")
		return info.container(t, "c0").Restarts > 3 && info.container(t, "c1").Restarts > 3 && info.container(t, "c2").Restarts > 3
	})
	w.ok(t, "pod", "stop", "p")
	runs := 0
	for _, c := range w.inspect(t, "p").Containers {
		if strings.HasPrefix(c.Name, "c") {
			runs += c.Restarts
		}
	}
	// Those of a container that was made when the pod was stopped have run, too.
	lines := sortedLines(strings.ReplaceAll(readFile(t, ran), " ", ""))
	each := len(lines) / 6
	var want []string
	for j := range 6 {
		want = append(want, slices.Repeat([]string{fmt.Sprint(j) + os.Getenv("GOMAXPROCS")}, each)...)
	}
	if each < runs || !slices.Equal(lines, want) {
		t.Errorf("hooks that ran at %d restarts: %q; want six for each", runs, lines)
	}
	w.ok(t, "pod", "rm", "p")
}

// TestPodRestartStopInterrupted: a stop that was cut short has forbidden restarts;
// pod start does not say that the pod runs as it did.
func TestPodRestartStopInterrupted(t *testing.T) {
	w := newWorld(t)
	dir := w.scripts(t, restarting("Always", 1), "a", "trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done")
	uid := w.start(t, dir)
	log := func() string { return readFile(t, filepath.Join(w.log, uid, "a.log")) }
	eventually(t, "a is up", func() bool { return log() == "up\n" })
	argv := w.argv("pod", "stop", "-t", "1000", "p")
	stop := exec.Command(argv[0], argv[1:]...)
	if err := stop.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a is asked to end", func() bool { return log() == "up\nasked\n" })
	w.fails(t, 1, []string{`pod "p" is being stopped`}, "pod", "start", "p")
	if err := stop.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = stop.Wait()
	w.fails(t, 1, []string{`pod "p" is being stopped`, "podrt pod stop"}, "pod", "start", "p")
	w.ok(t, "pod", "stop", "-t", "0", "p")
	w.ok(t, "pod", "start", "p")
	eventually(t, "a is up again", func() bool { return log() == "up\nasked\nup\n" })
	w.ok(t, "kill", w.inspect(t, "p").container(t, "a").ID, "KILL")
	eventually(t, "a is started again", func() bool { return strings.Count(log(), "up\n") == 3 })
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestPodRestartClock: a clock that is set back does not make the wait longer.
func TestPodRestartClock(t *testing.T) {
	w := newWorld(t)
	if rung.Current() != rung.VM {
		t.Skip("the clock is the host's")
	}
	uid := w.start(t, w.scripts(t, restarting("Always", 3), "a", "echo up; exit 3"))
	eventually(t, "a waits", func() bool {
		x := w.inspect(t, "p").container(t, "a").Exit
		return x != nil && x.RestartAt != nil && x.RestartAt.Sub(x.FinishedAt) > time.Second
	})
	runs := strings.Count(readFile(t, filepath.Join(w.log, uid, "a.log")), "up\n")
	set := func(by time.Duration) {
		t.Helper()
		now := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Fatal(err)
		}
	}
	set(-time.Hour)
	defer set(time.Hour)
	eventually(t, "a is started again", func() bool {
		return strings.Count(readFile(t, filepath.Join(w.log, uid, "a.log")), "up\n") > runs
	})
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestPodRestartUnread: a pod whose record cannot be read for the moment, as on a
// host that is out of files, is not taken for one that is gone.
func TestPodRestartUnread(t *testing.T) {
	w := newWorld(t)
	uid := w.start(t, w.scripts(t, restarting("Always", 1), "a", "echo up; exec sleep 1000"))
	log := func() string { return readFile(t, filepath.Join(w.log, uid, "a.log")) }
	eventually(t, "a is up", func() bool { return log() == "up\n" })
	a := w.inspect(t, "p").container(t, "a")
	dir := filepath.Join(w.run, "pods", uid)
	good := readFile(t, filepath.Join(dir, "pod.json"))
	write(t, filepath.Join(dir, "pod.json"), "{")
	if err := unix.Kill(a.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a's end is recorded", func() bool {
		_, err := os.Stat(filepath.Join(dir, "containers/a/exit.json"))
		return err == nil
	})
	write(t, filepath.Join(dir, "pod.json"), good)
	eventually(t, "a is up again", func() bool { return log() == "up\nup\n" })
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestPodRestartSeen: a pod can be looked at at any moment of a restart.
func TestPodRestartSeen(t *testing.T) {
	w := newWorld(t)
	members := restarting("Always", 1)
	members["host"] = list{"pid"}
	members["terminationGracePeriodSeconds"] = 0
	var all []bundle.Container
	for i := range 12 {
		all = append(all, bundle.Container{Name: fmt.Sprint("c", i), Spec: bundle.Spec("false")})
	}
	w.start(t, w.podOf(t, members, all...))
	eventually(t, "each has been started again three times", func() bool {
		seen := 0
		for range 20 { // one look behind the other
			seen = 0
			for _, c := range w.inspect(t, "p").Containers {
				seen += c.Restarts
			}
		}
		return seen >= 36
	})
	w.ok(t, "pod", "rm", "-f", "p")
}
