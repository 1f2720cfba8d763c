package sandbox

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Exit is how one container of a pod ended.
type Exit struct {
	Container string
	ExitRecord
}

// RunContainers launches the containers of the pod's bundle and stays their
// parent until all have ended and none is to be started again; it runs their probes
// and handlers meanwhile. Sidecars are stopped when the others have ended, and are
// not among the exits. started is called once, when all run, and ended for each end
// after which the container is started again; it may be called at the same time for
// several. When ctx is cancelled the pod is stopped with its grace period; a second
// cancellation by kill kills it. The process becomes a child subreaper, since
// containers in the host's PID namespace leave orphans to their nearest one
// (PR_SET_CHILD_SUBREAPER, Linux 3.4).
//
// If a container cannot be launched, none is left running and the error wraps
// a *StartError for each. If an init container has failed, there is its exit alone.
func (p *Pod) RunContainers(ctx context.Context, stdio Stdio, started func(), ended func(Exit)) ([]Exit, error) {
	made := p.bundle != nil // by this process
	bundle, lock, monitor, err := p.beginRun(ctx)
	if err != nil {
		return nil, err
	}
	defer monitor.Close()
	s := newSupervisor(p, stdio, lock, ended)
	defer s.close()
	s.unused = made
	return s.run(ctx, bundle.Containers, started)
}

// beginRun makes this process the pod's monitor and removes what an earlier run has
// left. It returns with the pod's lock.
func (p *Pod) beginRun(ctx context.Context) (_ *PodBundle, podLock, monitorLock *os.File, retErr error) {
	lock, err := p.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if retErr != nil {
			lock.Close()
		}
	}()
	if err := p.verifyThawed(); err != nil {
		return nil, nil, nil, err
	}
	if err := p.settleUpdate(ctx); err != nil {
		return nil, nil, nil, err
	}
	if p.rec.Bundle == "" {
		return nil, nil, nil, fmt.Errorf("pod %q has no bundle and so no containers of its own to start", p.Name())
	}
	bundle := p.bundle
	p.bundle = nil // to launch a container changes its configuration
	if bundle == nil {
		if bundle, err = LoadPodBundle(p.rec.Bundle); err != nil {
			return nil, nil, nil, err
		}
	}
	// The pod is what it was created as; a container that was added to the
	// bundle since, or taken away, would be half of another pod.
	if err := p.sameContainers(bundle); err != nil {
		return nil, nil, nil, err
	}
	monitor, err := p.takeOver(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if retErr != nil {
			monitor.Close()
		}
	}()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, nil, nil, fmt.Errorf("become child subreaper: %w", err)
	}
	if hasHooks(bundle.Containers) {
		done := make(chan struct{})
		defer close(done)
		defer p.boundHooks(ctx, p.watchStop(done))()
	}
	if err := p.discardEnded(ctx); err != nil {
		return nil, nil, nil, err
	}
	return bundle, lock, monitor, nil
}

func (p *Pod) sameContainers(b *PodBundle) error {
	want := p.rec.Spec.Own()
	same := len(want) == len(b.Containers) && len(p.rec.Spec.InitContainers) == len(b.Spec.InitContainers)
	for i := 0; same && i < len(want); i++ {
		same = want[i].Name == b.Containers[i].Name
	}
	if !same {
		return fmt.Errorf("bundle %q of pod %q has other containers than when the pod was made; remove the pod and make it again", p.rec.Bundle, p.Name())
	}
	return nil
}

// discardEnded removes the pod's own containers of an earlier run.
func (p *Pod) discardEnded(ctx context.Context) error {
	recs, err := p.containers()
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if !rec.Own {
			continue
		}
		st, err := p.containerStatus(rec)
		if err != nil {
			return err
		}
		// No monitor is there: this process has its lock. What was only created
		// has run nothing yet.
		if st.alive() && st.Status != string(StatusCreated) {
			return fmt.Errorf("container %q is %s, and the process that waited for it has gone: stop the pod first: %w", rec.Name, st.Status, ErrPodRunning)
		}
		// What hooks of the earlier run fail with does not keep the next from
		// being started.
		if err := p.discard(ctx, &member{rec: rec}); err != nil && !isPoststop(err) {
			return err
		}
	}
	return nil
}

func (p *Pod) grace() time.Duration {
	return time.Duration(*p.rec.Spec.TerminationGracePeriodSeconds) * time.Second
}
