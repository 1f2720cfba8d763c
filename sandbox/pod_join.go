package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Membership is a container that a caller makes in a pod. Where the pod is
// podrt's, it holds the pod's lock shared, so that the pod cannot be removed
// meanwhile.
type Membership struct {
	pod   *Pod
	lock  *os.File // nil in an engine's pod
	dir   *os.File // the container's directory, locked: its creation is in progress
	id    string
	claim *engineClaim // nil in podrt's own pods

	inPodCgroup bool
}

// JoinPod rewrites spec so that the container id, made next by the caller, runs
// in the pod, and records it as a member. The caller ends with Close or, when
// the container was not made, with Abort. An engine's pod is not joined so.
func (s *Store) JoinPod(ctx context.Context, ref, id, bundle string, spec *specs.Spec) (_ *Membership, retErr error) {
	// First of all: the id becomes part of paths.
	if _, err := LoadContainer(s.containerRoot(), id); errors.Is(err, ErrInvalidID) {
		return nil, err
	}
	p, err := s.Pod(ref)
	if err != nil {
		return nil, err
	}
	lock, err := p.lock(ctx, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	m := &Membership{pod: p, lock: lock, id: id}
	defer func() {
		if retErr != nil {
			lock.Close()
		}
	}()
	if p.rec.Engine != nil {
		return nil, p.engineOnly()
	}
	if err := p.verifyThawed(); err != nil {
		return nil, err
	}
	if id == initLeaf || p.rec.Spec.container(id) != nil {
		return nil, fmt.Errorf("container %q: the pod %q has one of that name", id, p.Name())
	}
	root := s.containerRoot()
	if m.dir, err = p.claimContainer(root, id); err != nil {
		return nil, err
	}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, p.dropContainer(id), m.dir.Close())
		}
	}()
	rec := containerRecord{Name: id, ID: id, Root: root, Bundle: bundle}
	if err := writeJSON(filepath.Join(m.dir.Name(), "container.json"), &rec); err != nil {
		return nil, err
	}
	// An engine says where its containers' cgroups are.
	var engine string
	if spec.Linux != nil {
		engine = spec.Linux.CgroupsPath
	}
	if err := p.join(spec, id, nil); err != nil {
		return nil, fmt.Errorf("container %q: %w", id, err)
	}
	if engine != "" {
		spec.Linux.CgroupsPath = engine
	}
	m.inPodCgroup = engine == ""
	return m, nil
}

// InPodCgroup reports whether the spec's cgroup is one below the pod's, which
// is made without systemd, whoever made the pod's.
func (m *Membership) InPodCgroup() bool { return m != nil && m.inPodCgroup }

// claimContainer makes and locks the directory of a container's record. One
// that a killed creation left, with no container behind it, is taken over.
func (p *Pod) claimContainer(root, id string) (*os.File, error) {
	dir := p.containerDir(id)
	mkdirErr := os.Mkdir(dir, 0o700)
	if mkdirErr != nil && !errors.Is(mkdirErr, fs.ErrExist) {
		return nil, fmt.Errorf("write state: %w", mkdirErr)
	}
	f, err := openFile(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	taken := flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil
	if _, err := LoadContainer(root, id); !taken && !errors.Is(err, ErrNotExist) {
		if mkdirErr == nil {
			// A plain container, or another pod's: not to be recorded as ours.
			return nil, errors.Join(ErrExist, os.Remove(dir), f.Close())
		}
		taken = true
	}
	if taken {
		f.Close()
		return nil, &stateError{fmt.Sprintf("container %q: the pod %q has one of that name", id, p.Name()), ErrExist}
	}
	return f, nil
}

// Close ends the creation of the member, which now exists. On an error, which
// only an engine's sandbox can have, the pod is gone again, and the caller
// removes the container.
func (m *Membership) Close(c *Container) error {
	if m.sandbox() {
		if err := m.pod.complete(context.Background(), c, m.claim); err != nil {
			return errors.Join(err, m.Abort())
		}
	}
	return m.release()
}

// Abort takes the record of a container that was not made back, and with it the
// pod whose sandbox it was to be.
func (m *Membership) Abort() error {
	if m.sandbox() {
		return errors.Join(m.pod.drop(context.Background()), m.release())
	}
	return errors.Join(m.pod.dropContainer(m.id), m.release())
}

func (m *Membership) sandbox() bool { return m.claim != nil && m.claim.sandbox }

func (m *Membership) release() error {
	err := m.dir.Close()
	if m.lock != nil {
		err = errors.Join(err, m.lock.Close())
	}
	return err
}

// LeavePod drops a deleted container's record from its pod, which its
// annotation AnnotationPod names; it does nothing for a container without one
// or whose pod is gone.
func (s *Store) LeavePod(podUID, id string) error {
	if podUID == "" || filepath.Base(podUID) != podUID {
		return nil
	}
	p, err := s.load(podUID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Whoever makes a container of that id in the pod now holds the lock of its
	// directory, and its record is not the deleted one's.
	dir, err := openFile(p.containerDir(id), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer dir.Close()
	if flock(dir, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	rec := containerRecord{}
	if err := readJSON(filepath.Join(dir.Name(), "container.json"), &rec); err != nil || rec.Own {
		return ignoreNotExist(err)
	}
	if _, err := LoadContainer(rec.Root, id); !errors.Is(err, ErrNotExist) {
		return nil
	}
	return p.dropContainer(id)
}
