package main

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/podrt/podrt/sandbox"
)

// readiness tells the service manager that a foreground podrt runs under, where it
// runs under one ($NOTIFY_SOCKET, sd_notify(3)), when its pod is ready, and when it
// ends.
type readiness struct {
	e    *env
	p    *sandbox.Pod
	host *net.UnixConn // nil if nobody listens
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// newReadiness is for a pod that is to be started. A service manager that has gone is
// no reason to run no pod.
func (e *env) newReadiness(p *sandbox.Pod) *readiness {
	r := &readiness{e: e, p: p, stop: func() {}}
	if path := os.Getenv("NOTIFY_SOCKET"); path != "" {
		host, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			e.log.debug(err)
		}
		r.host = host
	}
	return r
}

// started is called when the pod's containers run, and waits for their probes beside
// them.
func (r *readiness) started(ctx context.Context) {
	if r.host == nil {
		return
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.wg.Go(func() {
		if err := r.p.WaitReady(ctx); err != nil {
			r.e.log.debug(err)
			return
		}
		r.say("READY=1\nMAINPID=" + strconv.Itoa(os.Getpid()) + "\nSTATUS=Pod " + r.p.Name() + " is ready.\n")
	})
	r.wg.Go(func() {
		<-ctx.Done()
		r.say("STOPPING=1\n")
	})
}

// end is called when no container runs any more.
func (r *readiness) end() {
	r.stop()
	r.wg.Wait()
	if r.host != nil {
		r.host.Close()
	}
}

func (r *readiness) say(state string) {
	if _, err := r.host.Write([]byte(state)); err != nil {
		r.e.log.debug(err)
	}
}
