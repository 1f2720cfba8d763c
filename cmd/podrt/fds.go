package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// listenFDs are the sockets that systemd passed to this process
// (sd_listen_fds(3)): descriptors 3 and on.
func listenFDs() []*os.File {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n <= 0 {
		return nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	files := make([]*os.File, n)
	for i := range files {
		name := "LISTEN_FD_" + strconv.Itoa(3+i)
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		unix.CloseOnExec(3 + i)
		files[i] = os.NewFile(uintptr(3+i), name)
	}
	return files
}

// preservedFDs are the n descriptors from base on, which the caller passed.
func preservedFDs(base, n int) ([]*os.File, error) {
	var files []*os.File
	for fd := base; fd < base+n; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC != 0 {
			err = unix.EBADF // one that this process opened: nothing else can be inherited with the flag
		}
		if err != nil {
			// As if it were looked for in /proc/self/fd: callers know that error.
			return nil, fmt.Errorf("unable to stat preserved-fd %d (of %d): %w", fd-base, n, unix.ENOENT)
		}
		files = append(files, os.NewFile(uintptr(fd), "PreserveFD:"+strconv.Itoa(fd)))
	}
	return files, nil
}

// writePidFile writes a pid, without a newline, so that whoever waits for the
// file never sees a part of it. The temporary name is the one that runc takes:
// watchers know to ignore it.
func writePidFile(path string, pid int) error {
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
