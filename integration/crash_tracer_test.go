package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tracer runs a command and kills one of its processes at the N-th system
// call that changes something: a SIGKILL between any two lines, chosen, not
// left to chance. Not strace: it counts for each thread by itself, and a Go
// program's threads take turns as they like.
//
// It is this test binary once more: ptrace(2) wants a process of its own, whose
// wait(2) is for all of its tracees.

// target says whose system calls are counted.
type target string

const (
	mainProcess target = "main"     // the command itself
	monitor     target = "monitor"  // the process that `pod run -d` leaves
	children    target = "children" // all others: sandbox process, container inits
	everything  target = "all"      // the calls of the command are counted, and all are killed
)

// killOrder is what the tracer is told; At 0 kills nobody.
type killOrder struct {
	Target target `json:"target"`
	At     int    `json:"at"` // the At-th call of the target's processes is not made any more
}

// killReport is what the tracer tells.
type killReport struct {
	Killed bool   `json:"killed"`
	Where  string `json:"where,omitempty"` // the call, for a human
	Calls  int    `json:"calls"`           // of the target, up to the kill
	Exit   int    `json:"exit"`            // the command's; 128+N for signal N
	Error  string `json:"error,omitempty"` // the tracer's own
}

// tracerEnv holds the killOrder of a tracer.
const tracerEnv = "PODRT_TEST_KILL"

// Before TestMain, and on the main thread, where ptrace requests have to come
// from: package rung has locked it.
func init() {
	order := os.Getenv(tracerEnv)
	if order == "" {
		return
	}
	var rep killReport
	t := tracer{report: &rep, processes: map[int]*tracedProcess{}, threads: map[int]int{}}
	err := json.Unmarshal([]byte(order), &t.order)
	if err == nil {
		os.Unsetenv(tracerEnv)
		err = t.run(os.Args[1:])
	}
	if err != nil {
		rep.Error = err.Error()
	}
	if err := json.NewEncoder(os.NewFile(3, "report")).Encode(rep); err != nil {
		fmt.Fprintln(os.Stderr, "tracer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

type tracer struct {
	order     killOrder
	report    *killReport
	main      int
	processes map[int]*tracedProcess // by pid
	threads   map[int]int            // pid of a tid
}

type tracedProcess struct {
	role     target
	executed bool // a program of its own; before that it is a fork of its parent
}

// run traces the command to its end. What it leaves running goes on untraced.
func (t *tracer) run(args []string) error {
	// The shell waits to be seized. PTRACE_SEIZE, and not PTRACE_TRACEME: what
	// is detached in the middle of its birth has no SIGSTOP pending then.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read -r _ <&3; exec 3<&-; exec "$@"`, "sh"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Start(); err != nil {
		return err
	}
	t.main = cmd.Process.Pid
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC
	if err := ptrace(unix.PTRACE_SEIZE, t.main, options); err != nil {
		return err
	}
	// Only now can it be seen to make system calls.
	if err := ptrace(unix.PTRACE_INTERRUPT, t.main, 0); err != nil {
		return err
	}
	t.processes[t.main] = &tracedProcess{role: mainProcess}
	t.threads[t.main] = t.main
	if _, err := w.WriteString("\n"); err != nil {
		return err
	}
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("wait4", err)
		}
		if ws.Stopped() {
			if err := t.stopped(tid, ws); err != nil && !errors.Is(err, unix.ESRCH) { // killed meanwhile
				return fmt.Errorf("process %d: %w", tid, err)
			}
			continue
		}
		// The numbers may come again.
		delete(t.threads, tid)
		if tid != t.main {
			delete(t.processes, tid)
		}
		if tid == t.main {
			t.report.Exit = ws.ExitStatus()
			if ws.Signaled() {
				t.report.Exit = 128 + int(ws.Signal())
			}
			return nil
		}
	}
}

// stopped lets a tracee go on.
func (t *tracer) stopped(tid int, ws unix.WaitStatus) error {
	event, sig := int(uint32(ws)>>16), ws.StopSignal()
	p := t.process(tid)
	switch {
	case p == nil:
		return unix.ESRCH
	case event == unix.PTRACE_EVENT_EXEC:
		p.executed = true
		p.role = t.roleOf(t.threads[tid])
		sig = 0
	case event == unix.PTRACE_EVENT_STOP && sig != unix.SIGTRAP:
		return ptrace(unix.PTRACE_LISTEN, tid, 0) // a SIGSTOP that counts
	case event != 0:
		sig = 0
	case sig == unix.SIGTRAP|0x80:
		sig = 0
		counted := p.role == t.order.Target || p.role == mainProcess && t.order.Target == everything
		if !t.report.Killed && counted && t.processes[t.main].executed {
			if err := t.syscall(tid, p); err != nil {
				return err
			}
		}
	}
	request := unix.PTRACE_SYSCALL
	if t.report.Killed {
		request = unix.PTRACE_CONT
	}
	return ptrace(request, tid, uintptr(sig))
}

// process finds the process of a thread that may be new; nil when it has been
// killed since it stopped.
func (t *tracer) process(tid int) *tracedProcess {
	pid, ok := t.threads[tid]
	if !ok {
		if pid = tgid(tid); pid == 0 {
			return nil
		}
		t.threads[tid] = pid
	}
	p, ok := t.processes[pid]
	if !ok {
		p = &tracedProcess{role: children}
		t.processes[pid] = p
	}
	return p
}

// roleOf says what a process that has executed a program is.
func (t *tracer) roleOf(pid int) target {
	if pid == t.main {
		return mainProcess
	}
	args, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if strings.Contains(string(args), "\x00pod\x00monitor\x00") {
		return monitor
	}
	return children
}

// syscall counts a call that is about to be made, and kills its process if it
// is the one.
func (t *tracer) syscall(tid int, p *tracedProcess) error {
	info, err := syscallInfo(tid)
	if err != nil {
		return err
	}
	if info.op != ptraceSyscallEntry || !changes(tid, info) {
		return nil
	}
	t.report.Calls++
	if t.report.Calls != t.order.At {
		return nil
	}
	t.report.Killed = true
	pid := t.threads[tid]
	t.report.Where = fmt.Sprintf("%s of pid %d (%s)", describeCall(tid, info), pid, describeProcess(pid, p))
	if t.order.Target == everything {
		for other := range t.processes {
			// One that is gone by now has not been waited for: its number is its own.
			if err := unix.Kill(other, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return unix.Kill(pid, unix.SIGKILL)
}

// Of <linux/ptrace.h>; PTRACE_GET_SYSCALL_INFO is from Linux 5.3.
const (
	ptraceGetSyscallInfo = 0x420e
	ptraceSyscallEntry   = 1
)

type ptraceSyscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	_    [2]uint64 // instruction and stack pointer
	nr   uint64
	args [6]uint64
	_    [2]uint64 // room for what later kernels add
}

func syscallInfo(tid int) (*ptraceSyscallInfo, error) {
	var info ptraceSyscallInfo
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return &info, nil
}

func ptrace(request, tid int, data uintptr) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0, data, 0, 0)
	if errno != 0 {
		return fmt.Errorf("ptrace request %#x: %w", request, errno)
	}
	return nil
}

// tgid is the process of a thread (proc_pid_status(5)); 0 when it is gone.
func tgid(tid int) int {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	return pid
}

func describeProcess(pid int, p *tracedProcess) string {
	args, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	s := strings.TrimSpace(strings.ReplaceAll(string(args), "\x00", " "))
	if !p.executed {
		s = "fork of " + s
	}
	return s
}
