package sandbox

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// supervisor is what a pod's monitor does: it starts the pod's containers, stage by
// stage, and again by their restart policies.
type supervisor struct {
	p      *Pod
	stdio  Stdio
	reaped *reaper
	ended  func(Exit) // called for each end after which a container is started again

	held   *os.File        // the pod's lock, which the first launch begins with
	unused bool            // nothing has run in the pod before that
	one    sync.Mutex      // one launch at a time, as the pod's lock would have it
	watch  sync.Once       // for watchStop
	stop   <-chan struct{} // of watchStop
	done   chan struct{}   // closed when no container is supervised any more

	pauses  pauseWatch    // of containers that are probed
	asked   asked         // the containers that this process has asked to end
	guard   sync.Once     // for stopWhen
	over    chan struct{} // closed when all have ended
	stopErr chan error    // of the stop after ctx was cancelled
}

func newSupervisor(p *Pod, stdio Stdio, lock *os.File, ended func(Exit)) *supervisor {
	s := &supervisor{
		p: p, stdio: stdio, reaped: newReaper(), ended: ended, held: lock,
		done: make(chan struct{}),
		over: make(chan struct{}), stopErr: make(chan error, 1),
	}
	s.asked.reaped, s.pauses.done = s.reaped, s.done
	return s
}

// close ends the watch and the reaper. No container is supervised.
func (s *supervisor) close() {
	if s.held != nil {
		s.held.Close()
	}
	s.reaped.stop()
	close(s.done)
}

// run runs the pod's own containers: the init containers one after the other, then
// all others. It returns when none lives, and how those ended that are waited for.
func (s *supervisor) run(ctx context.Context, containers []BundleContainer, started func()) ([]Exit, error) {
	configs := make([]*specs.Spec, len(containers))
	for i := range containers {
		configs[i] = containers[i].Config
	}
	OneProcessor(configs...)
	side := newSidecars(ctx, s)
	work, err := s.initialize(ctx, containers, side)
	var members []*member
	if err == nil && work == nil {
		if members, err = s.launch(ctx, containers[len(s.p.rec.Spec.InitContainers):]); err == nil {
			started()
			work, err = s.superviseAll(ctx, members)
		}
	}
	sideErr := side.end(ctx)
	stopErr := s.stopped()
	if members == nil && work == nil {
		// Nothing of the launch is left, and the stop found it half gone.
		stopErr = nil
	}
	return work, errors.Join(err, sideErr, stopErr)
}

// initialize runs the init containers, and starts the sidecars among them. It
// returns the exit of an init container that has failed, if one has.
func (s *supervisor) initialize(ctx context.Context, containers []BundleContainer, side *sidecars) ([]Exit, error) {
	spec := s.p.rec.Spec
	for i := range spec.InitContainers {
		members, err := s.launch(ctx, containers[i:i+1])
		if err != nil {
			return nil, err
		}
		if spec.role(containers[i].Name) == RoleSidecar {
			side.add(members[0])
			if spec.InitContainers[i].watched() {
				side.await(ctx)
			}
			continue
		}
		exits, err := s.superviseAll(ctx, members)
		if err != nil || exits[0].ExitCode != 0 {
			return exits, err
		}
	}
	return nil, nil
}

// launch makes and starts containers.
func (s *supervisor) launch(ctx context.Context, containers []BundleContainer) ([]*member, error) {
	s.one.Lock()
	defer s.one.Unlock()
	p, lock, err := s.awaitPod(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	var ooms uint64
	if !s.unused {
		ooms = p.ooms()
	}
	s.unused = false
	// Hooks, libcontainer's own children, and the inits before they are known, are
	// not for the reaper.
	release := s.reaped.hold()
	defer release()
	if hasHooks(containers) {
		defer p.boundHooks(ctx, s.watchStop())()
	}
	members, err := p.launch(ctx, containers, s.stdio)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		m.podOOM = ooms
		s.reaped.add(m.proc.Pid())
	}
	s.reaped.start()
	s.guard.Do(func() { go s.stopWhen(ctx) })
	return members, nil
}

// awaitPod takes the pod's lock, unless it is held already, when the pod is not paused
// and whoever else is at work on it lets it go.
func (s *supervisor) awaitPod(ctx context.Context) (*Pod, *os.File, error) {
	if lock := s.held; lock != nil {
		s.held = nil
		return s.p, lock, nil
	}
	for s.wait(ctx, time.Now()) {
		p, lock, err := s.lockPod(ctx)
		if errors.Is(err, errPodPaused) || errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		return p, lock, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	return nil, nil, s.p.errStopping()
}

// superviseAll waits for the last ends of containers.
func (s *supervisor) superviseAll(ctx context.Context, members []*member) ([]Exit, error) {
	exits := make([]Exit, len(members))
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			last, err := s.supervise(ctx, m, func() {})
			exits[i], errs[i] = Exit{Container: last.rec.Name, ExitRecord: last.exit}, err
		})
	}
	wg.Wait()
	return exits, errors.Join(errs...)
}

// stopWhen stops the pod when ctx is cancelled.
func (s *supervisor) stopWhen(ctx context.Context) {
	select {
	case <-s.over:
		s.stopErr <- nil
	case <-ctx.Done():
		s.stopErr <- s.p.stopMembers(context.WithoutCancel(ctx), s.p.grace(), &s.asked)
	}
}

// stopped ends stopWhen, or waits for the stop that is under way.
func (s *supervisor) stopped() error {
	s.guard.Do(func() { s.stopErr <- nil })
	close(s.over)
	return <-s.stopErr
}
