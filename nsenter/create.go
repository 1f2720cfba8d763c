package nsenter

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Result is a sandbox that stands.
type Result struct {
	Pins []Pin `json:"pins"` // in the order user, cgroup, ipc, uts, net, time, pid

	// The pod init, where Kinds has PID: its pid in the caller's PID namespace,
	// and its start time (clock ticks since boot, field 22 of proc(5)'s stat).
	// Both together name it for good; 0 otherwise.
	InitPID   int    `json:"initPID,omitempty"`
	InitStart uint64 `json:"initStart,omitempty"`
	// InitPidFD is a pidfd of it (pidfd_open(2)), readable when it has ended.
	// The caller closes it.
	InitPidFD *os.File `json:"-"`
}

// Create makes the namespaces of a pod and pins them in cfg.PinDir. It is all
// or nothing: on an error nothing is left of it. What the sandbox process or
// the kernel refuses is an *Error. It may be called concurrently, and blocks
// for about a millisecond.
//
// Requires root, and Linux 5.9.
func Create(cfg Config) (*Result, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	settings, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	return create(&cfg, settings)
}

func create(cfg *Config, settings []setting) (_ *Result, retErr error) {
	config, err := cfg.encode(settings)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(cfg.PinDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, newError("open pin directory", cfg.PinDir, err)
	}
	pinDir := os.NewFile(uintptr(fd), cfg.PinDir)
	defer pinDir.Close()

	made, err := makePinFiles(pinDir, cfg.Kinds)
	defer func() {
		if retErr != nil {
			// Errors that are not of this are told apart by errors.As.
			if err := unpin(cfg.PinDir, made); err != nil {
				retErr = errors.Join(retErr, err)
			}
		}
	}()
	if err != nil {
		return nil, err
	}

	// For the sandbox process's parent-death signal, see start.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := start(cfg, config, pinDir)
	if err != nil {
		return nil, err
	}
	b, ended, err := p.wait()
	if err != nil {
		return nil, fmt.Errorf("read report of sandbox process: %w", err)
	}
	r, err := parseReport(b, cfg.PinDir)
	if err != nil {
		return nil, err
	}
	res, err := r.result(cfg, ended)
	if err != nil {
		// It ended by itself, unless the process was killed on its very last
		// steps. A pod init that nobody knows of would be one that stays.
		killInit(r.initPID, r.initStart)
		return nil, err
	}
	return res, nil
}

// result turns a report into what Create returns.
func (r *report) result(cfg *Config, ended string) (*Result, error) {
	switch {
	case r.err != nil:
		return nil, r.err
	case ended != "" || !r.done:
		if ended == "" {
			ended = "ended without a report"
		}
		return nil, &Error{Step: "run", Object: "sandbox process", Detail: ended}
	case len(r.pins) != len(cfg.Kinds) || cfg.has(PID) != (r.initPID > 0):
		return nil, errors.New("sandbox process did not do what it was told to")
	}
	res := &Result{Pins: r.pins, InitPID: r.initPID, InitStart: r.initStart}
	if r.initPID > 0 {
		f, err := openProcess(r.initPID, r.initStart)
		if err != nil {
			return nil, fmt.Errorf("open pod init: %w", err)
		}
		res.InitPidFD = f
	}
	return res, nil
}

// newError is an Error with the errno that err wraps.
func newError(step, object string, err error) *Error {
	e := &Error{Step: step, Object: object}
	if !errors.As(err, &e.Errno) {
		e.Detail = err.Error()
	}
	return e
}

// killInit kills the pod init by its name for good, if it is still there.
func killInit(pid int, start uint64) {
	if pid <= 0 {
		return
	}
	f, err := openProcess(pid, start)
	if err != nil {
		return
	}
	defer f.Close()
	_ = unix.PidfdSendSignal(int(f.Fd()), unix.SIGKILL, nil, 0)
}
