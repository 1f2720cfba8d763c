package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// monitorReport is what a monitor tells the process that started it: first the
// UID of the pod, once that is made, then how its start ended.
type monitorReport struct {
	UID   string `json:"uid,omitempty"`
	Ended bool   `json:"ended,omitempty"`
	Error string `json:"error,omitempty"`
	Code  int    `json:"code,omitempty"` // StartCode of the error
	Kind  string `json:"kind,omitempty"` // of the error, as the program has it
}

// MonitorError is the failure of a detached start, as the monitor reported it.
type MonitorError struct {
	Msg  string
	Code int
	Kind string
}

func (e *MonitorError) Error() string { return e.Msg }

// StartMonitor starts a monitor: a new session and process, this executable with
// the given arguments, which must end in ServeMonitor. It returns when the init
// containers have ended and all others of the pod run, or with the reason why none
// does. When ctx is cancelled the pod is stopped, and killed when now is. The pod's
// UID is known, also with an error, if it was made.
func StartMonitor(ctx, now context.Context, args []string) (uid string, _ error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("start monitor: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	cmd.ExtraFiles = []*os.File{w} // descriptor 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return "", fmt.Errorf("start monitor: %w", err)
	}
	// An interrupted caller takes the half-started pod back: the monitor stops
	// what it launched on SIGTERM, and kills it on a second one.
	for _, ctx := range []context.Context{ctx, now} {
		stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(unix.SIGTERM) })
		defer stop()
	}
	reports := json.NewDecoder(r)
	for {
		var rep monitorReport
		if err := reports.Decode(&rep); err != nil {
			_ = cmd.Process.Kill()
			_, _ = cmd.Process.Wait()
			if errors.Is(err, io.EOF) {
				err = errors.New("it ended without a report")
			}
			return uid, fmt.Errorf("start monitor: %w", err)
		}
		uid = orDefault(rep.UID, uid)
		switch {
		case rep.Error != "":
			_, _ = cmd.Process.Wait()
			return uid, &MonitorError{Msg: rep.Error, Code: rep.Code, Kind: rep.Kind}
		case rep.Ended:
			return uid, cmd.Process.Release()
		}
	}
}

// InitError is an init container that has failed, so that those behind it were not
// started.
type InitError struct{ Exit }

func (e *InitError) Error() string {
	return fmt.Sprintf("init container %q ended with status %d", e.Container, e.ExitCode)
}

// MonitorWork is what ServeMonitor is to do.
type MonitorWork struct {
	Pod  func(context.Context) (*Pod, error) // finds or makes the pod
	Undo func(error, *Pod) error             // after a failed start, and adds what goes wrong; nil if there is nothing to do
	Kind func(error) string                  // for MonitorError
}

// ServeMonitor is the life of a pod's monitor: it launches the containers with
// their output in LOG/UID/NAME.log, reports on the descriptor that StartMonitor
// gave it, and ends when the last container has ended and is recorded. When ctx
// is cancelled it stops the pod.
func ServeMonitor(ctx context.Context, report *os.File, work MonitorWork) error {
	unix.CloseOnExec(int(report.Fd()))
	told := false
	tell := func(rep monitorReport) error { return json.NewEncoder(report).Encode(rep) }
	p, err := work.Pod(ctx)
	if err == nil {
		// A caller that has gone needs no answer, here and below.
		_ = tell(monitorReport{UID: p.UID()})
		// It keeps no file system busy.
		if err = os.Chdir("/"); err == nil {
			p.makeLogs()
			var exits []Exit
			exits, err = p.RunContainers(ctx, p.logStdio, func() {
				told = true
				_ = tell(monitorReport{Ended: true})
				_ = report.Close()
			}, func(Exit) {})
			if cerr := ctx.Err(); cerr != nil && !told && (err == nil || errors.Is(err, cerr)) {
				err = fmt.Errorf("pod %q: interrupted before all of its containers had been started: %w", p.Name(), cerr)
			}
			if err == nil && !told {
				err = &InitError{exits[0]}
			}
		}
		// A pod that has failed, or was stopped, is there to be looked at.
		var failed *InitError
		var over *PodOverError
		kept := errors.As(err, &failed) || errors.As(err, &over)
		if err != nil && !told && !kept && work.Undo != nil {
			err = work.Undo(err, p)
		}
	}
	if err != nil && !told {
		return errors.Join(err, tell(monitorReport{Error: err.Error(), Code: StartCode(err), Kind: work.Kind(err)}))
	}
	return err
}

// makeLogs makes the logs of containers that may be started much later, so that
// they can be read, and followed, from the beginning. What goes wrong is said then.
func (p *Pod) makeLogs() {
	if len(p.rec.Spec.InitContainers) == 0 {
		return
	}
	for _, c := range p.rec.Spec.Own() {
		_, stdout, stderr, err := p.logStdio(c.Name)
		if err != nil {
			return
		}
		stdout.Close()
		stderr.Close()
	}
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
		return os.OpenFile(p.logFile(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
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
	var failed *InitError
	if errors.As(err, &failed) {
		return failed.ExitCode
	}
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
