package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// monitorReport is what a monitor tells the process that started it, once.
type monitorReport struct {
	Error string `json:"error,omitempty"`
	Code  int    `json:"code,omitempty"` // StartCode of the error
}

// MonitorError is the failure of a detached start, as the monitor reported it.
type MonitorError struct {
	Msg  string
	Code int
}

func (e *MonitorError) Error() string { return e.Msg }

// StartDetached launches the pod's containers under a monitor: a new session
// and process, this executable with the given arguments, which must end in
// ServeMonitor. It returns when all containers run, or with the reason why
// none does.
func (p *Pod) StartDetached(ctx context.Context, args []string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start monitor of pod %q: %w", p.Name(), err)
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{w} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("start monitor of pod %q: %w", p.Name(), err)
	}
	// An interrupted caller takes the half-started pod back: the monitor stops
	// what it launched on SIGTERM.
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(unix.SIGTERM) })
	defer stop()
	b, err := io.ReadAll(r)
	if err != nil || len(b) == 0 {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
		return fmt.Errorf("start monitor of pod %q: it ended without a report", p.Name())
	}
	var rep monitorReport
	if err := json.Unmarshal(b, &rep); err != nil {
		return fmt.Errorf("read report of the monitor of pod %q: %w", p.Name(), err)
	}
	if rep.Error != "" {
		_, _ = cmd.Process.Wait()
		return &MonitorError{Msg: rep.Error, Code: rep.Code}
	}
	return cmd.Process.Release()
}

// ServeMonitor is the life of the monitor of the pod with that UID: it launches
// the containers with their output in LOG/UID/NAME.log, reports on the
// descriptor that StartDetached gave it, and ends when the last container has
// ended and is recorded. When ctx is cancelled it stops the pod.
func (s *Store) ServeMonitor(ctx context.Context, uid string, report *os.File) error {
	tell := func(rep monitorReport) error {
		defer report.Close()
		return json.NewEncoder(report).Encode(rep)
	}
	told := false
	p, err := s.PodByUID(uid)
	if err == nil {
		_, err = p.RunContainers(ctx, p.logStdio, func() {
			told = true
			_ = tell(monitorReport{}) // a caller that has gone needs no answer
		})
	}
	if err != nil && !told {
		return errors.Join(err, tell(monitorReport{Error: err.Error(), Code: StartCode(err)}))
	}
	return err
}

// logStdio gives a container /dev/null to read and its log file to write. The
// file is the container's own descriptor: its output never passes through the
// monitor and does not stop with it.
func (p *Pod) logStdio(name string) (stdin, stdout, stderr *os.File, err error) {
	if err := os.MkdirAll(p.logDir(), 0o700); err != nil {
		return nil, nil, nil, fmt.Errorf("make log directory: %w", err)
	}
	// Not os.Create: a restarted container goes on in its log.
	open := func() (*os.File, error) {
		return os.OpenFile(filepath.Join(p.logDir(), name+".log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	}
	if stdout, err = open(); err != nil {
		return nil, nil, nil, fmt.Errorf("open log: %w", err)
	}
	if stderr, err = open(); err != nil {
		stdout.Close()
		return nil, nil, nil, fmt.Errorf("open log: %w", err)
	}
	return nil, stdout, stderr, nil
}

// Exit codes of a pod run for failures before the containers' own.
const (
	CodeError         = 125 // podrt could not run the pod
	CodeNotExecutable = 126 // a container's command cannot be executed
	CodeNotFound      = 127 // a container's command was not found
)

// StartCode is the exit code that says why a pod did not run. Container inits
// report errors as text; these are libcontainer's words for a command that
// cannot be run, which engines match as well.
func StartCode(err error) int {
	var start *StartError
	if !errors.As(err, &start) {
		return CodeError
	}
	msg := start.Err.Error()
	// exec.LookPath's errors, inside the container.
	i := strings.LastIndex(msg, `exec: "`)
	if i < 0 {
		return CodeError
	}
	msg = msg[i:]
	if strings.Contains(msg, "executable file not found") || strings.Contains(msg, "no such file or directory") {
		return CodeNotFound
	}
	// A directory, one without permission, a loop of symbolic links, ...
	return CodeNotExecutable
}
