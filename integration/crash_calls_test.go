package integration

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// calls are the system calls that change something which outlives the caller,
// or that another process sees, with the argument that is a path (-1: none). A
// kill before any other has no other effect than one before the next of these.
var calls = map[uint64]struct {
	name string
	path int
}{
	unix.SYS_BPF:               {"bpf", -1},
	unix.SYS_BIND:              {"bind", -1},
	unix.SYS_CLONE:             {"clone", -1},
	unix.SYS_CLONE3:            {"clone3", -1},
	unix.SYS_EXECVE:            {"execve", 0},
	unix.SYS_EXECVEAT:          {"execveat", 1},
	unix.SYS_EXIT_GROUP:        {"exit_group", -1},
	unix.SYS_FCHMOD:            {"fchmod", -1},
	unix.SYS_FCHMODAT:          {"fchmodat", 1},
	unix.SYS_FCHOWN:            {"fchown", -1},
	unix.SYS_FCHOWNAT:          {"fchownat", 1},
	unix.SYS_FCNTL:             {"fcntl", -1},
	unix.SYS_FLOCK:             {"flock", -1},
	unix.SYS_FSCONFIG:          {"fsconfig", -1},
	unix.SYS_FSMOUNT:           {"fsmount", -1},
	unix.SYS_FTRUNCATE:         {"ftruncate", -1},
	unix.SYS_KILL:              {"kill", -1},
	unix.SYS_LINKAT:            {"linkat", 3},
	unix.SYS_MKDIRAT:           {"mkdirat", 1},
	unix.SYS_MKNODAT:           {"mknodat", 1},
	unix.SYS_MOUNT:             {"mount", 1},
	unix.SYS_MOUNT_SETATTR:     {"mount_setattr", 1},
	unix.SYS_MOVE_MOUNT:        {"move_mount", 3},
	unix.SYS_OPENAT:            {"openat", 1},
	unix.SYS_OPEN_TREE:         {"open_tree", 1},
	unix.SYS_PIDFD_SEND_SIGNAL: {"pidfd_send_signal", -1},
	unix.SYS_PIVOT_ROOT:        {"pivot_root", 0},
	unix.SYS_PRCTL:             {"prctl", -1},
	unix.SYS_PWRITE64:          {"pwrite64", -1},
	unix.SYS_RENAMEAT:          {"renameat", 3},
	unix.SYS_RENAMEAT2:         {"renameat2", 3},
	unix.SYS_SENDFILE:          {"sendfile", -1},
	unix.SYS_SENDMSG:           {"sendmsg", -1},
	unix.SYS_SENDTO:            {"sendto", -1},
	unix.SYS_SETNS:             {"setns", -1},
	unix.SYS_SYMLINKAT:         {"symlinkat", 2},
	unix.SYS_UMOUNT2:           {"umount2", 0},
	unix.SYS_UNLINKAT:          {"unlinkat", 1},
	unix.SYS_UNSHARE:           {"unshare", -1},
	unix.SYS_WRITE:             {"write", -1},
}

// changes reports whether the call is to be counted.
func changes(tid int, info *ptraceSyscallInfo) bool {
	c, ok := calls[info.nr]
	if !ok {
		return false
	}
	switch c.name {
	case "clone":
		return info.args[0]&unix.CLONE_THREAD == 0
	case "openat":
		return info.args[2]&unix.O_CREAT != 0
	case "fcntl":
		return info.args[1] == unix.F_OFD_SETLK || info.args[1] == unix.F_OFD_SETLKW
	case "prctl":
		return info.args[0] == unix.PR_SET_CHILD_SUBREAPER || info.args[0] == unix.PR_SET_PDEATHSIG || info.args[0] == unix.PR_SET_DUMPABLE
	case "write":
		// Go's scheduler talks to itself.
		return !strings.Contains(fdTarget(tid, info.args[0]), "eventfd")
	}
	return true
}

// describeCall is a call as strace(1) would show it, shortened.
func describeCall(tid int, info *ptraceSyscallInfo) string {
	c := calls[info.nr]
	if c.path >= 0 {
		return fmt.Sprintf("%s(%q)", c.name, readString(tid, info.args[c.path]))
	}
	switch c.name {
	case "write", "pwrite64", "flock", "fcntl", "sendto", "sendmsg", "fchmod", "fchown", "ftruncate":
		return fmt.Sprintf("%s(%s)", c.name, fdTarget(tid, info.args[0]))
	}
	return fmt.Sprintf("%s(%#x, %#x)", c.name, info.args[0], info.args[1])
}

func fdTarget(tid int, fd uint64) string {
	target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, int32(fd)))
	return target
}

// readString reads a string of at most a page of another process
// (process_vm_readv(2)).
func readString(tid int, addr uint64) string {
	buf := make([]byte, 4096-addr%4096) // so that it does not run into a page that is not there
	local := []unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMReadv(tid, local, remote, 0)
	if err != nil || n < 0 {
		return ""
	}
	s, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(s)
}
