package integration

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// world is an arena with pods in it, whose containers talk to the test: each
// runs "probe serve", connected to the test's socket (see agent).
type world struct {
	*arena
	ctl    string // directory of the socket, a volume of every pod
	socket *net.UnixListener
	agents map[string]*agent // by "POD/CONTAINER"
	made   int               // bundles
}

// newWorld begins a test on the wanted rung. Pods that the test leaves are
// removed by force at its end; the leak check comes after that.
func newWorld(t *testing.T) *world {
	t.Helper()
	rung.Privileged(t)
	w := &world{arena: newArena(t), agents: make(map[string]*agent)}
	w.ctl = filepath.Join(w.dir, "ctl")
	if err := os.Mkdir(w.ctl, 0o755); err != nil {
		t.Fatal(err)
	}
	// A user namespace's root must be able to walk to its root directory and to
	// the socket; testing makes these for this user alone.
	for _, dir := range []string{filepath.Dir(w.dir), w.dir} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	path := filepath.Join(w.ctl, "socket")
	if w.socket, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.socket.Close()
		for _, a := range w.agents {
			_ = a.conn.Close()
		}
		w.removeAll(t)
	})
	return w
}

// removeAll removes the pods that are left, and plain containers.
func (w *world) removeAll(t *testing.T) {
	t.Helper()
	entries, _ := os.ReadDir(filepath.Join(w.run, "pods"))
	for _, e := range entries {
		if r := w.podrt(t, "pod", "rm", "-f", e.Name()); r.code != 0 {
			t.Errorf("exit code %d; want 0: %v", r.code, r)
		}
	}
	entries, _ = os.ReadDir(filepath.Join(w.run, "containers"))
	for _, e := range entries {
		t.Errorf("state of container %q is left", e.Name())
		_ = w.podrt(t, "delete", "--force", e.Name())
	}
}

// fails runs a podrt command that must fail with that exit code and a message
// that has all of the words.
func (w *world) fails(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	r := w.podrt(t, args...)
	if r.code != code {
		t.Errorf("exit code %d; want %d: %v", r.code, code, r)
	}
	for _, word := range words {
		if !strings.Contains(message(r), word) {
			t.Errorf("no %q on standard error: %v", word, r)
		}
	}
}

// message is the error that podrt ends with: the last line of its log, with the
// quotes taken off. Natively libcontainer warns before it that there is no
// memory controller.
func message(r *result) string {
	const level = "level=error msg="
	quoted := r.stderr[strings.LastIndex(r.stderr, level)+1:]
	msg, err := strconv.Unquote(strings.TrimSpace(strings.TrimPrefix(quoted, level[1:])))
	if err != nil {
		return r.stderr
	}
	return msg
}

// create makes a pod without containers and returns its UID.
func (w *world) create(t *testing.T, name string, flags ...string) string {
	t.Helper()
	args := append([]string{"pod", "create", "--volume", w.ctl + ":/ctl"}, flags...)
	return strings.TrimSpace(w.ok(t, append(args, name)...).stdout)
}

// add puts a container into a pod and starts it; its agent answers. Its id is
// POD-NAME.
func (w *world) add(t *testing.T, pod, name string, changes ...func(*specs.Spec)) *agent {
	t.Helper()
	w.ok(t, "run", "--detach", "--pod", pod, "--bundle", w.bundle(t, w.serve(pod, name, changes...)), pod+"-"+name)
	return w.agent(t, pod, name)
}

// serve is the spec of a container with an agent.
func (w *world) serve(pod, name string, changes ...func(*specs.Spec)) *specs.Spec {
	s := bundle.Spec("/probe", "serve", "/ctl/socket", pod+"/"+name)
	for _, change := range changes {
		change(s)
	}
	return s
}

// addCaps gives a container's root more capabilities.
func addCaps(s *specs.Spec, names ...string) {
	c := s.Process.Capabilities
	all := slices.Concat(c.Bounding, names)
	c.Bounding, c.Permitted, c.Effective = all, all, all
}

// bundle makes an OCI bundle and returns its directory.
func (w *world) bundle(t *testing.T, s *specs.Spec) string {
	t.Helper()
	dir := w.newDir()
	if err := bundle.Write(dir, s); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (w *world) newDir() string {
	w.made++
	return filepath.Join(w.dir, "bundle-"+strconv.Itoa(w.made))
}

// ctlVolume is the volume with the test's socket, and its mount for a list of
// volumeMounts of pod.json.
func (w *world) ctlVolume() (volume, mount map[string]any) {
	return map[string]any{"name": "ctl", "hostPath": map[string]any{"path": w.ctl}},
		map[string]any{"name": "ctl", "mountPath": "/ctl"}
}

// podOf makes the bundle of a pod "p" whose containers have agents, unless they
// come with a Spec of their own, and returns its directory.
func (w *world) podOf(t *testing.T, members bundle.Pod, containers ...bundle.Container) string {
	t.Helper()
	volume, mount := w.ctlVolume()
	p := bundle.NewPod("p", members)
	volumes, _ := p["volumes"].([]any)
	p["volumes"] = append(slices.Clone(volumes), volume)
	p["volumeMounts"] = []any{mount}
	for i := range containers {
		if c := &containers[i]; c.Spec == nil {
			c.Spec = w.serve("p", c.Name)
		}
	}
	dir := w.newDir()
	if err := bundle.WritePod(dir, p, containers...); err != nil {
		t.Fatal(err)
	}
	return dir
}

// start runs a pod bundle in the background and returns the pod's UID.
func (w *world) start(t *testing.T, dir string) string {
	t.Helper()
	return strings.TrimSpace(w.ok(t, "pod", "run", "--detach", dir).stdout)
}

// podInfo is what the tests read of pod inspect.
type podInfo struct {
	UID, Name, Phase, Reason, Hostname, Cgroup string

	Ready bool

	Namespaces []struct {
		Kind, Path, Error string
		Inode             uint64
	}
	Network struct{ Mode, PodUID string }
	Init    *struct {
		PID   int
		Alive bool
	}
	Monitored  bool
	Containers []containerInfo
	Spec       struct{ Resources *specs.LinuxResources }
}

type containerInfo struct {
	Name, ID, Role, Status, Cgroup string

	PID      int
	External bool
	Ready    bool
	Probes   *probesInfo
	Exit     *exitInfo
	Restarts int
	LastExit *exitInfo
}

type exitInfo struct {
	ExitCode                                      int
	Signal, Cause, Reason, OOMScope, RestartError string
	FinishedAt                                    time.Time
	RestartAt                                     *time.Time
}

type probesInfo struct {
	Started                      bool
	Startup, Liveness, Readiness *struct {
		Success  bool
		Failures int
		Message  string
	}
}

// container finds a container of the pod.
func (p *podInfo) container(t *testing.T, name string) *containerInfo {
	t.Helper()
	if c := p.find(name); c != nil {
		return c
	}
	t.Fatalf("pod %q has no container %q: %+v", p.Name, name, p.Containers)
	return nil
}

// find is container, and nil where there is none.
func (p *podInfo) find(name string) *containerInfo {
	for i := range p.Containers {
		if p.Containers[i].Name == name {
			return &p.Containers[i]
		}
	}
	return nil
}

// namespace is the inode of the pod's namespace of that kind, 0 for none.
func (p *podInfo) namespace(kind string) uint64 {
	for _, ns := range p.Namespaces {
		if ns.Kind == kind {
			return ns.Inode
		}
	}
	return 0
}

func (w *world) inspect(t *testing.T, pod string) *podInfo {
	t.Helper()
	var all []podInfo
	out := w.ok(t, "pod", "inspect", pod).stdout
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("pod inspect %s: %v: %s; want an array of one pod", pod, err, out)
	}
	return &all[0]
}

// wantExit compares how a container ended: exit code, cause, and signal or
// scope of the OOM.
func (c *containerInfo) wantExit(t *testing.T, code int, cause, detail string) {
	t.Helper()
	if c.Exit == nil {
		t.Errorf("container %q is %s and has no exit record; want %d (%s %s)", c.Name, c.Status, code, cause, detail)
		return
	}
	got := c.Exit.Signal
	if cause == "oom" {
		got = c.Exit.OOMScope
	}
	if c.Exit.ExitCode != code || c.Exit.Cause != cause || got != detail {
		t.Errorf("container %q ended with %+v; want %d (%s %s)", c.Name, *c.Exit, code, cause, detail)
	}
}
