package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/nsenter"
)

// enginePod is what the record of a pod behind an engine has beside that of
// others. Such a pod owns its pins and its record, and nothing else: the
// containers, the network and the cgroups are the engine's, and podrt does not
// write to a cgroup that it has not made.
type enginePod struct {
	Engine    string `json:"engine"` // containerd, cri-o, podman, docker
	Root      string `json:"root"`   // libcontainer's state root of its containers
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	UID       string `json:"uid,omitempty"` // Kubernetes' of the pod; the record's own UID is the sandbox's id
	Attempt   uint32 `json:"attempt,omitempty"`

	// Kinds are the namespaces that the sandbox container has, to be pinned;
	// those that the engine made itself have a path. These are used as they are,
	// and go with the engine.
	Kinds []nsenter.Kind          `json:"kinds"`
	Given map[nsenter.Kind]string `json:"given,omitempty"`

	// Facts of the sandbox container, once it is made.
	CgroupOwn bool   `json:"cgroupOwn,omitempty"` // the record's cgroup holds this pod only
	InitPID   int    `json:"initPID,omitempty"`   // its init, as podRecord.InitPID
	InitStart uint64 `json:"initStart,omitempty"`
}

// sandboxLabel is the name of an engine's sandbox container in its pod.
const sandboxLabel = "(sandbox)"

// pinnedKinds are the namespaces that a pod's containers can have in common.
// Cgroup and mount namespaces are each container's own with every engine.
func pinnedKinds() [6]nsenter.Kind {
	return [...]nsenter.Kind{nsenter.User, nsenter.IPC, nsenter.UTS, nsenter.Net, nsenter.Time, nsenter.PID}
}

// initAlive reports whether the sandbox's init still runs.
func (e *enginePod) initAlive() bool {
	f, err := openProcess(e.InitPID, e.InitStart)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// unable reports whether an error says that podrt cannot keep pods here at all:
// in a user namespace, on a read-only /run.
func unable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)
}

// enterSandbox records the pod whose sandbox container is about to be made. The
// container is a plain one, and the result nil, where podrt cannot keep a pod
// for it: another pod has that UID, or podrt may not write its state.
func (s *Store) enterSandbox(ctx context.Context, claim *engineClaim, bundle string, spec *specs.Spec) (*Membership, error) {
	if free, err := s.clearSandbox(ctx, claim.sandboxID); err != nil || !free {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		if unable(err) {
			return nil, nil
		}
		return nil, err
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	p := &Pod{store: s, dir: s.podDir(claim.sandboxID), rec: podRecord{
		UID: claim.sandboxID, Name: claim.podName(), BootID: boot,
		Created: time.Now().UTC(), ContainerRoot: s.containerRoot(),
		Engine: &enginePod{
			Engine: claim.engine, Root: s.containerRoot(),
			Namespace: claim.namespace, Name: claim.name, UID: claim.uid, Attempt: claim.attempt,
		},
	}}
	p.describe(spec)
	m := &Membership{pod: p, id: claim.sandboxID, claim: claim}
	rec := &containerRecord{Name: m.id, ID: m.id, Root: s.containerRoot(), Bundle: bundle, Label: sandboxLabel}
	if m.dir, err = s.recordSandbox(p, rec); err != nil || m.dir == nil {
		return nil, err
	}
	p.mark(spec, sandboxLabel)
	return m, nil
}

// describe notes which namespaces the sandbox will have, in the words of a
// PodSpec too, which is what `pod inspect` shows.
func (p *Pod) describe(spec *specs.Spec) {
	e, grace := p.rec.Engine, int64(DefaultGracePeriod)
	ps := &PodSpec{
		PodVersion: PodVersion, Metadata: PodMetadata{Name: p.rec.Name, UID: p.rec.UID}, Hostname: spec.Hostname,
		Share: []string{}, Network: PodNetwork{Mode: "host"}, RestartPolicy: RestartNever, TerminationGracePeriodSeconds: &grace,
		Containers: []PodContainer{},
	}
	p.rec.Spec = ps
	if spec.Linux == nil {
		return
	}
	for _, kind := range pinnedKinds() {
		ns := findNamespace(spec.Linux, kind)
		if ns == nil {
			continue
		}
		e.Kinds = append(e.Kinds, kind)
		ps.Share = append(ps.Share, string(kind))
		if ns.Path != "" {
			if e.Given == nil {
				e.Given = make(map[nsenter.Kind]string, 1)
			}
			e.Given[kind] = ns.Path
		}
		if kind == nsenter.Net {
			ps.Network.Mode = "engine"
		}
	}
}

func findNamespace(l *specs.Linux, kind nsenter.Kind) *specs.LinuxNamespace {
	for i := range l.Namespaces {
		if l.Namespaces[i].Type == specNamespace(kind) {
			return &l.Namespaces[i]
		}
	}
	return nil
}

// mark has a container's own state say which pod it is in.
func (p *Pod) mark(spec *specs.Spec, label string) {
	if spec.Annotations == nil {
		spec.Annotations = make(map[string]string, 3)
	}
	spec.Annotations[AnnotationPod] = p.UID()
	spec.Annotations[AnnotationPodName] = p.Name()
	spec.Annotations[AnnotationContainer] = label
}

// clearSandbox reports whether a pod can be recorded under the sandbox's id.
// What is left of an earlier one of that id whose container is gone, as engines
// that restart their pods have them, goes first.
func (s *Store) clearSandbox(ctx context.Context, id string) (bool, error) {
	if _, err := os.Lstat(filepath.Join(s.containerRoot(), id)); err == nil {
		return false, nil // it exists, which libcontainer will say
	}
	_, err := os.Lstat(s.podDir(id))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil && unable(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for pod %q: %w", id, err)
	}
	if s.dropSandbox(ctx, id) != nil {
		return false, nil
	}
	_, err = os.Lstat(s.podDir(id))
	return errors.Is(err, fs.ErrNotExist), nil
}

// recordSandbox publishes the intent, with the record of the sandbox container
// in it, whose directory is returned locked: the creation is in progress. It is
// nil when a pod has taken the UID as its own or as its name.
func (s *Store) recordSandbox(p *Pod, rec *containerRecord) (_ *os.File, retErr error) {
	names, err := s.lockNames()
	if err != nil {
		return nil, err
	}
	defer names.Close()
	_ = s.sweep()
	for _, path := range []string{p.dir, s.nameLink(p.UID())} {
		if _, err := os.Lstat(path); err == nil {
			return nil, nil
		}
	}
	tmp, lock, err := s.draft(p)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	var dir *os.File
	defer func() {
		if retErr != nil {
			_ = os.RemoveAll(tmp)
			if dir != nil {
				dir.Close()
			}
		}
	}()
	path := filepath.Join(tmp, "containers", rec.Name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	if err := writeJSON(filepath.Join(path, "container.json"), rec); err != nil {
		return nil, err
	}
	if dir, err = os.Open(path); err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	if err := flock(dir, unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock record of container %q: %w", rec.Name, err)
	}
	if err := os.Rename(tmp, p.dir); err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	return dir, nil
}

// complete pins the namespaces of the sandbox container, which now exists, and
// so makes the pod one that others can join. A container that has ended already
// has no pod.
func (p *Pod) complete(ctx context.Context, c *Container, claim *engineClaim) error {
	pid, start := c.InitPID()
	pidfd, err := openProcess(pid, start)
	if errors.Is(err, unix.ESRCH) {
		return p.drop(ctx)
	}
	if err != nil {
		return fmt.Errorf("pod %q: open init of its sandbox: %w", p.Name(), err)
	}
	defer pidfd.Close()
	lock, err := p.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	pinErr := p.pinSandbox(pid)
	// A process that has not ended has the pid, and had it all the time. One that
	// ends has no namespaces any more, a moment before its end is seen.
	if errors.Is(pinErr, fs.ErrNotExist) {
		moment, cancel := context.WithTimeout(ctx, time.Second)
		_ = waitProcess(moment, pidfd) // what it waited for is looked at below
		cancel()
	}
	if ended(pidfd) || unable(pinErr) {
		lock.Close()
		return p.drop(ctx)
	}
	defer lock.Close()
	if pinErr != nil {
		return fmt.Errorf("pod %q: %w", p.Name(), pinErr)
	}
	e := p.rec.Engine
	e.InitPID, e.InitStart = pid, start
	cgroup := c.CgroupPath()
	if _, err := os.Lstat(cgroup); err == nil { // it may have none of its own
		p.rec.Cgroup = filepath.Dir(cgroup)
		e.CgroupOwn = claim.namesPod(filepath.Base(p.rec.Cgroup))
	}
	p.rec.Ready = true
	return p.save()
}

func (p *Pod) pinSandbox(pid int) error {
	for _, kind := range p.rec.Engine.Kinds {
		pin, err := nsenter.PinPath(procNamespace(pid, kind), filepath.Join(p.nsDir(), string(kind)), kind)
		if err != nil {
			return err
		}
		p.rec.Pins = append(p.rec.Pins, pin)
	}
	return nil
}

func procNamespace(pid int, kind nsenter.Kind) string {
	return fmt.Sprintf("/proc/%d/ns/%s", pid, kind)
}

// drop takes an engine's pod back: its pins, then its record. Containers go on.
// It is idempotent.
func (p *Pod) drop(ctx context.Context) error {
	lock, err := p.lock(ctx, unix.LOCK_EX)
	if errors.Is(err, ErrPodNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := nsenter.Unpin(p.nsDir()); err != nil {
		return fmt.Errorf("remove pod %q: %w", p.Name(), err)
	}
	return p.forget()
}

// dropSandbox takes back the pod of a sandbox container that is gone. Where
// there is no such pod it finishes what a killed removal of one began.
func (s *Store) dropSandbox(ctx context.Context, id string) error {
	if !validSandboxID(id) || os.Geteuid() != 0 {
		return nil
	}
	p, err := s.load(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_ = s.Sweep() // what it cannot remove is not this container's
		return nil
	case err != nil:
		return nil // whose it is cannot be read, and `pod ls` says so
	case p.rec.Engine == nil || p.rec.Engine.Root != s.containerRoot():
		return nil // another's
	}
	if _, err := os.Lstat(filepath.Join(s.containerRoot(), id)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	dir, err := os.Open(p.containerDir(id))
	if err == nil {
		defer dir.Close()
		if flock(dir, unix.LOCK_EX|unix.LOCK_NB) != nil {
			return nil // whoever makes it takes the pod back
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.drop(ctx)
}
