package cgroups

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// events is the content of cgroup.events. Both are about the whole subtree.
type events struct {
	populated bool // a living process is in it
	frozen    bool // every process in it is frozen; Linux 5.2
}

func parseEvents(b []byte) (events, error) {
	var e events
	err := eachPair(b, func(key string, v uint64) {
		switch key {
		case "populated":
			e.populated = v != 0
		case "frozen":
			e.frozen = v != 0
		}
	})
	if err != nil {
		return e, fmt.Errorf("parse cgroup.events: %w", err)
	}
	return e, nil
}

func (d *dir) events() (events, error) {
	b, err := d.read("cgroup.events")
	if err != nil {
		return events{}, err
	}
	return parseEvents(b)
}

// Populated tells whether a living process is in p or below. Zombies are not
// living.
func (p Path) Populated() (bool, error) {
	e, err := p.events()
	return e.populated, err
}

// Frozen tells whether all processes in p and below are frozen, be it by p or
// by a cgroup above it. A cgroup without processes is frozen when it was told
// to be. Linux 5.2.
func (p Path) Frozen() (bool, error) {
	e, err := p.events()
	return e.frozen, err
}

func (p Path) events() (events, error) {
	d, err := p.open()
	if err != nil {
		return events{}, fmt.Errorf("read cgroup events: %w", err)
	}
	defer d.close()
	e, err := d.events()
	if err != nil {
		return events{}, fmt.Errorf("read cgroup events: %w", asGone(err))
	}
	return e, nil
}

// WaitEmpty waits until no living process is in p or below. A cgroup that does
// not exist is empty. When ctx ends first, the error is its cause and names the
// processes.
func (p Path) WaitEmpty(ctx context.Context) error {
	return p.waitEmpty(ctx, func(*dir) error { return nil })
}

// waitEmpty is WaitEmpty that calls busy at each look that finds a living
// process. What that fails with is told when the wait ends without success.
func (p Path) waitEmpty(ctx context.Context, busy func(*dir) error) error {
	d, err := p.open()
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for cgroup to empty: %w", err)
	}
	defer d.close()
	var failed error
	err = d.await(ctx, func(e events) bool {
		if e.populated {
			if err := busy(d); err != nil && !gone(err) {
				failed = err
			}
		}
		return !e.populated
	})
	if err != nil && !gone(err) {
		if failed != nil {
			err = fmt.Errorf("%w (%w)", err, failed)
		}
		return fmt.Errorf("wait for cgroup %q to empty: %w%s", string(p), err, d.left())
	}
	return nil
}

// awaitEmpty waits until d has no living process, or does not exist.
func (d *dir) awaitEmpty(ctx context.Context) error {
	err := d.await(ctx, func(e events) bool { return !e.populated })
	if gone(err) {
		return nil
	}
	return err
}

// left says for a message which processes are in d and below.
func (d *dir) left() string {
	pids, err := d.procs()
	switch {
	case err != nil:
		return ""
	case len(pids) == 0:
		return " (no process is listed: a task is still exiting, or belongs to another pid namespace)"
	}
	return ": processes " + nameProcs(pids)
}

const (
	// The first look again at cgroup.events comes this soon: to freeze or to
	// kill a handful of sleeping processes takes tens of microseconds, while
	// the kernel announces a change at once only when it announced none in the
	// last 10 ms (CGROUP_FILE_NOTIFY_MIN_INTV), and late otherwise.
	firstLook = 50 * time.Microsecond
	// The wait doubles up to this. By then it is the kernel's notification that
	// ends it; the bound is for the day when that one gets lost.
	lastLook = time.Second
)

// await waits until cgroup.events is such that ok holds. When ctx ends first,
// it returns its cause.
func (d *dir) await(ctx context.Context, ok func(events) bool) error {
	const name = "cgroup.events"
	fd, err := d.openat(name, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)

	// The file has POLLPRI when it changed since it was last read.
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		b, err := d.readOpen(fd, name)
		if err != nil {
			return err
		}
		e, err := parseEvents(b)
		if err != nil {
			return err
		}
		if ok(e) {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(fds) == 1 && ctx.Done() != nil {
			bell, stop, err := ring(ctx)
			if err != nil {
				return err
			}
			defer stop()
			fds = append(fds, unix.PollFd{Fd: int32(bell), Events: unix.POLLIN})
		}
		// EINTR and a timeout both mean to look again.
		ts := unix.NsecToTimespec(int64(wait))
		if _, err := unix.Ppoll(fds, &ts, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll %s/%s: %w", d.path, name, err)
		}
	}
}

// ring returns an eventfd that becomes readable when ctx ends, for a poll(2)
// that shall end with it. stop closes it.
func ring(ctx context.Context) (fd int, stop func(), err error) {
	fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, nil, fmt.Errorf("eventfd: %w", err)
	}
	rung := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 1})
		close(rung)
	})
	return fd, func() {
		if !cancel() {
			<-rung // it may be about to write: the number must not be another file's by then
		}
		_ = unix.Close(fd)
	}, nil
}
