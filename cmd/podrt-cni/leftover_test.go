package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// startChild starts the test binary by that name, and returns when it is ready. It
// ends with its standard input.
func startChild(t *testing.T, name string, env ...string) (pid int) {
	t.Helper()
	cmd := exec.Command(link(t, t.TempDir(), name))
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return cmd.Process.Pid
}

// waitForEnd is the rest of the life of what startChild starts.
func waitForEnd() int {
	fmt.Print("r")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// vast is how long an environment a process says that it has.
const vast = 1 << 30

// runVast says that its environment is a mapping that takes no memory.
func runVast() int {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	field := func(n int) uint64 { // proc_pid_stat(5)
		v, _ := strconv.ParseUint(string(fields[n-3]), 10, 64)
		return v
	}
	p, err := unix.MmapPtr(-1, 0, nil, vast, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	brk, _, _ := unix.Syscall(unix.SYS_BRK, 0, 0, 0)
	// struct prctl_mm_map of linux/prctl.h.
	m := struct {
		startCode, endCode, startData, endData, startBrk, brk, startStack uint64
		argStart, argEnd, envStart, envEnd                                uint64
		auxv                                                              uint64
		auxvSize                                                          uint32
		exeFD                                                             int32
	}{
		field(26), field(27), field(45), field(46), field(47), uint64(brk), field(28),
		field(48), field(49), uint64(uintptr(p)), uint64(uintptr(p)) + vast,
		0, 0, -1,
	}
	if err := unix.Prctl(unix.PR_SET_MM, unix.PR_SET_MM_MAP, uintptr(unsafe.Pointer(&m)), unsafe.Sizeof(m), 0); err != nil {
		fmt.Fprintln(os.Stderr, "prctl:", err)
		return 1
	}
	return waitForEnd()
}

// TestLeftoverVast: every process of the host is looked at, and says itself where
// its environment ends (PR_SET_MM_MAP, prctl(2)).
func TestLeftoverVast(t *testing.T) {
	pid := startChild(t, vastName)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if isLeftover(pid, "u1") {
		t.Error("a process without the pod in its environment is left by it")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%d bytes of memory for one process", n)
	}
}

// TestLeftoverFound: those that are left end, and once the time is over nothing is
// looked for any more: what is killed may come again.
func TestLeftoverFound(t *testing.T) {
	pid := startChild(t, idleName, netsetup.CNIPodEnv+"=u1")
	if !isLeftover(pid, "u1") || isLeftover(pid, "u") {
		t.Errorf("isLeftover(%d) = %t for its pod, %t for another", pid, isLeftover(pid, "u1"), isLeftover(pid, "u"))
	}
	over, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if err := killLeftovers(over, "u1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("killLeftovers without time: %v; want %v", err, context.DeadlineExceeded)
	}
	if err := killLeftovers(t.Context(), "u1"); err != nil {
		t.Error(err)
	}
	wantGone(t, pid)
}
