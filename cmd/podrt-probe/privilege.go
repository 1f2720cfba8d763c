package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nobody is the user and group of who has nothing (the kernel's overflowuid).
const nobody = 65534

// dropPrivileges makes every thread of this process one of that user, without
// capabilities, and for good. Who is not root already is left as it is; a user
// namespace's root who can become nobody else has no capabilities then.
func dropPrivileges() error {
	// The program is static and without C: all threads are Go's.
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("set no_new_privs: %w", errno)
	}
	if syscall.Geteuid() != 0 {
		return nil
	}
	raiseProcesses()
	err := becomeNobody()
	if err != nil && inUserNamespace() {
		// One that has root alone, or no setgroups(2) (user_namespaces(7)).
		return dropCapabilities()
	}
	return err
}

// inUserNamespace reports whether this is not the initial one, which has all ids.
func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && !slices.Equal(strings.Fields(string(b)), []string{"0", "0", "4294967295"})
}

// becomeNobody leaves no capabilities: they go with the last user id that is root's
// (capabilities(7)).
func becomeNobody() error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("drop groups: %w", err)
	}
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return fmt.Errorf("become group %d: %w", nobody, err)
	}
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return fmt.Errorf("become user %d: %w", nobody, err)
	}
	return nil
}

func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	//nolint:gosec // of the raw system call, for each thread
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0); errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
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
