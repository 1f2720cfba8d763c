package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// processStart returns the start time of a process in clock ticks since boot
// (proc_pid_stat(5), field 22). A zombie counts as gone: ESRCH. One that has other
// threads (field 20) is none: its first thread alone has ended, by pthread_exit(3).
func processStart(pid int) (uint64, error) {
	return processStartIn(pid, make([]byte, 1024))
}

// processStartIn is processStart with a buffer for the file.
func processStartIn(pid int, buf []byte) (uint64, error) {
	b, err := readSmall("/proc/"+strconv.Itoa(pid)+"/stat", buf)
	if err != nil {
		return 0, err
	}
	// comm may hold spaces and parentheses: the last one closes it.
	_, rest, ok := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	if !ok || len(rest) == 0 {
		return 0, fmt.Errorf("read /proc/%d/stat: malformed", pid)
	}
	ended := rest[0] == 'Z' || rest[0] == 'X'
	for field := 3; field < 22; field++ { // the state is field 3
		if field == 20 && ended && (bytes.HasPrefix(rest, []byte("0 ")) || bytes.HasPrefix(rest, []byte("1 "))) {
			return 0, unix.ESRCH
		}
		if _, rest, ok = bytes.Cut(rest, []byte(" ")); !ok {
			return 0, fmt.Errorf("read /proc/%d/stat: malformed", pid)
		}
	}
	start, _, _ := bytes.Cut(rest, []byte(" "))
	return strconv.ParseUint(string(start), 10, 64)
}

// openProcess opens a pidfd (pidfd_open(2), Linux 5.3) on the process that has
// that PID and start time; ESRCH when it is gone and the PID perhaps another's.
func openProcess(pid int, start uint64) (*os.File, error) {
	fd, err := openProcessFD(pid, start)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid)), nil
}

// openProcessFD is openProcess without a file around the descriptor.
func openProcessFD(pid int, start uint64) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.EINVAL) {
		// A process that has ended while others still are in its process group
		// or session, which keep its number: not ESRCH on older kernels (seen on 6.12).
		err = unix.ESRCH
	}
	if err != nil {
		return -1, os.NewSyscallError("pidfd_open", err)
	}
	// After the open, so that the PID cannot change hands in between.
	if now, err := processStart(pid); err != nil || now != start {
		_ = unix.Close(fd)
		return -1, unix.ESRCH
	}
	return fd, nil
}

// waitProcess waits until the process of a pidfd has ended; ctx's error when
// that comes first.
func waitProcess(ctx context.Context, pidfd *os.File) error {
	return waitProcesses(ctx, int(pidfd.Fd()))
}

// waitProcesses waits until the processes of all pidfds have ended; ctx's error
// when that comes first.
func waitProcesses(ctx context.Context, pidfds ...int) error {
	if len(pidfds) == 0 {
		return nil
	}
	// An eventfd turns the context's end into something poll(2) sees.
	efd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	cancel := os.NewFile(uintptr(efd), "eventfd")
	stop := context.AfterFunc(ctx, func() { _, _ = cancel.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer func() {
		stop()
		cancel.Close()
	}()
	fds := []unix.PollFd{{Fd: int32(efd), Events: unix.POLLIN}}
	for _, fd := range pidfds {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	for {
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return os.NewSyscallError("poll", err)
		}
		fds = slices.DeleteFunc(fds, func(p unix.PollFd) bool { return p.Fd != int32(efd) && p.Revents != 0 })
		if len(fds) == 1 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// ended reports whether the process of a pidfd has ended, reaped or not.
func ended(pidfd *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return n != 0 || err != nil
		}
	}
}

// siginfoPID is si_pid of a siginfo that waitid(2) filled in: behind three
// ints and, on 64-bit machines, their padding.
func siginfoPID(info *unix.Siginfo) int {
	const offset = (3*4 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

// readSmall reads a file smaller than buf, of a kind that one read(2) gives
// whole: regular, or short in /proc or /sys. It costs half of os.ReadFile.
func readSmall(path string, buf []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && n == len(buf):
			err = unix.EFBIG
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		return buf[:n], nil
	}
}
