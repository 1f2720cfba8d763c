package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// process is a line of "probe pids".
type process struct {
	pid, ppid   int
	state, name string
}

func (a *agent) processes(t *testing.T) map[int]process {
	t.Helper()
	all := make(map[int]process)
	for line := range strings.Lines(a.ask(t, "pids")) {
		var p process
		if _, err := fmt.Sscan(line, &p.pid, &p.ppid, &p.state, &p.name); err != nil {
			t.Fatalf("%s: pids: line %q: %v", a.name, line, err)
		}
		all[p.pid] = p
	}
	return all
}

// TestPodSharesPID: the containers see each other's processes below one small
// init, which reaps what they leave and is out of their reach.
func TestPodSharesPID(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--share", "net,ipc,uts,pid")
	root := func(s *specs.Spec) { addCaps(s, "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE") }
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b", root)

	seen := b.processes(t)
	if init := seen[1]; init.name != "podrt-init" || len(seen) != 3 {
		t.Errorf("processes %v; want podrt-init as 1 and both containers' probe", seen)
	}
	if a, b := a.namespaces(t)["pid"], b.namespaces(t)["pid"]; a != b {
		t.Errorf("PID namespaces %s and %s; want one", a, b)
	}

	orphan, err := strconv.Atoi(a.ask(t, "orphan"))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.processes(t)[orphan]; got.ppid != 1 || got.state == "Z" {
		t.Errorf("orphan of a as b sees it: %+v; want it alive and a child of 1", got)
	}
	b.ask(t, "kill", strconv.Itoa(orphan), "SIGKILL")
	eventually(t, "orphan reaped", func() bool { _, there := b.processes(t)[orphan]; return !there })

	// To a container's root the init is closed. One that may trace anything on
	// the host finds a file that cannot be written and nothing worth stealing.
	a.refused(t, "EPERM", "ptrace", "1")
	for _, file := range []string{"exe", "mem"} {
		a.refused(t, "EACCES", "open-write", "/proc/1/"+file)
	}
	b.send(t, false, []string{"open-write", "/proc/1/exe"})
	if r := b.receive(t); r.Error == "" {
		t.Error("a container with CAP_SYS_PTRACE can write to the init's executable")
	}
	if status := b.ask(t, "read", "/proc/1/status"); !strings.Contains(status, "CapPrm:\t0000000000000020\n") {
		t.Errorf("the init has more than CAP_KILL: %s", status)
	}
	b.ask(t, "kill", "1", "SIGKILL") // from inside it has no effect: pid_namespaces(7)
	b.want(t, "podrt-init", "read", "/proc/1/comm")

	// The end of a container's init is not that of what it left behind elsewhere
	// in the namespace; its leaf is emptied when the container is deleted.
	left, err := strconv.Atoi(a.ask(t, "orphan"))
	if err != nil {
		t.Fatal(err)
	}
	w.ok(t, "delete", "--force", "p-a")
	if got, there := b.processes(t)[left]; there {
		t.Errorf("after a was deleted its orphan is there: %+v", got)
	}
	b.want(t, "podrt-init", "read", "/proc/1/comm")
}

// TestPodPIDNotShared: each container has a PID 1 of its own, and the pod no
// process at all.
func TestPodPIDNotShared(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p")
	info := w.inspect(t, "p")
	if info.Phase != "Created" || info.Init != nil || info.Monitored || info.namespace("pid") != 0 {
		t.Errorf("inspect of the new pod: %+v; want phase Created, no init, no monitor, no pid namespace", info)
	}
	if got := procs(t, info.Cgroup); len(got) != 0 {
		t.Errorf("processes %d in the new pod's cgroup; want none", got)
	}
	if got := podrtProcesses(t); len(got) != 0 {
		t.Errorf("podrt runs: %q; want no process for a pod without containers", got)
	}
	a, b := w.add(t, "p", "a"), w.add(t, "p", "b")
	for _, agent := range []*agent{a, b} {
		if got := agent.processes(t); len(got) != 1 || got[1].name != "probe" {
			t.Errorf("%s sees %v; want itself as 1", agent.name, got)
		}
	}
	host := ownNamespace(t, "pid")
	if a, b := a.namespaces(t)["pid"], b.namespaces(t)["pid"]; a == b || a == host || b == host {
		t.Errorf("PID namespaces %s and %s, the host's %s; want three", a, b, host)
	}
	if got := podrtProcesses(t); len(got) != 0 {
		t.Errorf("podrt runs beside the containers: %q; want none", got)
	}
}

// podrtProcesses are those whose executable is the tested podrt, or a copy of
// it in memory.
func podrtProcesses(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err == nil && (exe == podrtBinary() || strings.Contains(exe, "podrt") && strings.HasPrefix(exe, "/memfd:")) {
			cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
			found = append(found, e.Name()+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

// procs are the processes in a cgroup and below, as cgroup.procs has them.
func procs(t *testing.T, cgroup string) []int {
	t.Helper()
	var all []int
	err := filepath.WalkDir(cgroup, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		b, err := os.ReadFile(path)
		for f := range strings.FieldsSeq(string(b)) {
			pid, _ := strconv.Atoi(f)
			all = append(all, pid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPodInitKilled: without its init the PID namespace is gone and all in it.
// The pod says so and takes no more containers.
func TestPodInitKilled(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--share", "net,ipc,uts,pid")
	a := w.add(t, "p", "a")
	info := w.inspect(t, "p")
	if info.Init == nil || !info.Init.Alive || info.Phase != "Running" {
		t.Fatalf("inspect: phase %s, init %+v; want it to run", info.Phase, info.Init)
	}
	if err := unix.Kill(info.Init.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.awaitEnd(t)
	eventually(t, "pod's cgroup empty", func() bool { return len(procs(t, info.Cgroup)) == 0 })

	info = w.inspect(t, "p")
	if info.Phase != "Dead" || info.Init == nil || info.Init.Alive || !strings.Contains(info.Reason, "init") {
		t.Errorf("inspect: phase %q, reason %q, init %+v; want Dead for its init", info.Phase, info.Reason, info.Init)
	}
	if got := info.container(t, "p-a").Status; got != "stopped" {
		t.Errorf("container is %s; want stopped", got)
	}
	if out := w.ok(t, "pod", "ls").stdout; !strings.Contains(out, "Dead") {
		t.Errorf("pod ls: %s; want phase Dead", out)
	}
	refused := []string{`pod "p"`, "init", "gone", "remove the pod"}
	dir := w.bundle(t, w.serve("p", "b"))
	w.fails(t, 1, refused, "create", "--pod", "p", "--bundle", dir, "b")
	w.fails(t, 1, refused, "pod", "start", "p")
	w.fails(t, 1, refused, "pod", "pause", "p")
	w.ok(t, "pod", "rm", "p")
}

// TestPodInitKilledUnreaped: while a parent does not take a dead container's
// status, the killed init cannot end either. It is no init any more.
func TestPodInitKilledUnreaped(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p", "--share", "pid")
	argv := w.argv("run", "--pod", "p", "--bundle", w.bundle(t, w.serve("p", "a")), "p-a")
	parent := exec.Command(argv[0], argv[1:]...)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	a := w.agent(t, "p", "a")
	if err := parent.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	init := w.inspect(t, "p").Init
	if err := unix.Kill(init.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.awaitEnd(t)
	if info := w.inspect(t, "p"); info.Phase != "Dead" || info.Init.Alive {
		t.Errorf("inspect: phase %q, reason %q, init %+v; want Dead for its init", info.Phase, info.Reason, info.Init)
	}
	if state := readFile(t, fmt.Sprintf("/proc/%d/stat", init.PID)); strings.Contains(state, ") Z ") {
		t.Errorf("the init is a zombie: %s; want it to wait for the container to be reaped", state)
	}
	if err := parent.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if got := parent.ProcessState.ExitCode(); got != 137 {
		t.Errorf("podrt run: exit code %d; want 137", got)
	}
	w.ok(t, "pod", "rm", "p")
}
