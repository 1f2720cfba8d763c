package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// inotify says that something has happened to a file (inotify(7)).
type inotify struct {
	file *os.File
	seen chan struct{} // one element: there was something since it was taken
}

// watchFile begins to watch for the events of the mask. It fails where as many are
// watched as fs.inotify.max_user_instances or max_user_watches allow.
func watchFile(path string, mask uint32) (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	if _, err := unix.InotifyAddWatch(fd, path, mask); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch %q: %w", path, os.NewSyscallError("inotify_add_watch", err))
	}
	in := &inotify{file: os.NewFile(uintptr(fd), "inotify"), seen: make(chan struct{}, 1)}
	go func() {
		buf := make([]byte, 4096) // what happened is of no interest
		for {
			if _, err := in.file.Read(buf); err != nil {
				return
			}
			select {
			case in.seen <- struct{}{}:
			default:
			}
		}
	}()
	return in, nil
}

// add watches another file.
func (in *inotify) add(path string, mask uint32) error {
	raw, err := in.file.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { _, err = unix.InotifyAddWatch(int(fd), path, mask) })
	return errors.Join(cerr, err)
}

func (in *inotify) close() { _ = in.file.Close() }
