// Package count counts what a program asks of the kernel: measures of its work
// that a busy machine does not change.
package count

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Calls is the number of system calls by name.
type Calls map[string]int

// scheduler are the system calls that Go's runtime makes as threads, timers and
// the collector happen to meet, and those of starting and ending a thread.
var scheduler = []string{
	"clock_nanosleep", "clone", "clone3", "epoll_pwait", "exit", "futex", "getpid", "gettid", "madvise", "mmap", "munmap",
	"mprotect", "nanosleep", "restart_syscall", "rseq", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_yield",
	"set_robust_list", "sigaltstack", "tgkill",
}

// Total is the number of all calls.
func (c Calls) Total() (n int) {
	for _, calls := range c {
		n += calls
	}
	return n
}

// Steady is the number of calls without those that vary from run to run.
func (c Calls) Steady() (n int) {
	for name, calls := range c {
		if !slices.Contains(scheduler, name) {
			n += calls
		}
	}
	return n
}

// ErrNoStrace says that strace(1) is not installed.
var ErrNoStrace = errors.New("strace is missing: apt-get install strace")

// Strace runs cmd to its end, and to that of all processes that come from it,
// and counts the system calls that returned.
func Strace(cmd *exec.Cmd) (Calls, error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil, ErrNoStrace
	}
	f, err := os.CreateTemp("", "strace-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	traced := exec.Command(strace, append([]string{"-f", "-c", "-o", f.Name(), "--", cmd.Path}, cmd.Args[1:]...)...)
	traced.Env, traced.Dir = cmd.Env, cmd.Dir
	var out bytes.Buffer
	traced.Stdout, traced.Stderr = &out, &out
	if err := traced.Run(); err != nil {
		return nil, fmt.Errorf("strace %q: %w\n%s", cmd.Args, err, out.Bytes())
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		return nil, err
	}
	return parse(string(b))
}

// parse reads the table of strace -c: % time, seconds, usecs/call, calls,
// errors where there are any, and the name.
func parse(table string) (Calls, error) {
	calls := Calls{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] == "%" || strings.HasPrefix(f[0], "-") || f[len(f)-1] == "total" {
			continue
		}
		n, err := strconv.Atoi(f[3])
		if err != nil {
			return nil, fmt.Errorf("strace -c: line %q: %w", line, err)
		}
		calls[f[len(f)-1]] += n
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("strace -c: no system calls in %q", table)
	}
	return calls, nil
}

// Faults is the number of minor page faults of a process and of the children
// that it has waited for, which for a container's runtime is nearly all of them.
func Faults(s *os.ProcessState) int64 {
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		return ru.Minflt
	}
	return 0
}
