package engines

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// daemon is a process of an engine that stays.
type daemon struct {
	lab  *lab
	args []string
	cmd  *exec.Cmd
	// exited is closed when the process has been waited for.
	exited chan struct{}
}

// startDaemon starts one and waits until ready succeeds. It ends with the
// engine's tests; if the test has failed, its log follows.
func (l *lab) startDaemon(x *try, ready []string, args ...string) *daemon {
	d := &daemon{lab: l, args: args}
	d.start(x, ready)
	x.Cleanup(func(t *testing.T) {
		if err := d.stop(unix.SIGTERM); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s said last:\n%s", args[0], d.said())
		}
	})
	return d
}

// log is the file that holds what it says.
func (d *daemon) log() string { return d.lab.path(filepath.Base(d.args[0]) + ".log") }

// said is the end of what it has said.
func (d *daemon) said() string {
	b, err := os.ReadFile(d.log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-8000):])
}

func (d *daemon) start(x *try, ready []string) {
	log, err := os.OpenFile(d.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	x.must(err)
	defer log.Close()
	d.cmd = exec.Command(d.args[0], d.args[1:]...)
	d.cmd.Dir = d.lab.dir
	d.cmd.Env = append(os.Environ(), d.lab.env...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	begin := time.Now()
	x.must(d.cmd.Start())
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = cmd.Wait()
	}(d.cmd, d.exited)
	x.eventually(fmt.Sprintf("%q works", ready), func() bool {
		select {
		case <-d.exited:
			x.Fatalf("%q ended: %s\n%s", d.args, d.cmd.ProcessState, d.said())
		default:
		}
		return d.lab.quiet(ready...) == nil
	})
	x.Logf("%.2fs start %s", time.Since(begin).Seconds(), d.args[0])
}

// stop sends the signal and waits for the end. It is no error if it is over.
func (d *daemon) stop(sig syscall.Signal) error {
	if err := d.cmd.Process.Signal(sig); err != nil {
		<-d.exited
		return nil
	}
	select {
	case <-d.exited:
		return nil
	case <-time.After(commandLimit()):
		_ = d.cmd.Process.Kill()
		<-d.exited
		return fmt.Errorf("%q: still running %s after %s; killed it", d.args, commandLimit(), sig)
	}
}

// quiet runs a command of which only counts whether it succeeds.
func (l *lab) quiet(args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = l.dir
	cmd.Env = append(os.Environ(), l.env...)
	return cmd.Run()
}
