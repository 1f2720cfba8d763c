package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

// AnnotationStopSignal of a container's config.json names the signal that asks
// it to end, as OCI images say it; SIGTERM otherwise.
const AnnotationStopSignal = "org.opencontainers.image.stopSignal"

// Stop asks every container to end, sidecars when all others have, and kills what is
// left after the grace period; none is started again. The pod itself, its
// namespaces, volumes and its init stay. Containers that have been created but not
// started are killed at once. Stop is idempotent; nil grace means the pod's own. An
// engine's pod is the engine's to stop.
func (p *Pod) Stop(ctx context.Context, grace *time.Duration) error {
	if p.rec.Engine != nil {
		return fmt.Errorf("stop pod %q: %w", p.Name(), p.engineOnly())
	}
	mark, err := p.beginStop(ctx)
	if err != nil {
		return fmt.Errorf("stop pod %q: %w", p.Name(), err)
	}
	if mark != nil {
		defer mark.Close()
	}
	g := p.grace()
	if grace != nil {
		g = *grace
	}
	if err := p.stopMembers(ctx, g, new(asked)); err != nil {
		return fmt.Errorf("stop pod %q: %w", p.Name(), err)
	}
	return p.awaitMonitor()
}

// asked are the names of containers that have been asked to end, and are not asked
// again: many a program takes a second SIGTERM for an order to end at once.
type asked struct {
	names  sync.Map
	reaped *reaper // of this process, if it has one
}

func (a *asked) first(name string) bool {
	_, loaded := a.names.LoadOrStore(name, true)
	return !loaded
}

// forget has a container that takes the place of one that was asked be asked.
func (a *asked) forget(name string) { a.names.Delete(name) }

// stopMembers does not wait for the monitor: it may be called by it.
func (p *Pod) stopMembers(ctx context.Context, grace time.Duration, a *asked) error {
	recs, err := p.containers()
	if err != nil {
		return err
	}
	// A frozen process takes no signal but SIGKILL; the grace period would pass
	// for nothing.
	if err := ignoreNotExist(p.cgroup().Thaw(ctx)); err != nil {
		return err
	}
	until := time.Now().Add(grace)
	others, sidecars := p.sidecarsLast(recs)
	p.beginPreStops(ctx, sidecars, until, a)
	var wg sync.WaitGroup
	errs := make([]error, len(others))
	for i, rec := range others {
		wg.Go(func() { errs[i] = p.stopInTurn(ctx, []containerRecord{rec}, until, a) })
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), p.stopInTurn(ctx, sidecars, until, a))
}

// sidecarsLast takes the sidecars out of a pod's containers, in the order in which
// they are stopped, that in which they started the other way round.
func (p *Pod) sidecarsLast(recs []containerRecord) (others, sidecars []containerRecord) {
	for _, rec := range recs {
		if rec.Own && p.rec.Spec.role(rec.Name) == RoleSidecar {
			sidecars = append(sidecars, rec)
		} else {
			others = append(others, rec)
		}
	}
	slices.Reverse(sidecars)
	return others, sidecars
}

// stopInTurn stops one container after the other, and kills what is left at the
// end of the grace period.
func (p *Pod) stopInTurn(ctx context.Context, recs []containerRecord, until time.Time, a *asked) error {
	var errs []error
	for _, rec := range recs {
		if err := p.stopContainer(ctx, rec, time.Until(until), a); err != nil {
			errs = append(errs, fmt.Errorf("container %q: %w", rec.Name, err))
		}
	}
	return errors.Join(errs...)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (p *Pod) stopContainer(ctx context.Context, rec containerRecord, grace time.Duration, a *asked) error {
	c, err := p.loadContainer(rec)
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	status, err := c.Status()
	if err != nil {
		return err
	}
	pid, start := c.InitPID()
	pidfd, err := openProcess(pid, start)
	if err == nil {
		defer pidfd.Close()
		if status != StatusCreated && grace > 0 {
			var sig unix.Signal
			sig, err = ParseSignal(c.Annotations()[AnnotationStopSignal])
			if err != nil || sig < 1 || sig > sigRTMax {
				sig = unix.SIGTERM // none, or none that there is: it must end all the same
			}
			until := time.Now().Add(grace)
			if a.first(rec.Name) {
				handling, cancel := context.WithDeadline(ctx, until)
				if p.preStop(handling, rec, pid, start, a.reaped) {
					until = later(until, time.Now().Add(minStopGrace))
				}
				// Not once more after the monitor, unless its preStop goes on.
				again := handling.Err() == nil && a.reaped == nil && rec.Own && p.askedByMonitor(rec.Name, pid, start)
				cancel()
				if !again {
					if err := unix.PidfdSendSignal(int(pidfd.Fd()), sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
						return fmt.Errorf("signal init (pid %d): %w", pid, err)
					}
				}
			}
			timeout, cancel := context.WithDeadline(ctx, until)
			err := waitProcess(timeout, pidfd)
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
		}
	} else if !errors.Is(err, unix.ESRCH) {
		return err
	}
	if pidfd == nil && !rec.Own && c.ownsPIDs() && isAnothersCgroup(c.dir(), cgroups.Path(c.CgroupPath())) {
		return nil // as in Container.kill
	}
	// Also after a graceful end: with a shared PID namespace the init's
	// children outlive it.
	leaf := cgroups.Path(c.CgroupPath())
	if err := ignoreNotExist(leaf.Kill()); err != nil {
		return err
	}
	if pidfd != nil {
		// That may not reach it.
		if err := unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill init (pid %d): %w", pid, err)
		}
		if err := waitProcess(ctx, pidfd); err != nil {
			return err
		}
	}
	if c.ownsPIDs() {
		return nil
	}
	return ignoreNotExist(leaf.WaitKilled(ctx))
}

// Kill sends a signal to the init of every live container; SIGKILL goes to the
// pod's cgroup and so to every process of the pod at once, its init included, and
// no container is started again.
func (p *Pod) Kill(ctx context.Context, sig unix.Signal) error {
	if p.rec.Engine != nil && sig == unix.SIGKILL {
		return p.killEngine(ctx)
	}
	if sig == unix.SIGKILL {
		mark, err := p.beginStop(ctx)
		if err != nil {
			return fmt.Errorf("kill pod %q: %w", p.Name(), err)
		}
		if mark != nil {
			defer mark.Close()
		}
	}
	st, err := p.Status()
	if err != nil {
		return err
	}
	alive := 0
	var errs []error
	var external []cgroups.Path
	for _, c := range st.Containers {
		if !c.alive() {
			continue
		}
		alive++
		switch {
		case sig == unix.SIGKILL && !c.External:
			// With the pod's cgroup, below.
		case sig == unix.SIGKILL:
			// An engine's container may have its leaf elsewhere.
			leaf := cgroups.Path(c.Cgroup)
			external = append(external, leaf)
			errs = append(errs, ignoreNotExist(leaf.Kill()))
		default:
			errs = append(errs, signalProcess(c.PID, c.start, sig))
		}
	}
	if sig == unix.SIGKILL {
		cg := p.cgroup()
		errs = append(errs, ignoreNotExist(cg.Kill()), ignoreNotExist(cg.WaitKilled(ctx)))
		for _, leaf := range external {
			errs = append(errs, ignoreNotExist(leaf.WaitKilled(ctx)))
		}
		errs = append(errs, p.awaitMonitor())
	} else if alive == 0 {
		return fmt.Errorf("kill pod %q: no container is running: %w", p.Name(), ErrNotRunning)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("kill pod %q: %w", p.Name(), err)
	}
	return nil
}

// signalProcess signals exactly the process that had that start time.
func signalProcess(pid int, start uint64, sig unix.Signal) error {
	f, err := openProcess(pid, start)
	if err == nil {
		defer f.Close()
		err = unix.PidfdSendSignal(int(f.Fd()), sig, nil, 0)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

// Pause freezes every process of the pod, confirmed by the kernel.
func (p *Pod) Pause(ctx context.Context) error {
	if p.rec.Engine != nil {
		return p.pauseEngine(ctx)
	}
	if err := p.verify(); err != nil {
		return err
	}
	if err := p.cgroup().Freeze(ctx); err != nil {
		return fmt.Errorf("pause pod %q: %w", p.Name(), err)
	}
	return nil
}

// Resume thaws the pod.
func (p *Pod) Resume(ctx context.Context) error {
	if p.rec.Engine != nil {
		return p.resumeEngine(ctx)
	}
	if err := p.verify(); err != nil {
		return err
	}
	if err := p.cgroup().Thaw(ctx); err != nil {
		return fmt.Errorf("resume pod %q: %w", p.Name(), err)
	}
	return nil
}

// StartCreated starts the containers that callers created in the pod and that
// wait to be started; it returns how many there were.
func (p *Pod) StartCreated(ctx context.Context) (int, error) {
	if p.rec.Engine != nil {
		return 0, fmt.Errorf("start pod %q: %w", p.Name(), p.engineOnly())
	}
	lock, err := p.lock(ctx, unix.LOCK_SH)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	if err := p.verifyThawed(); err != nil {
		return 0, err
	}
	recs, err := p.containers()
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, rec := range recs {
		if rec.Own {
			continue
		}
		c, err := p.loadContainer(rec)
		if errors.Is(err, ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if status, err := c.Status(); err != nil || status != StatusCreated {
			errs = append(errs, err)
			continue
		}
		if err := c.Start(); err != nil {
			errs = append(errs, &StartError{Container: rec.Name, Err: err})
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}

// Wait returns when no container of the pod is alive any more and the end of
// each of its own is recorded.
func (p *Pod) Wait(ctx context.Context) ([]ContainerStatus, error) {
	if err := p.waitMonitor(ctx.Done()); err != nil {
		return nil, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		st, err := p.Status()
		if err != nil {
			return nil, err
		}
		i := 0
		for i < len(st.Containers) && !st.Containers[i].alive() {
			i++
		}
		if i == len(st.Containers) {
			return st.Containers, nil
		}
		c := &st.Containers[i]
		pidfd, err := openProcess(c.PID, c.start)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = waitProcess(ctx, pidfd)
		pidfd.Close()
		if err != nil {
			return nil, err
		}
	}
}
