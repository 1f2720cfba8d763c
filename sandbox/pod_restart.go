package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// backOff is how long one container waits before it is started again: not at all,
// then initial, then twice as long each time, up to most. Having run for twice most
// it begins anew. That is the kubelet's (pkg/kubelet, doBackOff; client-go's
// flowcontrol.Backoff).
type backOff struct {
	initial, most time.Duration
	delay         time.Duration // the next one
}

func (s *PodSpec) backOff() *backOff {
	b := &backOff{}
	if r := s.RestartBackOff; r != nil {
		b.initial, b.most = time.Duration(r.InitialSeconds)*time.Second, time.Duration(r.MaxSeconds)*time.Second
	}
	return b
}

// next returns the wait after a run that took so long.
func (b *backOff) next(ran time.Duration) time.Duration {
	if ran >= 2*b.most {
		b.delay = 0
	}
	d := b.delay
	b.delay = min(max(2*d, b.initial), b.most)
	return d
}

// restartable reports whether the pod is there and has not been stopped.
func (p *Pod) restartable() bool {
	if _, err := os.Lstat(p.stopFile()); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err := p.reload()
	return !errors.Is(err, ErrPodNotExist)
}

// reload returns the pod as it is recorded now; ErrPodNotExist if it is gone, or
// another has its UID. The pod's own record is not touched: its monitor's goroutines
// use it.
func (p *Pod) reload() (*Pod, error) {
	q, err := p.store.load(p.UID())
	if errors.Is(err, fs.ErrNotExist) || err == nil && !q.rec.Created.Equal(p.rec.Created) {
		return nil, fmt.Errorf("pod %q: %w", p.Name(), ErrPodNotExist)
	}
	return q, err
}

// supervise waits for a container's end, and for that of each that takes its
// place, and does meanwhile what its probes ask for. It returns the last of them. up
// is called for each that has started, by its startup probe.
func (s *supervisor) supervise(ctx context.Context, m *member, up func()) (*member, error) {
	back := s.p.rec.Spec.backOff()
	for {
		m.watch = s.attend(ctx, m, up)
		err := s.p.await(m, func(x *ExitRecord) {
			again := s.p.rec.Spec.restarts(m.rec.Name, x.ExitCode)
			if b := m.blame.Load(); b != nil {
				// The kubelet starts it again whatever its status (computePodActions).
				again = again || s.p.rec.Spec.policy(m.rec.Name) != RestartNever
				x.Reason = b.reason
				if x.Cause != CauseOOM {
					x.Cause = b.cause
				}
			}
			if again && ctx.Err() == nil && s.p.restartable() {
				delay := back.next(time.Since(m.started))
				x.RestartAt, m.again = new(x.FinishedAt.Add(delay)), time.Now().Add(delay)
			}
		})
		s.reaped.release(m.proc.Pid())
		if m.exit.RestartAt == nil {
			return m, err
		}
		s.ended(Exit{Container: m.rec.Name, ExitRecord: m.exit})
		again, rerr := s.again(ctx, m, back)
		if again == nil {
			return m, errors.Join(err, rerr)
		}
		m = again
	}
}

// again starts a container that has ended when its time has come, as often as it
// takes; nil if the pod is stopped before.
func (s *supervisor) again(ctx context.Context, m *member, back *backOff) (*member, error) {
	for s.wait(ctx, m.again) {
		next, err := s.relaunch(ctx, m)
		if err == nil && next != nil {
			return next, nil
		}
		if err == nil {
			break
		}
		m.again = time.Now().Add(back.next(0))
		m.exit.RestartAt, m.exit.RestartError = new(m.again.UTC()), err.Error()
		_ = s.p.recordEnd(m) // on a file system that is full; there is another attempt
	}
	m.exit.RestartAt, m.exit.RestartError = nil, ""
	return nil, s.p.recordEnd(m)
}

// wait waits until at, by the monotonic clock, and as long as the pod is paused;
// false if no container of it is to be started any more.
func (s *supervisor) wait(ctx context.Context, at time.Time) bool {
	stop := s.watchStop()
	for {
		if ctx.Err() != nil || !s.p.restartable() {
			return false
		}
		left := time.Until(at)
		if left <= 0 {
			frozen, err := s.p.cgroup().Frozen()
			if err != nil || !frozen {
				return true // relaunch says what is wrong
			}
			left = time.Second
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-stop: // for good: the next start of the pod has another monitor
			return false
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// lockPod takes the pod's lock to start containers, and returns the pod as it is
// recorded then; a *PodOverError if it is not what it was, or was stopped.
func (s *supervisor) lockPod(ctx context.Context) (_ *Pod, _ *os.File, retErr error) {
	p, err := s.p.reload()
	if errors.Is(err, ErrPodNotExist) {
		return nil, nil, &PodOverError{err}
	}
	if err != nil {
		return nil, nil, err
	}
	lock, err := s.lock(ctx, p)
	defer func() {
		if retErr != nil && lock != nil {
			lock.Close()
		}
	}()
	if !p.restartable() {
		return nil, nil, p.errStopping() // also where that is why it has no lock
	}
	if err != nil {
		return nil, nil, err
	}
	if err := p.verify(); err != nil {
		return nil, nil, &PodOverError{err}
	}
	err = p.verifyThawed()
	if errors.Is(err, fs.ErrNotExist) { // its cgroup: systemd has ended it as a whole
		err = &PodOverError{err}
	}
	return p, lock, err
}

// lock takes the pod's lock, unless the pod is stopped meanwhile: who removes it
// has the lock, and waits for this process.
func (s *supervisor) lock(ctx context.Context, p *Pod) (*os.File, error) {
	ctx, cancel := endsWith(ctx, s.watchStop())
	defer cancel()
	return p.lock(ctx, unix.LOCK_EX)
}

// endsWith returns a context that is cancelled with ctx, and when ch is closed.
func endsWith(ctx context.Context, ch <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-ch:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// watchStop returns a channel that is closed when the pod is not restartable any more.
func (s *supervisor) watchStop() <-chan struct{} {
	s.watch.Do(func() { s.stop = s.p.watchStop(s.done) })
	return s.stop
}

// watchStop returns a channel that is closed when the pod is stopped, or removed: by
// inotify, or, where the system allows no more of it, by looking. The watch ends with
// done.
func (p *Pod) watchStop(done <-chan struct{}) <-chan struct{} {
	stop := make(chan struct{})
	p = &Pod{store: p.store, dir: p.dir, rec: p.rec} // the caller may load its own anew
	in, err := watchFile(p.dir, unix.IN_CREATE|unix.IN_MOVE_SELF|unix.IN_DELETE_SELF|unix.IN_ONLYDIR)
	go func() {
		var seen <-chan struct{}
		var look <-chan time.Time
		if err == nil {
			defer in.close()
			seen = in.seen
		} else {
			look = time.Tick(time.Second)
		}
		for p.restartable() { // what happens from here on is seen
			select {
			case <-seen:
			case <-look:
			case <-done:
				return
			}
		}
		close(stop)
	}()
	return stop
}

// relaunch makes and starts a container anew in the place of one that has ended;
// nil if the pod is not what it was, or is stopped meanwhile.
func (s *supervisor) relaunch(ctx context.Context, m *member) (_ *member, retErr error) {
	s.one.Lock()
	defer s.one.Unlock()
	p, lock, err := s.lockPod(ctx)
	if over := (*PodOverError)(nil); errors.As(err, &over) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	bundle, err := LoadPodBundle(p.rec.Bundle)
	if err != nil {
		return nil, err
	}
	if err := p.sameContainers(bundle); err != nil {
		return nil, err
	}
	bc := bundle.Containers[slices.IndexFunc(bundle.Containers, func(c BundleContainer) bool { return c.Name == m.rec.Name })]
	// Hooks, libcontainer's own children, and the init before it is known, are not
	// for the reaper.
	release := s.reaped.hold()
	defer release()
	if hasHooks(bundle.Containers) {
		defer p.boundHooks(ctx, s.watchStop())()
	}
	if err := p.clear(ctx, &member{rec: m.rec}); err != nil && !isPoststop(err) {
		return nil, err
	}
	s.asked.forget(m.rec.Name)
	next, err := p.createMember(ctx, bc, s.stdio, m)
	defer func() {
		if retErr != nil && next != nil {
			retErr = errors.Join(retErr, p.clear(context.WithoutCancel(ctx), next))
		}
	}()
	if err != nil {
		return nil, err
	}
	// Who stops the pod from here on finds the container.
	if ctx.Err() != nil || !p.restartable() {
		return nil, p.clear(context.WithoutCancel(ctx), next)
	}
	next.podOOM = p.ooms()
	if err := next.start(); err != nil {
		return nil, err
	}
	s.reaped.add(next.proc.Pid())
	return next, nil
}

// recordEnd puts back the record of a container that has ended, and has no successor.
func (p *Pod) recordEnd(m *member) error {
	if _, err := p.reload(); errors.Is(err, ErrPodNotExist) {
		return nil
	}
	dir := p.containerDir(m.rec.Name)
	if err := writeJSON(filepath.Join(dir, "container.json"), &m.rec); err != nil {
		return ignoreNotExist(err)
	}
	return ignoreNotExist(writeJSON(filepath.Join(dir, "exit.json"), &m.exit))
}
