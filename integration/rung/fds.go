package rung

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// openRuntimeFds has Go's runtime open the descriptors it keeps for good (its
// epoll and eventfd), so that they are in every snapshot.
var openRuntimeFds = sync.OnceValue(func() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	_ = w.Close()
	return r.Close()
})

// listFds lists the descriptors of this process.
func listFds(*view) (objects, error) {
	if err := openRuntimeFds(); err != nil {
		return nil, err
	}
	const dir = "/proc/self/fd"
	fds, err := numbers(dir)
	if err != nil {
		return nil, err
	}
	o := objects{}
	for _, fd := range fds {
		target, err := os.Readlink(fmt.Sprintf("%s/%d", dir, fd))
		if err != nil {
			continue // that of the directory itself, closed by now
		}
		if cachedByLibrary(fd, target) {
			continue
		}
		line := fmt.Sprintf("%d -> %s", fd, target)
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			line += " (not close-on-exec)"
		}
		o[fmt.Sprintf("%d %s", fd, target)] = line
	}
	return o, nil
}

// cachedByLibrary reports whether fd is one that a library opens at first use
// and keeps for the process's life: opencontainers/cgroups holds the cgroup
// mount point (its anchor for openat2), filepath-securejoin a procfs of its
// own that is mounted nowhere.
func cachedByLibrary(fd int, target string) bool {
	if target == cgroupMount {
		return true
	}
	var st unix.Statfs_t
	return target == "/" && unix.Fstatfs(fd, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}
