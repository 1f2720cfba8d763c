package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// killLeftovers kills what podrt-cni has executed for a pod and still runs, and
// waits for its end: processes of one that was killed itself, and those of
// plugins that took too long. They are known by their environment (proc_pid_environ(5)).
// A container could take such an environment, and would be killed for it.
func killLeftovers(ctx context.Context, uid string) error {
	for {
		// They may have forked before they died, and one that only takes the
		// environment may go on so.
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("kill what the plugins of pod %q have left: %w", uid, err)
		}
		found, err := leftovers(uid)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, pid := range found {
			if err := killProcess(ctx, pid, uid); err != nil {
				return fmt.Errorf("kill process %d, left by the plugins of pod %q: %w", pid, uid, err)
			}
		}
	}
}

// leftovers returns the processes that were executed for a pod, but for this one.
func leftovers(uid string) ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var found []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err == nil && pid != os.Getpid() && isLeftover(pid, uid) {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	return found, nil
}

// maxEnviron is more bytes than the environment of podrt-cni, or a plugin, has.
const maxEnviron = 2 << 20

// isLeftover reports whether a process has the pod in its environment; a zombie
// has no environment.
func isLeftover(pid int, uid string) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	// Where it ends is for the process to say, and it may say so of memory that it
	// does not have (PR_SET_MM_MAP, prctl(2)).
	environ, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return false
	}
	for kv := range bytes.SplitSeq(environ, []byte{0}) {
		if string(kv) == netsetup.CNIPodEnv+"="+uid {
			return true
		}
	}
	return false
}

// killProcess kills a process if it is one of the pod's, and waits for its end.
func killProcess(ctx context.Context, pid int, uid string) error {
	fd, err := unix.PidfdOpen(pid, 0) // since Linux 5.3
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if !isLeftover(pid, uid) { // the number was another's before
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return os.NewSyscallError("pidfd_send_signal", err)
	}
	for {
		wait := time.Hour
		if end, ok := ctx.Deadline(); ok {
			wait = time.Until(end)
		}
		// Readable when the process has ended.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, wait).Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return os.NewSyscallError("poll", err)
		case n == 0 && err == nil:
			return context.DeadlineExceeded
		}
	}
}
