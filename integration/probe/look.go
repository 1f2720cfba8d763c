package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nsKinds are the names in /proc/self/ns.
var nsKinds = [...]string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}

// ns prints the namespaces of this process: "net net:[4026531840]".
func ns(out io.Writer, _ []string) error {
	for _, kind := range nsKinds {
		name, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, kind, name)
	}
	return nil
}

// nsOwner prints the user namespace that owns this process's namespace of the
// kind: ioctl_ns(2), NS_GET_USERNS, Linux 4.9.
func nsOwner(out io.Writer, args []string) error {
	f, err := os.Open("/proc/self/ns/" + args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	fd, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return fmt.Errorf("ioctl NS_GET_USERNS: %w", err)
	}
	owner := os.NewFile(uintptr(fd), "owner")
	defer owner.Close()
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, name)
	return nil
}

// caps prints the capability sets of this process: proc_pid_status(5).
func caps(out io.Writer, _ []string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "Cap") {
			fmt.Fprint(out, line)
		}
	}
	return nil
}

// fds prints the descriptors of this process: "3 socket:[1234]".
func fds(out io.Writer, _ []string) error {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		// That of the directory itself is closed by now.
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil {
			fmt.Fprintln(out, e.Name(), target)
		}
	}
	return nil
}

// hostname prints what uname(2) says: "NODENAME DOMAINNAME".
func hostname(out io.Writer, _ []string) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	fmt.Fprintln(out, unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Domainname[:]))
	return nil
}

// clock prints the seconds of a clock: "monotonic" or "boottime".
func clock(out io.Writer, args []string) error {
	id, ok := map[string]int32{"monotonic": unix.CLOCK_MONOTONIC, "boottime": unix.CLOCK_BOOTTIME}[args[0]]
	if !ok {
		return fmt.Errorf("unknown clock %q", args[0])
	}
	var ts unix.Timespec
	// The vDSO of a process that was made before it joined knows no offset.
	if _, _, errno := unix.Syscall(unix.SYS_CLOCK_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return errno
	}
	fmt.Fprintln(out, ts.Sec)
	return nil
}
