package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// handle does what a handler says, for as long as ctx allows. A command in a
// container that has not ended then ends with the container.
func (p *Pod) handle(ctx context.Context, rec containerRecord, h *LifecycleHandler, process *specs.Process, d *dialer) error {
	var a probeAnswer
	switch {
	case h.Exec != nil:
		e, err := p.newExecution(rec, process, h.Exec.Command, "", d.reaped)
		if err != nil {
			return err
		}
		a = e.run(ctx)
	case h.HTTPGet != nil:
		r := d.httpGet(h.HTTPGet, true)
		r.Timeout = maxHandlerRequest
		a = d.ask(ctx, r)
	default:
		timer := time.NewTimer(time.Duration(h.Sleep.Seconds) * time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}
	if a.err == nil && !a.ok {
		a.err = errors.New(a.message)
	}
	return a.err
}

// maxHandlerRequest is how long a handler's request may take; the kubelet has no
// limit but the container's end.
const maxHandlerRequest = time.Hour

// postStart runs a container's postStart, until it or the container ends.
func (w *watch) postStart(h *LifecycleHandler) error {
	return w.s.p.handle(w.ctx, w.m.rec, h, w.m.proc.Spec, w.dialer)
}

// minStopGrace is how long a container has after its preStop, however long that took:
// the kubelet's minimumGracePeriodInSeconds.
const minStopGrace = 2 * time.Second

// preStop runs the preStop of one of the pod's own containers, if it has one, for as
// long as ctx allows; once for each init, whoever stops it, of any number of
// processes. It reports whether there was anything to do. How it ends does not matter
// to the stop.
func (p *Pod) preStop(ctx context.Context, rec containerRecord, pid int, start uint64, reaped *reaper) (did bool) {
	h := p.preStopOf(rec)
	if h == nil {
		return false
	}
	// Locked as long as it runs: another stop waits for it.
	f, err := openFile(filepath.Join(p.containerDir(rec.Name), "prestop"), unix.O_RDWR|unix.O_CREAT, 0o600)
	if err == nil {
		defer f.Close()
		if flockWithin(ctx, f, unix.LOCK_EX) != nil {
			return true
		}
		id := fmt.Sprintf("%d %d\n", pid, start)
		done, rerr := io.ReadAll(io.LimitReader(f, 64))
		if rerr == nil && string(done) == id {
			return true
		}
		// On a file system that is full it may be run again.
		if f.Truncate(0) == nil {
			_, _ = f.WriteAt([]byte(id), 0)
		}
	}
	_ = p.handle(ctx, rec, h, nil, p.newDialer(pid, start, reaped))
	return true
}

func (p *Pod) preStopOf(rec containerRecord) *LifecycleHandler {
	if !rec.Own {
		return nil
	}
	if c := p.rec.Spec.container(rec.Name); c != nil && c.Lifecycle != nil {
		return c.Lifecycle.PreStop
	}
	return nil
}

// beginPreStops begins the preStop of containers whose turn to be stopped comes later,
// which then waits for it, as the kubelet does for sidecars.
func (p *Pod) beginPreStops(ctx context.Context, recs []containerRecord, until time.Time, a *asked) {
	for _, rec := range recs {
		if p.preStopOf(rec) == nil || !time.Now().Before(until) {
			continue
		}
		go func() {
			ctx, cancel := context.WithDeadline(ctx, until)
			defer cancel()
			c, err := p.loadContainer(rec)
			if err != nil {
				return
			}
			if status, err := c.Status(); err == nil && status == StatusRunning {
				pid, start := c.InitPID()
				p.preStop(ctx, rec, pid, start, a.reaped)
			}
		}()
	}
}
