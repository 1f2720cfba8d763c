package netsetup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lockPod locks the directory of what CacheDir has of a pod. Where it is not there,
// it is made; or else none is locked, and nil returned.
func (c *CNI) lockPod(ctx context.Context, uid string, create bool) (*os.File, error) {
	dir := CNIPodDir(c.cacheDir(), uid)
	var r CNIRequest
	c.fill(&r)
	// Whoever has the lock is at most at an addition that fails and is taken back.
	patience := r.AddTimeout + 2*(r.DelTimeout+cniGrace)
	for {
		if create {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, fmt.Errorf("lock pod %q of CNI: %w", uid, err)
			}
		}
		f, err := openPod(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if !create {
				return nil, nil
			}
			continue
		}
		if err == nil {
			err = awaitLock(ctx, f, patience)
		}
		if err != nil {
			return nil, fmt.Errorf("lock pod %q of CNI: %w", uid, err)
		}
		if isAt(f, dir) {
			return f, nil
		}
		f.Close() // who had the lock has removed it
	}
}

// tryLockPod is lockPod for who can do without: it is nil where there is no
// directory, or somebody else has the lock.
func (c *CNI) tryLockPod(uid string) (*os.File, error) {
	dir := CNIPodDir(c.cacheDir(), uid)
	f, err := openPod(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && isAt(f, dir) {
		return f, nil
	}
	f.Close()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, &os.PathError{Op: "flock", Path: dir, Err: err}
}

// openPod opens a directory for its lock, and nothing else that may be there.
func openPod(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// isAt reports whether a file is what is at a path.
func isAt(f *os.File, path string) bool {
	was, err := f.Stat()
	if err != nil {
		return false
	}
	is, err := os.Lstat(path)
	return err == nil && os.SameFile(was, is)
}
