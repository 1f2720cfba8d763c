package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// ioOptions are the flags of every verb that starts a process.
type ioOptions struct {
	consoleSocket string
	pidfdSocket   string
	pidFile       string
	preserveFDs   int
}

func (o *ioOptions) flags(f *flags, what string) {
	f.String(&o.consoleSocket, "console-socket", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
	f.String(&o.pidfdSocket, "pidfd-socket", "path to an AF_UNIX socket which will receive a file descriptor referencing the "+what)
	f.String(&o.pidFile, "pid-file", "specify the file to write the process id to")
	f.Int(&o.preserveFDs, "preserve-fds", "Pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)")
}

// enter changes to the bundle, as runc does: there begin the relative paths of
// sockets, and there hooks run. The pid file stays where the caller is.
func (o *ioOptions) enter(bundle string) error {
	if o.pidFile != "" {
		var err error
		if o.pidFile, err = filepath.Abs(o.pidFile); err != nil {
			return err
		}
	}
	return os.Chdir(bundle)
}

// startFunc is the way in which a container starts a process.
type startFunc func(*sandbox.Container, *sandbox.Process) error

// runner starts one process with its terminal or streams, and stays with it
// unless it is detached.
type runner struct {
	env       *env
	container *sandbox.Container
	start     startFunc
	process   *specs.Process
	io        ioOptions
	detach    bool
	subreaper bool
	listenFDs []*os.File
	notify    *notifySocket

	started func() error // called once the process is started, if not nil; then nil
	end     func() error // removes the container once its init has ended; nil for exec
}

// run returns the exit status of the process, 0 when detached. On an error the
// process does not run and an init's container is gone.
func (r *runner) run() (_ int, retErr error) {
	p := &sandbox.Process{Spec: r.process}
	defer func() {
		if retErr != nil && r.end != nil {
			// As after a failed start, the container is not kept.
			if err := deleteContainer(r.env, r.container.ID(), true); err != nil {
				r.env.log.warn(err)
			}
		}
	}()
	if n := len(r.listenFDs); n > 0 {
		p.Env = []string{"LISTEN_FDS=" + strconv.Itoa(n), "LISTEN_PID=1"}
		p.ExtraFiles = r.listenFDs
	}
	preserved, err := preservedFDs(3+len(r.listenFDs), r.io.preserveFDs)
	if err != nil {
		return -1, err
	}
	p.ExtraFiles = append(p.ExtraFiles, preserved...)

	signals := watchSignals(r.detach)
	if r.subreaper && !r.detach {
		// Orphans of a container without a PID namespace come to this process.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			r.env.log.warn(err)
		}
	}
	streams, err := r.openStreams(p)
	if err != nil {
		return -1, err
	}
	defer streams.close()
	// The command finds the terminal as it stays.
	p.Ready = streams.attach
	if r.io.pidfdSocket != "" {
		if p.PidfdSocket, err = dialUnix(r.io.pidfdSocket); err != nil {
			return -1, err
		}
		defer p.PidfdSocket.Close()
	}

	if err := r.start(r.container, p); err != nil {
		return -1, err
	}
	if err := r.afterStart(p, streams); err != nil {
		_ = p.Signal(unix.SIGKILL)
		_, _ = p.Wait()
		return -1, err
	}
	if r.detach {
		if r.notify != nil {
			if err := r.notify.forward(p.Pid(), p.Pid()); err != nil {
				r.env.log.debug(err)
			}
		}
		return 0, nil
	}
	if r.notify != nil {
		go func() {
			if err := r.notify.forward(os.Getpid(), p.Pid()); err != nil {
				r.env.log.debug(err)
			}
		}()
	}
	ws, err := signals.forward(p, streams)
	if err != nil {
		return -1, err
	}
	// Before the streams end: what the init has left behind, without a PID namespace
	// of its own, can hold them open until it is killed.
	if r.end != nil {
		err = r.end()
	}
	streams.close()
	if err != nil {
		r.env.log.warn(err)
	}
	return sandbox.ExitCode(ws), nil
}

// afterStart is what a caller waits for to know that the process runs.
func (r *runner) afterStart(p *sandbox.Process, s streams) error {
	if err := s.attach(); err != nil {
		return err
	}
	if r.started != nil {
		started := r.started
		r.started = nil
		if err := started(); err != nil {
			return err
		}
	}
	if r.io.pidFile != "" {
		return writePidFile(r.io.pidFile, p.Pid())
	}
	return nil
}

// checkTerminal refuses flags that do not go together.
func (r *runner) checkTerminal() error {
	switch {
	case r.detach && r.process.Terminal && r.io.consoleSocket == "":
		return &usageError{errors.New("cannot allocate tty if runc will detach without setting console socket")}
	case (!r.detach || !r.process.Terminal) && r.io.consoleSocket != "":
		return &usageError{errors.New("cannot use console socket if runc will not detach or allocate tty")}
	}
	return nil
}
