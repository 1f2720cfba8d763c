package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/podrt/podrt/sandbox"
)

// startDetached starts the pod's containers under a monitor process.
func (e *env) startDetached(ctx context.Context, p *sandbox.Pod) error {
	return p.StartDetached(ctx, []string{
		"--root", e.store.ContainerRoot, "--pod-root", e.store.RunRoot, "--lib-root", e.store.LibRoot, "--log-root", e.store.LogRoot,
		"pod", "monitor", p.UID(),
	})
}

// detachedCode is the exit status that a failed detached start ends podrt with.
func detachedCode(err error) int {
	var m *sandbox.MonitorError
	if errors.As(err, &m) && m.Code != 0 {
		return m.Code
	}
	return sandbox.CodeError
}

// podMonitorCommand is what startDetached executes.
func podMonitorCommand() *command {
	return &command{
		name:   "monitor",
		usage:  "(internal) be the parent of a pod's containers",
		hidden: true,
		min:    1, max: 1,
		run: func(e *env, args []string) error {
			report := os.NewFile(3, "report")
			if _, err := report.Stat(); err != nil {
				return fmt.Errorf("pod monitor: not started by podrt: %w", err)
			}
			ctx, stop := interruptible()
			defer stop()
			return e.store.ServeMonitor(ctx, args[0], report)
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

// describeExit says how a container ended.
func describeExit(x sandbox.ExitRecord) string {
	switch x.Cause {
	case sandbox.CauseOOM:
		return fmt.Sprintf("was killed for lack of memory (the %s's limit), status %d", x.OOMScope, x.ExitCode)
	case sandbox.CauseSignal:
		return fmt.Sprintf("was ended by %s, status %d", x.Signal, x.ExitCode)
	}
	return fmt.Sprintf("exited with status %d", x.ExitCode)
}
