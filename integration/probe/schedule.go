package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// sched prints how this process is scheduled: policy, flags, nice value and
// priority: sched_getattr(2).
func sched(out io.Writer, _ []string) error {
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("sched_getattr: %w", err)
	}
	fmt.Fprintln(out, a.Policy, a.Flags, a.Nice, a.Priority)
	return nil
}

// ioprio prints the I/O scheduling class and priority: ioprio_get(2).
func ioprio(out io.Writer, _ []string) error {
	const whoProcess, classShift = 1, 13
	v, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, 0, 0)
	if errno != 0 {
		return fmt.Errorf("ioprio_get: %w", errno)
	}
	fmt.Fprintln(out, v>>classShift, v&(1<<classShift-1))
	return nil
}

// mempolicy prints the memory policy of the first mapping, which is the
// process's: numa(7), "numa_maps".
func mempolicy(out io.Writer, _ []string) error {
	maps, err := os.ReadFile("/proc/self/numa_maps")
	if err != nil {
		return err
	}
	fields := strings.Fields(string(maps))
	if len(fields) < 2 {
		return fmt.Errorf("numa_maps: %q", maps)
	}
	fmt.Fprintln(out, fields[1])
	return nil
}

// status prints fields of proc_pid_status(5), in the given order.
func status(out io.Writer, names []string) error {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for _, name := range names {
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				fmt.Fprintln(out, strings.TrimSpace(value))
			}
		}
	}
	return nil
}

// syscallOnce does a system call with up to six numbers as arguments, and prints
// OK or its errno.
func syscallOnce(out io.Writer, args []string) error {
	var n [7]uintptr
	if len(args) == 0 || len(args) > len(n) {
		return fmt.Errorf("%d arguments; want a number of a system call and its arguments", len(args))
	}
	for i, a := range args {
		v, err := number(a)
		if err != nil {
			return err
		}
		n[i] = uintptr(v)
	}
	if _, _, errno := unix.Syscall6(n[0], n[1], n[2], n[3], n[4], n[5], n[6]); errno != 0 {
		fmt.Fprintln(out, unix.ErrnoName(errno))
		return nil
	}
	fmt.Fprintln(out, "OK")
	return nil
}
