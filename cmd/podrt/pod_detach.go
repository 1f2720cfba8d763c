package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// startDetached starts the pod's containers under a monitor process.
func (e *env) startDetached(ctx context.Context, p *sandbox.Pod) error {
	_, err := startMonitor(ctx, e.monitorArgs(p.UID()))
	return err
}

// runDetached has a monitor process make the pod of a bundle and start its
// containers, and returns the pod's UID and the exit status for the error. This
// process does nothing of it: it would only be in the way of the other one,
// which has to know as much.
func (e *env) runDetached(ctx context.Context, b *podBundle) (string, int, error) {
	uid, err := startMonitor(ctx, e.monitorArgs(b.args()...))
	if err == nil {
		return uid, 0, nil
	}
	var reported *sandbox.MonitorError
	if !errors.As(err, &reported) && uid != "" { // it was killed
		if p, perr := e.store.PodByUID(uid); perr == nil {
			err = joinRemoval(err, p)
		}
	}
	return "", detachedCode(err), err
}

// startMonitor starts a monitor, whose pod a second interrupt kills.
func startMonitor(ctx context.Context, args []string) (uid string, _ error) {
	now, kill := context.WithCancel(context.Background())
	defer kill()
	defer onSecondInterrupt(ctx, kill)()
	return sandbox.StartMonitor(ctx, now, args)
}

// monitorArgs is the command line of a monitor with this process's settings.
func (e *env) monitorArgs(args ...string) []string {
	all := []string{
		"--root", e.store.ContainerRoot, "--pod-root", e.store.RunRoot, "--lib-root", e.store.LibRoot, "--log-root", e.store.LogRoot,
	}
	switch e.store.Cgroups {
	case sandbox.SystemdManager:
		all = append(all, "--cgroup-manager", "systemd")
	case sandbox.NoManager:
		all = append(all, "--cgroup-manager", "disabled")
	}
	return append(append(all, "pod", "monitor"), args...)
}

// detachedCode is the exit status that a failed detached start ends podrt with.
func detachedCode(err error) int {
	var m *sandbox.MonitorError
	if errors.As(err, &m) && m.Code != 0 {
		return m.Code
	}
	return sandbox.CodeError
}

// podMonitorCommand is what startDetached and runDetached execute.
func podMonitorCommand() *command {
	var b podBundle
	return &command{
		name:   "monitor",
		usage:  "(internal) be the parent of a pod's containers",
		hidden: true,
		flags: func(f *flags) {
			f.String(&b.dir, "bundle", "make the pod of the bundle `DIR`")
			b.register(f)
		},
		min: 0, max: 1,
		run: func(e *env, args []string) error {
			report := os.NewFile(3, "report")
			if _, err := report.Stat(); err != nil {
				return fmt.Errorf("pod monitor: not started by podrt: %w", err)
			}
			ctx, stop := interruptible()
			defer stop()
			find := func() (*sandbox.Pod, error) { return e.makePod(ctx, &b) }
			work := sandbox.MonitorWork{Kind: errorCode, Undo: joinRemoval}
			if len(args) > 0 {
				find = func() (*sandbox.Pod, error) { return e.store.PodByUID(args[0]) }
				work.Undo = nil
			}
			work.Pod = func(ctx context.Context) (*sandbox.Pod, error) {
				p, err := find()
				if err == nil {
					onSecondInterrupt(ctx, func() { _ = killPod(p, unix.SIGKILL) })
				}
				return p, err
			}
			return sandbox.ServeMonitor(ctx, report, work)
		},
	}
}

// reportExits says on stderr which containers failed, and how, and returns the
// exit status of a foreground run.
func (e *env) reportExits(exits []sandbox.Exit) int {
	code := 0
	for _, x := range exits {
		if x.ExitCode == 0 {
			continue
		}
		fmt.Fprintf(os.Stderr, "container %q %s\n", x.Container, describeExit(x.ExitRecord))
		if code == 0 {
			code = x.ExitCode
		}
	}
	return code
}

// reportRestart says on stderr that a container has ended and is started again.
func reportRestart(x sandbox.Exit) {
	when := "now"
	if wait := x.RestartAt.Sub(x.FinishedAt); wait > 0 {
		when = "in " + wait.String()
	}
	fmt.Fprintf(os.Stderr, "container %q %s, and is started again %s\n", x.Container, describeExit(x.ExitRecord), when)
}

// describeExit says how a container ended.
func describeExit(x sandbox.ExitRecord) string {
	how := fmt.Sprintf("exited with status %d", x.ExitCode)
	switch {
	case x.Cause == sandbox.CauseOOM:
		how = fmt.Sprintf("was killed for lack of memory (the %s's limit), status %d", x.OOMScope, x.ExitCode)
	case x.Signal != "":
		how = fmt.Sprintf("was ended by %s, status %d", x.Signal, x.ExitCode)
	}
	if x.Reason != "" {
		return fmt.Sprintf("was stopped (%s), and %s", x.Reason, how)
	}
	return how
}
