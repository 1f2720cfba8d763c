package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
	"github.com/podrt/podrt/rootfs"
)

// launchWidth is how many containers are created at once. Creation is bound by
// CPU (page faults, the eBPF verifier) and by the fork lock: two cores are full
// at three or four. But each one waits now and then, for the fork lock, for the
// kernel's lock on all cgroups, for nsexec's stages; the more there are, the less
// do processors idle meanwhile. All of them wait for each other in the end, so
// that a smaller number would save no memory.
const launchWidth = 24

// Stdio opens the standard streams of a container; stdin may be nil for
// /dev/null. Launch closes what it returns.
type Stdio func(container string) (stdin, stdout, stderr *os.File, err error)

// member is one of the pod's own containers while its parent is this process.
type member struct {
	rec  containerRecord
	c    *Container
	proc *Process

	// By the monotonic clock, which nobody sets. The times of exit have the wall
	// clock's alone.
	started, again time.Time

	// How often the pod's own memory limit had been hit before it was started; as
	// of no other limit, that is counted for as long as the pod is there.
	podOOM uint64

	watch *watch                // nil if there is nothing to do while it runs
	blame atomic.Pointer[blame] // why it was stopped by this process, if it was

	exit ExitRecord
}

// start lets the created container run.
func (m *member) start() error {
	if err := m.c.Start(); err != nil {
		return &StartError{Container: m.rec.Name, Err: err}
	}
	m.started = time.Now()
	return nil
}

// StartError is a container of a pod that could not be launched.
type StartError struct {
	Container string
	Err       error
}

func (e *StartError) Error() string { return fmt.Sprintf("container %q: %v", e.Container, e.Err) }
func (e *StartError) Unwrap() error { return e.Err }

// launch creates containers of the pod's bundle concurrently and starts them in
// order. The pod's lock is held exclusively. On an error none of them is left.
func (p *Pod) launch(ctx context.Context, containers []BundleContainer, stdio Stdio) (_ []*member, retErr error) {
	members := make([]*member, len(containers))
	errs := make([]error, len(members))
	defer func() {
		if retErr != nil {
			for _, m := range members {
				if m != nil {
					retErr = errors.Join(retErr, p.discard(context.WithoutCancel(ctx), m))
				}
			}
		}
	}()
	var wg sync.WaitGroup
	width := make(chan struct{}, launchWidth)
	for i, bc := range containers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			width <- struct{}{}
			defer func() { <-width }()
			members[i], errs[i] = p.createMember(ctx, bc, stdio, nil)
			if errs[i] != nil {
				errs[i] = &StartError{Container: bc.Name, Err: errs[i]}
			}
		}()
	}
	wg.Wait()
	// Who stops the pod from here on finds all of them; before, perhaps some.
	if err := cmp.Or(p.stopping(), errors.Join(errs...)); err != nil {
		return members, err
	}
	for _, m := range members {
		if err := ctx.Err(); err != nil {
			return members, err
		}
		if err := m.start(); err != nil {
			return members, cmp.Or(p.stopping(), err)
		}
	}
	return members, nil
}

// createMember makes one container, in the place of the one before if there was
// one, up to the point where its init waits to be started. A returned member, also
// one returned with an error, must be discarded or waited for.
func (p *Pod) createMember(ctx context.Context, bc BundleContainer, stdio Stdio, before *member) (*member, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &member{rec: containerRecord{
		Name: bc.Name, ID: p.containerID(bc.Name), Root: p.rec.ContainerRoot, Bundle: bc.Dir, Own: true,
	}}
	if before != nil {
		last := before.exit
		last.RestartAt, last.RestartError = nil, ""
		m.rec.Restarts, m.rec.LastExit = before.rec.Restarts+1, &last
	}
	if err := p.recordMember(&m.rec); err != nil {
		return m, err
	}
	spec, err := p.containerSpec(bc)
	if err != nil {
		return m, err
	}
	stdin, stdout, stderr, err := stdio(bc.Name)
	if err != nil {
		return m, err
	}
	defer func() {
		for _, f := range []*os.File{stdin, stdout, stderr} {
			if f != nil {
				f.Close()
			}
		}
	}()
	m.c, err = CreateContainer(ContainerConfig{Root: m.rec.Root, ID: m.rec.ID, Bundle: bc.Dir, Spec: spec})
	if err != nil {
		return m, err
	}
	m.proc = &Process{Spec: spec.Process}
	// A nil *os.File in an io.Reader would not be a nil reader.
	if stdin != nil {
		m.proc.Stdin = stdin
	}
	m.proc.Stdout, m.proc.Stderr = stdout, stderr
	if err := m.c.StartInit(m.proc); err != nil {
		m.c, m.proc = nil, nil // nothing of it is left
		return m, err
	}
	return m, nil
}

// recordMember makes the record of a container that is to be made.
func (p *Pod) recordMember(rec *containerRecord) error {
	dir := p.containerDir(rec.Name)
	if rec.Restarts > 0 {
		// It takes the place of the one before, and is there all the time.
		err := writeJSON(filepath.Join(dir, "container.json"), rec)
		return errors.Join(err, ignoreNotExist(os.Remove(filepath.Join(dir, "exit.json"))))
	}
	// A directory without a record is what a killed start or removal left:
	// discardEnded has taken all others.
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return writeJSON(filepath.Join(dir, "container.json"), rec)
}

// discard undoes createMember.
func (p *Pod) discard(ctx context.Context, m *member) error {
	if err := m.kill(); err != nil {
		return err
	}
	return p.deleteContainer(ctx, m.rec)
}

// clear is discard, but for the record.
func (p *Pod) clear(ctx context.Context, m *member) error {
	if err := m.kill(); err != nil {
		return err
	}
	return p.clearContainer(ctx, m.rec)
}

// kill ends what runs of a container, if it was created.
func (m *member) kill() error {
	if m.c != nil {
		if err := m.c.Signal(unix.SIGKILL, true); err != nil && !errors.Is(err, ErrNotRunning) {
			return err
		}
	}
	if m.proc != nil {
		_, _ = m.proc.Wait()
	}
	return nil
}

func (p *Pod) overlayDir(name string) string {
	return filepath.Join(p.libDir(), "containers", name)
}

// memberRoot returns the directory that is a container's root, and mounts it, if it
// is an overlay.
func (p *Pod) memberRoot(bc BundleContainer, pc *PodContainer) (root string, err error) {
	dir := p.overlayDir(bc.Name)
	if pc.Image != "" {
		root, err = p.imageRoot(pc.Image, dir)
	} else {
		root, err = rootfs.Root(bc.Dir, bc.Config.Root.Path)
		if err != nil || !pc.Overlay {
			return root, err
		}
		root, err = rootfs.Overlay(root, dir)
	}
	if err != nil {
		return "", err
	}
	return root, p.admit(dir)
}

// containerSpec is the OCI spec of one of the pod's own containers, as it runs.
func (p *Pod) containerSpec(bc BundleContainer) (*specs.Spec, error) {
	spec := bc.Config
	pc := p.rec.Spec.container(bc.Name)
	if pc == nil {
		return nil, fmt.Errorf("container %q is not in the pod's specification", bc.Name)
	}
	root, err := p.memberRoot(bc, pc)
	if err != nil {
		return nil, err
	}
	spec.Root.Path = root
	env, err := p.addressEnv(pc)
	if err != nil {
		return nil, err
	}
	addEnv(spec.Process, env)
	if err := p.join(spec, bc.Name, pc.VolumeMounts); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return spec, nil
}

// await waits for the container's end and records it, with what plan adds. What
// the container left in its cgroup leaf, which happens when it shares a PID
// namespace, is killed.
func (p *Pod) await(m *member, plan func(*ExitRecord)) error {
	m.watch.ended()
	status, err := m.proc.Wait()
	leaf := p.cgroup().Leaf(m.rec.Name)
	killed := ignoreNotExist(leaf.Kill())
	if killed == nil && !m.c.ownsPIDs() {
		// Usually there is nothing.
		if busy, err := leaf.Populated(); err == nil && busy {
			killed = ignoreNotExist(leaf.KillEach())
		}
	}
	if err != nil {
		m.exit = ExitRecord{ExitCode: CodeError, Cause: CauseExit, FinishedAt: time.Now().UTC()}
		plan(&m.exit)
		return errors.Join(err, killed) // how it ended is not known, and not recorded
	}
	m.exit = p.exitRecord(m, status, leaf)
	plan(&m.exit)
	errs := []error{killed}
	dir := p.containerDir(m.rec.Name)
	if _, err := os.Stat(dir); err == nil { // the pod may have been removed meanwhile
		errs = append(errs, ignoreNotExist(writeJSON(filepath.Join(dir, "exit.json"), &m.exit)))
	}
	return errors.Join(errs...)
}

// exitRecord describes a wait status. The OOM killer sends SIGKILL; a shell
// whose child it killed exits with 137; oom_kill in the leaf's memory.events
// says that it struck there, whoever's limit was hit (cgroup-v2,
// "memory.events").
func (p *Pod) exitRecord(m *member, ws unix.WaitStatus, leaf cgroups.Path) ExitRecord {
	r := ExitRecord{Cause: CauseExit, ExitCode: ws.ExitStatus(), FinishedAt: time.Now().UTC()}
	if ws.Signaled() {
		r.Cause, r.ExitCode, r.Signal = CauseSignal, 128+int(ws.Signal()), unix.SignalName(ws.Signal())
	}
	if r.ExitCode != 128+int(unix.SIGKILL) {
		return r
	}
	tree, local, err := leaf.MemoryEvents()
	if err != nil || tree.OOMKill == 0 {
		return r
	}
	r.Cause, r.OOMScope = CauseOOM, oomScope(local.OOM, m.podOOM, p.ooms)
	return r
}

// oomScope says whose memory limit a container was killed for: its own, which its
// leaf counts, the pod's, if that was hit since the container was started, or the
// host's. Not "since another's end": one hit may be the end of several. ooms counts
// the pod's.
func oomScope(leaf, before uint64, ooms func() uint64) string {
	switch {
	case leaf > 0:
		return "container"
	case ooms() > before:
		return "pod"
	}
	return "host"
}

// ooms returns how often the pod's own memory limit was hit and nothing could be
// reclaimed, since the pod was made; 0 where nobody counts.
func (p *Pod) ooms() uint64 {
	_, local, err := p.cgroup().MemoryEvents()
	if err != nil {
		return 0
	}
	return local.OOM
}
