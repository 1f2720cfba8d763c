package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runc/types"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

// Event is one thing to know of a container: its statistics ("stats", with
// ContainerStats as data) or that the kernel killed one of its processes for
// want of memory ("oom").
type Event = types.Event

// StatsEvent wraps the container's present statistics.
func (c *Container) StatsEvent() (*Event, error) {
	if err := c.errNoCgroup("measure"); err != nil {
		return nil, err
	}
	s, err := c.Stats()
	if err != nil {
		return nil, err
	}
	return &Event{Type: "stats", ID: c.ID(), Data: s}, nil
}

// CheckEvents tells whether there is something to watch.
func (c *Container) CheckEvents() error {
	if err := c.errNoCgroup("watch"); err != nil {
		return err
	}
	status, err := c.Status()
	if err != nil {
		return err
	}
	if status == StatusStopped {
		return &stateError{fmt.Sprintf("container with id %s is not running", c.ID()), ErrNotRunning}
	}
	return nil
}

// Watch calls emit with the container's statistics after each interval, and
// with an event for each time that the kernel's OOM killer has been at work in
// it, until the last process of the container has ended. Statistics that
// cannot be read go to failed and are tried again; an error of emit's ends it.
// Without the memory controller there are no OOM events.
func (c *Container) Watch(interval time.Duration, emit func(*Event) error, failed func(error)) error {
	w, err := watchCgroup(cgroups.Path(c.CgroupPath()))
	if err != nil {
		return fmt.Errorf("watch container %q: %w", c.ID(), err)
	}
	defer w.close()
	for next := time.Now().Add(interval); ; {
		ooms, ended, err := w.look()
		if err != nil {
			return fmt.Errorf("watch container %q: %w", c.ID(), err)
		}
		if ooms > 0 {
			if err := emit(&Event{Type: "oom", ID: c.ID()}); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
		if now := time.Now(); !now.Before(next) {
			next = now.Add(interval)
			e, err := c.StatsEvent()
			if err != nil {
				failed(err)
			} else if err := emit(e); err != nil {
				return err
			}
		}
		if err := w.wait(next); err != nil {
			return fmt.Errorf("watch container %q: %w", c.ID(), err)
		}
	}
}

// cgroupWatch is woken by the files of a cgroup through which the kernel tells
// of OOM kills and of the end of its last process: cgroup.events and
// memory.events notify as modified (Documentation/admin-guide/cgroup-v2.rst).
type cgroupWatch struct {
	path  cgroups.Path
	fd    int
	kills uint64 // known of
	oom   bool   // there is a memory.events
}

func watchCgroup(path cgroups.Path) (_ *cgroupWatch, retErr error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &cgroupWatch{path: path, fd: fd}
	defer func() {
		if retErr != nil {
			w.close()
		}
	}()
	if err := w.add("cgroup.events"); err != nil && !vanished(err) {
		return nil, err
	}
	switch err := w.add("memory.events"); {
	case vanished(err):
	case err != nil:
		return nil, err
	default:
		w.oom = true
		if w.kills, err = path.OOMKills(); err != nil && !vanished(err) {
			return nil, err
		}
	}
	return w, nil
}

func (w *cgroupWatch) add(name string) error {
	path := filepath.Join(string(w.path), name)
	if _, err := unix.InotifyAddWatch(w.fd, path, unix.IN_MODIFY); err != nil {
		return &os.PathError{Op: "inotify_add_watch", Path: path, Err: err}
	}
	return nil
}

// look reads how many processes were killed since the last look, and whether
// none is left.
func (w *cgroupWatch) look() (ooms uint64, ended bool, err error) {
	// In this order: the kill that ends the last process is told of.
	busy, err := w.path.Populated()
	if err != nil && !vanished(err) {
		return 0, false, err
	}
	if w.oom {
		kills, err := w.path.OOMKills()
		if err != nil && !vanished(err) {
			return 0, false, err
		}
		if err == nil && kills > w.kills {
			ooms, w.kills = kills-w.kills, kills
		}
	}
	return ooms, !busy, nil
}

// wait returns when something has changed, or at the deadline.
func (w *cgroupWatch) wait(deadline time.Time) error {
	fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	left := max(time.Until(deadline), 0)
	timeout := unix.NsecToTimespec(left.Nanoseconds())
	n, err := unix.Ppoll(fds, &timeout, nil)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("ppoll", err)
	}
	if n == 0 {
		return nil
	}
	// What has changed is read from the files.
	var events [4096]byte
	for {
		_, err := unix.Read(w.fd, events[:])
		switch {
		case err == nil || errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return nil
		default:
			return os.NewSyscallError("read inotify", err)
		}
	}
}

func (w *cgroupWatch) close() { _ = unix.Close(w.fd) }

// vanished reports whether a file of a cgroup does not exist (any more).
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}
