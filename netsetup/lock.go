package netsetup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// awaitLock locks f exclusively (flock(2)), and waits in the kernel's queue for
// who has the lock already. It closes f on an error, or when a lock comes that
// nobody waits for any more.
func awaitLock(ctx context.Context, f *os.File, patience time.Duration) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		if err != nil {
			f.Close()
		}
		return os.NewSyscallError("flock", err)
	}
	locked := make(chan error, 1)
	go func() {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		for errors.Is(err, unix.EINTR) {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		}
		locked <- err
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err = <-locked:
		if err != nil {
			f.Close()
		}
		return os.NewSyscallError("flock", err)
	case <-ctx.Done():
		err = fmt.Errorf("another podrt has %q: %w", f.Name(), ctx.Err())
	case <-late.C:
		err = fmt.Errorf("another podrt has had %q for %s", f.Name(), patience)
	}
	go func() {
		<-locked
		f.Close()
	}()
	return err
}
