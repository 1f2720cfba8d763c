package rootfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// maxRaces bounds how often one lookup is repeated when the kernel gives up
// on it because of a concurrent rename. A container may rename on purpose,
// without end.
const maxRaces = 1000

// openBeneath opens path, relative to dir, so that no part of it, symlinks
// included, leaves dir. flags are open(2)'s, resolve adds to openat2(2)'s.
// The error is EXDEV when path leads out of dir, and EAGAIN when dir's content
// was renamed too often while we looked. Requires Linux 5.6.
func openBeneath(dir *os.File, path string, flags int, resolve uint64) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | resolve,
	}
	for races := 0; ; {
		fd, err := unix.Openat2(int(dir.Fd()), path, &how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), dir.Name()+"/"+path), nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN) && races < maxRaces:
			// openat(2) with "..": the kernel cannot tell whether we left dir.
			races++
			continue
		}
		return nil, err
	}
}

// openPath opens path with O_PATH and flags: a handle on what path names now,
// which gives no access to its content and has no side effect on devices.
func openPath(path string, flags int) (*os.File, error) {
	for {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		return nil, err
	}
}
