package integration

import (
	"encoding/json"
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
)

// TestPodDetached: the monitor of a pod in the background lives as long as the
// pod's containers, and knows how each of them ended.
func TestPodDetached(t *testing.T) {
	w := newWorld(t)
	// With a shared PID namespace no container is PID 1, on whom its own signals
	// have no effect.
	dir := w.podOf(t, bundle.Pod{"share": list{"net", "ipc", "uts", "pid"}},
		bundle.Container{Name: "good"}, bundle.Container{Name: "bad"},
		bundle.Container{Name: "term"}, bundle.Container{Name: "segv"},
		bundle.Container{Name: "killed"}, bundle.Container{Name: "last"})
	uid := w.start(t, dir)
	agents := make(map[string]*agent)
	for _, name := range []string{"good", "bad", "term", "segv", "killed", "last"} {
		agents[name] = w.agent(t, "p", name)
	}
	wait := exec.Command(w.argv("pod")[0], w.argv("pod", "wait", "p")[1:]...)
	var waited strings.Builder
	wait.Stdout = &waited
	if err := wait.Start(); err != nil {
		t.Fatal(err)
	}
	if got := monitors(t, dir); len(got) != 1 {
		t.Errorf("monitors %q; want one", got)
	}

	agents["good"].send(t, false, []string{"exit", "0"})
	agents["bad"].send(t, false, []string{"exit", "42"})
	agents["term"].send(t, false, []string{"signal-self", "SIGTERM"})
	agents["segv"].send(t, false, []string{"signal-self", "SIGSEGV"})
	for _, name := range []string{"good", "bad", "term", "segv"} {
		agents[name].awaitEnd(t)
	}
	info := w.inspect(t, "p")
	if info.Phase != "Running" || !info.Monitored {
		t.Errorf("with two containers left: phase %s, monitored %t; want Running, monitored", info.Phase, info.Monitored)
	}
	if err := unix.Kill(info.container(t, "killed").PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	agents["last"].send(t, false, []string{"exit", "0"})
	if err := wait.Wait(); err != nil {
		t.Errorf("pod wait: %v", err)
	}
	if want := "good 0 exit\nbad 42 exit\nterm 143 signal\nsegv 139 signal\nkilled 137 signal\nlast 0 exit\n"; waited.String() != want {
		t.Errorf("pod wait: %q; want %q", waited.String(), want)
	}

	info = w.inspect(t, "p")
	if info.Phase != "Failed" || info.Monitored {
		t.Errorf("after all: phase %s, monitored %t; want Failed and not", info.Phase, info.Monitored)
	}
	info.container(t, "good").wantExit(t, 0, "exit", "")
	info.container(t, "bad").wantExit(t, 42, "exit", "")
	info.container(t, "term").wantExit(t, 143, "signal", "SIGTERM")
	info.container(t, "segv").wantExit(t, 139, "signal", "SIGSEGV")
	info.container(t, "killed").wantExit(t, 137, "signal", "SIGKILL")
	eventually(t, "monitor ended", func() bool { return len(monitors(t, dir)) == 0 })

	log := readFile(t, filepath.Join(w.log, uid, "good.log"))
	if log != "ready\n" {
		t.Errorf("log of good: %q; want %q", log, "ready\n")
	}
	w.ok(t, "pod", "rm", "p")
}

// monitors are the podrt processes that serve the pod, as what they were started
// with: its bundle by pod run, its UID by pod start.
func monitors(t *testing.T, with string) []string {
	t.Helper()
	var found []string
	for _, p := range podrtProcesses(t) {
		if strings.Contains(p, " monitor --bundle "+with) || strings.Contains(p, " monitor "+with) {
			found = append(found, p)
		}
	}
	return found
}

// TestPodStop: containers may end by themselves within the grace period; what
// does not is killed. The pod stays and starts again.
func TestPodStop(t *testing.T) {
	w := newWorld(t)
	polite := bundle.Spec("/probe", "trap")
	other := bundle.Spec("/probe", "trap")
	other.Annotations = map[string]string{"org.opencontainers.image.stopSignal": "SIGUSR1"}
	stubborn := bundle.Spec("/probe", "ignore-term")
	dir := w.podOf(t, nil,
		bundle.Container{Name: "polite", Spec: polite},
		bundle.Container{Name: "other", Spec: other},
		bundle.Container{Name: "stubborn", Spec: stubborn})
	uid := w.start(t, dir)
	log := func(name string) string { return readFile(t, filepath.Join(w.log, uid, name+".log")) }
	for _, name := range []string{"polite", "other", "stubborn"} {
		eventually(t, name+" ready", func() bool { return log(name) == "ready\n" })
	}
	began := time.Now()
	w.ok(t, "pod", "stop", "-t", "1", "p")
	if took := time.Since(began); took < time.Second {
		t.Errorf("stop -t 1 took %v; want the second for those who do not end", took)
	}
	info := w.inspect(t, "p")
	info.container(t, "polite").wantExit(t, 0, "exit", "")
	info.container(t, "other").wantExit(t, 137, "signal", "SIGKILL")
	info.container(t, "stubborn").wantExit(t, 137, "signal", "SIGKILL")
	if info.Phase != "Failed" {
		t.Errorf("phase %s; want Failed", info.Phase)
	}
	if got := log("polite"); got != "ready\nSIGTERM\n" {
		t.Errorf("polite got %q; want SIGTERM alone", got)
	}
	if got := log("other"); got != "ready\nSIGUSR1\n" {
		t.Errorf("other got %q; want its stop signal alone", got)
	}

	was := info.Namespaces
	w.ok(t, "pod", "stop", "p") // nothing to do
	w.ok(t, "pod", "start", "p")
	info = w.inspect(t, "p")
	if info.Phase != "Running" || info.UID != uid || info.container(t, "polite").Status != "running" || info.container(t, "polite").Exit != nil {
		t.Errorf("after start: %+v; want it to run as before", info)
	}
	for i, ns := range info.Namespaces {
		if ns != was[i] {
			t.Errorf("namespace after start: %+v; want %+v", ns, was[i])
		}
	}
	eventually(t, "polite ready again", func() bool { return log("polite") == "ready\nSIGTERM\nready\n" })
	w.ok(t, "pod", "start", "p") // it runs
	w.ok(t, "pod", "kill", "-s", "TERM", "p")
	eventually(t, "polite ended", func() bool { return w.inspect(t, "p").container(t, "polite").Status == "stopped" })
	w.ok(t, "pod", "rm", "-f", "p")
}

// TestPodCreatedContainers: containers that a caller makes in a pod wait to be
// started, by themselves or with the pod.
func TestPodCreatedContainers(t *testing.T) {
	w := newWorld(t)
	w.create(t, "p")
	w.fails(t, 1, []string{`"p"`, "no container to start"}, "pod", "start", "p")
	for _, name := range []string{"a", "b"} {
		w.ok(t, "create", "--pod", "p", "--bundle", w.bundle(t, w.serve("p", name)), name)
	}
	info := w.inspect(t, "p")
	if c := info.container(t, "a"); c.Status != "created" || !c.External || info.Phase != "Created" {
		t.Errorf("inspect: phase %s, %+v; want created", info.Phase, c)
	}
	w.fails(t, 1, []string{`"a"`, "one of that name"}, "create", "--pod", "p", "--bundle", w.bundle(t, w.serve("p", "a")), "a")
	w.ok(t, "start", "a")
	w.agent(t, "p", "a").want(t, "p (none)", "hostname")
	w.ok(t, "pod", "start", "p")
	w.agent(t, "p", "b").want(t, "p (none)", "hostname")
	var state struct {
		Status      string
		Annotations map[string]string
	}
	if err := json.Unmarshal([]byte(w.ok(t, "state", "b").stdout), &state); err != nil {
		t.Fatal(err)
	}
	if state.Status != "running" || state.Annotations["dev.podrt.pod"] != info.UID || state.Annotations["dev.podrt.pod.name"] != "p" {
		t.Errorf("state: %+v; want running and the pod's UID and name", state)
	}
	w.ok(t, "kill", "a", "KILL")
	w.agent(t, "p", "a").awaitEnd(t)
	w.ok(t, "delete", "a")
	w.ok(t, "pod", "stop", "-t", "0", "p")
	// Its caller alone knows how b ended.
	if info := w.inspect(t, "p"); info.Phase != "Stopped" || info.container(t, "b").Exit != nil {
		t.Errorf("inspect: phase %s, %+v; want Stopped, no exit", info.Phase, info.Containers)
	}
	if out := w.ok(t, "pod", "wait", "p").stdout; out != "b - -\n" {
		t.Errorf("pod wait: %q; want %q", out, "b - -\n")
	}
	w.ok(t, "pod", "rm", "p")
}

// TestPodExec: one more process in a container, in its cgroup leaf, with its
// exit status.
func TestPodExec(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, nil, bundle.Container{Name: "a"}, bundle.Container{Name: "b", Spec: w.serve("p", "b", func(s *specs.Spec) {
		s.Process.Env = append(s.Process.Env, "WHO=b")
	})})
	w.start(t, dir)
	a, b := w.agent(t, "p", "a"), w.agent(t, "p", "b")
	if got := w.ok(t, "pod", "exec", "p", "b", "sh", "-c", "echo $WHO; readlink /proc/self/ns/pid; cat /proc/self/cgroup | tail -n 1").stdout; got != "b\n"+b.namespaces(t)["pid"]+"\n0::/\n" {
		t.Errorf("exec in b: %q; want its environment, PID namespace and cgroup", got)
	}
	a.ask(t, "sem-set", "5", "42")
	if got := w.ok(t, "pod", "exec", "p", "b", "/probe", "sem-get", "5").stdout; got != "42\n" {
		t.Errorf("semaphore in b: %q; want 42", got)
	}
	w.fails(t, 42, nil, "pod", "exec", "p", "a", "sh", "-c", "exit 42")
	w.fails(t, 42, nil, "pod", "exec", "p", "a", "--", "sh", "-c", "exit 42")
	w.fails(t, 255, []string{"cannot be empty"}, "pod", "exec", "p", "a", "--")
	w.fails(t, 137, nil, "pod", "exec", "p", "a", "sh", "-c", "kill -9 $$")
	w.fails(t, 255, []string{"nonesuch", "not found"}, "pod", "exec", "p", "a", "nonesuch")
	w.fails(t, 255, []string{`"c"`, `pod "p"`, "does not exist"}, "pod", "exec", "p", "c", "true")
	w.fails(t, 255, []string{`"q"`, "does not exist"}, "pod", "exec", "q", "a", "true")
}

// TestPodTables: ls, ps and stats as a person and as a program reads them.
func TestPodTables(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, bundle.Pod{"share": list{"net", "ipc", "uts", "pid"}, "metadata": object{"name": "p", "labels": object{"app": "x"}}},
		bundle.Container{Name: "a"}, bundle.Container{Name: "long-name"})
	uid := w.start(t, dir)
	w.agent(t, "p", "a")
	w.agent(t, "p", "long-name")
	w.create(t, "empty")

	table := rows(t, w.ok(t, "pod", "ls").stdout, "UID", "NAME", "PHASE", "CREATED", "CONTAINERS", "READY", "RESTARTS", "NETWORK", "ENGINE")
	if got := table["p"]; len(got) != 9 || got[0] != uid || got[2] != "Running" || got[4] != "2/2" || got[5] != "yes" || got[6] != "0" || got[7] != "none" {
		t.Errorf("ls: %q", got)
	}
	if got := table["empty"]; len(got) != 9 || got[2] != "Created" || got[4] != "0/0" || got[5] != "no" {
		t.Errorf("ls: %q", got)
	}
	var pods []struct {
		UID, Name, Phase    string
		Running, Containers int
		Ready               bool
		Labels              map[string]string
	}
	if err := json.Unmarshal([]byte(w.ok(t, "pod", "ls", "--format", "json").stdout), &pods); err != nil || len(pods) != 2 {
		t.Errorf("ls --format json: %v, %+v; want two pods", err, pods)
	}
	for _, p := range pods {
		if p.Name == "p" && (p.UID != uid || p.Phase != "Running" || p.Running != 2 || !p.Ready || p.Labels["app"] != "x") {
			t.Errorf("ls --format json: %+v", p)
		}
	}

	info := w.inspect(t, "p")
	var list []struct {
		Container string
		PID, PPID int
		Command   string
	}
	if err := json.Unmarshal([]byte(w.ok(t, "pod", "ps", "--format", "json", "p").stdout), &list); err != nil {
		t.Fatal(err)
	}
	want := map[int]string{info.Init.PID: "", info.container(t, "a").PID: "a", info.container(t, "long-name").PID: "long-name"}
	for _, p := range list {
		if name, ok := want[p.PID]; !ok || name != p.Container {
			t.Errorf("ps --format json: %+v; want one of %v", p, want)
		}
		if p.Container == "a" && p.Command != "/probe serve /ctl/socket p/a" {
			t.Errorf("ps: command %q", p.Command)
		}
	}
	if len(list) != len(want) {
		t.Errorf("ps --format json: %+v; want %v", list, want)
	}
	if out := w.ok(t, "pod", "ps", "p").stdout; !strings.HasPrefix(out, "CONTAINER ") || !strings.Contains(out, "\n(pod init) ") || !strings.Contains(out, "\nlong-name ") {
		t.Errorf("ps: %s", out)
	}

	stats := w.stats(t)
	if stats.UID != uid || len(stats.Containers) != 2 || stats.Pod.CPU.UsageUsec < stats.Containers["a"].CPU.UsageUsec || stats.Containers["a"].CPU.UsageUsec == 0 {
		t.Errorf("stats: %+v; want the pod's and both containers'", stats)
	}
	lines := strings.Split(w.ok(t, "pod", "stats").stdout, "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[0], "POD ") {
		t.Errorf("stats: %q; want a head, two pods and two containers", lines)
	}
	w.fails(t, 1, []string{"format"}, "pod", "ls", "--format", "yaml")
}

// rows reads an aligned table, by the second column.
func rows(t *testing.T, out string, head ...string) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
		fields := strings.Fields(line)
		if i == 0 {
			if strings.Join(fields, " ") != strings.Join(head, " ") {
				t.Errorf("head %q; want %q", fields, head)
			}
			continue
		}
		if len(fields) > 1 {
			all[fields[1]] = fields
		}
	}
	return all
}

// TestPodStartAfterEnd: a pod whose containers have ended is started again, also
// while its monitor has not recorded their end yet.
func TestPodStartAfterEnd(t *testing.T) {
	w := newWorld(t)
	dir := w.podOf(t, nil, bundle.Container{Name: "a"})
	uid := w.start(t, dir)
	a := w.agent(t, "p", "a")
	var monitor int
	if _, err := fmt.Sscan(monitors(t, dir)[0], &monitor); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(monitor, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a.send(t, false, []string{"exit", "0"})
	a.awaitEnd(t)
	eventually(t, "a has ended", func() bool { return w.inspect(t, "p").container(t, "a").Status == "stopped" })
	start := exec.Command(w.argv("pod")[0], w.argv("pod", "start", "p")[1:]...)
	var out strings.Builder
	start.Stderr = &out
	if err := start.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- start.Wait() }()
	eventually(t, "the next monitor waits for this one", func() bool {
		all := podrtProcesses(t)
		next := slices.IndexFunc(all, func(p string) bool { return strings.Contains(p, " monitor "+uid) })
		if next < 0 {
			return len(ended) > 0
		}
		pid, _, _ := strings.Cut(all[next], " ")
		fds, _ := filepath.Glob("/proc/" + pid + "/fd/*")
		return slices.ContainsFunc(fds, func(fd string) bool {
			to, err := os.Readlink(fd)
			return err == nil && to == filepath.Join(w.run, "pods", uid, "monitor")
		})
	})
	if err := unix.Kill(monitor, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("pod start: %v: %s", err, &out)
	}
	if info := w.inspect(t, "p"); info.Phase != "Running" || !info.Monitored {
		t.Errorf("started again: phase %s, monitored %t; want Running, monitored", info.Phase, info.Monitored)
	}
}
