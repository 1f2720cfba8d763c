package integration

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
)

// TestLeaderless: an init whose first thread has ended (pthread_exit(3)) while
// another goes on looks like a zombie, and cgroup.kill does not reach it. It is
// alive, and ended all the same.
func TestLeaderless(t *testing.T) {
	for name, remove := range map[string][][]string{
		"rm --force": {{"pod", "rm", "--force", "p"}},
		"stop":       {{"pod", "stop", "--time", "1", "p"}, {"pod", "rm", "p"}},
		"at once":    {{"pod", "stop", "--time", "0", "p"}, {"pod", "rm", "p"}},
		"paused":     {{"pod", "pause", "p"}, {"pod", "rm", "--force", "p"}},
		"kill":       {{"pod", "kill", "--signal", "KILL", "p"}, {"pod", "rm", "p"}},
		"delete":     {{"delete", "--force", "ID"}, {"pod", "rm", "--force", "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(t, w.podOf(t, nil, bundle.Container{Name: "c", Spec: bundle.Spec("/probe", "leaderless")}))
			c := w.inspect(t, "p").Containers[0]
			stat := "/proc/" + strconv.Itoa(c.PID) + "/stat"
			eventually(t, "the first thread has ended", func() bool {
				b, err := os.ReadFile(stat)
				return err == nil && strings.Contains(string(b), ") Z ")
			})
			for _, args := range remove {
				if i := slices.Index(args, "ID"); i >= 0 {
					args[i] = c.ID
				}
				w.ok(t, args...)
			}
			if _, err := os.Stat(stat); err == nil {
				t.Errorf("process %d is left", c.PID)
			}
		})
	}
}

// TestLeaderlessPause: such a container can be paused and resumed as any other, a
// plain one as well as a pod's.
func TestLeaderlessPause(t *testing.T) {
	w := newWorld(t)
	b := w.bundle(t, bundle.Spec("/probe", "leaderless"))
	w.create(t, "p")
	for id, flags := range map[string][]string{"plain": nil, "member": {"--pod", "p"}} {
		w.ok(t, append([]string{"run", "--detach", "--bundle", b}, append(flags, id)...)...)
		t.Cleanup(func() { w.ok(t, "delete", "--force", id) })
		var state struct {
			Pid    int
			Status string
		}
		want := func(status string) {
			t.Helper()
			if err := json.Unmarshal([]byte(w.ok(t, "state", id).stdout), &state); err != nil || state.Status != status {
				t.Errorf("%s is %+v, %v; want it %s", id, state, err, status)
			}
		}
		want("running")
		eventually(t, "the first thread has ended", func() bool {
			return strings.Contains(readFile(t, "/proc/"+strconv.Itoa(state.Pid)+"/stat"), ") Z ")
		})
		w.ok(t, "pause", id)
		want("paused")
		w.ok(t, "resume", id)
		want("running")
		w.fails(t, 1, []string{"container not paused"}, "resume", id)
		w.ok(t, "kill", id, "KILL")
		eventually(t, "the container has stopped", func() bool { return strings.Contains(w.ok(t, "state", id).stdout, `"stopped"`) })
		w.fails(t, 1, []string{"container not running"}, "pause", id)
	}
}

// TestLeaderlessBesideInit: without a PID namespace of the container's own, the
// end of its init is not that of such a process.
func TestLeaderlessBesideInit(t *testing.T) {
	const beside = "/probe leaderless & exec sleep 86400"
	spec := func(script string) *specs.Spec {
		s := bundle.Spec("/bin/sh", "-c", script)
		withoutNamespace(s, specs.PIDNamespace)
		return s
	}
	// plain runs a container, and returns its cgroup.
	plain := func(t *testing.T, w *world) string {
		s := spec(beside)
		s.Linux.CgroupsPath = "/leaderless"
		w.ok(t, "run", "--detach", "--bundle", w.bundle(t, s), "c")
		t.Cleanup(func() { w.ok(t, "delete", "--force", "c") })
		return "/sys/fs/cgroup/leaderless"
	}
	pod := func(members bundle.Pod, script string) func(*testing.T, *world) string {
		return func(t *testing.T, w *world) string {
			w.start(t, w.podOf(t, members, bundle.Container{Name: "c", Spec: spec(script)}))
			return w.inspect(t, "p").Containers[0].Cgroup
		}
	}
	onHost := bundle.Pod{"host": list{"pid"}}
	host, shared := pod(onHost, beside), pod(bundle.Pod{"share": list{"net", "ipc", "uts", "pid"}}, beside)
	for name, c := range map[string]struct {
		start func(*testing.T, *world) string // returns the cgroup
		verbs [][]string
		waits bool // the last one, for the end of all processes
	}{
		"delete":            {plain, [][]string{{"delete", "--force", "c"}}, true},
		"delete paused":     {plain, [][]string{{"pause", "c"}, {"delete", "--force", "c"}}, true},
		"kill":              {plain, [][]string{{"kill", "c", "KILL"}}, false},
		"kill --all":        {plain, [][]string{{"kill", "--all", "c", "KILL"}}, false},
		"kill paused":       {plain, [][]string{{"pause", "c"}, {"kill", "c", "KILL"}}, false},
		"host rm":           {host, [][]string{{"pod", "rm", "--force", "p"}}, true},
		"host rm paused":    {host, [][]string{{"pod", "pause", "p"}, {"pod", "rm", "--force", "p"}}, true},
		"host stop":         {host, [][]string{{"pod", "stop", "--time", "1", "p"}}, true},
		"host stop at once": {host, [][]string{{"pod", "stop", "--time", "0", "p"}}, true},
		"host kill":         {host, [][]string{{"pod", "kill", "--signal", "KILL", "p"}}, true},
		"host init ends":    {pod(onHost, "/probe leaderless & sleep 1"), [][]string{{"pod", "wait", "p"}}, false},
		"shared rm":         {shared, [][]string{{"pod", "rm", "--force", "p"}}, true},
		"shared stop":       {shared, [][]string{{"pod", "stop", "--time", "1", "p"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cgroup := c.start(t, w)
			eventually(t, "a first thread has ended", func() bool {
				return slices.ContainsFunc(procs(t, cgroup), func(pid int) bool {
					b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
					return err == nil && strings.Contains(string(b), " (probe) Z ")
				})
			})
			for _, args := range c.verbs {
				w.ok(t, args...)
			}
			empty := func() bool {
				b, err := os.ReadFile(cgroup + "/cgroup.events")
				return err != nil || strings.Contains(string(b), "populated 0")
			}
			if c.waits && !empty() {
				t.Errorf("processes %d are left", procs(t, cgroup))
			}
			eventually(t, "all processes have ended", empty)
		})
	}
}
