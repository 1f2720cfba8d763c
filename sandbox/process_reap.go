package sandbox

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ReapOrphans waits for every dead child of this process but those to keep,
// whose statuses are their own waiters' to get: it peeks at the next dead child
// (waitid(2), WNOWAIT) and takes it only if it is another. It stops at the
// first one to keep, and reports whether it did.
func ReapOrphans(keep func(pid int) bool) (dead bool) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		pid := siginfoPID(&info)
		if err != nil || pid == 0 {
			return false
		}
		if keep(pid) {
			return true
		}
		_, _ = unix.Wait4(pid, nil, 0, nil)
	}
}
