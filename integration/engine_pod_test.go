package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestEnginePod is the life of a pod of containerd's: the sandbox makes it, its
// containers join it, also when the pause process has died, and it goes with
// the sandbox.
func TestEnginePod(t *testing.T) {
	e := newEngine(t)
	cni := elsewhere(t, unix.CLONE_NEWNET)
	netns := nsPath(cni, "net")
	pause := e.start(t, sandboxID, criSandbox(netns))

	pod := e.inspect(t, "default/web-0")
	if pod.UID != sandboxID || pod.Name != "default/web-0" || pod.Phase != "Running" || pod.Hostname != "web-0" {
		t.Errorf("inspect: %+v", pod)
	}
	if !strings.HasSuffix(pod.Cgroup, kubePods) {
		t.Errorf("cgroup %q; want kubelet's, %s", pod.Cgroup, kubePods)
	}
	for _, ref := range []string{"web-0", podUID, sandboxID, sandboxID[:9]} {
		if got := e.inspect(t, ref).UID; got != sandboxID {
			t.Errorf("pod %q is %q; want %q", ref, got, sandboxID)
		}
	}
	wantNamespaces(t, pod, pause, "net", "ipc", "uts", "pid")
	if got, want := pod.namespace("net"), inode(t, netns); got != want {
		t.Errorf("net namespace %d; want CNI's, %d", got, want)
	}
	table := rows(t, e.ok(t, "pod", "ls").stdout, "UID", "NAME", "PHASE", "CREATED", "CONTAINERS", "READY", "RESTARTS", "NETWORK", "ENGINE")
	if got := table["default/web-0"]; len(got) != 9 || got[0] != sandboxID || got[4] != "1/1" || got[7] != "engine" || got[8] != "containerd" {
		t.Errorf("ls: %q", got)
	}

	first := e.start(t, memberID, criContainer(memberID, "app", pause))
	pod = e.inspect(t, "web-0")
	wantNamespaces(t, pod, first, "net", "ipc", "uts")
	if inode(t, nsPath(first, "pid")) == pod.namespace("pid") {
		t.Error("the container shares the sandbox's PID namespace, and did not ask for it")
	}
	if c := pod.container(t, "app"); c.ID != memberID || c.Status != "running" || c.PID != first || !c.External {
		t.Errorf("container: %+v", c)
	}
	pod.container(t, "(sandbox)")
	if out := e.ok(t, "pod", "exec", "web-0", "app", "hostname").stdout; out != "web-0\n" {
		t.Errorf("hostname in the container: %q; want the pod's", out)
	}
	if out := e.ok(t, "pod", "ps", "web-0").stdout; !strings.Contains(out, "app ") || !strings.Contains(out, "(sandbox) ") {
		t.Errorf("ps:\n%s\nwant both containers", out)
	}

	// Without the pause process all goes on, and the namespaces can be joined by
	// the path of a process that is no more, or is a stranger.
	kill(t, pause)
	second := e.start(t, otherID, criContainer(otherID, "late", pause))
	wantNamespaces(t, pod, second, "net", "ipc", "uts")
	if pod := e.inspect(t, "web-0"); pod.Phase != "Running" || pod.container(t, "app").Status != "running" || pod.container(t, "(sandbox)").Status != "stopped" {
		t.Errorf("without pause process: %+v", pod)
	}
	e.must(t, "delete", "--force", memberID)
	if pod := e.inspect(t, "web-0"); len(pod.Containers) != 2 {
		t.Errorf("containers after a delete: %+v; want two", pod.Containers)
	}

	// Engines delete the sandbox whatever lives in it.
	e.must(t, "delete", sandboxID)
	e.fails(t, 1, []string{"does not exist"}, "pod", "inspect", "web-0")
	wantNamespaces(t, pod, second, "net", "ipc", "uts")
	if out := e.must(t, "state", otherID); !strings.Contains(out, `"running"`) {
		t.Errorf("state of a container whose sandbox is deleted: %s", out)
	}
	if inode(t, netns) != pod.namespace("net") {
		t.Error("CNI's network namespace is another one")
	}
	e.must(t, "exec", otherID, "true")
	e.must(t, "delete", "--force", otherID)
}

// TestEnginePodPIDReuse: a stranger has the pid of the pause process by now.
func TestEnginePodPIDReuse(t *testing.T) {
	e := newEngine(t)
	pause := e.start(t, sandboxID, criSandbox(""))
	pod := e.inspect(t, "web-0")
	kill(t, pause)
	takePID(t, pause, unix.CLONE_NEWNET|unix.CLONE_NEWIPC|unix.CLONE_NEWUTS)
	if inode(t, nsPath(pause, "net")) == pod.namespace("net") {
		t.Fatal("the stranger is none")
	}
	member := e.start(t, memberID, criContainer(memberID, "app", pause))
	wantNamespaces(t, pod, member, "net", "ipc", "uts")

	// A stranger's PID namespace is not joined, and there is none to join.
	shared := criContainer(otherID, "shared", pause)
	setNamespace(shared, "pid", nsPath(pause, "pid"))
	e.refused(t, []string{"default/web-0", "pid namespace", "has ended"}, "create", "--bundle", e.bundle(t, shared), otherID)
}

// takePID has a process of its own namespaces get a pid that is free.
func takePID(t *testing.T, pid int, flags uintptr) {
	t.Helper()
	for range 200 {
		// Where the next fork(2) of this PID namespace begins to look for a number.
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(itoa(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		if elsewhere(t, flags) == pid {
			return
		}
	}
	t.Fatalf("no process got the pid %d", pid)
}

// TestEnginePodPID: containers that share the sandbox's PID namespace, and one
// that looks at another's.
func TestEnginePodPID(t *testing.T) {
	e := newEngine(t)
	pause := e.start(t, sandboxID, criSandbox(""))
	pod := e.inspect(t, "web-0")
	shared := criContainer(memberID, "shared", pause)
	setNamespace(shared, "pid", nsPath(pause, "pid"))
	wantNamespaces(t, pod, e.start(t, memberID, shared), "net", "ipc", "uts", "pid")

	// kubectl debug --target: the PID namespace is the other container's.
	target := e.start(t, otherID, criContainer(otherID, "target", pause))
	const debugID = "debug"
	debug := criContainer(debugID, "debug", pause)
	setNamespace(debug, "pid", nsPath(target, "pid"))
	pid := e.start(t, debugID, debug)
	wantNamespaces(t, pod, pid, "net", "ipc", "uts")
	if got, want := inode(t, nsPath(pid, "pid")), inode(t, nsPath(target, "pid")); got != want {
		t.Errorf("PID namespace %d; want the target's, %d", got, want)
	}
}

// TestEnginePodPlain: what is no pod of an engine leaves nothing of one.
func TestEnginePodPlain(t *testing.T) {
	e := newEngine(t)
	pause := elsewhere(t, unix.CLONE_NEWNET|unix.CLONE_NEWIPC|unix.CLONE_NEWUTS)
	wantPlain := func(id string) {
		t.Helper()
		if pods := e.enginePods(); len(pods) > 0 {
			t.Errorf("there are the pods %q; want none", pods)
		}
		if out := e.must(t, "state", id); strings.Contains(out, "dev.podrt.pod") {
			t.Errorf("state: %s; want that of a plain container", out)
		}
		e.must(t, "delete", "--force", id)
	}
	// Its sandbox was made by another runtime, or is podman's, which says
	// nothing of it.
	pid := e.start(t, memberID, criContainer(memberID, "app", pause))
	if inode(t, nsPath(pid, "net")) != inode(t, nsPath(pause, "net")) {
		t.Error("the container did not join what it was told to")
	}
	wantPlain(memberID)
	s := criSandbox("")
	s.Annotations["dev.podrt.engine-pods"] = "false"
	e.start(t, sandboxID, s)
	wantPlain(sandboxID)
	e.flag = []string{"--engine-pods=false"}
	e.start(t, sandboxID, criSandbox(""))
	wantPlain(sandboxID)
	e.flag = nil
	s = criSandbox("")
	s.Annotations["io.kubernetes.cri.sandbox-id"] = otherID // another's
	e.start(t, sandboxID, s)
	wantPlain(sandboxID)
	s.Annotations["dev.podrt.engine-pods"] = "perhaps"
	e.refused(t, []string{`"perhaps"`, "dev.podrt.engine-pods"}, "create", "--bundle", e.bundle(t, s), sandboxID)
}

// TestEnginePodReadOnly: where podrt may not write, an engine's containers are
// plain, as with runc.
func TestEnginePodReadOnly(t *testing.T) {
	e := newEngine(t)
	mkdir(t, e.run)
	mustMount(t, "tmpfs", e.run, "tmpfs", unix.MS_RDONLY, "")
	pause := e.start(t, sandboxID, criSandbox(""))
	member := e.start(t, memberID, criContainer(memberID, "app", pause))
	if inode(t, nsPath(member, "net")) != inode(t, nsPath(pause, "net")) {
		t.Error("the container did not join what it was told to")
	}
	e.must(t, "delete", "--force", sandboxID)
	e.must(t, "delete", "--force", memberID)
}

// TestEnginePodByAnnotation: dev.podrt.pod is --pod, and no way around an
// engine's word.
func TestEnginePodByAnnotation(t *testing.T) {
	e := newEngine(t)
	e.create(t, "p")
	e.create(t, "q")
	s := criContainer(memberID, "app", 1)
	s.Annotations = map[string]string{"dev.podrt.pod": "p"}
	for _, typ := range []string{"net", "ipc", "uts"} {
		setNamespace(s, specNamespaceOf(typ), "")
	}
	s.Linux.CgroupsPath = ""
	pid := e.start(t, memberID, s)
	pod := e.inspect(t, "p")
	wantNamespaces(t, pod, pid, "net", "ipc", "uts")
	if got := pod.container(t, memberID).PID; got != pid {
		t.Errorf("the pod's container has pid %d; want %d", got, pid)
	}
	dir := e.bundle(t, s)
	e.refused(t, []string{`--pod "q"`, `dev.podrt.pod "p"`}, "create", "--pod", "q", "--bundle", dir, otherID)
	both := criContainer(otherID, "app", 1)
	both.Annotations["dev.podrt.pod"] = "p"
	e.refused(t, []string{`dev.podrt.pod "p"`, "io.kubernetes.cri.sandbox-id", sandboxID}, "create", "--bundle", e.bundle(t, both), otherID)
	// Nor with what has the engine's words ignored: they may be by the same hand.
	for _, typ := range []string{"net", "ipc", "uts"} {
		setNamespace(both, specNamespaceOf(typ), "")
	}
	both.Linux.CgroupsPath = ""
	both.Annotations["dev.podrt.engine-pods"] = "false"
	named := []string{`dev.podrt.pod "p"`, "io.kubernetes.cri.container-type"}
	e.refused(t, named, "create", "--bundle", e.bundle(t, both), otherID)
	delete(both.Annotations, "dev.podrt.engine-pods")
	e.refused(t, named, "--engine-pods=false", "create", "--bundle", e.bundle(t, both), otherID)
	both.Annotations["io.container.manager"] = "another"
	e.refused(t, named, "create", "--bundle", e.bundle(t, both), otherID)
	delete(both.Annotations, "io.container.manager")
	delete(both.Annotations, "dev.podrt.pod")
	e.refused(t, []string{`--pod "p"`, sandboxID}, "create", "--pod", "p", "--bundle", e.bundle(t, both), otherID)
	if got := e.inspect(t, "p").Containers; len(got) != 1 {
		t.Errorf("containers: %+v; want one", got)
	}
	e.must(t, "delete", "--force", memberID)
}

// TestEnginePodHands: what a person may do to an engine's pod, and what not.
func TestEnginePodHands(t *testing.T) {
	e := newEngine(t)
	pause := e.start(t, sandboxID, criSandbox(""))
	e.start(t, memberID, criContainer(memberID, "app", pause))
	const own = "is a pod of containerd"
	e.fails(t, 1, []string{"default/web-0", own}, "pod", "stop", "web-0")
	e.fails(t, 1, []string{"default/web-0", own}, "pod", "start", "web-0")
	e.fails(t, 1, []string{`update pod "default/web-0"`, own}, "pod", "update", "--pids-limit", "9", "web-0")
	e.fails(t, 1, []string{"default/web-0", own, "use force"}, "pod", "rm", "default/web-0")
	e.fails(t, 1, []string{"default/web-0", own}, "create", "--pod", "web-0", "--bundle", e.bundle(t, e.serve("web-0", "x")), "x")
	e.fails(t, 1, []string{"default/web-0", own}, "pod", "create", "--network", "container:"+sandboxID, "x")
	e.ok(t, "pod", "kill", "-s", "URG", "web-0")

	// A pod that is removed by force takes its containers along, and nothing of
	// the engine's: the engine finds them gone.
	parent := e.inspect(t, "web-0").Cgroup
	e.ok(t, "pod", "rm", "-f", "web-0") // in some namespace: none
	e.inspect(t, "web-0")
	e.ok(t, "pod", "rm", "-f", "default/web-0")
	for _, id := range []string{sandboxID, memberID} {
		e.refused(t, []string{"does not exist"}, "state", id)
	}
	if _, err := os.Stat(parent); err != nil {
		t.Errorf("the engine's cgroup: %v; want it to stay", err)
	}

	// What the engine forgot is removed without force.
	e.start(t, sandboxID, criSandbox(""))
	kept := filepath.Join(e.dir, "kept")
	if err := os.Rename(filepath.Join(e.root, sandboxID), kept); err != nil {
		t.Fatal(err)
	}
	if pod := e.inspect(t, "web-0"); pod.Phase != "Dead" || !strings.Contains(pod.Reason, "not by podrt") {
		t.Errorf("pod without its sandbox container: %+v; want it Dead", pod)
	}
	e.ok(t, "pod", "rm", "default/web-0")
	if err := os.Rename(kept, filepath.Join(e.root, sandboxID)); err != nil {
		t.Fatal(err)
	}
}

// TestEnginePodAttempts: an engine may have several pods of one name.
func TestEnginePodAttempts(t *testing.T) {
	e := newEngine(t)
	const second = "5a11db0c0ffeebb"
	again := criSandbox("")
	again.Annotations["io.kubernetes.cri.sandbox-id"] = second
	again.Linux.CgroupsPath = kubePods + "/" + second
	pause := e.start(t, sandboxID, criSandbox(""))
	e.start(t, second, again)
	e.fails(t, 1, []string{"is the name of 2 pods", sandboxID, second}, "pod", "inspect", "default/web-0")
	kill(t, pause)
	if got := e.inspect(t, "default/web-0").UID; got != second {
		t.Errorf("pod %q; want the one whose sandbox runs", got)
	}
	// A pod made by hand has the name that it was given.
	uid := e.create(t, "web-0")
	if got := e.inspect(t, "web-0").UID; got != uid {
		t.Errorf("pod web-0 is %q; want the one made by hand", got)
	}
	e.fails(t, 1, []string{"is the UID of another pod"}, "pod", "create", second)
}

// TestEnginePodFailures: a creation that fails leaves neither container nor pod,
// and does no harm to a pod that is there.
func TestEnginePodFailures(t *testing.T) {
	e := newEngine(t)
	bad := criSandbox("")
	bad.Process.Args = []string{"/no/such/program"}
	empty := func() {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(e.run, "pods"))
		if err != nil || len(entries) > 0 {
			t.Errorf("pods: %v, %v; want none", entries, err)
		}
	}
	e.refused(t, []string{"/no/such/program"}, "create", "--bundle", e.bundle(t, bad), sandboxID)
	empty()
	bad.Linux.Namespaces = append(bad.Linux.Namespaces, bad.Linux.Namespaces[0])
	e.refused(t, []string{"duplicated ns"}, "create", "--bundle", e.bundle(t, bad), sandboxID)
	empty()
	e.refused(t, nil, "create", "--bundle", e.bundle(t, criSandbox("")), "--pid-file", "/no/such/dir/pid", sandboxID)
	empty()

	pause := e.start(t, sandboxID, criSandbox(""))
	e.refused(t, []string{"container with given ID already exists"}, "create", "--bundle", e.bundle(t, criSandbox("")), sandboxID)
	member := criContainer(memberID, "app", pause)
	member.Process.Args = []string{"/no/such/program"}
	e.refused(t, []string{"/no/such/program"}, "create", "--bundle", e.bundle(t, member), memberID)
	if got := e.inspect(t, "web-0"); len(got.Containers) != 1 || got.Phase != "Running" {
		t.Errorf("pod: %+v; want its sandbox alone", got)
	}
	member.Process.Args = []string{"true"}
	e.must(t, "run", "--bundle", e.bundle(t, member), memberID)
	if got := e.inspect(t, "web-0"); len(got.Containers) != 1 {
		t.Errorf("containers after a run: %+v; want its sandbox alone", got.Containers)
	}
	e.must(t, "delete", "--force", sandboxID)
	empty()

	// A sandbox that is run to its end takes its pod along; an engine may give
	// the id again.
	ends := criSandbox("")
	ends.Process.Args = []string{"true"}
	dir := e.bundle(t, ends)
	e.must(t, "run", "--bundle", dir, sandboxID)
	empty()
	e.must(t, "run", "--detach", "--bundle", dir, sandboxID)
	e.must(t, "delete", "--force", sandboxID)
	empty()
	e.must(t, "delete", "--force", sandboxID)
}

// TestEnginePodStaleID: the record of a pod whose sandbox went without podrt
// does not keep the engine from using its id.
func TestEnginePodStaleID(t *testing.T) {
	e := newEngine(t)
	e.start(t, sandboxID, criSandbox(""))
	before := e.inspect(t, "web-0")
	kept := filepath.Join(e.dir, "kept")
	if err := os.Rename(filepath.Join(e.root, sandboxID), kept); err != nil {
		t.Fatal(err)
	}
	s := criSandbox("")
	s.Linux.CgroupsPath = kubePods + "/again"
	pid := e.start(t, sandboxID, s)
	pod := e.inspect(t, "web-0")
	wantNamespaces(t, pod, pid, "net", "ipc", "uts")
	if pod.namespace("net") == before.namespace("net") {
		t.Error("the pod has the old one's pins")
	}
	e.must(t, "delete", "--force", sandboxID)
	if err := os.Rename(kept, filepath.Join(e.root, sandboxID)); err != nil {
		t.Fatal(err)
	}
}

// TestEnginePodLostPins: somebody has unmounted podrt's pins. As long as the
// sandbox's init lives, the path leads to the namespace that was recorded.
func TestEnginePodLostPins(t *testing.T) {
	e := newEngine(t)
	pause := e.start(t, sandboxID, criSandbox(""))
	pod := e.inspect(t, "web-0")
	for _, ns := range pod.Namespaces {
		if err := unix.Unmount(ns.Path, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	wantNamespaces(t, pod, e.start(t, memberID, criContainer(memberID, "app", pause)), "net", "ipc", "uts")
	e.must(t, "delete", "--force", memberID)
	kill(t, pause)
	e.refused(t, []string{"default/web-0", "the namespace is gone"}, "create", "--bundle", e.bundle(t, criContainer(memberID, "app", pause)), memberID)
	if got := e.inspect(t, sandboxID); len(got.Containers) != 1 || got.Phase != "Dead" {
		t.Errorf("pod: %+v; want it dead, with its sandbox alone", got)
	}
}

func specNamespaceOf(kind string) specsNamespace {
	if kind == "net" {
		return "network"
	}
	return specsNamespace(kind)
}

// TestEnginePodCgroup: under a cgroup that others use, too, only the pod's
// containers are frozen, counted and killed.
func TestEnginePodCgroup(t *testing.T) {
	e := newEngineInVM(t)
	const shared = "/k8s.io"
	s := criSandbox("")
	s.Linux.CgroupsPath = shared + "/" + sandboxID
	pause := e.start(t, sandboxID, s)
	m := criContainer(memberID, "app", pause)
	m.Linux.CgroupsPath = shared + "/" + memberID
	member := e.start(t, memberID, m)
	stranger := criContainer(otherID, "app", pause)
	stranger.Annotations = nil
	stranger.Linux.CgroupsPath = shared + "/" + otherID
	other := e.start(t, otherID, stranger)

	frozen := func(pid int) bool {
		t.Helper()
		return strings.Contains(read(t, filepath.Join(cgroupOf(t, pid), "cgroup.events")), "frozen 1")
	}
	e.ok(t, "pod", "pause", "web-0")
	if !frozen(pause) || !frozen(member) || frozen(other) {
		t.Errorf("frozen: pause %t, member %t, stranger %t; want true, true, false", frozen(pause), frozen(member), frozen(other))
	}
	if got := e.inspect(t, "web-0"); got.Phase != "Paused" || got.container(t, "app").Status != "paused" {
		t.Errorf("paused pod: %+v", got)
	}
	if out := e.must(t, "state", memberID); !strings.Contains(out, `"paused"`) {
		t.Errorf("state: %s; want it paused", out)
	}
	e.must(t, "resume", memberID) // the engine's hands are not bound
	if frozen(member) {
		t.Error("the member is frozen; its engine resumed it")
	}
	e.ok(t, "pod", "resume", "web-0")
	if frozen(pause) || frozen(member) || e.inspect(t, "web-0").Phase != "Running" {
		t.Error("the pod is frozen; want it resumed")
	}
	stats := e.statsOf(t, "web-0")
	one, two := stats.Containers["app"], stats.Containers["(sandbox)"]
	if len(stats.Containers) != 2 || stats.Pod.CPU.UsageUsec != one.CPU.UsageUsec+two.CPU.UsageUsec || one.CPU.UsageUsec == 0 {
		t.Errorf("stats: %+v; want the sum of two containers", stats)
	}
	if rung.Current() == rung.VM && (stats.Pod.Pids == nil || stats.Pod.Pids.Current != 2 || stats.Pod.Memory == nil || stats.Pod.Memory.Usage != one.Memory.Usage+two.Memory.Usage) {
		t.Errorf("stats: %+v; want two processes and their memory", stats)
	}
	e.ok(t, "pod", "kill", "web-0")
	if err := unix.Kill(other, 0); err != nil {
		t.Errorf("the stranger: %v; want it alive", err)
	}
	if got := e.inspect(t, "web-0"); got.Phase != "Stopped" {
		t.Errorf("phase %s after the kill; want Stopped", got.Phase)
	}
	if out := e.ok(t, "pod", "wait", "web-0").stdout; !slices.Contains(strings.Split(out, "\n"), "app - -") {
		t.Errorf("wait: %q", out)
	}
}

// TestEnginePodOwnCgroup: kubelet's cgroup of the pod has its UID in the name,
// and the limits that kubelet gave it.
func TestEnginePodOwnCgroup(t *testing.T) {
	if rung.Current() != rung.VM {
		t.Skip("needs controllers")
	}
	e := newEngineInVM(t)
	e.start(t, sandboxID, criSandbox(""))
	pod := e.inspect(t, podUID)
	writeFile(t, filepath.Join(pod.Cgroup, "pids.max"), "50")
	// Also there the engine's own processes may be: conmon of CRI-O.
	conmon := filepath.Join(pod.Cgroup, "conmon")
	mkdir(t, conmon)
	t.Cleanup(func() { eventually(t, "conmon's end", func() bool { return os.Remove(conmon) == nil }) })
	watcher := elsewhere(t, unix.CLONE_NEWUTS)
	writeFile(t, filepath.Join(conmon, "cgroup.procs"), itoa(watcher))
	stats := e.statsOf(t, podUID).Pod
	if stats.Pids == nil || stats.Pids.Limit == nil || *stats.Pids.Limit != 50 || stats.Pids.Current != 2 {
		t.Errorf("stats: %+v; want those of kubelet's cgroup", stats)
	}
	e.ok(t, "pod", "pause", podUID)
	if events := read(t, filepath.Join(conmon, "cgroup.events")); strings.Contains(events, "frozen 1") {
		t.Error("conmon is frozen")
	}
	e.ok(t, "pod", "kill", podUID)
	if err := unix.Kill(watcher, 0); err != nil {
		t.Errorf("conmon: %v; want it alive", err)
	}
	e.must(t, "delete", sandboxID)
	if got := read(t, filepath.Join(pod.Cgroup, "pids.max")); got != "50" {
		t.Errorf("pids.max of kubelet's cgroup: %s; want it as it was", got)
	}
}

// cgroupOf is the directory of a process's cgroup; the host may have others of
// version 1.
func cgroupOf(t *testing.T, pid int) string {
	t.Helper()
	_, path, _ := strings.Cut("\n"+read(t, "/proc/"+itoa(pid)+"/cgroup"), "\n0::")
	path, _, _ = strings.Cut(path, "\n")
	return "/sys/fs/cgroup" + path
}
