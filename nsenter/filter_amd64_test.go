package nsenter

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// Its seccomp filter leaves even a tracer nothing: the host's root has it make
// system calls.
func TestInitFilter(t *testing.T) {
	rung.Privileged(t)
	res := mustCreate(t, Config{Kinds: []Kind{PID}, PinDir: pinDir(t)})
	inside(t, nil, func() error { // a tracer is a thread
		tr, err := attach(res.InitPID)
		if err != nil {
			return err
		}
		defer tr.detach()
		for _, c := range []struct {
			nr   uint64
			args [3]uint64
			want int64
		}{
			{unix.SYS_GETPID, [3]uint64{}, -int64(unix.EPERM)},
			{unix.SYS_OPENAT, [3]uint64{}, -int64(unix.EPERM)},
			{unix.SYS_EXECVE, [3]uint64{}, -int64(unix.EPERM)},
			{unix.SYS_PTRACE, [3]uint64{}, -int64(unix.EPERM)},
			{unix.SYS_KILL, [3]uint64{1, 0}, -int64(unix.EPERM)},
			{unix.SYS_KILL, [3]uint64{^uint64(0), 0}, -int64(unix.ESRCH)},           // kill(-1): nobody else is there
			{unix.SYS_GETPID | 1<<30, [3]uint64{}, -int64(unix.EPERM)},              // x32
			{unix.SYS_CLOSE, [3]uint64{99}, -int64(unix.EBADF)},                     // allowed
			{unix.SYS_MMAP, [3]uint64{0, 4096, unix.PROT_EXEC}, -int64(unix.EPERM)}, // and no memory
		} {
			got, err := tr.syscall(c.nr, c.args)
			if err != nil {
				return err
			}
			if got != c.want {
				t.Errorf("syscall %d(%v) = %d; want %d", c.nr, c.args, got, c.want)
			}
		}
		return nil
	})
	if !alive(t, res.InitPidFD) {
		t.Error("the pod init has ended")
	}
	if err := unix.Kill(res.InitPID, unix.SIGTERM); err != nil || !alive(t, res.InitPidFD) {
		t.Errorf("after being traced: kill = %v; want it alive", err)
	}
}

// tracee is a process that the calling thread traces (ptrace(2)).
type tracee struct {
	pid  int
	regs unix.PtraceRegs
}

// attach stops a process in the system call it sleeps in.
func attach(pid int) (*tracee, error) {
	if err := unix.PtraceSeize(pid); err != nil {
		return nil, fmt.Errorf("seize: %w", err)
	}
	if err := unix.PtraceInterrupt(pid); err != nil {
		return nil, fmt.Errorf("interrupt: %w", err)
	}
	tr := &tracee{pid: pid}
	if err := tr.wait(); err != nil {
		return nil, err
	}
	return tr, unix.PtraceGetRegs(pid, &tr.regs)
}

func (tr *tracee) wait() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(tr.pid, &status, unix.WALL, nil); err != nil {
		return err
	}
	if !status.Stopped() {
		return fmt.Errorf("status %#x; want it stopped", status)
	}
	return nil
}

// detach lets it go on where it was.
func (tr *tracee) detach() {
	_ = unix.PtraceSetRegs(tr.pid, &tr.regs)
	_ = unix.PtraceDetach(tr.pid)
}

// step runs it to the next entry to or exit from a system call.
func (tr *tracee) step() error {
	if err := unix.PtraceSyscall(tr.pid, 0); err != nil {
		return err
	}
	return tr.wait()
}

// syscall has the tracee make a system call at its syscall instruction, which
// it stands behind.
func (tr *tracee) syscall(nr uint64, args [3]uint64) (int64, error) {
	regs := tr.regs
	regs.Rip -= 2
	regs.Rax, regs.Orig_rax = nr, ^uint64(0)
	regs.Rdi, regs.Rsi, regs.Rdx = args[0], args[1], args[2]
	if err := unix.PtraceSetRegs(tr.pid, &regs); err != nil {
		return 0, err
	}
	for range 2 { // entry, exit
		if err := tr.step(); err != nil {
			return 0, err
		}
	}
	if err := unix.PtraceGetRegs(tr.pid, &regs); err != nil {
		return 0, err
	}
	return int64(regs.Rax), nil
}
