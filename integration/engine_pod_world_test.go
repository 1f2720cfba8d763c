package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// engine calls podrt as a container engine does: with a state root of its own,
// and bundles whose config.json is as the engine writes it.
type engine struct {
	*world
	root string
	flag []string // further global flags
}

// newEngine is for tests of what is the same on each kernel: natively, since in
// the VM all of them would take minutes.
func newEngine(t *testing.T) *engine {
	t.Helper()
	if brief() {
		t.Skip("natively")
	}
	return newEngineInVM(t)
}

func newEngineInVM(t *testing.T) *engine {
	t.Helper()
	e := &engine{world: newWorld(t)}
	e.root = filepath.Join(e.dir, "engine")
	t.Cleanup(func() { e.deleteAll(t) })
	return e
}

// deleteAll deletes what the test has left of the engine's containers, of which
// no pod is left then.
func (e *engine) deleteAll(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(e.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, c := range entries {
		if r := e.call(t, "delete", "--force", c.Name()); r.code != 0 {
			t.Errorf("exit code %d; want 0: %v", r.code, r)
		}
	}
	if pods := e.enginePods(); len(pods) > 0 {
		t.Errorf("all containers are deleted, and there are the pods %q", pods)
	}
	// These are the engine's to make and to remove.
	for _, cgroup := range []string{kubePods, "/kubepods/burstable", "/kubepods", "/k8s.io"} {
		if err := os.Remove("/sys/fs/cgroup" + cgroup); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

// enginePods lists the pods that are not podrt's own.
func (e *engine) enginePods() []string {
	var pods []string
	records, _ := filepath.Glob(filepath.Join(e.run, "pods", "*", "pod.json"))
	for _, record := range records {
		if b, err := os.ReadFile(record); err == nil && strings.Contains(string(b), `"engine": {`) {
			pods = append(pods, filepath.Base(filepath.Dir(record)))
		}
	}
	return pods
}

// call runs podrt with the engine's flags.
func (e *engine) call(t *testing.T, args ...string) *result {
	t.Helper()
	return e.podrt(t, append(append([]string{"--root", e.root}, e.flag...), args...)...)
}

// must is call for what must not fail.
func (e *engine) must(t *testing.T, args ...string) string {
	t.Helper()
	r := e.call(t, args...)
	if r.code != 0 {
		t.Fatalf("exit code %d; want 0: %v", r.code, r)
	}
	return r.stdout
}

// refused is call for what must fail with a message that has all of the words.
func (e *engine) refused(t *testing.T, words []string, args ...string) {
	t.Helper()
	r := e.call(t, args...)
	if r.code == 0 {
		t.Errorf("exit code 0; want a failure: %v", r)
	}
	for _, word := range words {
		if !strings.Contains(message(r), word) {
			t.Errorf("no %q on standard error: %v", word, r)
		}
	}
}

// start creates and starts a container and returns its init's pid.
func (e *engine) start(t *testing.T, id string, s *specs.Spec) int {
	t.Helper()
	pidFile := filepath.Join(e.dir, "pid")
	dir := e.bundle(t, s)
	if slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace }) {
		if err := bundle.Chown(filepath.Join(dir, "rootfs"), hostUserIDs, hostUserIDs); err != nil {
			t.Fatal(err)
		}
	}
	e.must(t, "create", "--bundle", dir, "--pid-file", pidFile, id)
	e.must(t, "start", id)
	var pid int
	if _, err := fmt.Sscan(read(t, pidFile), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// Ids as engines make them, and a pod of kubelet's.
const (
	sandboxID = "5a11db0c0ffee0000000000000000000000000000000000000000000000000aa"
	memberID  = "c0de000000000000000000000000000000000000000000000000000000000001"
	otherID   = "c0de000000000000000000000000000000000000000000000000000000000002"
	podUID    = "0aa1b2c3-1111-2222-3333-444455556666"
	kubePods  = "/kubepods/burstable/pod" + podUID
)

// criSandbox is the config.json of a sandbox container of containerd's CRI
// plugin (2.0, sandbox_run_linux.go), with the network namespace that CNI has
// set up.
func criSandbox(netns string) *specs.Spec {
	s := bundle.Spec("sleep", "86400")
	s.Hostname = "web-0"
	s.Annotations = map[string]string{
		"io.kubernetes.cri.container-type":        "sandbox",
		"io.kubernetes.cri.sandbox-cpu-period":    "100000",
		"io.kubernetes.cri.sandbox-id":            sandboxID,
		"io.kubernetes.cri.sandbox-log-directory": "/var/log/pods/default_web-0_" + podUID,
		"io.kubernetes.cri.sandbox-name":          "web-0",
		"io.kubernetes.cri.sandbox-namespace":     "default",
		"io.kubernetes.cri.sandbox-uid":           podUID,
		"io.kubernetes.cri.podsandbox.image-name": "registry.k8s.io/pause:3.10",
		"kubernetes.io/config.seen":               "2026-08-01T00:00:00Z",
	}
	s.Linux.CgroupsPath = kubePods + "/" + sandboxID
	setNamespace(s, specs.NetworkNamespace, netns)
	return s
}

// criContainer is that of a container in the pod (container_create_linux.go,
// WithPodNamespaces).
func criContainer(id, name string, sandbox int) *specs.Spec {
	s := bundle.Spec("sleep", "86400")
	s.Hostname = ""
	s.Annotations = map[string]string{
		"io.kubernetes.cri.container-name":    name,
		"io.kubernetes.cri.container-type":    "container",
		"io.kubernetes.cri.image-name":        "docker.io/library/busybox:latest",
		"io.kubernetes.cri.sandbox-id":        sandboxID,
		"io.kubernetes.cri.sandbox-name":      "web-0",
		"io.kubernetes.cri.sandbox-namespace": "default",
		"io.kubernetes.cri.sandbox-uid":       podUID,
	}
	s.Linux.CgroupsPath = kubePods + "/" + id
	for _, typ := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace} {
		setNamespace(s, typ, nsPath(sandbox, kindOf(typ)))
	}
	return s
}

func kindOf(typ specs.LinuxNamespaceType) string {
	if typ == specs.NetworkNamespace {
		return "net"
	}
	return string(typ)
}

func nsPath(pid int, kind string) string { return fmt.Sprintf("/proc/%d/ns/%s", pid, kind) }

// setNamespace gives a namespace of a spec a path; empty for one of its own.
func setNamespace(s *specs.Spec, typ specs.LinuxNamespaceType, path string) {
	withoutNamespace(s, typ)
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: typ, Path: path})
}

// inode is the number of a namespace.
func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	return st.Ino
}

// elsewhere starts a process with namespaces of its own, and ends it with the
// test.
func elsewhere(t *testing.T, flags uintptr) int {
	t.Helper()
	cmd := exec.Command("/bin/busybox", "sleep", "86400")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// kill ends a process, and returns when it is gone for its observers.
func kill(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reaping", func() bool { return unix.Kill(pid, 0) == unix.ESRCH })
}

// wantNamespaces compares the namespaces of a process with the pod's.
func wantNamespaces(t *testing.T, pod *podInfo, pid int, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		if got, want := inode(t, nsPath(pid, kind)), pod.namespace(kind); got != want {
			t.Errorf("%s namespace of process %d is %d; want the pod's, %d", kind, pid, got, want)
		}
	}
}

type specsNamespace = specs.LinuxNamespaceType

func itoa(n int) string { return strconv.Itoa(n) }
