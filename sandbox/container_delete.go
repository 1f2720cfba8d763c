package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tidwall/gjson"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cgroups"
)

// ErrStillRunning is what Delete returns when the container's processes do not
// end although they were killed, as one in uninterruptible sleep does not.
var ErrStillRunning = errors.New("container init still running")

// PoststopError is the failure of poststop hooks. Nothing is left of their
// container: its life goes on as if they had succeeded (config.md of the runtime
// specification, "POSIX-platform Hooks").
type PoststopError struct{ err error }

func (e *PoststopError) Error() string { return e.err.Error() }
func (e *PoststopError) Unwrap() error { return e.err }

// isPoststop reports whether err is of poststop hooks, and so of a container that
// is gone.
func isPoststop(err error) bool {
	var hooks *PoststopError
	return errors.As(err, &hooks)
}

// DeleteContainer deletes the container with that id. What a creation that was
// cut short has left is removed as well, with any process in its cgroup; for it
// and for a container that does not exist the result is ErrNotExist, or nil
// with force.
func DeleteContainer(ctx context.Context, root, id string, force bool) error {
	c, err := LoadContainer(root, id)
	return deleteLoaded(ctx, root, id, c, err, force)
}

// deleteLoaded is DeleteContainer with what LoadContainer returned.
func deleteLoaded(ctx context.Context, root, id string, c *Container, err error, force bool) error {
	switch {
	case err == nil:
		return c.Delete(ctx, force)
	case !errors.Is(err, ErrNotExist):
		return err
	}
	if rerr := removeHalfMade(ctx, filepath.Join(root, id)); rerr != nil {
		return rerr
	}
	if force {
		return nil
	}
	return err
}

// RemoveContainer is DeleteContainer below the store's container root, for a
// container that may be a member of one of its pods, or an engine's sandbox,
// whose pod goes with it.
func (s *Store) RemoveContainer(ctx context.Context, id string, force bool) error {
	c, err := LoadContainer(s.containerRoot(), id)
	return s.removeLoaded(ctx, id, c, err, force)
}

// Remove is RemoveContainer for a container that the caller has made or loaded.
// Its state is not decoded again, which takes most of the time of a removal.
func (s *Store) Remove(ctx context.Context, c *Container, force bool) error {
	if c.restored || !c.isRecorded() {
		return s.RemoveContainer(ctx, c.ID(), force)
	}
	return s.removeLoaded(ctx, c.ID(), c, nil, force)
}

// isRecorded reports whether the state directory is this container's: it may
// have been deleted since, and another one made of its id.
func (c *Container) isRecorded() bool {
	state, err := c.lc.State()
	if err != nil {
		return false
	}
	b, err := readSmall(filepath.Join(c.dir(), "state.json"), make([]byte, stateFileMax))
	return err == nil && state.Created.Equal(gjson.GetBytes(b, "created").Time())
}

func (s *Store) removeLoaded(ctx context.Context, id string, c *Container, loadErr error, force bool) error {
	root := s.containerRoot()
	pod, known := podOf(root, id, c, loadErr)
	err := deleteLoaded(ctx, root, id, c, loadErr, force)
	var hooks error // of a container that is gone: what its pod has of it goes, too
	if isPoststop(err) {
		hooks, err = err, nil
	}
	if err != nil && !errors.Is(err, ErrNotExist) {
		return err
	}
	// Also for one that does not exist: its pod is recorded before it and goes
	// after it, and a SIGKILL can come between the two.
	if !known || pod == id {
		err = errors.Join(err, s.dropSandbox(ctx, id))
	}
	if err == nil {
		err = s.LeavePod(pod, id)
	}
	switch {
	case hooks == nil:
		return err
	case err != nil:
		return errors.Join(errors.New(hooks.Error()), err) // no *PoststopError: something is left
	}
	return hooks
}

// podOf returns the UID of the pod that a container, perhaps half made, is in;
// known is false where there is no container, or too little of it to tell. c
// and err are what LoadContainer returned.
func podOf(root, id string, c *Container, err error) (uid string, known bool) {
	if err == nil {
		return c.Annotations()[AnnotationPod], true
	} else if !errors.Is(err, ErrNotExist) {
		return "", true
	}
	if in, err := readIntent(filepath.Join(root, id)); err == nil && in != nil {
		return in.Pod, true
	}
	return "", false
}

// removeHalfMade removes a container that has a state directory but no state.
// The id that dir ends in was found valid.
func removeHalfMade(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	in, err := readIntent(dir)
	if err != nil {
		return err
	}
	if in != nil && !isAnothersCgroup(dir, in.cgroup()) {
		if err := killCgroup(ctx, in.cgroup()); err != nil {
			return err
		}
		if err := in.destroyCgroup(); err != nil {
			return err
		}
	}
	finishCriu(dir)
	return removeStateDir(dir)
}

// Delete removes a stopped or created container: cgroup, state and, with
// force, also the processes of a running or paused one. It returns as soon as
// the last process has ended, and ErrStillRunning if ctx is done before. Then
// the poststop hooks run; what they fail with is a *PoststopError.
func (c *Container) Delete(ctx context.Context, force bool) error {
	status, err := c.Status()
	if err != nil {
		return err
	}
	if !force && status != StatusStopped && status != StatusCreated {
		return &stateError{fmt.Sprintf("cannot delete container %s that is not stopped: %s", c.ID(), status), ErrRunning}
	}
	// Even a stopped container can have processes in its cgroup, if its PID
	// namespace is not its own.
	if force || status == StatusCreated || !c.ownsPIDs() {
		if err := c.kill(ctx); err != nil {
			return err
		}
	}
	finishCriu(c.dir())
	err = c.lc.Destroy()
	if errors.Is(err, unix.ENAMETOOLONG) && c.hasCgroup() {
		// By paths libcontainer does not get to all cgroups that a container can make
		// below its own.
		if err := cgroups.Path(c.CgroupPath()).Remove(ctx); err != nil {
			return fmt.Errorf("unable to remove container's cgroup: %w", err)
		}
		err = c.lc.Destroy()
	}
	if err == nil {
		return nil
	}
	// The state directory is the last that goes before the hooks run.
	if _, gone := os.Lstat(c.dir()); errors.Is(gone, fs.ErrNotExist) {
		return &PoststopError{err}
	}
	return err
}

// kill ends all of the container's processes and waits until they are gone.
func (c *Container) kill(ctx context.Context) error {
	init, err := c.openInit()
	if err != nil {
		return err
	}
	if init == nil && c.ownsPIDs() && isAnothersCgroup(c.dir(), cgroups.Path(c.CgroupPath())) {
		return nil // its own have all ended, before its init (pid_namespaces(7))
	}
	if init != nil {
		defer init.Close()
		if err := unix.PidfdSendSignal(int(init.Fd()), unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("unable to signal init: %w", err)
		}
	}
	if init != nil {
		// Before a look at the cgroup: the kernel announces that one is empty up
		// to 10 ms late, and the end of a process at once.
		err := waitProcess(ctx, init)
		if ctx.Err() != nil {
			return ErrStillRunning
		}
		if err != nil {
			return err
		}
	}
	// An init with a PID namespace of its own takes all others with it, but
	// not those in namespaces beside it that share its cgroup; without one,
	// all are left. SIGKILL reaches frozen processes (cgroup v2).
	err = killCgroup(ctx, cgroups.Path(c.CgroupPath()))
	if err != nil && !c.lc.Config().RootlessCgroups {
		return err
	}
	return nil
}

// openInit opens a pidfd on the container's init; nil if it has ended.
func (c *Container) openInit() (*os.File, error) {
	pid, start := c.InitPID()
	if pid == 0 {
		return nil, nil
	}
	f, err := openProcess(pid, start)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open container init: %w", err)
	}
	return f, nil
}

// killCgroup kills every process in the cgroup and below it and waits until
// none is left; nil when there is no such cgroup.
func killCgroup(ctx context.Context, path cgroups.Path) error {
	if path == "" {
		return nil
	}
	busy, err := path.Populated()
	if err == nil && busy {
		if err = path.Kill(); err == nil {
			err = path.WaitKilled(ctx)
		}
	}
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrStillRunning, err)
	}
	return fmt.Errorf("unable to kill all processes: %w", err)
}
