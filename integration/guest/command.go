package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/pid1"
	"github.com/podrt/podrt/integration/vm/job"
)

// drainTime bounds how long the command's last output may take to leave.
const drainTime = 10 * time.Second

// runCommand runs the job's command in a session of its own, and returns its
// exit code once all its output is on the host.
func runCommand(j *job.Job) (int, error) {
	if j.Terminal {
		return runOnTerminal(j)
	}
	// A pipe that never ends: some programs give up at the end of input.
	stdin, hold, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer hold.Close()
	files := []*os.File{stdin}
	drained := make(chan error, 2)
	for _, name := range []string{job.StdoutPort, job.StderrPort} {
		port, err := openPort(name)
		if err != nil {
			return 0, err
		}
		// Not the port itself: it can be opened but once, and programs open
		// /dev/stdout.
		r, w, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		files = append(files, w)
		go func() {
			_, err := io.Copy(port, r)
			drained <- err
		}()
	}
	code, err := start(j, files, &syscall.SysProcAttr{Setsid: true})
	for _, f := range files {
		_ = f.Close()
	}
	// Whoever is left holds the pipes open.
	_ = unix.Kill(-1, unix.SIGKILL)
	late := time.After(drainTime)
	for range cap(drained) {
		select {
		case drainErr := <-drained:
			err = errors.Join(err, drainErr)
		case <-late:
			return code, errors.Join(err, errors.New("a killed process still holds the command's output open"))
		}
	}
	return code, err
}

// runOnTerminal gives the command the virtio console for its terminal.
func runOnTerminal(j *job.Job) (int, error) {
	tty, err := os.OpenFile("/dev/hvc0", os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer tty.Close()
	return start(j, []*os.File{tty, tty, tty}, &syscall.SysProcAttr{Setsid: true, Setctty: true})
}

func start(j *job.Job, files []*os.File, sys *syscall.SysProcAttr) (int, error) {
	program, err := localProgram(j.Args[0])
	if err != nil {
		return 0, err
	}
	return pid1.Run(program, j.Args, &os.ProcAttr{Dir: j.WorkDir, Env: j.Env, Files: files, Sys: sys})
}

// localCopy is where a program that is a mount of its own is run from.
const localCopy = "/run/rung-program"

// localProgram copies a program that is a mount of its own, as one in a
// directory of the host that a mount of the guest hides is (root.go):
// libcontainer executes its caller through an overlay on the program's
// directory, where such a mount is not seen.
func localProgram(path string) (string, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_TYPE, &st); err != nil {
		return "", &os.PathError{Op: "statx", Path: path, Err: err}
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return path, nil
	}
	return localCopy, copyFile(path, localCopy)
}

// openPort opens the virtio-serial port with the given name for writing. The
// host announces ports after the driver is there; no event tells PID 1, which
// has no udev, so it looks until portTime is over.
func openPort(name string) (*os.File, error) {
	const dir = "/sys/class/virtio-ports"
	for deadline := time.Now().Add(portTime); ; time.Sleep(time.Millisecond) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(dir, e.Name(), "name"))
			if err == nil && strings.TrimSpace(string(b)) == name {
				return os.OpenFile(filepath.Join("/dev", e.Name()), os.O_WRONLY, 0)
			}
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("virtio-serial port %q: not there after %v", name, portTime)
		}
	}
}

const portTime = 10 * time.Second
