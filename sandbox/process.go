package sandbox

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// Process is a process to be started in a container, and then the handle on it.
// The fields are not used after the start.
type Process struct {
	Spec *specs.Process
	Env  []string // added to the spec's

	// Standard streams. An *os.File becomes the process's own descriptor;
	// anything else is copied through a pipe until Wait returns; nil is
	// /dev/null. Leave them nil with a ConsoleSocket.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	ExtraFiles     []*os.File // become descriptors 3, 4, …

	ConsoleSocket *os.File // connected unix socket that gets the terminal's master by SCM_RIGHTS
	PidfdSocket   *os.File // connected unix socket that gets the process's pidfd by SCM_RIGHTS

	// Ready is called by RunInit when all is set up, the terminal's master sent
	// among it, and before the container's command runs. With its error the
	// container ends. nil is none.
	Ready func() error

	// SubCgroups places a process of StartExec in a cgroup below the
	// container's: the one key is "", the value a path relative to it.
	SubCgroups map[string]string

	lp   *libcontainer.Process
	wait sync.Once
	ws   unix.WaitStatus
	werr error
}

// Pid returns the process's pid in the caller's PID namespace, 0 before it was
// started.
func (p *Process) Pid() int {
	if p.lp == nil {
		return 0
	}
	pid, err := p.lp.Pid()
	if err != nil {
		return 0
	}
	return pid
}

// Signal sends sig to the process, through a pidfd where the kernel has them;
// os.ErrProcessDone after Wait.
func (p *Process) Signal(sig unix.Signal) error {
	if p.lp == nil {
		return os.ErrProcessDone
	}
	return p.lp.Signal(sig)
}

// Wait waits for the process to end, and for the copying of streams that are
// not files. It must be called once from the process that started it, or the
// zombie stays; further calls return the same. Its waitid(2) is for this child
// alone: other children are not touched.
func (p *Process) Wait() (unix.WaitStatus, error) {
	p.wait.Do(func() {
		if p.lp == nil {
			p.werr = os.ErrProcessDone
			return
		}
		state, err := p.lp.Wait()
		if state == nil {
			p.werr = fmt.Errorf("wait for process %d: %w", p.Pid(), err)
			return
		}
		// The other errors are of an exit code that is not 0, or of copying
		// streams that the process had no more use for.
		p.ws = unix.WaitStatus(state.Sys().(syscall.WaitStatus))
	})
	return p.ws, p.werr
}

// ExitCode gives a wait status as shells do: the exit code, or 128 and the
// signal's number.
func ExitCode(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// prepare translates the process into libcontainer's.
func (p *Process) prepare(init bool) (*libcontainer.Process, error) {
	lp, err := convertProcess(p.Spec)
	if err != nil {
		return nil, err
	}
	lp.Init = init
	lp.Env = append(lp.Env[:len(lp.Env):len(lp.Env)], p.Env...)
	lp.Stdin, lp.Stdout, lp.Stderr = p.Stdin, p.Stdout, p.Stderr
	lp.ExtraFiles = p.ExtraFiles
	lp.ConsoleSocket, lp.PidfdSocket = p.ConsoleSocket, p.PidfdSocket
	lp.SubCgroupPaths = p.SubCgroups
	// The setup stages report fatal errors as log messages too: they must be
	// let through even where this process itself logs nothing.
	lp.LogLevel = strconv.Itoa(int(max(logrus.GetLevel(), logrus.InfoLevel)))
	p.lp = lp
	return lp, nil
}

func convertProcess(s *specs.Process) (*libcontainer.Process, error) {
	lp := &libcontainer.Process{
		Args:            s.Args,
		Env:             s.Env,
		UID:             int(s.User.UID),
		GID:             int(s.User.GID),
		Cwd:             s.Cwd,
		Label:           s.SelinuxLabel,
		NoNewPrivileges: &s.NoNewPrivileges,
		AppArmorProfile: s.ApparmorProfile,
		Scheduler:       s.Scheduler,
		IOPriority:      s.IOPriority,
	}
	if size := s.ConsoleSize; size != nil {
		lp.ConsoleWidth, lp.ConsoleHeight = uint16(size.Width), uint16(size.Height)
	}
	if caps := s.Capabilities; caps != nil {
		lp.Capabilities = &configs.Capabilities{
			Bounding: caps.Bounding, Effective: caps.Effective, Inheritable: caps.Inheritable,
			Permitted: caps.Permitted, Ambient: caps.Ambient,
		}
	}
	for _, gid := range s.User.AdditionalGids {
		lp.AdditionalGroups = append(lp.AdditionalGroups, int(gid))
	}
	for _, r := range s.Rlimits {
		typ, ok := rlimitType(r.Type)
		if !ok {
			return nil, fmt.Errorf("wrong rlimit value: %s", r.Type)
		}
		lp.Rlimits = append(lp.Rlimits, configs.Rlimit{Type: typ, Hard: r.Hard, Soft: r.Soft})
	}
	var err error
	lp.CPUAffinity, err = configs.ConvertCPUAffinity(s.ExecCPUAffinity)
	return lp, err
}

// rlimitType gives the resource number of a limit's name (getrlimit(2)).
func rlimitType(name string) (int, bool) {
	switch name {
	case "RLIMIT_AS":
		return unix.RLIMIT_AS, true
	case "RLIMIT_CORE":
		return unix.RLIMIT_CORE, true
	case "RLIMIT_CPU":
		return unix.RLIMIT_CPU, true
	case "RLIMIT_DATA":
		return unix.RLIMIT_DATA, true
	case "RLIMIT_FSIZE":
		return unix.RLIMIT_FSIZE, true
	case "RLIMIT_LOCKS":
		return unix.RLIMIT_LOCKS, true
	case "RLIMIT_MEMLOCK":
		return unix.RLIMIT_MEMLOCK, true
	case "RLIMIT_MSGQUEUE":
		return unix.RLIMIT_MSGQUEUE, true
	case "RLIMIT_NICE":
		return unix.RLIMIT_NICE, true
	case "RLIMIT_NOFILE":
		return unix.RLIMIT_NOFILE, true
	case "RLIMIT_NPROC":
		return unix.RLIMIT_NPROC, true
	case "RLIMIT_RSS":
		return unix.RLIMIT_RSS, true
	case "RLIMIT_RTPRIO":
		return unix.RLIMIT_RTPRIO, true
	case "RLIMIT_RTTIME":
		return unix.RLIMIT_RTTIME, true
	case "RLIMIT_SIGPENDING":
		return unix.RLIMIT_SIGPENDING, true
	case "RLIMIT_STACK":
		return unix.RLIMIT_STACK, true
	}
	return 0, false
}
