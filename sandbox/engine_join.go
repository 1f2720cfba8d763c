package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/nsenter"
)

// Join prepares the spec of the container id, which the caller makes next: in
// the pod ref, or in the one that the annotation AnnotationPod names, as JoinPod
// does; or in the pod of the engine whose annotations the spec has, as its
// sandbox or beside it. nil, and the spec as it was, is for a plain container.
// The caller ends with Membership.Close or Abort.
func (s *Store) Join(ctx context.Context, ref, id, bundle string, spec *specs.Spec) (*Membership, error) {
	source, named := "--pod", spec.Annotations[AnnotationPod]
	byAnnotation := ref == "" && named != ""
	switch {
	case ref != "" && named != "" && ref != named:
		return nil, fmt.Errorf("--pod %q and annotation %s %q name two pods", ref, AnnotationPod, named)
	case byAnnotation:
		source, ref = "annotation "+AnnotationPod, named
	}
	if s.Cgroups == NoManager {
		if ref != "" {
			return nil, fmt.Errorf("%s %q: a container in a pod needs a cgroup: cgroup manager %q", source, ref, NoManager)
		}
		return nil, nil
	}
	on, err := enginePodsOn(spec.Annotations, !s.NoEnginePods)
	if err != nil {
		return nil, err
	}
	var claim *engineClaim
	if on {
		claim = parseClaim(spec.Annotations, id)
	}
	switch {
	case ref != "" && claim != nil:
		// Not one before the other: who may write annotations need not be who may
		// choose the pod.
		return nil, fmt.Errorf("%s %q and annotation %s %q of %s name two pods", source, ref, claim.key, claim.sandboxID, claim.engine)
	case byAnnotation && engineKey(spec.Annotations) != "":
		// That the engine's are ignored may be by the same hand.
		return nil, fmt.Errorf("%s %q and annotation %s name two pods, be the latter ignored or not", source, ref, engineKey(spec.Annotations))
	case ref != "":
		return s.JoinPod(ctx, ref, id, bundle, spec)
	case claim == nil || os.Geteuid() != 0:
		return nil, nil
	case claim.sandbox:
		return s.enterSandbox(ctx, claim, bundle, spec)
	}
	return s.enterBeside(ctx, claim, id, bundle, spec)
}

// enterBeside has a container join the pins of its sandbox. Without a pod of
// that sandbox, as another runtime's have none, it is a plain container.
func (s *Store) enterBeside(ctx context.Context, claim *engineClaim, id, bundle string, spec *specs.Spec) (_ *Membership, retErr error) {
	p, err := s.load(claim.sandboxID)
	if err != nil || p.rec.Engine == nil || p.rec.Engine.Root != s.containerRoot() || !p.rec.Ready {
		return nil, nil
	}
	boot, err := bootID()
	if err != nil || boot != p.rec.BootID {
		return nil, nil
	}
	// Only until the container is recorded: its creation takes as long as its
	// hooks do, and the engine may remove the sandbox meanwhile.
	lock, err := p.lock(ctx, unix.LOCK_SH)
	if err != nil {
		return nil, nil
	}
	defer lock.Close()
	m := &Membership{pod: p, id: id, claim: claim}
	root := s.containerRoot()
	if m.dir, err = p.claimContainer(root, id); errors.Is(err, ErrExist) {
		return nil, nil // which libcontainer will say
	} else if err != nil {
		return nil, err
	}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, m.Abort())
		}
	}()
	rec := containerRecord{Name: id, ID: id, Root: root, Bundle: bundle, Label: claim.container}
	if err := writeJSON(filepath.Join(m.dir.Name(), "container.json"), &rec); err != nil {
		return nil, err
	}
	if err := p.usePins(spec); err != nil {
		return nil, fmt.Errorf("container %q: %w", id, err)
	}
	p.mark(spec, rec.label())
	return m, nil
}

// usePins puts the pod's pins in the place of paths that mean the same
// namespaces. Others stay: those that the engine wants are not the sandbox's, as
// the PID namespace of a container to be debugged.
func (p *Pod) usePins(spec *specs.Spec) error {
	if spec.Linux == nil {
		return nil
	}
	for _, pin := range p.rec.Pins {
		ns := findNamespace(spec.Linux, pin.Kind)
		if ns == nil || ns.Path == "" {
			continue
		}
		path, err := p.pinFor(pin, ns.Path)
		if err != nil {
			return fmt.Errorf("join %s namespace of pod %q: %w", pin.Kind, p.Name(), err)
		}
		ns.Path = path
	}
	return nil
}

// pinFor returns the path by which to join what an engine calls path. By its
// pid the sandbox's init is meant, and nothing else: when it has ended, what the
// path leads to now is a stranger's.
func (p *Pod) pinFor(pin nsenter.Pin, path string) (string, error) {
	e := p.rec.Engine
	var st unix.Stat_t
	same := unix.Stat(path, &st) == nil && st.Dev == pin.Dev && st.Ino == pin.Ino
	meant := filepath.Clean(path) == procNamespace(e.InitPID, pin.Kind)
	if !same && !meant {
		return path, nil
	}
	if pin.Kind == nsenter.PID && !e.initAlive() {
		return "", fmt.Errorf("the sandbox's init (pid %d), its process 1, has ended: %w", e.InitPID, ErrNotRunning)
	}
	err := pin.Verify()
	if err != nil && same {
		return path, nil // it is the namespace, if by another name
	}
	return pin.Path, err
}
