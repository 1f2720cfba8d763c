package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// podPatience is how long a pod's killed processes may take to end. Only one in
// uninterruptible sleep needs more than an instant.
const podPatience = 30 * time.Second

func removePod(p *sandbox.Pod, force bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), podPatience)
	defer cancel()
	return p.Remove(ctx, force)
}

func killPod(p *sandbox.Pod, sig unix.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), podPatience)
	defer cancel()
	return p.Kill(ctx, sig)
}

// interruptible returns a context that ends when the caller wants podrt to: by
// a signal that would kill it. SIGPIPE is none of them: it also comes of pipes
// that have nothing to do with the caller, such as that to a hook which does not
// read the container's state.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
}

// outlivePipes has a write to a pipe that nobody reads be an error, also on
// stdout and stderr, where it would end this process. Not signal.Ignore: whatever
// this process executes would inherit that.
func outlivePipes() { signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE) }

// onSecondInterrupt acts on a SIGINT, SIGTERM or SIGQUIT that comes after ctx was ended
// by one; the returned function ends the watch.
func onSecondInterrupt(ctx context.Context, act func()) func() {
	signals := make(chan os.Signal, 4)
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		// From here on: the first one is not seen again.
		signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT)
		select {
		case <-signals:
			act()
		case <-done:
		}
	})
	return func() {
		stop()
		close(done)
		signal.Stop(signals)
	}
}

// joinRemoval removes a pod that could not be run, and adds what goes wrong
// with that.
func joinRemoval(err error, p *sandbox.Pod) error {
	rm := removePod(p, true)
	if errors.Is(rm, sandbox.ErrPodNotExist) {
		rm = nil
	}
	return errors.Join(err, rm)
}
