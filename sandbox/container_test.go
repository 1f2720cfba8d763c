package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// busyboxBundle makes a bundle whose root is a static busybox and returns its
// directory and its spec, which runs a shell script.
func busyboxBundle(t *testing.T, script string) (string, *specs.Spec) {
	t.Helper()
	bundle := t.TempDir()
	bin := filepath.Join(bundle, "rootfs", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "busybox"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	spec := ExampleSpec(false)
	spec.Process.Terminal = false
	spec.Process.Args = []string{"/bin/busybox", "sh", "-c", script}
	return bundle, spec
}

func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("%s holds %v, %v; want nothing", dir, entries, err)
	}
}

// Several containers with bundles of their own, made at once in one process.
func TestContainersConcurrently(t *testing.T) {
	rung.Privileged(t)
	root := t.TempDir()
	const n = 6
	var wg sync.WaitGroup
	for i := range n {
		id := "c" + strconv.Itoa(i)
		bundle, spec := busyboxBundle(t, fmt.Sprintf("busybox cat /data/file; exit %d", i))
		if err := os.Mkdir(filepath.Join(bundle, "data"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, "data", "file"), []byte(id), 0o644); err != nil {
			t.Fatal(err)
		}
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/data", Source: "data", Options: []string{"bind"}})
		wg.Go(func() {
			if err := runOnce(t, root, id, bundle, spec, i); err != nil {
				t.Errorf("container %s: %v", id, err)
			}
		})
	}
	wg.Wait()
	assertEmpty(t, root)
}

// runOnce takes a container through its life and checks what it says.
func runOnce(t *testing.T, root, id, bundle string, spec *specs.Spec, exit int) error {
	c, err := CreateContainer(ContainerConfig{Root: root, ID: id, Bundle: bundle, Spec: spec})
	if err != nil {
		return err
	}
	var out bytes.Buffer
	p := &Process{Spec: spec.Process, Stdout: &out, Stderr: &out}
	if err := c.StartInit(p); err != nil {
		return err
	}
	state, err := c.State()
	if err != nil {
		return err
	}
	if state.Status != StatusCreated || state.Bundle != bundle || state.InitProcessPid != p.Pid() || state.Rootfs != filepath.Join(bundle, "rootfs") {
		t.Errorf("state = %+v; want created, bundle %s, pid %d", state, bundle, p.Pid())
	}
	if err := c.Start(); err != nil {
		return err
	}
	ws, err := p.Wait()
	if err != nil {
		return err
	}
	if got := ExitCode(ws); got != exit || out.String() != id {
		t.Errorf("container %s: exit code %d, output %q; want %d, %q", id, got, out.String(), exit, id)
	}
	if status, err := c.Status(); err != nil || status != StatusStopped {
		t.Errorf("status of %s = %q, %v; want stopped", id, status, err)
	}
	return c.Delete(patience(t), false)
}

func TestCreateSameID(t *testing.T) {
	rung.Privileged(t)
	root := t.TempDir()
	bundle, spec := busyboxBundle(t, "true")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = CreateContainer(ContainerConfig{Root: root, ID: "x", Bundle: bundle, Spec: spec})
		})
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, ErrExist):
			t.Errorf("create: error %v; want %v", err, ErrExist)
		}
	}
	if made != 1 {
		t.Errorf("%d containers of one id were created; want 1", made)
	}
	if err := DeleteContainer(patience(t), root, "x", true); err != nil {
		t.Error(err)
	}
	assertEmpty(t, root)
}

// What a SIGKILL in the middle of a creation leaves: a directory without state,
// a cgroup, a process in it.
func TestDeleteHalfMade(t *testing.T) {
	rung.Privileged(t)
	root := t.TempDir()
	bundle, spec := busyboxBundle(t, "true")
	for _, force := range []bool{true, false} {
		c, err := CreateContainer(ContainerConfig{Root: root, ID: "half", Bundle: bundle, Spec: spec, CgroupPath: "/podrt-test-half"})
		if err != nil {
			t.Fatal(err)
		}
		cgroup := c.CgroupPath()
		if err := os.MkdirAll(filepath.Join(cgroup, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		left := exec.Command("/bin/busybox", "sleep", "1000")
		if err := left.Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cgroup, "sub", "cgroup.procs"), []byte(strconv.Itoa(left.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadContainer(root, "half"); !errors.Is(err, ErrNotExist) {
			t.Errorf("LoadContainer: error %v; want %v", err, ErrNotExist)
		}
		err = DeleteContainer(patience(t), root, "half", force)
		if force && err != nil || !force && !errors.Is(err, ErrNotExist) {
			t.Errorf("DeleteContainer(force: %t): error %v", force, err)
		}
		if err := left.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the process that was left ended with %v; want killed", err)
		}
		if _, err := os.Stat(cgroup); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cgroup %s is left: %v", cgroup, err)
		}
		assertEmpty(t, root)
	}
}

// A container in the host's PID namespace whose init is gone: its other
// processes are the container's still.
func TestDeleteWithoutPIDNamespace(t *testing.T) {
	rung.Privileged(t)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) })
	for _, force := range []bool{false, true} {
		root := t.TempDir()
		bundle, spec := busyboxBundle(t, "busybox sleep 1000 & busybox sleep 1000 & exit 0")
		namespaces := spec.Linux.Namespaces[:0]
		for _, ns := range spec.Linux.Namespaces {
			if ns.Type != specs.PIDNamespace {
				namespaces = append(namespaces, ns)
			}
		}
		spec.Linux.Namespaces = namespaces
		c, err := CreateContainer(ContainerConfig{Root: root, ID: "shared", Bundle: bundle, Spec: spec})
		if err != nil {
			t.Fatal(err)
		}
		p := &Process{Spec: spec.Process}
		if err := c.RunInit(p); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			t.Fatal(err)
		}
		pids, err := c.Pids()
		if err != nil || len(pids) != 2 {
			t.Fatalf("processes = %v, %v; want 2", pids, err)
		}
		if err := DeleteContainer(patience(t), root, "shared", force); err != nil {
			t.Fatalf("DeleteContainer(force: %t): %v", force, err)
		}
		for _, pid := range pids {
			var ws unix.WaitStatus
			if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || ws.Signal() != unix.SIGKILL {
				t.Errorf("process %d: status %#x, %v; want killed", pid, int(ws), err)
			}
		}
		assertEmpty(t, root)
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	rung.Privileged(t)
	root := t.TempDir()
	bundle, spec := busyboxBundle(t, "true")
	spec.Process.Args = []string{"/missing"}
	c, err := CreateContainer(ContainerConfig{Root: root, ID: "x", Bundle: bundle, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Spec: spec.Process}
	err = c.StartInit(p)
	const want = `unable to start container process: error during container init: exec: "/missing": stat /missing: no such file or directory`
	if err == nil || err.Error() != want {
		t.Errorf("StartInit: error %v; want %s", err, want)
	}
	assertEmpty(t, root)
}

// Ready comes before the command, which does not run if it fails.
func TestRunInitReady(t *testing.T) {
	rung.Privileged(t)
	notReady := errors.New("not ready")
	for _, want := range []error{nil, notReady} {
		root := t.TempDir()
		bundle, spec := busyboxBundle(t, "busybox echo run")
		c, err := CreateContainer(ContainerConfig{Root: root, ID: "x", Bundle: bundle, Spec: spec})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		p := &Process{Spec: spec.Process, Stdout: &out}
		p.Ready = func() error {
			if status, err := c.Status(); err != nil || status != StatusCreated {
				t.Errorf("status in Ready = %v, %v; want created", status, err)
			}
			return want
		}
		if err := c.RunInit(p); !errors.Is(err, want) {
			t.Errorf("RunInit: error %v; want %v", err, want)
		}
		ws, _ := p.Wait()
		if want != nil {
			if out.Len() != 0 {
				t.Errorf("the command wrote %q though Ready failed", out.String())
			}
			assertEmpty(t, root)
			continue
		}
		if ExitCode(ws) != 0 || out.String() != "run\n" {
			t.Errorf("exit code %d, output %q; want 0, run", ExitCode(ws), out.String())
		}
		if err := c.Delete(patience(t), false); err != nil {
			t.Error(err)
		}
	}
}

func TestExecAndSignal(t *testing.T) {
	rung.Privileged(t)
	root := t.TempDir()
	bundle, spec := busyboxBundle(t, "busybox sleep 1000")
	c, err := CreateContainer(ContainerConfig{Root: root, ID: "x", Bundle: bundle, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	initProc := &Process{Spec: spec.Process}
	if err := c.RunInit(initProc); err != nil {
		t.Fatal(err)
	}
	// By another handle, as from another process.
	loaded, err := LoadContainer(root, "x")
	if err != nil {
		t.Fatal(err)
	}
	execSpec := *spec.Process
	execSpec.Args = []string{"/bin/busybox", "sh", "-c", "busybox cat; exit 7"}
	var out bytes.Buffer
	p := &Process{Spec: &execSpec, Stdin: strings.NewReader("hello"), Stdout: &out}
	if err := loaded.StartExec(p); err != nil {
		t.Fatal(err)
	}
	ws, err := p.Wait()
	if err != nil || ExitCode(ws) != 7 || out.String() != "hello" {
		t.Errorf("exec: exit code %d, output %q, %v; want 7, hello", ExitCode(ws), out.String(), err)
	}
	if err := loaded.Delete(patience(t), false); err == nil || err.Error() != "cannot delete container x that is not stopped: running" {
		t.Errorf("Delete of a running container: error %v", err)
	}
	if err := loaded.Signal(unix.SIGKILL, false); err != nil {
		t.Error(err)
	}
	if ws, err := initProc.Wait(); err != nil || ExitCode(ws) != 137 {
		t.Errorf("init ended with %d, %v; want 137", ExitCode(ws), err)
	}
	if err := loaded.Signal(unix.SIGKILL, false); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Signal to a stopped container: error %v; want %v", err, ErrNotRunning)
	}
	if err := loaded.Signal(unix.SIGKILL, true); err != nil {
		t.Errorf("Signal to all of a stopped container: error %v; want none", err)
	}
	if err := loaded.CheckExec(false); err == nil || err.Error() != "cannot exec in a stopped container" {
		t.Errorf("CheckExec of a stopped container: error %v", err)
	}
	if err := loaded.Delete(patience(t), false); err != nil {
		t.Error(err)
	}
	assertEmpty(t, root)
}
