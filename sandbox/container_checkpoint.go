package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"golang.org/x/sys/unix"
)

// CheckpointOptions are for CRIU (criu(8)), which makes and restores images of
// running containers.
type CheckpointOptions = libcontainer.CriuOpts

// CriuPageServer is where memory pages go to instead of into image files.
type CriuPageServer = libcontainer.CriuPageServerInfo

// CheckCheckpoint tells whether the container has processes to be saved, and a
// cgroup, by which CRIU finds and freezes them.
func (c *Container) CheckCheckpoint() error {
	status, err := c.Status()
	if err != nil {
		return err
	}
	if status == StatusCreated || status == StatusStopped {
		return &stateError{fmt.Sprintf("Container cannot be checkpointed in %s state", status), ErrNotRunning}
	}
	return c.errNoCgroup("checkpoint")
}

// Checkpoint saves the container's processes in o.ImagesDirectory, which is
// made if needed. Unless o.LeaveRunning or o.PreDump is set they are ended,
// and the container is to be deleted. An error that wraps exec.ErrNotFound
// says that CRIU is not installed.
func (c *Container) Checkpoint(o *CheckpointOptions) error {
	if err := prepareImages(o); err != nil {
		return err
	}
	_, err := c.dump(o)
	return err
}

// prepareImages makes the directory, once nothing else is missing.
func prepareImages(o *CheckpointOptions) error {
	if err := checkCriu(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.ImagesDirectory, 0o700); err != nil {
		return err
	}
	return checkParentImage(o)
}

// dump is Checkpoint after prepareImages. Made tells whether the images are
// complete, whatever has failed after that.
func (c *Container) dump(o *CheckpointOptions) (made bool, err error) {
	opts := *o
	opts.EmptyNs |= unix.CLONE_NEWNET // interfaces and addresses are not the container's
	err = c.keepCgroup2Options(func() error {
		err := c.lc.Checkpoint(&opts)
		made = err == nil
		return err
	})
	if made && !o.LeaveRunning && !o.PreDump {
		c.awaitKilled()
	}
	return made, err
}

// killedPatience is how long a killed process may take to end.
const killedPatience = 5 * time.Second

// awaitKilled waits for the end of the init, which CRIU has sent SIGKILL. That
// it does not end is for Delete to find.
func (c *Container) awaitKilled() {
	init, err := c.openInit()
	if err != nil || init == nil {
		return
	}
	defer init.Close()
	ctx, cancel := context.WithTimeout(context.Background(), killedPatience)
	defer cancel()
	_ = waitProcess(ctx, init)
}

// checkParentImage: an image refers to the one before it by a symbolic link.
func checkParentImage(o *CheckpointOptions) error {
	if o.ParentImage == "" {
		return nil
	}
	if filepath.IsAbs(o.ParentImage) {
		return errors.New("--parent-path must be relative")
	}
	path := filepath.Join(o.ImagesDirectory, o.ParentImage)
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	if err != nil {
		return fmt.Errorf("invalid --parent-path: %w", err)
	}
	return nil
}

// Restore starts a container that was just created from the images in
// o.ImagesDirectory: p is then its init. On an error nothing of the container
// is left.
func (c *Container) Restore(p *Process, o *CheckpointOptions) error {
	opts := *o
	opts.EmptyNs |= unix.CLONE_NEWNET
	c.restored = true
	return c.startInit(p, func(lp *libcontainer.Process) error {
		if err := c.errNoCgroup("restore"); err != nil {
			return err
		}
		if err := checkCriu(); err != nil {
			return err
		}
		if err := c.checkImageMounts(o.ImagesDirectory); err != nil {
			return err
		}
		return c.keepCgroup2Options(func() error {
			return c.restoreInOwnMounts(func() error { return c.lc.Restore(lp, &opts) })
		})
	})
}

// checkCriu says what libcontainer would, and what to do about it.
func checkCriu() error {
	if _, err := exec.LookPath("criu"); err != nil {
		return fmt.Errorf("CRIU version check failed: %w; checkpoint and restore need the program criu, see criu(8)", err)
	}
	return nil
}
