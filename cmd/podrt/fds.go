package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxMissing is how many of the descriptors that its caller announces, and has
// not open, runc 1.5 does not miss: it takes its own for them, which are that
// many (log, event poll, cgroup, notify socket, bus).
const maxMissing = 8

// listenFDs are the sockets that systemd passed to this process
// (sd_listen_fds(3)): descriptors 3 and on.
func listenFDs() ([]*os.File, error) {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n <= 0 {
		return nil, nil
	}
	return passedFDs("LISTEN_FDS", 3, n)
}

// preservedFDs are the n descriptors from base on, which the caller passed.
func preservedFDs(base, n int) ([]*os.File, error) { return passedFDs("preserved-fd", base, n) }

// passedFDs are the n descriptors from base on that this process was started
// with. In the place of a few that are not there is /dev/null: never one that
// this process has opened since.
func passedFDs(what string, base, n int) ([]*os.File, error) {
	var files []*os.File
	var missing []int
	for fd := base; fd < base+n; fd++ {
		f := passedFD(fd)
		if f == nil {
			missing = append(missing, fd-base)
			if len(missing) > maxMissing {
				// As if it were looked for in /proc/self/fd: callers know that error.
				return nil, fmt.Errorf("unable to stat %s %d (of %d): %w", what, missing[0], n, unix.ENOENT)
			}
			var err error
			if f, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return nil, err
			}
		}
		files = append(files, f)
	}
	return files, nil
}

// passedFD is the descriptor if this process was started with it: it has not
// been closed on exec, as all that this process opens itself will be. nil if not.
func passedFD(fd int) *os.File {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "PassedFD:"+strconv.Itoa(fd))
}

// writePidFile writes a pid, without a newline, so that whoever waits for the
// file never sees a part of it. The temporary name is the one that runc takes:
// watchers know to ignore it. What is no file, such as /dev/null, is written to as it
// is: runc puts a file in its place, for everybody on the host.
func writePidFile(path string, pid int) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(strconv.Itoa(pid))
		return errors.Join(err, f.Close())
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_SYNC, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(pid))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}
