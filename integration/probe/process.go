package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// eatMemory touches args[0] bytes and keeps them.
func eatMemory(out io.Writer, args []string) error {
	n, err := number(args[0])
	if err != nil {
		return err
	}
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	for i := 0; i < len(mem); i += os.Getpagesize() {
		mem[i] = 1
	}
	fmt.Fprintln(out, "ready")
	return forever()
}

// children are those of forkMany.
var children []int

// forkMany makes n children that sleep, of one thread each, prints how many it
// got and why not more, and keeps them.
func forkMany(out io.Writer, args []string) error {
	n, err := number(args[0])
	if err != nil {
		return err
	}
	name, got := "OK", 0
	for ; got < n; got++ {
		pid, errno := forkSleeper(false)
		if errno != 0 {
			name = unix.ErrnoName(errno)
			break
		}
		children = append(children, pid)
	}
	fmt.Fprintln(out, got, name)
	return forever()
}

// unfork ends the children of forkMany, and reaps them.
func unfork(io.Writer, []string) error {
	for _, pid := range children {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return err
		}
	}
	for _, pid := range children {
		if err := wait(pid); err != nil {
			return err
		}
	}
	children = nil
	return nil
}

// forkSleeper forks without exec a process that sleeps or, as an orphan, one
// that leaves a sleeping child in a session of its own, named after its pid,
// and ends. Only raw system calls run there: it has none of the runtime's
// threads.
func forkSleeper(orphan bool) (int, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	if orphan {
		unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
		child, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 || child != 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
		}
	}
	for {
		unix.RawSyscall(unix.SYS_PAUSE, 0, 0, 0)
	}
}

// orphan leaves a process to whoever adopts it, and prints its pid. It sleeps
// until it is killed.
func orphan(out io.Writer, _ []string) error {
	parent, errno := forkSleeper(true)
	if errno != 0 {
		return fmt.Errorf("clone: %w", errno)
	}
	if err := wait(parent); err != nil {
		return err
	}
	pids, err := orphans(parent)
	if err != nil {
		return err
	}
	if len(pids) != 1 {
		return fmt.Errorf("session %d: processes %d; want one", parent, pids)
	}
	fmt.Fprintln(out, pids[0])
	return nil
}

// orphans lists the processes of the session whose leader was sid.
func orphans(sid int) ([]int, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	var found []int
	for _, pid := range all {
		if got, err := unix.Getsid(pid); err == nil && got == sid {
			found = append(found, pid)
		}
	}
	return found, nil
}

func sleep(out io.Writer, _ []string) error {
	fmt.Fprintln(out, "ready")
	return forever()
}

// spin keeps one CPU busy.
func spin(out io.Writer, _ []string) error {
	runtime.LockOSThread()
	fmt.Fprintln(out, "ready")
	for n := 0; ; n++ {
	}
}

// pids prints every process in sight: "PID PPID STATE NAME".
func pids(out io.Writer, _ []string) error {
	all, err := processes()
	if err != nil {
		return err
	}
	for _, pid := range all {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue // ended meanwhile
		}
		var ppid int
		var name, state string
		// The names of test processes hold no spaces: proc_pid_stat(5).
		if _, err := fmt.Sscanf(string(stat), "%d %s %s %d", &pid, &name, &state, &ppid); err != nil {
			return err
		}
		fmt.Fprintln(out, pid, ppid, state, name[1:len(name)-1])
	}
	return nil
}

func processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all, nil
}

// ptrace tries to trace the process: ptrace(2), PTRACE_SEIZE.
func ptrace(_ io.Writer, args []string) error {
	pid, err := number(args[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	return nil
}

// wait waits for the end of that child alone (waitpid(2)). The call is a raw
// one: the runtime would get another thread ready for while it blocks.
func wait(pid int) error {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_WAIT4, uintptr(pid), 0, 0, 0, 0, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return fmt.Errorf("wait4: %w", errno)
		}
	}
}

func init() {
	if len(os.Args) > 1 && os.Args[1] == "leaderless" {
		runtime.LockOSThread() // main's to the first thread
	}
}

// leaderless ends the process's first thread, which then is a zombie, while
// others sleep until they are killed.
func leaderless(io.Writer, []string) error {
	if unix.Gettid() != unix.Getpid() {
		return fmt.Errorf("thread %d is not the first", unix.Gettid())
	}
	go func() { _ = unix.Pause() }()
	// Not a raw call: others may run while it takes its time.
	_, _, errno := unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	return errno
}
