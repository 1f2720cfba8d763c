package main

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// nobody is the user and group of who has nothing (the kernel's overflowuid).
const nobody = 65534

// dropPrivileges makes every thread of this process one of that user, without
// capabilities, and for good. Who is not root already is left as it is.
func dropPrivileges() error {
	// The program is static and without C: all threads are Go's.
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("set no_new_privs: %w", errno)
	}
	if syscall.Geteuid() != 0 {
		return nil
	}
	raiseProcesses()
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("drop groups: %w", err)
	}
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return fmt.Errorf("become group %d: %w", nobody, err)
	}
	// With the last user id that is root's, the capabilities go (capabilities(7)).
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return fmt.Errorf("become user %d: %w", nobody, err)
	}
	return nil
}

// raiseProcesses lifts the limit on processes (getrlimit(2), RLIMIT_NPROC) as far as it
// may. Whatever runs as nobody counts against it, in containers as well, and this
// program's threads would be too many.
func raiseProcesses() {
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if unix.Setrlimit(unix.RLIMIT_NPROC, &limit) == nil {
		return
	}
	// Without CAP_SYS_RESOURCE.
	if unix.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NPROC, &limit)
	}
}
