package nsenter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openProcess returns a pidfd of the process with that pid and start time
// (clock ticks since boot), and ESRCH when it is gone. Linux 5.3.
func openProcess(pid int, start uint64) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.EINVAL) {
		err = unix.ESRCH // gone, but its session is not
	}
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	f := os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid))
	// Read after the pidfd was opened: if the times agree now, both are its.
	got, err := startTime(pid)
	if err == nil && got != start {
		err = unix.ESRCH
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// startTime is field 22 of /proc/PID/stat, counted behind the name, which may
// hold anything.
func startTime(pid int) (uint64, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/stat"
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("read %s: too few fields", path)
	}
	return strconv.ParseUint(string(fields[22-3]), 10, 64)
}
