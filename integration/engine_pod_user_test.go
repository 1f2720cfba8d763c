package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// hostUserIDs is the first of the 65536 ids that a pod's user namespace gets.
const hostUserIDs = 1 << 20

// mapUsers gives a spec a user namespace, by path where there is one.
func mapUsers(s *specs.Spec, path string) {
	setNamespace(s, specs.UserNamespace, path)
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: hostUserIDs, Size: 1 << 16}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
}

// TestEnginePodUser: a sandbox of containerd's with a user namespace, and a
// container that joins it with path and mappings, as containerd has it.
func TestEnginePodUser(t *testing.T) {
	e := newEngine(t)
	s := criSandbox("")
	mapUsers(s, "")
	pause := e.start(t, sandboxID, s)
	pod := e.inspect(t, "web-0")
	wantNamespaces(t, pod, pause, "user", "net", "ipc", "uts", "pid")
	kill(t, pause)
	m := criContainer(memberID, "app", pause)
	mapUsers(m, nsPath(pause, "user"))
	member := e.start(t, memberID, m)
	wantNamespaces(t, pod, member, "user", "net", "ipc", "uts")
	if owner := ownerOf(t, member); owner != hostUserIDs {
		t.Errorf("the container's root is user %d of the host; want %d", owner, hostUserIDs)
	}
}

// ownerOf is the user that a process runs as.
func ownerOf(t *testing.T, pid int) int {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+itoa(pid), &st); err != nil {
		t.Fatal(err)
	}
	return int(st.Uid)
}

// crioNamespaces makes namespaces and pins them, as CRI-O's pinns does, and
// returns the pins' directory.
func crioNamespaces(t *testing.T, kinds ...string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("/bin/busybox", "sleep", "86400")
	ids := []syscall.SysProcIDMap{{HostID: hostUserIDs, Size: 1 << 16}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: ids, GidMappings: ids, Pdeathsig: unix.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for _, kind := range kinds {
		pin := filepath.Join(dir, kind)
		if err := os.WriteFile(pin, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(nsPath(cmd.Process.Pid, kind), pin, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(pin, unix.UMOUNT_NOFOLLOW); err != nil {
				t.Errorf("unmount CRI-O's pin %q: %v; want it to be there still", pin, err)
			}
		})
	}
	return dir
}

// TestEnginePodCRIO: all namespaces of the pod come by path, and containers name
// the same paths. podrt's pins keep them when CRI-O's are gone, and CRI-O's stay
// when podrt's go.
func TestEnginePodCRIO(t *testing.T) {
	e := newEngine(t)
	kinds := []string{"user", "net", "ipc", "uts"}
	pins := crioNamespaces(t, kinds...)
	join := func(s *specs.Spec) *specs.Spec {
		s.Hostname = ""
		for _, kind := range kinds {
			setNamespace(s, specNamespaceOf(kind), filepath.Join(pins, kind))
		}
		return s
	}
	sandbox := join(bundle.Spec("sleep", "86400"))
	sandbox.Annotations = map[string]string{
		"io.container.manager":              "cri-o",
		"io.kubernetes.cri-o.ContainerID":   sandboxID,
		"io.kubernetes.cri-o.ContainerType": "sandbox",
		"io.kubernetes.cri-o.KubeName":      "web-0",
		"io.kubernetes.cri-o.Metadata":      `{"name":"web-0","uid":"` + podUID + `","namespace":"default","attempt":3}`,
		"io.kubernetes.cri-o.Namespace":     "default",
		"io.kubernetes.cri-o.SandboxID":     sandboxID,
		"io.kubernetes.cri-o.SandboxName":   "k8s_web-0_default_" + podUID + "_3",
	}
	sandbox.Linux.CgroupsPath = kubePods + "/crio-" + sandboxID
	infra := e.start(t, sandboxID, sandbox)
	pod := e.inspect(t, podUID)
	wantNamespaces(t, pod, infra, kinds...)
	if out := e.ok(t, "pod", "inspect", podUID).stdout; !strings.Contains(out, `"attempt": 3`) || !strings.Contains(out, `"engine": "cri-o"`) {
		t.Errorf("inspect: %s; want CRI-O's third attempt", out)
	}
	for _, kind := range kinds {
		if got, want := pod.namespace(kind), inode(t, filepath.Join(pins, kind)); got != want {
			t.Errorf("%s namespace %d; want CRI-O's, %d", kind, got, want)
		}
	}

	app := join(bundle.Spec("sleep", "86400"))
	app.Annotations = map[string]string{
		"io.container.manager":              "cri-o",
		"io.kubernetes.cri-o.ContainerID":   memberID,
		"io.kubernetes.cri-o.ContainerType": "container",
		"io.kubernetes.cri-o.Metadata":      `{"name":"app"}`,
		"io.kubernetes.cri-o.SandboxID":     sandboxID,
	}
	app.Linux.CgroupsPath = kubePods + "/crio-" + memberID
	pid := e.start(t, memberID, app)
	wantNamespaces(t, pod, pid, kinds...)
	if got := e.inspect(t, "web-0").container(t, "app").PID; got != pid {
		t.Errorf("the container has pid %d; want %d", got, pid)
	}
	state := read(t, filepath.Join(e.root, memberID, "state.json"))
	for _, kind := range kinds {
		if ns := filepath.Join(e.run, "pods", sandboxID, "ns", kind); !strings.Contains(state, `"`+ns+`"`) {
			t.Errorf("the container was not made in podrt's pin %q", ns)
		}
	}
}
