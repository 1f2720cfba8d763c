// Package pid1 holds what the first process of a rung does: it mounts, raises
// lo, and runs one command while it reaps everybody's orphans. Both first
// processes share it, that of the native rung's PID namespace (cmd/rung) and
// that of the VM (guest).
package pid1

import (
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that go test, make and a terminal send.
var forwarded = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2}

// Run starts path with argv and attr, hands the signals of this process on to
// it, and reaps every child until it ends. It returns its exit code as a shell
// would: 128+N for signal N.
//
// It is for PID 1 only: it takes the exit status of any child.
func Run(path string, argv []string, attr *os.ProcAttr) (code int, err error) {
	// Before the start, so that none is lost.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)

	p, err := os.StartProcess(path, argv, attr)
	if err != nil {
		return 0, err
	}
	pid := p.Pid
	// Its status is for the loop below.
	if err := p.Release(); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				// Gone is as good as told.
				_ = unix.Kill(pid, s.(unix.Signal))
			case <-done:
				return
			}
		}
	}()
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait for %q: %w", path, err)
		case got != pid:
		case ws.Signaled():
			return 128 + int(ws.Signal()), nil
		default:
			return ws.ExitStatus(), nil
		}
	}
}
