package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// PodOverError is why no container of a pod is started any more: it was stopped, or
// is lost.
type PodOverError struct{ error }

func (e *PodOverError) Unwrap() error { return e.error }

// stopFile is there from when the pod is stopped until it is started: its monitor
// starts no container any more, and who is starting them takes that back. While a stop
// goes on it has a shared lock on the file (flock(2)), and a start waits for that:
// no container takes the place of one that the stop is about to end.
func (p *Pod) stopFile() string { return filepath.Join(p.dir, "stopped") }

// markStopped comes before anything is signalled. A container that is being started
// at this moment runs nothing yet, or has its record already, as who starts it looks
// for the file between the two.
func (p *Pod) markStopped() (*os.File, error) {
	f, err := openFile(p.stopFile(), unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write state: %w", err)
	}
	return f, nil
}

// forbidRestarts is markStopped for who has no use for the file.
func (p *Pod) forbidRestarts() error {
	if len(p.rec.Spec.Containers) == 0 {
		return nil
	}
	f, err := p.markStopped()
	if err != nil {
		return err
	}
	return f.Close()
}

// beginStop is markStopped, and has starts of the pod wait until the caller closes
// the file; nil where there is nothing to wait for, or, unless the pod's containers
// are started again, no room for the file.
func (p *Pod) beginStop(ctx context.Context) (*os.File, error) {
	if len(p.rec.Spec.Containers) == 0 {
		return nil, nil
	}
	for {
		f, err := p.markStopped()
		if errors.Is(err, fs.ErrNotExist) || err != nil && !p.rec.Spec.startsLater() {
			return nil, nil // the pod is gone
		}
		if err != nil {
			return nil, err
		}
		if err := flockWithin(ctx, f, unix.LOCK_SH); err != nil {
			f.Close()
			return nil, err
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Nlink > 0 {
			return f, err
		}
		f.Close() // a start has removed it meanwhile
	}
}

// lastStop returns the file of the last stop once that has ended, locked, so that
// none begins before the caller closes it; nil if there is none. The pod's lock is
// held exclusively.
func (p *Pod) lastStop(ctx context.Context) (*os.File, error) {
	f, err := openFile(p.stopFile(), unix.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	// What of a stop is left when the monitor has gone takes no time.
	ctx, cancel := context.WithTimeout(ctx, monitorGrace)
	defer cancel()
	if err := flockWithin(ctx, f, unix.LOCK_EX); err != nil {
		f.Close()
		return nil, errors.Join(p.errStopping(), err)
	}
	return f, nil
}

// takeOver makes this process the pod's monitor, and the pod one that is not
// stopped. The pod's lock is held exclusively.
func (p *Pod) takeOver(ctx context.Context) (*os.File, error) {
	stop, err := p.lastStop(ctx)
	if err != nil {
		return nil, err
	}
	if stop != nil {
		defer stop.Close()
	}
	monitor, err := p.succeedMonitor()
	if err != nil || stop == nil {
		return monitor, err
	}
	// Not one that has come since: that is of a stop which waits for this monitor.
	if err := os.Remove(p.stopFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		monitor.Close()
		return nil, fmt.Errorf("write state: %w", err)
	}
	return monitor, nil
}

// stopping is an error if the pod has been stopped since takeOver.
func (p *Pod) stopping() error {
	if _, err := os.Lstat(p.stopFile()); err != nil {
		return nil
	}
	return p.errStopping()
}

func (p *Pod) errStopping() error {
	return &PodOverError{fmt.Errorf("pod %q is being stopped; let \"podrt pod stop\" end, or run it again", p.Name())}
}

// flockWithin is flock(2), which knows no time limit, until ctx ends.
func flockWithin(ctx context.Context, f *os.File, how int) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := flock(f, how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("another podrt is at work on it: %w", ctx.Err())
		}
	}
}
