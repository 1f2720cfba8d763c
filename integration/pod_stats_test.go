package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// podStats is what the tests read of pod stats.
type podStats struct {
	UID, Name  string
	Pod        statsLine
	Containers map[string]statsLine
}

type statsLine struct {
	CPU    struct{ UsageUsec uint64 }
	Memory *struct {
		Usage uint64
		Limit *uint64
	}
	Pids *struct {
		Current uint64
		Limit   *uint64
	}
}

// stats are those of the pod "p".
func (w *world) stats(t *testing.T) podStats { return w.statsOf(t, "p") }

func (w *world) statsOf(t *testing.T, pod string) podStats {
	t.Helper()
	var all []podStats
	out := w.ok(t, "pod", "stats", "--format", "json", pod).stdout
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("pod stats: %v: %s; want an array of one pod", err, out)
	}
	return all[0]
}

// TestPodStatsWhileRemoved: a pod that is being removed when all are asked for is
// no failure.
func TestPodStatsWhileRemoved(t *testing.T) {
	w := newWorld(t)
	// Without a volume: its namespaces go while its containers are waited for.
	dir := w.newDir()
	if err := bundle.WritePod(dir, bundle.NewPod("p", nil), bundle.Container{Name: "a", Spec: bundle.Spec("sleep", "1000")}); err != nil {
		t.Fatal(err)
	}
	uid := w.start(t, dir)
	var monitor int
	if _, err := fmt.Sscan(monitors(t, dir)[0], &monitor); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(monitor, unix.SIGSTOP); err != nil { // and removal waits for it
		t.Fatal(err)
	}
	start := func(args ...string) (*exec.Cmd, *strings.Builder) {
		t.Helper()
		argv, out := w.argv(args...), new(strings.Builder)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	rm, removed := start("pod", "rm", "-f", "p")
	eventually(t, "the pod's namespaces are released", func() bool { return w.inspect(t, "p").Phase == "Dead" })
	stats, out := start("pod", "stats")
	ended := make(chan error, 1)
	go func() { ended <- stats.Wait() }()
	lock := filepath.Join(w.run, "pods", uid, "lock")
	eventually(t, "pod stats waits for the removal", func() bool {
		if len(ended) > 0 {
			return true
		}
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", stats.Process.Pid))
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && to == lock {
				return true
			}
		}
		return false
	})
	if err := unix.Kill(monitor, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("pod stats: %v: %s; want a heading alone", err, out)
	}
	if err := rm.Wait(); err != nil {
		t.Errorf("pod rm: %v: %s", err, removed)
	}
}
