// Package count counts what a program asks of the kernel: measures of its work
// that a busy machine does not change.
package count

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// Trace is what strace(1) saw.
type Trace struct {
	Calls
	Written int64 // bytes, by write(2) and its kin: into files, pipes and sockets
}

// Strace runs cmd to its end, and to that of all processes that come from it,
// and counts the system calls that returned.
func Strace(cmd *exec.Cmd) (t Trace, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return t, ErrNoStrace
	}
	log, err := under(cmd, strace, "-f", "-C", "-s", "0", "-o", "")
	if err != nil {
		return t, err
	}
	calls, table, _ := strings.Cut(log, "% time ") // -C: the calls, then -c's table
	t.Written = written(calls)
	t.Calls, err = parse("% time " + table)
	return t, err
}

// under runs cmd to its end under a tool, and returns the file whose name is its
// last argument.
func under(cmd *exec.Cmd, tool string, args ...string) (string, error) {
	f, err := os.CreateTemp("", "count-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	args[len(args)-1] += f.Name()
	traced := exec.Command(tool, slices.Concat(args, []string{"--", cmd.Path}, cmd.Args[1:])...)
	traced.Env, traced.Dir = cmd.Env, cmd.Dir
	var out bytes.Buffer
	traced.Stdout, traced.Stderr = &out, &out
	if err := traced.Run(); err != nil {
		return "", fmt.Errorf("%s %q: %w\n%s", filepath.Base(tool), cmd.Args, err, out.Bytes())
	}
	b, err := os.ReadFile(f.Name())
	return string(b), err
}

// writes is a call that wrote, whole or as it was resumed.
var writes = regexp.MustCompile(`(?m)^(?:\d+ +)?(?:<\.\.\. )?p?writev?(?:64|2)?[( ].* = (\d+)$`)

// written adds up what the write calls of strace's lines returned.
func written(calls string) (n int64) {
	for _, m := range writes.FindAllStringSubmatch(calls, -1) {
		bytes, _ := strconv.ParseInt(m[1], 10, 64) // digits only
		n += bytes
	}
	return n
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

// ErrNoValgrind says that valgrind(1) is not installed.
var ErrNoValgrind = errors.New("valgrind is missing: apt-get install valgrind")

// collected is callgrind's sum.
var collected = regexp.MustCompile(`Collected : (\d+)`)

// Instructions runs cmd to its end under callgrind, which stands in for the
// processor, and counts the instructions of that one process, without the
// kernel's. What has to execute a program by a descriptor, as whatever starts a
// container, cannot run there.
func Instructions(cmd *exec.Cmd) (int64, error) {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return 0, ErrNoValgrind
	}
	// Callgrind fails now and then where Go interrupts its threads by signals.
	quiet := *cmd
	quiet.Env = append(cmd.Environ(), "GODEBUG=asyncpreemptoff=1")
	log, err := under(&quiet, valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-file=")
	if err != nil {
		return 0, err
	}
	m := collected.FindStringSubmatch(log)
	if m == nil {
		return 0, fmt.Errorf("callgrind %q: no sum of instructions in %q", cmd.Args, log)
	}
	return strconv.ParseInt(m[1], 10, 64)
}

// Faults is the number of minor page faults of a process and of the children
// that it has waited for, which for a container's runtime is nearly all of them.
func Faults(s *os.ProcessState) int64 {
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		return ru.Minflt
	}
	return 0
}
