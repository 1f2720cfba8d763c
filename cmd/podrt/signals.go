package main

import (
	"os"
	"os/signal"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// signals are those that this process gets while it starts a process and stays
// with it.
type signals struct {
	ch  chan os.Signal
	all chan struct{} // closed when all signals are caught
}

// watchSignals begins to catch signals. To catch them all takes some 65 system
// calls; it goes on beside the start of the process, except for SIGCHLD, which
// must not be missed. A detached start is only kept from being cut short.
//
// They are caught until this process ends, which it does soon after the other
// one: to let go of each takes as long as to catch it.
func watchSignals(detach bool) *signals {
	s := &signals{ch: make(chan os.Signal, 2048), all: make(chan struct{})}
	if detach {
		signal.Notify(s.ch, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
		close(s.all)
		return s
	}
	signal.Notify(s.ch, unix.SIGCHLD)
	go func() {
		signal.Notify(s.ch)
		close(s.all)
	}()
	return s
}

// forward passes signals on to the process until it ends, and reaps what else
// became this process's child.
func (s *signals) forward(p *sandbox.Process, io streams) (unix.WaitStatus, error) {
	<-s.all
	pid := p.Pid()
	own := func(child int) bool { return child == pid }
	io.resize()
	// It may have ended before SIGCHLD was caught.
	if sandbox.ReapOrphans(own) {
		return p.Wait()
	}
	for sig := range s.ch {
		switch sig {
		case unix.SIGCHLD:
			if sandbox.ReapOrphans(own) {
				return p.Wait()
			}
		case unix.SIGWINCH:
			io.resize()
		case unix.SIGURG:
			// Go's scheduler sends it to its own threads.
		default:
			n := sig.(unix.Signal)
			logrus.Debugf("forwarding signal %d (%s) to %d", int(n), unix.SignalName(n), pid)
			if err := p.Signal(n); err != nil {
				logrus.Warn(err)
			}
		}
	}
	return p.Wait()
}
