package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// removeLimit bounds Remove where its context does not.
	removeLimit = 10 * time.Second
	// removeTries and removeDelay bound the retries for reasons that nothing
	// announces: 1, 2, 4, … ms, about a second together.
	removeTries = 10
	removeDelay = time.Millisecond
)

// Remove removes p and the cgroups below it, deepest first. It waits for
// processes to end, but kills none: Kill does. A cgroup that does not exist is
// no error.
//
// When ctx ends first (where ctx has no deadline: after 10 s) the error is its
// cause; it names the cgroup and the processes that are left.
func (p Path) Remove(ctx context.Context) error {
	d, err := p.open()
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	defer d.close()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, removeLimit)
		defer cancel()
	}
	if err := p.remove(ctx, d); err != nil {
		return fmt.Errorf("remove cgroup %q: %w%s", string(p), err, d.stillThere())
	}
	return nil
}

func (p Path) remove(ctx context.Context, d *dir) error {
	// A leaf whose processes are gone, the usual case, takes one rmdir. It can
	// fail, and with EBUSY for each of these reasons:
	//
	//  1. A process is in it or below: alive, or killed and not at its end yet.
	//     cgroup.events tells when the last one is gone. Zombies do not count.
	//  2. It has children. They go first; without processes nobody inside can
	//     make more.
	//  3. Somebody outside has made a child between 2 and the rmdir, or enters
	//     a process.
	//  4. A task is past the point where cgroup.events counts it and not yet
	//     past that where the cgroup lets go of it.
	//  5. Something is mounted on it in this mount namespace.
	//
	// Nothing announces 3 to 5: they are tried again with a growing delay, and
	// given up after removeTries; 5 will not pass.
	//
	// Two at a time do not disturb each other: what the other one removed first
	// is ENOENT, which is what was wanted. Any other error (EROFS, EPERM) says
	// that it will never work.
	delay := removeDelay
	for try := 0; ; try++ {
		err := rmdir(p)
		if err == nil || gone(err) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || try == removeTries {
			return err
		}
		if err := d.awaitEmpty(ctx); err != nil { // 1
			return err
		}
		if err := d.removeBelow(); err != nil { // 2
			return err
		}
		if try > 0 { // 3, 4, 5
			if err := sleep(ctx, delay); err != nil {
				return err
			}
			delay *= 2
		}
	}
}

// removeBelow removes the cgroups below d, deepest first. Those that are busy
// stay, and so do those above them.
func (d *dir) removeBelow() error {
	err := d.walk(nil, func(parent *dir, name string) error {
		err := ignoringEINTR(func() error { return unix.Unlinkat(parent.fd, name, unix.AT_REMOVEDIR) })
		if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EBUSY) {
			return nil
		}
		return &fs.PathError{Op: "rmdir", Path: parent.path + "/" + name, Err: err}
	})
	if gone(err) {
		return nil
	}
	return err
}

// stillThere says for a message what keeps d.
func (d *dir) stillThere() string {
	if e, err := d.events(); err == nil && e.populated {
		return d.left()
	}
	if names, err := d.children(); err == nil && len(names) > 0 {
		return fmt.Sprintf(": it has children, %q among them", names[0])
	}
	return ""
}

// RemoveMade removes what [Create] returned, in reverse. One that somebody else
// has come to use, that is, which has children or processes, is left alone, and
// so are those above it; that is no error. What is gone is none either.
func RemoveMade(made []Path) error {
	for i := len(made) - 1; i >= 0; i-- {
		used, err := made[i].removeUnused()
		if err != nil {
			return fmt.Errorf("remove cgroup: %w", err)
		}
		if used {
			return nil
		}
	}
	return nil
}

// removeUnused removes p unless it is in use.
func (p Path) removeUnused() (used bool, err error) {
	d, err := p.open()
	if gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer d.close()
	delay := removeDelay
	for try := 0; ; try++ {
		err := rmdir(p)
		if err == nil || gone(err) {
			return false, nil
		}
		if !errors.Is(err, unix.EBUSY) || try == removeTries {
			return false, err
		}
		e, err := d.events()
		if gone(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		names, err := d.children()
		if err != nil && !gone(err) {
			return false, err
		}
		if e.populated || len(names) > 0 {
			return true, nil
		}
		// Neither: it became free just now, or reasons 4 and 5 of remove.
		_ = sleep(context.Background(), delay)
		delay *= 2
	}
}

func rmdir(p Path) error {
	err := ignoringEINTR(func() error { return unix.Rmdir(string(p)) })
	if err != nil {
		return &fs.PathError{Op: "rmdir", Path: string(p), Err: err}
	}
	return nil
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
