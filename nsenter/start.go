package nsenter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hooks of tests, that stop or kill the sandbox process at a given point.
var (
	testHookAttr    func(*syscall.SysProcAttr)
	testHookStarted func(pid int)
)

// reportMax is far above what sandbox.h allows for: seven pins, or an error.
const reportMax = 64 << 10 // bytes

// process is a sandbox process that runs.
type process struct {
	pid    int
	report *os.File // its end is the process's, and the pod init's getting on its own
}

// start executes the program once more, as the sandbox process. The calling
// goroutine is locked to its thread until the process has ended: the process
// is killed when that thread dies, which is when podrt does.
func start(cfg *Config, config []byte, pinDir *os.File) (_ *process, retErr error) {
	configFile, err := memfd("podrt-sandbox", config)
	if err != nil {
		return nil, err
	}
	defer configFile.Close()
	null, err := openNull()
	if err != nil {
		return nil, err
	}
	defer null.Close()
	// Blocking, so that reading it needs no epoll.
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	reader, writer := os.NewFile(uintptr(pipe[0]), "sandbox report"), os.NewFile(uintptr(pipe[1]), "sandbox report")
	defer writer.Close()
	defer func() {
		if retErr != nil {
			reader.Close()
		}
	}()

	none := ^uintptr(0)
	files := []uintptr{
		null.Fd(), null.Fd(), null.Fd(),
		configFD:     configFile.Fd(),
		reportFD:     writer.Fd(),
		pinDirFD:     pinDir.Fd(),
		initCgroupFD: none,
		exeFD:        none,
		holdFD:       none,
	}
	if cfg.Hold != nil {
		files[holdFD] = cfg.Hold.Fd()
	}
	if cfg.InitCgroup != nil {
		files[initCgroupFD] = cfg.InitCgroup.Fd()
	}
	path := "/proc/self/exe"
	if cfg.Exe != nil {
		// Handed over although it is not used there: on the child's way to
		// execve, any other number may be overwritten.
		files[exeFD] = cfg.Exe.Fd()
		path = "/proc/self/fd/" + strconv.Itoa(exeFD)
	}
	name := "podrt-sandbox"
	if cfg.has(PID) {
		name = "podrt-init" // what ps shows inside the pod
	}
	attr := syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if cfg.Cgroup != nil {
		attr.UseCgroupFD = true
		attr.CgroupFD = int(cfg.Cgroup.Fd())
	}
	if testHookAttr != nil {
		testHookAttr(&attr)
	}
	// Not os.StartProcess: it would first fork once to probe for pidfds.
	pid, err := syscall.ForkExec(path, []string{name}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   []string{"_PODRT_SANDBOX=" + strconv.Itoa(configFD)},
		Files: files,
		Sys:   &attr,
	})
	runtime.KeepAlive(cfg)
	runtime.KeepAlive(pinDir)
	if err != nil {
		return nil, startError(cfg, err)
	}
	if testHookStarted != nil {
		testHookStarted(pid)
	}
	return &process{pid: pid, report: reader}, nil
}

func startError(cfg *Config, err error) error {
	e := &Error{Step: "start", Object: "sandbox process", Detail: err.Error()}
	if errors.As(err, &e.Errno) {
		e.Detail = ""
	}
	if cfg.Cgroup != nil {
		e.Step, e.Object = "start sandbox process in cgroup", cfg.Cgroup.Name()
	}
	return e
}

// wait reads the report to its end and reaps the process. ended says how it
// ended, and is empty when it did as it should.
func (p *process) wait() (report []byte, ended string, err error) {
	report, err = io.ReadAll(io.LimitReader(p.report, reportMax))
	p.report.Close()
	var status unix.WaitStatus
	for {
		_, werr := unix.Wait4(p.pid, &status, 0, nil)
		switch {
		case werr == unix.EINTR:
			continue
		case werr == unix.ECHILD:
			// A reaper elsewhere in the program was faster; the report decides.
			return report, "", err
		case werr != nil:
			return report, "", errors.Join(err, os.NewSyscallError("wait4", werr))
		}
		break
	}
	switch {
	case status.Signaled():
		ended = "killed by signal " + unix.SignalName(status.Signal())
	case status.ExitStatus() != 0:
		ended = fmt.Sprintf("exited with status %d", status.ExitStatus())
	}
	return report, ended, err
}

// memfd returns an anonymous file with the given content.
func memfd(name string, content []byte) (_ *os.File, retErr error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:"+name)
	if _, err := f.Write(content); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openNull opens /dev/null, which the pod init keeps: so it must be that.
func openNull() (*os.File, error) {
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/null", Err: err}
	}
	f := os.NewFile(uintptr(fd), "/dev/null")
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "stat", Path: "/dev/null", Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		f.Close()
		return nil, errors.New("check /dev/null: not the null device")
	}
	return f, nil
}
